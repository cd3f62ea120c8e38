"""Storage: what may be named, and documents of real S3 and SFTP servers read, listed and written."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from services import wait_until
from storage_servers import S3, SECRET, Sftp, s3_server, sftp_server

from workers.net import storage
from workers.net.addresses import FetchError
from workers.net.places import Place, find_place, is_many, is_storage, matches, parse_places, pattern_of


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sftp]:
    folder = tmp_path_factory.mktemp("sftp") / "root"
    (folder / "in").mkdir(parents=True)
    with sftp_server(folder) as server:
        yield server


def place_of(given: dict[str, Any], name: str = "archive") -> Place:
    [place] = parse_places(json.dumps({name: given}))
    return place


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": {"url": "s3://b", "options": {"secret": "hidden"}', "no JSON"),
        ('["hidden"]', "no object"),
        ('{"a b": {"url": "s3://b"}}', "not the name"),
        ('{"a": "hidden"}', "a has no url"),
        ('{"a": {"url": "s3://b", "secret": "hidden"}}', "'secret', which is none of"),
        ('{"a": {"url": "s3://b", "read": "hidden"}}', "read has the wrong type"),
        ('{"a": {"url": "file:///etc/hidden"}}', "its url is none such as"),
        ('{"a": {"url": "s3://"}}', "its url is none such as"),
        ('{"a": {"url": "s3://b/../hidden"}}', "its url is none such as"),
        ('{"a": {"url": "s3://b/*"}}', "its url is none such as"),
        ('{"a": {"url": "sftp://me:hidden@host/in"}}', "the user belongs into its options"),
        ('{"a": {"url": "sftp://host:port/in"}}', "no host and port"),
        ('{"a": {"url": "s3://b"}, "c": {"url": "s3://b/"}}', "the same url"),
    ],
)
def test_storage_that_cannot_be_used_is_told_without_its_secrets(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_places(text)
    assert "hidden" not in str(caught.value)


def test_secrets_of_a_place_are_not_in_its_words() -> None:
    place = place_of({"url": "s3://scans", "options": {"secret": SECRET}})
    assert SECRET not in repr(place)


PLACES = parse_places(
    json.dumps(
        {
            "scans": {"url": "s3://scans/in"},
            "hers": {"url": "s3://scans/in/hers", "keys": ["0123abcd"]},
            "out": {"url": "s3://scans/out", "read": False, "write": True},
        }
    )
)


@pytest.mark.parametrize(
    "url",
    [
        "s3://scans/other/a.pdf",
        "s3://scans/in-too/a.pdf",
        "s3://scans/in",
        "s3://scans/a.pdf",
        "s3://elsewhere/in/a.pdf",
        "gs://scans/in/a.pdf",
        "sftp://scans/in/a.pdf",
        "s3://scans/in/../secret/a.pdf",
        "s3://scans/in//a.pdf",
        "s3://scans/in/./a.pdf",
        "s3://scans/in\\..\\a.pdf",
        "s3://scans/in/a\n.pdf",
        "s3://scans/in/hers/a.pdf",
        "s3://scans/out/a.pdf",
        "s3://scans/i*/a.pdf",
        "s3://*/in/a.pdf",
        f"s3://scans/in/{'a' * 2000}",
    ],
)
def test_what_is_not_allowed_is_refused(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        find_place(url, PLACES, "key-99999999")
    assert caught.value.reason in ("address_refused", "bad_url")


def test_what_is_allowed_is_found_in_its_innermost_place() -> None:
    assert find_place("s3://scans/in/a.pdf", PLACES, "local").name == "scans"
    assert find_place("s3://scans/in/hers/a.pdf", PLACES, "key-0123abcd").name == "hers"
    assert find_place("s3://scans/out/a.md", PLACES, "local", write=True).name == "out"
    with pytest.raises(FetchError):
        find_place("s3://scans/in/a.md", PLACES, "local", write=True)


@pytest.mark.parametrize(
    ("pattern", "named", "others"),
    [
        ("s3://b/in/", ["s3://b/in/a.pdf", "s3://b/in/x/y/a.pdf"], ["s3://b/a.pdf", "s3://b/inner/a.pdf"]),
        ("s3://b/*.pdf", ["s3://b/a.pdf"], ["s3://b/x/a.pdf", "s3://b/a.png"]),
        ("s3://b/*/2026-??.pdf", ["s3://b/x/2026-01.pdf"], ["s3://b/x/2026-001.pdf", "s3://b/x/y/2026-01.pdf"]),
        ("s3://b/**/a[1].pdf", ["s3://b/a[1].pdf", "s3://b/x/y/a[1].pdf"], ["s3://b/a1.pdf"]),
        ("s3://b/*/", ["s3://b/x/a.pdf", "s3://b/x/y/a.pdf"], ["s3://b/a.pdf"]),
    ],
)
def test_patterns_name_what_they_say(pattern: str, named: list[str], others: list[str]) -> None:
    assert is_many(pattern)
    assert [url for url in named + others if matches(url, pattern_of(pattern))] == named


def test_pattern_that_is_too_wild_is_refused() -> None:
    with pytest.raises(FetchError, match="once at most"):
        pattern_of("s3://b/**/x/**/a.pdf")


def test_only_four_protocols_are_of_storage() -> None:
    assert [is_storage(f"{name}://a/b") for name in ("s3", "gs", "az", "sftp", "http", "file", "memory")] == (
        [True] * 4 + [False] * 3
    )
    assert not is_many("https://public.example/*/")


@pytest.fixture(scope="module", params=["s3", "sftp"])
def filled(request: pytest.FixtureRequest) -> Place:
    """A place with documents in folders, and something else."""
    files = {"in/a.pdf": b"%PDF-a", "in/x/b.PNG": b"png", "in/x/y/c.pdf": b"%PDF-c", "in/x/notes.txt": b"no document"}
    server = request.getfixturevalue(request.param)
    for name, data in files.items():
        if request.param == "s3":
            server.put(name, data)
        else:
            (server.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (server.folder / name).write_bytes(data)
    return place_of(server.place(write=True))


def test_document_is_read_whole(filled: Place, tmp_path: Path) -> None:
    fetched = storage.read(f"{filled.url}/in/a.pdf", filled, tmp_path / "a", max_bytes=6, timeout_s=20)
    assert (fetched.name, fetched.size) == ("a.pdf", 6)
    assert (tmp_path / "a").read_bytes() == b"%PDF-a"


@pytest.mark.parametrize(
    ("name", "reason", "transient"), [("in/no.pdf", "fetch_failed", False), ("in/a.pdf", "too_large", False)]
)
def test_what_is_not_there_or_too_large_is_told(
    filled: Place, tmp_path: Path, name: str, reason: str, transient: bool
) -> None:
    with pytest.raises(FetchError) as caught:
        storage.read(f"{filled.url}/{name}", filled, tmp_path / "a", max_bytes=5, timeout_s=20)
    assert (caught.value.reason, caught.value.is_transient) == (reason, transient)


def test_transfer_that_grows_too_large_is_ended(filled: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the size that the server says is not what it sends."""
    say = storage.Connection.run

    def lie(self: storage.Connection, work: Any, *args: Any, **options: Any) -> Any:
        answer = say(self, work, *args, **options)
        return answer | {"size": 1} if isinstance(answer, dict) else answer

    monkeypatch.setattr(storage.Connection, "run", lie)
    with pytest.raises(FetchError, match="too_large"):
        storage.read(f"{filled.url}/in/a.pdf", filled, tmp_path / "a", max_bytes=5, timeout_s=20)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("in/", ["in/a.pdf", "in/x/b.PNG", "in/x/y/c.pdf"]),
        ("in/*", ["in/a.pdf"]),
        ("in/**/*.pdf", ["in/a.pdf", "in/x/y/c.pdf"]),
    ],
)
def test_documents_of_a_folder_or_a_pattern_are_found(filled: Place, pattern: str, names: list[str]) -> None:
    found = storage.find_documents(f"{filled.url}/{pattern}", filled, timeout_s=20)
    assert found == [f"{filled.url}/{name}" for name in names]


def test_folder_with_too_much_in_it_is_refused(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MOST_SEEN", 2)
    with pytest.raises(FetchError, match="name a smaller part"):
        storage.find_documents(f"{filled.url}/in/", filled, timeout_s=20)


def test_file_that_is_written_is_there_whole(filled: Place, tmp_path: Path, s3: S3, sftp: Sftp) -> None:
    (tmp_path / "result").write_bytes(b"# Lamps")
    for data in (b"# Lamps", b"# Lamps, again"):
        (tmp_path / "result").write_bytes(data)
        storage.write(f"{filled.url}/out/2026/report.md", filled, tmp_path / "result", timeout_s=20)
    if filled.protocol == "s3":
        assert s3.get("out/2026/report.md") == data
    else:
        assert [path.name for path in (sftp.folder / "out/2026").iterdir()] == ["report.md"]
        assert (sftp.folder / "out/2026/report.md").read_bytes() == data


def test_links_lead_out_of_no_folder(sftp: Sftp, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (sftp.folder / "linked").mkdir()
    (sftp.folder / "linked" / "away").symlink_to(tmp_path)
    place = place_of(sftp.place())
    assert storage.find_documents(f"{sftp.url}/linked/", place, timeout_s=20) == []


def test_wrong_credentials_are_told_without_them(sftp: Sftp, tmp_path: Path) -> None:
    place = place_of(sftp.place())
    wrong = replace(place, options=dict(place.options) | {"password": "wrong-secret"})
    with pytest.raises(FetchError) as caught:
        storage.read(f"{wrong.url}/in/a.pdf", wrong, tmp_path / "a", max_bytes=5, timeout_s=20)
    assert "does not let the server in" in caught.value.detail
    assert "wrong-secret" not in str(caught.value)


def test_server_whose_key_is_not_known_is_not_trusted(sftp: Sftp, tmp_path: Path) -> None:
    place = place_of(sftp.place())
    (tmp_path / "none").touch()
    other = replace(place, options=dict(place.options) | {"known_hosts": str(tmp_path / "none")})
    with pytest.raises(FetchError, match="HostKeyNotVerifiable"):
        storage.read(f"{place.url}/in/a.pdf", other, tmp_path / "a", max_bytes=5, timeout_s=20)


def test_server_that_is_silent_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = place_of(
            {"url": "s3://scans", "options": {"endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}}
        )
        place = replace(place, options=dict(place.options) | {"key": "k", "secret": "s"})
        with pytest.raises(FetchError) as caught:
            storage.read("s3://scans/a.pdf", place, tmp_path / "a", max_bytes=5, timeout_s=0.5)
    assert (caught.value.reason, caught.value.is_transient) == ("fetch_timeout", True)


@pytest.mark.parametrize(("protocol", "extra"), [("gs", "gcs"), ("az", "azure"), ("s3", "s3"), ("sftp", "sftp")])
def test_library_that_is_missing_is_named_with_its_extra(
    protocol: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, storage.CLASSES[protocol].partition(":")[0], None)
    place = place_of({"url": f"{protocol}://scans"})
    with pytest.raises(FetchError, match=rf"pagefan-server\[{extra}\]"):
        storage.read(f"{protocol}://scans/a.pdf", place, tmp_path / "a", max_bytes=5, timeout_s=5)


def test_nothing_of_a_connection_stays(filled: Place, tmp_path: Path) -> None:
    before = len(psutil.Process().net_connections())
    for _ in range(2):
        storage.read(f"{filled.url}/in/a.pdf", filled, tmp_path / "a", max_bytes=6, timeout_s=20)
    wait_until(lambda: len(psutil.Process().net_connections()) <= before, 10, "all connections are closed")

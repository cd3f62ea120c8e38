"""Names of documents from the client's disk to the client's disk, and forms that break off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_service import PDF, WebService, check_problem, served, web_service
from werkzeug.http import parse_options_header

from web.api.names import attachment
from workers.documents.names import MAX_FILE_BYTES, MAX_NAME, clean_name, file_stem

LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters='/\\%"')
NAMES = st.text(LETTERS, min_size=1, max_size=MAX_NAME - 4).map(lambda stem: f"a{stem[:-1]}.pdf")
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
CHARSETS = ("utf-8", "UTF-8", "iso-8859-1", "windows-1251", "koi8-r", "gb18030", "shift_jis")


@pytest.fixture(scope="module")
def web(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebService]:
    with (
        pytest.MonkeyPatch.context() as patch,
        web_service(redis_url, tmp_path_factory.mktemp("names"), patch, max_jobs_queued=100_000) as web,
    ):
        yield web


@pytest.fixture(scope="module")
def client(web: WebService) -> Iterator[httpx.Client]:
    with served(web) as url, httpx.Client(base_url=f"{url}/api/v1", timeout=20) as client:
        yield client


def body_of(disposition: bytes, data: bytes = PDF) -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + data + b"\r\n--x--\r\n"


def send(web: WebService, body: bytes, **more: Any) -> Any:
    return web.client.post("/api/v1/jobs", data=body, content_type="multipart/form-data; boundary=x", **more)


def name_given_to(web: WebService, disposition: bytes) -> str:
    answer = send(web, body_of(b'name="file"; ' + disposition))
    assert answer.status_code == 202, answer.text
    return str(answer.json["jobs"][0]["name"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
def test_a_name_comes_back_whole(web: WebService, client: httpx.Client, name: str) -> None:
    [job] = client.post("/jobs", files={"file": (name, PDF)}).raise_for_status().json()["jobs"]
    assert job["name"] == TURNING.sub("", name)
    web.ledger.begin_split(job["id"])
    web.ledger.open_first_run(job["id"], num_pages=1, selection="1", size=1)
    web.read(job["id"], 1)
    web.finish(job["id"])
    answer = client.get(f"/jobs/{job['id']}/result", params={"format": "md", "download": 1}).raise_for_status()
    kind, options = parse_options_header(answer.headers["Content-Disposition"])
    given = options["filename"]
    assert kind == "attachment"
    assert given == f"{file_stem(job['name'], job['id'])}.md"
    assert len(given.encode()) <= MAX_FILE_BYTES
    if not re.search(r"[<>:|?*]", name) and len(name.encode()) < MAX_FILE_BYTES:
        assert given.removesuffix(".md") == job["name"].removesuffix(".pdf").rstrip(". ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, charset=st.sampled_from(CHARSETS), is_first=st.booleans())
def test_a_name_in_another_charset_comes_whole(web: WebService, name: str, charset: str, is_first: bool) -> None:
    encoded = name.encode(charset, errors="replace").replace(b"?", b"_")
    wanted = TURNING.sub("", encoded.decode(charset)).encode().decode()
    plain, extended = b'filename="a.pdf"', f"filename*={charset}''{quote(encoded, safe='')}".encode()
    given = name_given_to(web, b"; ".join((extended, plain) if is_first else (plain, extended)))
    assert given == clean_name(wanted)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'filename="r\xe9sum\xe9.pdf"', "résumé.pdf"),
        (b'filename="5 \x80 \x96 a.pdf"', "5 € – a.pdf"),
        ('filename="Отчёт.pdf"'.encode(), "Отчёт.pdf"),
        (b"filename=\"r\xe9.pdf\"; filename*=UTF-8''%D1%91.pdf", "ё.pdf"),
        (b"filename*=UTF-8'de'%E2%82%AC.pdf", "€.pdf"),
        (b"filename*0*=UTF-8''%E2%82%AC; filename*1=\".pdf\"", "€.pdf"),
        (b"filename*=rot13''nop.pdf; filename=\"a.pdf\"", "a.pdf"),
        (b"filename*=iso-8859-12''nop.pdf; filename=\"a.pdf\"", "a.pdf"),
        (b"filename=\"a; filename*=UTF-8''b.pdf\"", "a; filename*=UTF-8''b.pdf"),
        (b'filename="C:\\\\scans\\\\a.pdf"', "a.pdf"),
        (b"filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        (b"filename*=UTF-8''a%0D%0Ab%00.pdf", "ab.pdf"),
        (b"filename*=UTF-8''%ED%A0%80.pdf", "\N{REPLACEMENT CHARACTER}" * 3 + ".pdf"),
        (b'filename="' + b"n" * 246 + b'.pdf"', "n" * 246 + ".pdf"),
    ],
)
def test_a_name_is_shown_as_its_owner_has_it(web: WebService, disposition: bytes, name: str) -> None:
    assert name_given_to(web, disposition) == name


@pytest.mark.parametrize("length", range(1, len(body_of(b'name="file"; filename="a.pdf"')) - 2))
def test_a_form_that_breaks_off_is_400_and_says_so(web: WebService, length: int) -> None:
    answer = send(web, body_of(b'name="file"; filename="a.pdf"')[:length])
    assert "breaks off" in check_problem(answer, 400, "bad-request")["detail"]


def test_a_body_shorter_than_announced_is_400_and_says_so(web: WebService) -> None:
    body = body_of(b'name="file"; filename="a.pdf"')
    answer = send(web, body, environ_overrides={"CONTENT_LENGTH": str(len(body) + 100)})
    assert "breaks off" in check_problem(answer, 400, "bad-request")["detail"]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("multipart/form-data", body_of(b'name="file"; filename="a.pdf"'), "boundary"),
        ("multipart/form-data; boundary=\xe9", body_of(b'name="file"; filename="a.pdf"'), "boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\na\r\n--x--\r\n", "Disposition"),
        ("multipart/form-data; boundary=x", body_of(b'filename="a.pdf"'), "Content-Disposition with a name"),
        ("application/x-www-form-urlencoded", b"pages=\xff", "UTF-8"),
    ],
)
def test_a_form_that_cannot_be_read_is_400_and_says_why(web: WebService, kind: str, body: bytes, words: str) -> None:
    answer = web.client.post("/api/v1/jobs", data=body, content_type=kind)
    assert words in check_problem(answer, 400, "bad-request")["detail"]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("report.pdf", "attachment; filename=report.md"),
        ("Отчёт 2024.pdf", "attachment; filename=2024.md; filename*=UTF-8''%D0%9E%D1%82%D1%87%D1%91%D1%82%202024.md"),
        ("报告.png", "attachment; filename=0a.md; filename*=UTF-8''%E6%8A%A5%E5%91%8A.md"),
        ("Report v1.2", "attachment; filename=Report_v1.2.md; filename*=UTF-8''Report%20v1.2.md"),
        ('a<b>:"c|?*.pdf', "attachment; filename=a_b___c.md; filename*=UTF-8''a_b___c___.md"),
        ("...", "attachment; filename=0a.md"),
    ],
)
def test_a_download_has_the_whole_name_and_one_in_ascii(name: str, header: str) -> None:
    assert attachment(name, "md", "0a") == header


@given(st.text())
def test_a_name_for_files_is_safe_whatever_it_was(name: str) -> None:
    stem = file_stem(clean_name(name), "0a")
    assert stem
    assert not set('/\\<>:"|?*\0\n') & set(stem)
    assert stem.strip(". ") == stem
    assert len(f"{stem}.json".encode()) <= MAX_FILE_BYTES
    assert attachment(name, "json", "0a").isascii()

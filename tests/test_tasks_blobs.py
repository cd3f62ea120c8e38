"""Blobs, in a local folder and in a store that is no folder: whole files or none."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

import pytest

from tasks.blobs import MOST_FETCHED, BlobMissing, Blobs, job_key, page_key


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "file":
        return Blobs(f"file://{tmp_path}/blobs")
    return Blobs(f"memory://{secrets.token_hex(4)}")


def test_what_is_written_is_read(blobs: Blobs) -> None:
    blobs.write("jobs/j/a.txt", b"hello")
    assert blobs.read("jobs/j/a.txt") == b"hello"
    assert blobs.exists("jobs/j/a.txt")
    assert blobs.size("jobs/j/a.txt") == 5
    assert blobs.local("jobs/j/a.txt").read_bytes() == b"hello"
    blobs.write_json("jobs/j/b.json", {"text": "é"})
    assert blobs.read_json("jobs/j/b.json") == {"text": "é"}
    assert blobs.names("jobs/j") == ["a.txt", "b.json"]


def test_missing_blob_is_named(blobs: Blobs) -> None:
    for ask in (blobs.read, blobs.size, blobs.local):
        with pytest.raises(BlobMissing, match="nothing"):
            ask("jobs/nothing")
    assert not blobs.exists("jobs/nothing")
    assert blobs.names("jobs/nothing") == []
    blobs.delete("jobs/nothing")


def test_folder_is_deleted_whole(blobs: Blobs) -> None:
    for name in ("a", "pages/b", "pages/c"):
        blobs.write(job_key("0123456789abcdef", name), b"x")
    blobs.delete(job_key("0123456789abcdef"))
    assert not blobs.exists(job_key("0123456789abcdef", "pages/b"))
    assert blobs.names("jobs") == []


def test_writer_that_fails_leaves_nothing_and_spoils_nothing(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs")
    blobs.write("kept", b"old")
    with pytest.raises(ZeroDivisionError), blobs.writer("kept") as out:
        out.write(b"half of the new")
        raise ZeroDivisionError
    assert blobs.read("kept") == b"old"
    assert blobs.names("") == ["kept"]


def test_few_fetched_copies_stay() -> None:
    blobs = Blobs(f"memory://{secrets.token_hex(4)}")
    for number in range(MOST_FETCHED + 5):
        blobs.write(f"source{number}", b"one")
        newest = blobs.local(f"source{number}")
    assert newest.exists()
    assert len(list(newest.parent.iterdir())) == MOST_FETCHED


def test_page_files_sort_by_page_number() -> None:
    keys = [page_key("0123456789abcdef", index, "png") for index in (0, 9, 99, 9_999)]
    assert keys == sorted(keys)
    assert keys[0] == "jobs/0123456789abcdef/pages/000001.png"


@pytest.mark.parametrize("met", [OSError(errno.ENOTEMPTY, "not empty"), FileNotFoundError(errno.ENOENT, "no file")])
def test_folder_that_gets_or_loses_a_file_while_it_is_removed_goes_whole(
    met: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(f"file://{tmp_path}")
    blobs.write("jobs/a/page", b"x")
    remove, failures = blobs.fs.rm, iter([met])

    def rm(path: str, *, recursive: bool) -> None:
        for failure in failures:
            raise failure
        remove(path, recursive=recursive)

    monkeypatch.setattr(blobs.fs, "rm", rm)
    blobs.delete("jobs/a")
    assert not (tmp_path / "jobs" / "a").exists()


def test_a_folder_is_as_young_as_the_last_that_was_written_below_it(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs")
    assert blobs.last_change("jobs/a") == 0
    (tmp_path / "blobs" / "jobs" / "a" / "pages").mkdir(parents=True)
    folder = tmp_path / "blobs" / "jobs" / "a"
    (folder / "pages" / "1").touch()
    for path in (folder / "pages" / "1", folder / "pages", folder):
        os.utime(path, (1000, 1000))
    assert blobs.last_change("jobs/a") == 1000
    os.utime(folder / "pages" / "1", (2000, 2000))
    assert blobs.last_change("jobs/a") == 2000


def test_a_store_that_tells_no_times_makes_nothing_old() -> None:
    blobs = Blobs(f"memory://{secrets.token_hex(4)}")
    blobs.write("jobs/a/page", b"x")
    assert blobs.last_change("jobs/a") == 0

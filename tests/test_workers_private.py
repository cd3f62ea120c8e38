"""Folders and files for their owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers import private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def generous() -> Iterator[None]:
    """A process that lets others read and write all it makes."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("generous")
def test_folders_are_made_closed_with_those_above_them(tmp_path: Path) -> None:
    private.make_folder(tmp_path / "a" / "b" / "c")
    private.make_folder(tmp_path / "a" / "b")  # is there
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


@pytest.mark.usefixtures("generous")
def test_an_opener_makes_files_closed_and_leaves_what_is_in_them(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with open(tmp_path / "file", "a", opener=private.opener) as out:
            out.write(text)
    assert (tmp_path / "file").read_text() == "onetwo"
    assert mode(tmp_path / "file") == 0o600


@pytest.mark.usefixtures("generous")
def test_a_folder_that_was_open_is_closed_with_all_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, outside = tmp_path / "data", tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    for path in (folder / "deep" / "page", folder / "log", outside):
        path.write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(tmp_path)
    private.close_if_open(folder)
    assert [mode(folder / name) for name in (".", "deep", "deep/page", "log")] == [0o700, 0o700, 0o600, 0o600]
    assert mode(outside) == 0o666
    assert "others could read 4 files or folders" in caplog.text
    caplog.clear()
    private.close(folder)
    assert not caplog.text


def test_a_folder_that_is_closed_or_missing_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "file").touch(mode=0o644)
    private.close_if_open(tmp_path / "data")
    private.close_if_open(tmp_path / "missing")
    assert mode(tmp_path / "data" / "file") == 0o644


def test_what_cannot_be_changed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "theirs").touch(mode=0o644)
    monkeypatch.setattr("os.chmod", refuse)
    private.close(tmp_path)
    assert "theirs, which cannot be changed: Operation not permitted" in caplog.text

"""`pagefan watch` against a server on a real socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import pytest
from conftest import hearing_ctrl_c
from rich.console import Console
from services import wait_until
from stand_in import reading, refusing
from web_service import PDF, WebService, web_service

from pagefan.answers import Options
from pagefan.client import Client
from web.cli import parser as cli
from web.cli.watch import Watcher

PATIENCE_S = 20


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path / "server", monkeypatch) as service:
        yield service


@dataclass
class Desk:
    """A folder that is watched, and the folder of the results."""

    url: str
    inbox: Path
    results: Path

    def put(self, name: str, data: bytes = PDF) -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def start(self, url: str = "", **options: Unpack[Options]) -> Watcher:
        """A new watcher, as after a restart."""
        client, console = Client(url or self.url), Console(stderr=True, soft_wrap=True)
        return Watcher(client, console, self.inbox, self.results, "md", options, settle_s=0)

    def made(self) -> list[str]:
        return sorted(str(path.relative_to(self.results)) for path in self.results.rglob("*.*"))


@pytest.fixture
def desk(url: str, tmp_path: Path) -> Desk:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "results").mkdir()
    return Desk(url, tmp_path / "inbox", tmp_path / "results")


def step_until(watcher: Watcher, condition: Callable[[], Any]) -> None:
    def is_true_after_a_step() -> Any:
        watcher.step()
        return condition()

    wait_until(is_true_after_a_step, PATIENCE_S)


def rest(watcher: Watcher) -> None:
    """As many steps as a new file needs to be sent."""
    for _ in range(4):
        watcher.step()


def test_files_that_are_there_and_that_come_are_converted_once(
    web: WebService, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = desk.start(pages="1-3")
    desk.put("a.pdf")
    with reading(web):
        step_until(watcher, lambda: desk.made() == ["a.pdf.md"])
        desk.put("deep/a.PDF", PDF + b"more")
        step_until(watcher, lambda: desk.made() == ["a.pdf.md", "deep/a.PDF.md"])
        rest(watcher)
        rest(desk.start(pages="1-3"))
    assert len(web.ledger.jobs()) == 2
    assert "page 2" in (desk.results / "a.pdf.md").read_text()
    assert capsys.readouterr().out.split() == [str(desk.results / name) for name in ("a.pdf.md", "deep/a.PDF.md")]


def test_growing_file_is_left_until_it_rests(web: WebService, desk: Desk) -> None:
    watcher, path = desk.start(), desk.put("a.pdf")
    for _ in range(4):
        watcher.step()
        with path.open("ab") as file:
            file.write(b"more")
    assert not web.ledger.jobs()
    rest(watcher)
    assert [job.size for job in web.ledger.jobs()] == [path.stat().st_size]


def test_changed_file_is_converted_again_also_when_it_changed_under_way(web: WebService, desk: Desk) -> None:
    watcher, path = desk.start(), desk.put("a.pdf")
    step_until(watcher, web.ledger.jobs)
    path.write_bytes(PDF + b"changed meanwhile")
    with reading(web):
        step_until(watcher, lambda: len(web.ledger.jobs()) == 2 and not watcher.under_way)
        path.write_bytes(PDF + b"changed later")
        step_until(desk.start(), lambda: len(web.ledger.jobs()) == 3)


def test_restart_fetches_what_was_under_way(web: WebService, desk: Desk) -> None:
    desk.put("a.pdf")
    first, second = desk.start(), desk.start()
    step_until(first, lambda: first.under_way)
    with reading(web):
        step_until(second, desk.made)
    assert len(web.ledger.jobs()) == 1


def test_what_is_no_document_is_named_once_and_left(
    web: WebService, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (".hidden.pdf", ".git/config.pdf", "~lock.pdf", "half.pdf.part", "notes.txt"):
        desk.put(name)
    watcher = desk.start()
    rest(watcher)
    assert not web.ledger.jobs()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert ".git: skipped, it is hidden" in lines
    assert "notes.txt: skipped, its kind is not read here" in lines


def test_results_within_the_folder_are_not_sources(web: WebService, desk: Desk) -> None:
    desk.results = desk.inbox / "done"
    desk.put("done/old.pdf")
    watcher = desk.start()
    rest(watcher)
    assert not web.ledger.jobs()


def test_failure_leaves_a_note_and_is_not_repeated_until_the_note_is_gone(web: WebService, desk: Desk) -> None:
    desk.put("a.pdf")
    desk.put("empty.pdf", b"")
    with refusing(web):
        step_until(desk.start(), lambda: len(desk.made()) == 2)
        rest(desk.start())
    assert desk.made() == ["a.pdf.error.txt", "empty.pdf.error.txt"]
    [job] = web.ledger.jobs()
    note = desk.results / "a.pdf.error.txt"
    assert note.read_text() == f"The file is damaged.\nJob {job.id}\n"
    note.unlink()
    with reading(web):
        step_until(desk.start(), lambda: "a.pdf.md" in desk.made())
    assert "a.pdf.error.txt" not in desk.made()


def test_watching_goes_on_when_the_server_is_back(
    web: WebService, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.put("a.pdf")
    watcher = desk.start("http://127.0.0.1:1")
    rest(watcher)
    assert capsys.readouterr().err.count("cannot be reached") == 1
    watcher.client = Client(desk.url)
    with reading(web):
        step_until(watcher, lambda: desk.made() == ["a.pdf.md"])


def test_full_queue_is_waited_for(web: WebService, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("a.pdf")
    monkeypatch.setattr(type(web.ledger), "num_active", lambda _: 1_000_000)
    watcher = desk.start()
    rest(watcher)
    assert desk.made() == []
    monkeypatch.undo()
    step_until(watcher, web.ledger.jobs)


def test_command_watches_until_ctrl_c(web: WebService, desk: Desk) -> None:
    desk.put("a.pdf")
    folders = [str(desk.inbox), "-o", str(desk.results)]
    command = [sys.executable, "-m", "web.cli", "watch", *folders, "--server", desk.url]
    with hearing_ctrl_c():
        process = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)
    with reading(web), process:
        wait_until(desk.made, 60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Stopped" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("kind", ["pipe", "link to /dev/zero", "link to a file", "link to a folder", "socket"])
def test_what_is_no_file_of_the_folder_is_not_read(
    web: WebService, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.pdf").write_bytes(PDF)
    trap = desk.inbox / "a.pdf"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(trap)
        elif kind == "socket":
            listener.bind(str(trap))
        else:
            target = {"file": outside / "secret.pdf", "folder": outside}.get(kind.split()[-1], Path("/dev/zero"))
            trap.symlink_to(target)
        desk.put("b.pdf")
        watcher = desk.start()
        with reading(web):
            step_until(watcher, lambda: "b.pdf.md" in desk.made())
    assert desk.made() == ["b.pdf.md"]
    assert [job.name for job in web.ledger.jobs()] == ["b.pdf"]
    assert kind == "link to a folder" or capsys.readouterr().err.count("a.pdf: skipped") == 1


@pytest.mark.parametrize(
    "name", ["n" * 246 + ".pdf", "я" * 123 + ".pdf", "報" * 82 + "n.pdf", os.fsdecode(b"r\xe9sum\xe9.pdf"), "a\nb.pdf"]
)
@pytest.mark.parametrize("is_readable", [True, False])
def test_a_file_of_any_name_is_done_once_and_the_others_too(
    web: WebService, desk: Desk, name: str, is_readable: bool
) -> None:
    desk.put(name, PDF if is_readable else b"")
    desk.put("z.pdf")
    (desk.inbox / "folder.pdf").mkdir()
    with reading(web):
        step_until(desk.start(), lambda: len(desk.made()) == 2)
        rest(desk.start())
    [made] = set(desk.made()) - {"z.pdf.md"}
    assert made.endswith(".pdf.md" if len(name) < 20 and is_readable else "md" if is_readable else "error.txt")
    assert made.startswith(name[:60].removesuffix(".pdf"))
    assert len(web.ledger.jobs()) == 1 + is_readable


def test_long_names_that_begin_alike_keep_apart(web: WebService, desk: Desk) -> None:
    for last in "ab":
        desk.put("n" * 250 + last + ".pdf")
    with reading(web):
        step_until(desk.start(), lambda: len(desk.made()) == 2)


def test_a_result_that_cannot_be_written_keeps_no_other_waiting(
    web: WebService, desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put("a.pdf/in.pdf")
    desk.put("b.pdf")
    desk.put("c.pdf")
    (desk.results / "a.pdf").write_bytes(b"a file where a folder should be")
    for suffix in ("md", "error.txt"):
        (desk.results / f"b.pdf.{suffix}" / "full").mkdir(parents=True)
    watcher = desk.start()
    with reading(web):
        step_until(watcher, lambda: (desk.results / "c.pdf.md").is_file() and len(watcher.aside) == 2)
        (desk.results / "a.pdf").unlink()
        monkeypatch.setattr("web.cli.watch.ASIDE_S", 0)
        watcher.aside.update(dict.fromkeys(watcher.aside, (0.0, "")))
        step_until(watcher, (desk.results / "a.pdf" / "in.pdf.md").is_file)
    assert capsys.readouterr().err.count("b.pdf: Is a directory. Trying again") >= 1


def test_a_file_that_becomes_a_link_or_a_pipe_is_not_read(web: WebService, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret.pdf").write_bytes(PDF)
    watcher = desk.start()
    path = desk.put("a.pdf")
    rest(watcher)
    before = web.ledger.num_active()
    makers: list[Callable[[], None]] = [lambda: path.symlink_to(tmp_path / "secret.pdf"), lambda: os.mkfifo(path)]
    for make in makers:
        path.unlink()
        make()
        watcher.seen[path] = ((1, 1, 1), 0.0)
        watcher.send(path)
    assert web.ledger.num_active() == before


@pytest.mark.parametrize("results", ["inbox", "inbox/../inbox"])
def test_results_need_a_folder_of_their_own(desk: Desk, results: str) -> None:
    output = desk.inbox.parent / results
    assert cli.main(["watch", str(desk.inbox), "-o", str(output), "--server", desk.url]) == 2
    assert cli.main(["watch", str(desk.inbox / "none"), "-o", str(output), "--server", desk.url]) == 2

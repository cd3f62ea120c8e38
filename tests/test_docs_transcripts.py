"""What the docs show as typed and answered is what one gets: `console` and `pycon` blocks are run on a real stack."""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from web.cli import parser as cli
from web.stack.stack import Stack

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHOWN_URL = "http://127.0.0.1:8000"
JOB_ID = re.compile(r"\b[0-9a-f]{16}\b")
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if BLOCK.search(path.read_text(encoding="utf-8"))]


class Step(NamedTuple):
    typed: str
    expected: str


def steps_of(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        typed, _, expected = part.partition("\n")
        yield Step(typed, expected)


class Terminal:
    """A folder and a server; JOB stands for the job that was spoken of last."""

    def __init__(self, url: str) -> None:
        self.url, self.job, self.code = url, "", 0

    def run(self, typed: str) -> str:
        said = self.answer(re.sub(r"\bJOB\b", self.job, typed).replace(SHOWN_URL, self.url))
        for found in JOB_ID.findall(said):
            self.job = found
        return said.replace(self.url, SHOWN_URL)

    def answer(self, line: str) -> str:
        if line == "echo $?":
            return f"{self.code}\n"
        if line.startswith("pagefan "):
            return self.pagefan(line)
        done = subprocess.run(line, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.code = done.returncode
        return done.stdout.decode()

    def pagefan(self, line: str) -> str:
        command, _, given = line.partition(" < ")
        said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        before = sys.stdin
        with (
            Path(given or os.devnull).open(encoding="latin-1") as sys.stdin,
            redirect_stdout(said),
            redirect_stderr(said),
        ):
            try:
                self.code = cli.main(shlex.split(command)[1:])
            except SystemExit as exc:
                self.code = int(exc.code or 0)
            finally:
                sys.stdin = before
        return said.buffer.getvalue().decode()


def fits(expected: str, said: str, job: str) -> bool:
    """Whether what was said is what is expected, an ellipsis standing for anything and white space for any."""
    known = " ".join(re.sub(r"\bJOB\b", job, expected).split())
    pattern = ".*?".join(re.escape(part.strip()) for part in known.split("…"))
    return re.fullmatch(pattern, " ".join(said.split()), re.DOTALL) is not None


@pytest.fixture(scope="module")
def server(start_stack: Callable[..., Stack]) -> Stack:
    """Reads a PDF's own text, as a server with the ocr engine does, and needs no model."""
    return start_stack(text_layer="auto")


@pytest.fixture
def desk(tmp_path: Path, sample_pdf: Path, server: Stack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the documents that the docs speak of."""
    shutil.copy(sample_pdf, tmp_path)
    (tmp_path / "scans").mkdir()
    shutil.copy(sample_pdf, tmp_path / "scans" / "letter.pdf")
    (tmp_path / "scans" / "notes.pdf").write_text("no PDF")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAGEFAN_URL", server.base_url)
    monkeypatch.setenv("COLUMNS", "400")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
@pytest.mark.usefixtures("desk")
def test_what_is_shown_is_what_one_gets(page: Path, server: Stack) -> None:
    if "\n$ curl " in page.read_text(encoding="utf-8") and not shutil.which("curl"):
        pytest.skip("curl is not on the PATH")
    terminal = Terminal(server.base_url)
    scope: dict[str, object] = {}
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "pycon":
            check_python(block.replace(SHOWN_URL, server.base_url), scope, page.name)
            continue
        for step in steps_of(block):
            job = terminal.job
            said = terminal.run(step.typed)
            assert fits(step.expected, said, job), f"$ {step.typed}\n{said}\n-- instead of --\n{step.expected}"


def check_python(block: str, scope: dict[str, object], name: str) -> None:
    """Run a session as doctest does; what it binds is there for the next block of the page."""
    source = block.replace("…", "...")
    test = doctest.DocTestParser().get_doctest(source, scope, name, None, 0)
    said = io.StringIO()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.DocTestRunner(optionflags=flags).run(test, out=said.write, clear_globs=False)
    scope.update(test.globs)
    assert not failed, said.getvalue()


@pytest.mark.parametrize(
    ("expected", "said", "does_fit"),
    [("a …\nc", "a b\nx\nc\n", True), ("a", "a b", False), ("JOB: gone", "12: gone", True), ("", "words", False)],
)
def test_transcript_is_told_from_another(expected: str, said: str, does_fit: bool) -> None:
    assert fits(expected, said, "12") is does_fit

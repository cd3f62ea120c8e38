"""The same documents through the form, curl, the command line and the Python client: the same results.

Markdown is compared byte for byte. In JSON only what differs from one reading to the next is left out: ids, times,
and the count of changes.
"""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pymupdf
import pytest
from twenty_documents import Document, make_documents

from pagefan.answers import ENDED
from pagefan.client import Client, JobFailed, Refused
from web.api.problems import KINDS
from web.stack.stack import Stack

TIMEOUT_S = 120
AT_ONCE = 4
OWN_OF_JOB = ("id", "batch_id", "seq", "created_at", "started_at", "changed_at", "ended_at")
OWN_OF_PAGE = ("seconds", "attempts")
DOCUMENTS = {document.name: document for document in make_documents()}
BROKEN = {
    "empty.pdf": "empty-file",
    "letter.txt": "unsupported-format",
    "no head.pdf": "damaged-file",
    "damaged.pdf": "failed",
    "cut short.png": "failed",
    "locked.pdf": "failed",
}

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a user is left with. `verdict` is how the job ended, or the problem for which there is none."""

    verdict: str
    words: str = ""
    markdown: bytes = b""
    record: Any = None


def settled(verdict: str, markdown: bytes, record: bytes) -> Outcome:
    """The outcome of a job with a result; where no page was read it is one that only says so."""
    if verdict == "failed":
        assert b"[VLM_ERROR page 1]" in markdown
        return Outcome(verdict=verdict)
    value = json.loads(record)
    for name in OWN_OF_JOB:
        del value["job"][name]
    for page in value["pages"]:
        for name in OWN_OF_PAGE:
            del page[name]
    return Outcome(verdict=verdict, markdown=markdown, record=value)


class Controls(HTMLParser):
    """What a browser sends of a form that nobody touched, but for its file."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag in ("input", "textarea") and name and given.get("type") not in ("file", "checkbox", "radio"):
            self.values[name] = given.get("value", "")
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in given or self.select not in self.values):
            self.values[self.select] = given["value"]


def through_form(url: str, document: Document, path: Path) -> Outcome:
    """As a browser without JavaScript does it."""
    with httpx.Client(base_url=url, headers={"Accept": "text/html,*/*;q=0.8"}, timeout=60) as browser:
        page = browser.get("/").text
        form = page[page.index('<form id="upload"') :]
        values = Controls(form[: form.index("</form>")]).values | {"password": document.password}
        assert values["csrf_token"]
        with path.open("rb") as file:
            answer = browser.post("/jobs", data=values, files={"file": (path.name, file)})
        if answer.status_code != 303:
            kind = next(name for name, kind in KINDS.items() if kind.title == inner(answer.text, "h1"))
            return Outcome(verdict=kind, words=inner(answer.text, 'p class="lead"'))
        page = follow_page(browser, answer.headers["Location"])
        found = re.search(r'<article id="job"[^>]* data-state="(\w+)"', page, re.DOTALL)
        assert found
        if 'role="alert"' in page:
            return Outcome(verdict=found[1], words=inner(page[page.index('role="alert"') :], "p"))
        links = {name: find_link(page, name) for name in ("md", "json")}
        return settled(found[1], browser.get(links["md"]).content, browser.get(links["json"]).content)


def follow_page(browser: httpx.Client, path: str) -> str:
    """The job's page when it no longer reloads itself."""
    deadline = time.monotonic() + TIMEOUT_S
    while 'http-equiv="refresh"' in (page := browser.get(path).text):
        assert time.monotonic() < deadline, path
        time.sleep(0.2)
    return page


def inner(page: str, tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</", page, re.DOTALL)
    assert found, page
    return html.unescape(found[1])


def find_link(page: str, format: str) -> str:
    found = re.search(rf'href="([^"]*format={format}[^"]*)"', page)
    assert found, page
    return html.unescape(found[1])


def through_curl(url: str, document: Document, path: Path) -> Outcome:
    quoted = str(path).replace("\\", "\\\\").replace('"', '\\"')
    fields = ["--form", f'file=@"{quoted}"', "--form-string", f"password={document.password}"]
    answer = json.loads(curl(*fields, f"{url}/api/v1/jobs"))
    if "jobs" not in answer:
        return Outcome(verdict=answer["type"].rpartition(":")[2], words=answer["detail"])
    job, deadline = answer["jobs"][0], time.monotonic() + TIMEOUT_S
    while job["state"] not in ENDED:
        assert time.monotonic() < deadline, job
        job = json.loads(curl(f"{url}{job['links']['self']}?wait=20"))
    if job["error"]:
        return Outcome(verdict=job["state"], words=job["error"]["detail"])
    results = [curl(f"{url}{job['links']['results'][name]}") for name in ("md", "json")]
    return settled(job["state"], *results)


def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, check=True).stdout


def through_client(url: str, document: Document, path: Path) -> Outcome:
    with Client(url) as client:
        try:
            result = client.convert(path, password=document.password)
        except Refused as exc:
            return Outcome(verdict=exc.kind, words=exc.problem["detail"])
        except JobFailed as exc:
            return Outcome(verdict=exc.job["state"], words=str(exc) if exc.job["error"] else "")
        return settled(result.job["state"], result.content, client.content(result.job["id"], "json"))


def through_command(url: str, paths: list[Path], password: str, folder: Path) -> dict[str, Outcome]:
    """All documents with the same password at once, for each format; names that look like options after `--`."""
    found: dict[str, dict[str, Any]] = {}
    for format in ("md", "json"):
        command = [sys.executable, "-m", "web.cli", "convert", "--json", "--format", format, "--password", password]
        command += ["--server", url, "-o", str(folder / format), "--", *(path.name for path in paths)]
        run = subprocess.run(command, cwd=paths[0].parent, capture_output=True, timeout=TIMEOUT_S)
        found[format] = {line["source"]: line for line in map(json.loads, run.stdout.splitlines())}
        assert len(found[format]) == len(paths), run.stderr.decode()
        assert run.returncode == (4 if any(path.name in BROKEN for path in paths) else 0)
    return {path.name: outcome_of_lines(found["md"][path.name], found["json"][path.name]) for path in paths}


def outcome_of_lines(first: dict[str, Any], second: dict[str, Any]) -> Outcome:
    if "error" in first:
        assert (first["reason"], first["error"]) == (second["reason"], second["error"])
        verdict = first.get("state") or first["reason"]
        advice = KINDS[verdict].advice if verdict in KINDS else ""
        return Outcome(verdict=verdict, words=first["error"].removesuffix(advice).strip() if first["reason"] else "")
    return settled(first["state"], Path(first["output"]).read_bytes(), Path(second["output"]).read_bytes())


def each(url: str, route: Callable[[str, Document, Path], Outcome], paths: dict[str, Path]) -> dict[str, Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = pool.map(lambda name: route(url, DOCUMENTS[name], paths[name]), DOCUMENTS)
        return dict(zip(DOCUMENTS, outcomes, strict=True))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("documents")
    for document in DOCUMENTS.values():
        (folder / document.name).write_bytes(document.data)
    return {name: folder / name for name in DOCUMENTS}


@pytest.fixture(scope="module")
def by_client(stack: Stack, paths: dict[str, Path]) -> dict[str, Outcome]:
    return each(stack.base_url, through_client, paths)


@pytest.fixture(scope="module")
def by_form(stack: Stack, paths: dict[str, Path]) -> dict[str, Outcome]:
    return each(stack.base_url, through_form, paths)


@pytest.fixture(scope="module")
def by_curl(stack: Stack, paths: dict[str, Path]) -> dict[str, Outcome]:
    if not shutil.which("curl"):
        pytest.skip("curl is not on the PATH")
    return each(stack.base_url, through_curl, paths)


@pytest.fixture(scope="module")
def by_command(stack: Stack, paths: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for password, group in groupby(DOCUMENTS.values(), lambda document: document.password):
        group_paths = [paths[document.name] for document in group]
        outcomes |= through_command(stack.base_url, group_paths, password, tmp_path_factory.mktemp("results"))
    return outcomes


@pytest.mark.parametrize("name", DOCUMENTS)
def test_client_reads_what_is_sound_and_says_what_is_not(name: str, by_client: dict[str, Outcome]) -> None:
    outcome = by_client[name]
    assert outcome.verdict == BROKEN.get(name, "succeeded")
    assert bool(outcome.markdown) == (name not in BROKEN)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_form_gives_the_same(name: str, by_form: dict[str, Outcome], by_client: dict[str, Outcome]) -> None:
    assert by_form[name] == by_client[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_curl_gives_the_same(name: str, by_curl: dict[str, Outcome], by_client: dict[str, Outcome]) -> None:
    assert by_curl[name] == by_client[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_command_line_gives_the_same(name: str, by_command: dict[str, Outcome], by_client: dict[str, Outcome]) -> None:
    assert by_command[name] == by_client[name]


def test_files_of_a_document_are_whole_whoever_fetches_them(stack: Stack, sample_pdf: Path, tmp_path: Path) -> None:
    with Client(stack.base_url) as client:
        result = client.convert(sample_pdf, format="pdf")
        path = client.download(result.job["id"], "pdf", tmp_path / "a.pdf")
    assert path.read_bytes() == result.content
    assert curl(f"{stack.base_url}{result.job['links']['results']['pdf']}") == result.content
    with pymupdf.open(stream=result.content) as document:
        assert document.page_count == 6
        assert "Keeper" in document[0].get_text()
    command = [sys.executable, "-m", "web.cli", "convert", str(sample_pdf), "--format", "zip", "-o", "-"]
    run = subprocess.run([*command, "--server", stack.base_url], capture_output=True, timeout=TIMEOUT_S, check=True)
    with zipfile.ZipFile(io.BytesIO(run.stdout)) as archive:
        assert archive.testzip() is None
        assert {"sample.md", "sample.json", "sample.pdf", "pages/000001.png"} <= set(archive.namelist())

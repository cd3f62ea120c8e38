"""Real and hostile files, each through the sandbox: the outcome its manifest expects, and never a hang or a hole."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from workers.documents.kinds import DocumentError, DocumentLimits
from workers.documents.open import PageImage, inspect_document, render_page
from workers.engines import ImageSpec
from workers.sandbox.sandbox import Sandbox, SandboxTimeout

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
MEMORY_MB = 1536
TIMEOUT_S = 20.0
HANG_S = 3.0  # for the file that is known to hang
LIMITS = DocumentLimits()
SPEC = ImageSpec(factor=32, max_side=1024)

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus at {CORPUS}")


def entries(folder: str) -> list[Any]:
    """One test a file of the manifest; none where there is no corpus."""
    path = CORPUS / folder / "manifest.json"
    manifest = json.loads(path.read_text()) if path.is_file() else []
    return [pytest.param(entry, id=entry["file"]) for entry in manifest]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox(2, MEMORY_MB)) as sandbox:
        yield sandbox


def render(sandbox: Sandbox, path: Path, index: int, *, password: str = "") -> PageImage:
    timeout_s = HANG_S if path.name == "test_2548.pdf" else TIMEOUT_S
    return sandbox.run(render_page, path, index, spec=SPEC, password=password, limits=LIMITS, timeout_s=timeout_s)


def outcome(sandbox: Sandbox, path: Path, *, password: str = "") -> tuple[str, int]:
    """ "ok" or the first error, and the number of pages."""
    num_pages = 0
    try:
        info = sandbox.run(inspect_document, path, password=password, limits=LIMITS, timeout_s=TIMEOUT_S)
        num_pages = info.num_pages
        for index in range(num_pages):
            render(sandbox, path, index, password=password)
    except DocumentError as exc:
        return f"error:{exc.reason}", num_pages
    except SandboxTimeout:
        return "error:timeout", num_pages
    return "ok", num_pages


@pytest.mark.parametrize("entry", entries("bad_dev"))
def test_bad_file_ends_as_its_manifest_expects(sandbox: Sandbox, entry: dict[str, Any]) -> None:
    found, num_pages = outcome(sandbox, CORPUS / "bad_dev" / entry["file"])
    assert found in [entry["expected"], *entry["also_acceptable"]]
    assert found != "ok" or num_pages > 0


@pytest.mark.parametrize("entry", [entry for entry in entries("bad_dev") if entry.values[0].get("password")])
def test_password_opens_a_locked_file(sandbox: Sandbox, entry: dict[str, Any]) -> None:
    path = CORPUS / "bad_dev" / entry["file"]
    assert outcome(sandbox, path, password=entry["password"]) == ("ok", entry["pages"])
    assert outcome(sandbox, path, password="not " + entry["password"])[0] == "error:encrypted"


@pytest.mark.parametrize("entry", entries("dev"))
def test_every_page_of_a_good_file_is_drawn(sandbox: Sandbox, entry: dict[str, Any]) -> None:
    path = CORPUS / "dev" / entry["file"]
    info = sandbox.run(inspect_document, path, limits=LIMITS, timeout_s=TIMEOUT_S)
    assert info.num_pages == entry.get("frames", entry["pages"])  # pictures of an animation that differ are pages
    with ThreadPoolExecutor(2) as threads:
        pages = list(threads.map(lambda index: render(sandbox, path, index), range(info.num_pages)))
    expected = [index for index in range(info.num_pages) if (path.name, index + 1) == ("189478.pdf", 11)]
    assert [index for index, page in enumerate(pages) if page.is_blank] == expected
    assert {page.rotation for page in pages} >= set(entry.get("rotations", ()))
    for page in pages:
        assert page.image.size == (page.width, page.height)
        assert page.width % SPEC.factor == page.height % SPEC.factor == 0
        assert max(page.width, page.height) <= SPEC.max_side


def written(text: str) -> list[str]:
    """The words of a page in the order of the alphabet, without leaders of dots and marks of tick boxes."""
    return sorted(re.sub(r"(\.\s*){3,}|\[[ x]\]", " ", text).split())


@pytest.mark.parametrize("entry", [entry for entry in entries("dev") if entry.values[0]["kind"] == "born-digital"])
def test_text_layer_holds_the_words_of_its_page(sandbox: Sandbox, entry: dict[str, Any]) -> None:
    path = CORPUS / "dev" / entry["file"]
    if not entry.get("gt"):
        pytest.skip("no text to compare with")
    for index, text in enumerate(json.loads((path.parent / entry["gt"]).read_text())):
        if text is not None:
            assert written(render(sandbox, path, index).text_layer) == written(text)


def test_hanging_page_is_killed_while_another_document_proceeds(sandbox: Sandbox) -> None:
    hanging, other = CORPUS / "bad_dev" / "test_2548.pdf", CORPUS / "dev" / "pdflatex-4-pages.pdf"
    timed_out = threading.Event()

    def hang() -> None:
        with pytest.raises(SandboxTimeout):
            render(sandbox, hanging, 0)
        timed_out.set()

    with ThreadPoolExecutor(1) as threads:
        hung = threads.submit(hang)
        slowest, num_pages = 0.0, 0
        while not timed_out.is_set() and not hung.done():
            started = time.monotonic()
            render(sandbox, other, num_pages % 4)
            slowest, num_pages = max(slowest, time.monotonic() - started), num_pages + 1
        hung.result()
    assert num_pages > 3
    assert slowest < HANG_S

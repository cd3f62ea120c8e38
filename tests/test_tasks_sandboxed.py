"""Every step on a user's document is done in a process that can be killed, with a limit of time."""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from web_service import WebService

from tasks import pipeline, split
from tasks.settings import get_settings
from workers.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
OPENERS = {"workers.documents.open", "workers.documents.pages", "workers.documents.pdf", "workers.documents.image"}
NO_OPENERS = {"DocumentInfo", "PageImage", "PreparedPage", "warm_up"}  # what else these modules have
LIBRARIES = {"pymupdf", "fitz", "PIL", "cv2", "pillow_heif"}
SHOWS_IMAGES = {  # pages that a sandbox has drawn as PNG
    f"tasks/generate/{name}.py" for name in ("asking", "batcher", "question", "read_ahead", "runner")
}


def modules() -> list[Path]:
    return sorted(path for package in ("tasks", "web") for path in (ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(module, name in it, name here) of all imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name, alias.asname or alias.name) for alias in node.names)


def openers(tree: ast.AST) -> set[str]:
    return {here for module, name, here in imports(tree) if module in OPENERS and name not in NO_OPENERS}


def sandboxed(tree: ast.AST) -> Iterator[ast.Name]:
    """What is handed to a sandbox, with a limit of time."""
    for node in ast.walk(tree):
        is_run = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run"
        if is_run and isinstance(node, ast.Call) and any(word.arg == "timeout_s" for word in node.keywords):
            yield from (argument for argument in node.args[:1] if isinstance(argument, ast.Name))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_is_opened_in_a_sandbox_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = openers(tree)
    safe = {id(name) for name in sandboxed(tree)}
    assert not [
        f"line {node.lineno} calls {node.id} here"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in names and id(node) not in safe
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_library_that_reads_documents_is_imported(path: Path) -> None:
    found = {module.partition(".")[0] for module, _, _ in imports(ast.parse(path.read_text()))} & LIBRARIES
    assert not found or str(path.relative_to(ROOT)) in SHOWS_IMAGES


def test_this_looks_at_all_that_is_handed_to_a_sandbox() -> None:
    names = {name.id for path in modules() for name in sandboxed(ast.parse(path.read_text()))}
    assert names >= {
        "inspect_document",
        "render_and_prepare",
        "read_text_layer",
        "write_searchable_pdf",
        "save_attached",
    }


def many_directories(num: int) -> bytes:
    """A TIFF of thumbnails without tags but for their kind, which takes Pillow a while to walk."""
    data = bytearray(b"II*\0" + struct.pack("<L", 8))
    size = [(254, 4, 1), (256, 4, 8), (257, 4, 8), (258, 3, 8), (262, 3, 1), (273, 4, 8), (279, 4, 64)]
    for left in range(num - 1, -1, -1):
        data += struct.pack("<H", len(size)) + b"".join(struct.pack("<HHLL", tag, kind, 1, n) for tag, kind, n in size)
        data += struct.pack("<L", len(data) + 4 if left else 0)
    return bytes(data)


def test_file_that_takes_too_long_to_open_ends_its_job(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPEN_TIMEOUT_S", "0.05")
    get_settings.cache_clear()
    with closing(Sandbox(1, 512)) as sandbox:
        monkeypatch.setattr(split, "get_sandbox", lambda: sandbox)
        job_id = web.submit(data=many_directories(15_000), name="a.tif")
        pipeline.split_document(job_id)
    job = web.ledger.job(job_id)
    assert job is not None
    assert (job.state, (job.error or {})["reason"]) == ("failed", "timeout")

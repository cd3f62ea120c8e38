"""`requirements.lock` has one exact version of all that is installed, and every install goes by it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BY_LOCK = re.compile(r"(--constraint|-c) requirements\.lock ")
OWN_VENVS = (".venv-lock/", ".venv-latest/")  # the program that makes the lock, and the tests without the lock


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(each.name): Version(str(each.specifier).removeprefix("==")) for each in found}


def asked() -> Iterator[Requirement]:
    """What pyproject.toml names in any of its lists, but for Pagefan itself."""
    project = PROJECT["project"]
    lists = [PROJECT["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in map(Requirement, chain.from_iterable(lists)):
        if requirement.name != project["name"]:
            yield requirement


def docker_installs() -> list[str]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if "pip install" in line and not line.startswith("#")]


def make_installs() -> list[str]:
    """Every pip command that a target of the Makefile would run in a fresh checkout."""
    make = shutil.which("make")
    if not make:
        pytest.skip("no make")
    targets = re.findall(r"^([.\w/-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    command = [make, "--dry-run", "--always-make", *(target for target in targets if target != ".PHONY")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in run.stdout.splitlines() if re.search(r"\bpip\b.* install\b", line)]


@pytest.mark.parametrize("requirement", list(asked()), ids=str)
def test_lock_has_what_pyproject_asks_for(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in locked(), f"{name} is not in requirements.lock: make lock"
    assert requirement.specifier.contains(locked()[name]), f"{name} {locked()[name]} is locked: make lock"


def test_lock_names_exact_versions_and_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert lines[0].startswith("#")
    for line in lines[1:]:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .*)?", line), line
        assert "/" not in line
    assert len(locked()) == len(lines) - 1, "more than one version of a package"


def test_build_backend_is_pinned() -> None:
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert str(requirement.specifier) == f"=={locked()[requirement.name]}"


def test_torch_of_the_makefile_is_the_locked_one_whatever_its_build() -> None:
    found = re.search(r"^TORCH \?= (torch==\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    assert Requirement(found[1]).specifier == Requirement(f"torch=={locked()['torch']}").specifier
    assert Requirement(found[1]).specifier.contains(f"{locked()['torch']}+cpu")


def test_every_install_of_the_images_goes_by_the_lock() -> None:
    assert len(docker_installs()) >= 4
    assert [line for line in docker_installs() if not BY_LOCK.search(line)] == []


def test_every_install_of_make_goes_by_the_lock() -> None:
    installs = [line for line in make_installs() if not line.startswith(OWN_VENVS)]
    assert len(installs) >= 5
    assert [line for line in installs if not BY_LOCK.search(line)] == []


def test_program_that_makes_the_lock_is_pinned() -> None:
    installs = [line for line in make_installs() if line.startswith(OWN_VENVS[0])]
    assert [re.search(r'"uv==[\d.]+"$', line) is not None for line in installs] == [True]

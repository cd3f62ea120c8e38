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
FILES = ("pyproject.toml", "server/pyproject.toml")
PROJECTS = [tomllib.loads((ROOT / name).read_text()) for name in FILES]
OURS = {project["project"]["name"] for project in PROJECTS}
BY_LOCK = re.compile(r"(--constraint|-c) requirements\.lock ")
MAKES_LOCK = ".venv-lock/bin/python "
WITHOUT_LOCK = ".venv-latest/"


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(each.name): Version(str(each.specifier).removeprefix("==")) for each in found}


def asked() -> Iterator[Requirement]:
    """What the pyproject.toml name in any of their lists, but for Pagefan itself."""
    for whole in PROJECTS:
        project = whole["project"]
        lists = [whole["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()]
        for requirement in map(Requirement, chain.from_iterable(lists)):
            if requirement.name not in OURS:
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
    commands = re.split(r"\n|;|\|\||&&|\bthen\b|\belse\b", run.stdout.replace("\\\n", " "))
    return [command.strip() for command in commands if re.search(r"\bpip\b.* install\b", command)]


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
    for requirement in (Requirement(each) for whole in PROJECTS for each in whole["build-system"]["requires"]):
        assert str(requirement.specifier) == f"=={locked()[requirement.name]}"


def test_torch_of_the_makefile_is_the_locked_one_whatever_its_build() -> None:
    found = re.search(r"^TORCH \?= (torch==\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    assert Requirement(found[1]).specifier == Requirement(f"torch=={locked()['torch']}").specifier
    assert Requirement(found[1]).specifier.contains(f"{locked()['torch']}+cpu")


def test_every_install_of_the_images_goes_by_the_lock() -> None:
    assert len(docker_installs()) >= 4
    free = [line for line in docker_installs() if not BY_LOCK.search(line)]
    assert free == ["RUN python3 -m pip install --no-cache-dir . ./server"], "vLLM's image has versions of its own"


def test_every_install_of_make_goes_by_the_lock() -> None:
    installs = [line for line in make_installs() if not (line.startswith(MAKES_LOCK) or WITHOUT_LOCK in line)]
    assert len(installs) >= 9, "two kinds of torch's install and a fallback, twice, and three of Pagefan"
    assert [line for line in installs if not BY_LOCK.search(line)] == []


def test_program_that_makes_the_lock_is_pinned() -> None:
    installs = [line for line in make_installs() if line.startswith(MAKES_LOCK)]
    assert [re.search(r'"uv==[\d.]+"$', line) is not None for line in installs] == [True]


BY_UV = "uv pip install --python .venv/bin/python --torch-backend auto --constraint requirements.lock torch==2"
BY_PIP = "python -m pip --disable-pip-version-check install --constraint requirements.lock torch==2"
BY_ADDRESS = (
    "python -m pip --disable-pip-version-check install --constraint requirements.lock --index-url there torch==2"
)


@pytest.mark.parametrize(
    ("told", "reached", "argument", "installs"),
    [
        ("", True, "", [BY_UV]),
        ("", False, "", [BY_UV, BY_PIP]),
        ("global.timeout='9'", True, "", [BY_UV]),
        ("global.find-links='wheels'", True, "", [BY_PIP]),
        (":env:.index-url='near'", True, "", [BY_PIP]),
        ("", True, "TORCH_ARGS=--index-url there", [BY_ADDRESS]),
    ],
)
def test_torch_is_installed_by_who_finds_its_build(
    tmp_path: Path, told: str, reached: bool, argument: str, installs: list[str]
) -> None:
    make = shutil.which("make")
    if not make:
        pytest.skip("no make")
    (tmp_path / "server").mkdir()
    for name in ("Makefile", "requirements.lock", *FILES):
        shutil.copy(ROOT / name, tmp_path / name)
    record = f'#!/bin/sh\necho "${{0##*/}} $*" >> {tmp_path}/calls\n'
    for program, rest in {
        ".venv/bin/python": f'case "$*" in *"config list") echo "{told}";; esac',
        ".venv-lock/bin/uv": f"exit {int(not reached)}",
    }.items():
        path = tmp_path / program
        path.parent.mkdir(parents=True)
        path.write_text(record + rest)
        path.chmod(0o755)
    for name in (".venv/.made", ".venv-lock/.made"):
        (tmp_path / name).touch()
    subprocess.run([make, *filter(None, [argument]), "TORCH=torch==2", ".venv/.vlm"], cwd=tmp_path, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if "torch==" in call] == installs
    assert calls[-1].endswith("install --constraint requirements.lock --editable . --editable server[vlm]")

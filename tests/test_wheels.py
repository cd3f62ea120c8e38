"""What `pip install pagefan` brings: the wheels are built, looked into, and used beside a `web` of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from stand_in import reading
from web_service import PDF, WebService

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("LICENSE", "README.md", "pyproject.toml", "pagefan", "server", "web", "tasks", "workers")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
SAMPLE = """
import asyncio
import sys

import web
from pagefan import AsyncClient, Client


def read(url: str, path: str) -> str:
    with Client(url) as client:
        job = client.submit(path, metadata={"customer": "42"}, tags=["invoices"])
        assert (job["metadata"], job["tags"]) == ({"customer": "42"}, ["invoices"])
        [found] = client.iter_jobs(tags=["invoices"], metadata={"customer": "42"})
        assert found["id"] == job["id"]
        number: int = client.wait(job["id"])["pages"]["ok"]
        texts = [event.data["text"] for event in client.events(job["id"]) if event.name == "text"]
        assert number == len(texts)
        return client.result(job["id"], "txt")


async def read_async(url: str, data: bytes) -> str:
    async with AsyncClient(url) as client:
        return (await client.convert(data, format="txt")).text


if __name__ == "__main__":
    url, path = sys.argv[1:]
    text = read(url, path)
    with open(path, "rb") as file:
        assert asyncio.run(read_async(url, file.read())) == text
    sys.stdout.write(f"{web.MINE} {text}")
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels by the name of their project, built without a network from a copy of the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in BUILT_FROM:
        path = ROOT / name
        skipped = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        shutil.copytree(path, source / name, symlinks=True, ignore=skipped) if path.is_dir() else shutil.copy(
            path, source
        )
    command = [*PIP, "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir", str(out)]
    subprocess.run([*command, ".", "./server"], cwd=source, check=True)
    return {path.name.partition("-")[0]: path for path in out.iterdir()}


def top_names(wheel: Path) -> set[str]:
    return {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def metadata(wheel: Path) -> str:
    archive = zipfile.ZipFile(wheel)
    return archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()


def test_client_and_server_share_no_package(wheels: dict[str, Path]) -> None:
    assert top_names(wheels["pagefan"]) == {"pagefan"}
    assert top_names(wheels["pagefan_server"]) == {"web", "tasks", "workers"}


def test_client_needs_httpx_and_little_else(wheels: dict[str, Path]) -> None:
    lines = metadata(wheels["pagefan"]).splitlines()
    needs = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert {Requirement(need).name for need in needs} == {"httpx", "tenacity"}
    assert 'Requires-Dist: pagefan-server==0.1.0; extra == "server"' in lines


@pytest.mark.parametrize("package", ["pagefan", "web", "tasks", "workers"])
def test_wheels_have_every_file_of_their_packages(wheels: dict[str, Path], package: str) -> None:
    known = subprocess.run(["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True)
    if known.returncode or not known.stdout:
        pytest.skip("not a checkout of git")
    inside = set(zipfile.ZipFile(wheels["pagefan" if package == "pagefan" else "pagefan_server"]).namelist())
    assert {name for name in known.stdout.splitlines() if (ROOT / name).exists()} <= inside


def needed(name: str, seen: set[str]) -> Iterator[Distribution]:
    """The distribution of this name and all that it needs here, without extras."""
    if name in seen:
        return
    seen.add(name)
    found = distribution(name)
    yield found
    for requirement in map(Requirement, found.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needed(requirement.name, seen)


@pytest.fixture
def bare(tmp_path: Path, wheels: dict[str, Path]) -> Path:
    """The Python of a virtual environment that has the client's wheel and what it needs, and nothing else."""
    environment = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    names = {"httpx", "tenacity"}
    for found in (each for name in names for each in needed(name, set())):
        for top in {path.parts[0] for path in found.files or () if path.parts[0] != ".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(found.locate_file(top))))
    subprocess.run(
        [*PIP, "install", "-q", "--no-index", "--no-deps", "--target", packages, wheels["pagefan"]], check=True
    )
    return environment / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's program, with a package `web` of its own."""
    folder = tmp_path / "project"
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "__init__.py").write_text('MINE = "my own web"\n')
    (folder / "report.pdf").write_bytes(PDF)
    (folder / "sample.py").write_text(SAMPLE)
    return folder


def test_program_with_a_web_of_its_own_uses_the_client(web: WebService, url: str, bare: Path, project: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(bare), "sample.py", url, "report.pdf"]
    with reading(web):
        run = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("my own web page 1")


def test_the_sample_is_typed(bare: Path, project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(bare), "sample.py"]
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    run = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr

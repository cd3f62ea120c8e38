"""A new engine is one file and one line: what it declares is a setting, stands in the README, and reaches a reading."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import plain_env

from tools.settings_table import updated_files
from web.stack.redis_server import free_port

ROOT = Path(__file__).parents[1]
PACKAGES = ("pagefan", "web", "tasks", "workers", "tools")
FILES = ("README.md", "docker-compose.yml", "tests/data/sample.pdf")
REGISTRY = "workers/engines/registry.py"
ENGINE = """\
from dataclasses import dataclass

from workers.engines import EngineOptions, Generation, ImageSpec, Prepared
from workers.engines.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class AbacusOptions(EngineOptions):
    beads: int = option(10, setting="abacus_beads", unit="beads", help="Beads on a wire.", tells=True)


class Abacus:
    name, revision, image_spec, max_batch = "abacus", "1", ImageSpec(factor=32, max_side=256), 4

    def __init__(self, options):
        self.options = options

    def prepare(self, image, request):
        return Prepared(request=request, image=image)

    def pack(self, prepared):
        return b"packed"

    def unpack(self, data, request):
        return Prepared(request=request)

    def load(self):
        pass

    def generate(self, batch, control):
        text = "counted with {} beads, page {}"
        return [Generation(text=text.format(self.options.beads, each.request.page_number)) for each in batch]

    def close(self):
        pass


OPTIONS = AbacusOptions
ENGINE = Abacus
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pagefan with one file and one line more."""
    folder = tmp_path_factory.mktemp("pagefan")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "workers/engines/abacus.py").write_text(ENGINE)
    registry = (folder / REGISTRY).read_text()
    with_abacus = registry.replace("ENGINES = {\n", 'ENGINES = {\n    "abacus": "workers.engines.abacus",\n')
    assert with_abacus != registry
    (folder / REGISTRY).write_text(with_abacus)
    return folder


def run(copy: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    env = plain_env(web_port=free_port("127.0.0.1"), flower_port=0, **settings) | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=120)


def test_its_option_stands_in_the_tables(copy: Path) -> None:
    assert run(copy, "tools.settings_table").returncode == 0
    readme = (copy / "README.md").read_text()
    assert "| `ABACUS_BEADS` | `10` | beads | Beads on a wire. |" in readme
    assert "auto, abacus, echo" in readme
    assert "  ABACUS_BEADS: ${ABACUS_BEADS:-10}\n" in (copy / "docker-compose.yml").read_text()
    assert all("ABACUS" not in text for text in updated_files().values())


@pytest.mark.e2e
def test_its_option_is_a_setting_that_reaches_the_reading(copy: Path) -> None:
    demo = run(copy, "web.cli", "demo", engine="abacus", abacus_beads=7)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "counted with 7 beads, page 6" in (copy / "demo-output" / "sample.md").read_text()


def test_bad_value_of_its_option_stops_the_start(copy: Path) -> None:
    up = run(copy, "web.cli", "up", engine="abacus", abacus_beads="many")
    assert up.returncode != 0
    assert "ABACUS_BEADS='many' is not int" in up.stdout + up.stderr

"""A client in TypeScript: its types are generated from the API's description, its code compiles and does its work."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from stand_in import finished_job, reading
from web_service import WebService, body_of

SOURCES = Path(__file__).parent / "typescript"
INSTALLED = SOURCES.parents[1] / ".venv" / "typescript" / "node_modules"  # by `make .venv/.test`
GENERATE = ["openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.ts", "--default-non-nullable=false"]


def run(folder: Path, node: str, *command: str) -> str:
    done = subprocess.run([node, *command], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_client_of_generated_types_lists_submits_waits_and_fetches(
    web: WebService, url: str, document: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if not node or not INSTALLED.exists():
        pytest.skip("needs Node.js and npm, then `make -B .venv/.test`, which installs what tests/typescript names")
    folder = tmp_path / "client"
    shutil.copytree(SOURCES, folder)
    (folder / "node_modules").symlink_to(INSTALLED)
    (folder / "openapi.json").write_text(json.dumps(body_of(web.client.get("/openapi.json"))))
    run(folder, node, str(INSTALLED / GENERATE[0]), *GENERATE[1:])
    run(folder, node, str(INSTALLED / "typescript/bin/tsc"), "-p", ".")
    finished_job(web, 2)
    with reading(web):
        found = json.loads(run(folder, node, "client.js", url, str(document)))
    assert found == {
        "before": ["report.pdf"],
        "name": "mine.pdf",
        "state": "succeeded",
        "ok": 3,
        "text": found["text"],
        "problem": "urn:pagefan:problem:unknown-job",
    }
    assert "page 2" in found["text"]

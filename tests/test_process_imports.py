"""What real processes have loaded: libraries in their memory, by the kernel's own list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import plain_env
from services import Service, make_pdf

import web
from web.app import create_app
from web.stack.stack import Stack

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux' list of mapped files"),
]


def libraries(pid: int) -> str:
    """The paths of all files that a process has in its memory."""
    return Path(f"/proc/{pid}/maps").read_text()


def family(stack: Stack, name: str) -> list[int]:
    process = psutil.Process(stack.processes[name].pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


WEB = "import gunicorn.app.wsgiapp, web.stack.server; from web.app import create_app; create_app()"
CPU_WORKER = "import celery.bin.worker; from tasks.app import app; app.loader.import_default_modules()"
NEEDLESS = ("httpx", "rich", "pymupdf", "onnxruntime", "openvino", "cv2", "torch", "transformers", "docx", "lxml")


@pytest.mark.parametrize("start", [WEB, CPU_WORKER])
def test_a_process_starts_without_what_it_may_never_need(start: str) -> None:
    script = f"import sys\n{start}\nsys.stdout.write(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "tasks.pipeline" in loaded
    assert not set(NEEDLESS) & set(loaded)


@pytest.mark.parametrize("start", ["web.cli.parser", "web.stack.stack", "web.stack.flower"])
def test_what_only_starts_or_asks_a_server_loads_no_application(start: str) -> None:
    script = f"import sys, {start}\nsys.stdout.write(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert start in run.stdout.split()
    assert not {"web.app", "web.site.pages", "web.compat.contracts"} & set(run.stdout.split())


def test_the_application_is_found_where_it_always_was() -> None:
    assert web.create_app is create_app


def test_a_process_that_loads_the_layout_models_would_be_seen() -> None:
    script = (
        "import sys\n"
        "from workers.light_pymupdf import load_models\n"
        "load_models()\n"
        "sys.stdout.write(open('/proc/self/maps').read())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert "onnxruntime" in run.stdout


def test_no_process_loads_layout_models_or_onnx_runtime_by_importing_pymupdf(stack: Stack) -> None:
    service = Service(stack)
    service.wait(service.submit(make_pdf(2)))
    service.close()
    for name in ("web", "cpu", "gpu"):
        for pid in family(stack, name):
            assert "onnxruntime" not in libraries(pid), f"{name}, process {pid}"
    assert any("mupdf" in libraries(pid) for pid in family(stack, "cpu")[1:]), "no render child was looked at"

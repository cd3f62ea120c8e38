"""The live API against its own OpenAPI: whatever is sent, no answer is a bug or other than described."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import StartStack
from services import Service, make_pdf

from web.stack.stack import Stack

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
OWN = "^/(api/|healthz|readyz|metrics)"
# Random examples for each call, beside the edge cases of its parameters, and for our own chains of calls.
RUNS = {
    "own": ["--include-path-regex", OWN, "--max-examples", "25"],
    "others": ["--exclude-path-regex", OWN, "--max-examples", "8", "--phases", "coverage,fuzzing"],
}
TIMEOUT_S = 280


@pytest.fixture(scope="module")
def own_stack(start_stack: StartStack) -> Stack:
    return start_stack()


@pytest.mark.e2e
@pytest.mark.parametrize("calls", RUNS)
def test_every_answer_is_as_the_api_describes_it(own_stack: Stack, tmp_path: Path, calls: str) -> None:
    stack = own_stack
    service = Service(stack)
    job = service.wait(service.submit(make_pdf(2)))
    service.close()
    env = os.environ | {
        "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("real_ids.py")),
        "PYTHONPATH": str(Path(__file__).parent),
        "PAGEFAN_TEST_URL": stack.base_url,
        "PAGEFAN_TEST_JOB": job["id"],
        "PAGEFAN_TEST_BATCH": job["batch_id"],
    }
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.base_url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--generation-deterministic", *RUNS[calls]]
    command += ["--continue-on-failure", "--request-timeout", "30", "--warnings", "off", "--no-color"]
    run = subprocess.run(
        command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S
    )
    assert run.returncode == 0, run.stdout

"""Loaded by schemathesis: gives every other call an id that exists, as made-up ones never get past the first check.

PAGEFAN_TEST_URL is the server, where PAGEFAN_TEST_JOB of PAGEFAN_TEST_BATCH has ended. A job to delete is a new one.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import httpx
import schemathesis
from services import make_pdf

NAMES_OF_JOBS = ("job_id", "task_id", "file_id", "result_id")  # the last three in calls of other services

turns = count()


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    if next(turns) % 2:
        return
    job_id = new_job() if case.method == "DELETE" else os.environ["PAGEFAN_TEST_JOB"]
    found: dict[str, Any] = dict.fromkeys(NAMES_OF_JOBS, job_id)
    found |= {"batch_id": os.environ["PAGEFAN_TEST_BATCH"], "number": 1, "model": "prebuilt-read", "handler": "text"}
    parameters = case.path_parameters or {}
    parameters |= {name: value for name, value in found.items() if name in parameters}


def new_job() -> str:
    jobs = f"{os.environ['PAGEFAN_TEST_URL']}/api/v1/jobs"
    return str(httpx.post(jobs, files={"file": ("new.pdf", make_pdf(1))}).json()["jobs"][0]["id"])

"""A web application on a real Redis, and jobs in every state, made through the ledger as workers do."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from tasks.access.keys import get_keyring
from tasks.app import app as celery_app
from tasks.app import configure
from tasks.archive import write_job_record
from tasks.assemble import results
from tasks.assemble.job_end import final_state
from tasks.generate.partials import PartialTexts
from tasks.index import get_index
from tasks.ledger.records import Job
from tasks.messages import JobOptions, PageTask
from tasks.page_end import fail_page, save_text
from tasks.runs import load_run
from tasks.services import engine_name, get_blobs, get_impatient_ledger, get_ledger
from tasks.settings import get_settings
from web.api.changes import get_changes
from web.api.problems import KINDS
from web.app import create_app
from workers.engines import Line

CACHED = (
    get_settings, engine_name, load_run, get_ledger, get_blobs, get_keyring, get_changes, get_impatient_ledger,
    get_index,
)  # fmt: skip
NUMBERS = count(1)  # of jobs: a listener that an earlier test has left behind must not know a new one
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"


Event = dict[str, Any]


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Events as {id, event, data}, by the rules of the HTML standard as far as we use them."""
    event: Event = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line and "event" in event:
            yield event | {"data": json.loads(event["data"])}
            event = {}
        elif name in ("id", "event", "data"):
            event[name] = value


def forget_cached() -> None:
    for function in CACHED:
        function.cache_clear()


class WebService:
    """The application with its own store; `client` talks to it."""

    def __init__(self) -> None:
        self.app = made_app(repr(replace(get_settings(), redis_url="", blob_url="")))
        self.client: FlaskClient = self.app.test_client()
        self.ledger = get_ledger()

    def upload(self, data: bytes = PDF, name: str = "report.pdf", **options: Any) -> Any:
        answer = self.client.post("/api/v1/jobs", data={"file": (io.BytesIO(data), name), **options})
        answer.request.environ["wsgi.input"].close()  # the test client leaves its file open
        return answer

    def submit(self, **options: Any) -> str:
        answer = self.upload(**options)
        assert answer.status_code == 202, answer.text
        return str(answer.json["jobs"][0]["id"])

    def get(self, path: str, **arguments: Any) -> Any:
        return self.client.get(f"/api/v1{path}", **arguments)

    def job(self, job_id: str) -> Job:
        """The ledger's record of a job that there is."""
        found = self.ledger.job(job_id)
        assert found is not None, f"no job {job_id}"
        return found

    def open(self, num_pages: int, *, selection: str = "", owner: str = "local", name: str = "report.pdf") -> str:
        """A job whose document has been opened: `running`, all pages queued."""
        job_id = f"{next(NUMBERS):016x}"
        self.ledger.create(job_id, owner=owner, name=name, kind="pdf", size=1234, options=JobOptions())
        self.ledger.begin_split(job_id)
        selection = selection or f"1-{num_pages}"
        size = num_pages if selection == f"1-{num_pages}" else selection.count(",") + 1
        self.ledger.open_first_run(job_id, num_pages=num_pages, selection=selection, size=size)
        return job_id

    def read(self, job_id: str, number: int, text: str | None = None, *, run: int = 1, **patch: Any) -> None:
        """End a page well; `number` counts from 1."""
        line = Line(text=f"page {number}", box=(10.0, 20.0, 110.0, 40.0), confidence=0.97)
        text = f"page {number}" if text is None else text
        save_text(page(job_id, number, run), text, engine="echo", seconds=0.5, lines=(line,), **patch)

    def begin(self, job_id: str, number: int, text: str) -> PartialTexts:
        """Read a page as far as `text`; what it returns is the worker's, to end the page or go on."""
        self.ledger.move(page(job_id, number), "generating")
        texts = PartialTexts(self.ledger)
        texts.begin([page(job_id, number)])(0, text)
        texts.flush()
        return texts

    def fail(self, job_id: str, number: int, reason: str = "timeout", detail: str = "") -> None:
        fail_page(page(job_id, number), reason, detail)

    def finish(self, job_id: str) -> None:
        """Assemble, as the last task of a job does."""
        assert self.ledger.begin_assembly(job_id) == "assemble"
        results.write_results(job_id)
        self.ledger.end_job(job_id, final_state(job_id), only_from="assembling")
        write_job_record(job_id)


@cache
def made_app(_: str) -> APIFlask:
    """The application for these settings, made once: it holds nothing of its store, and takes long to make."""
    return create_app()


def page(job_id: str, number: int, run: int = 1) -> PageTask:
    return PageTask(job_id=job_id, run=run, index=number - 1)


def check_problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """The answer is this problem, in the form that all have; returns its body."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert body["type"] == f"urn:pagefan:problem:{kind}"
    assert body["status"] == status
    assert body["advice"] == KINDS[kind].advice
    return body


def body_of(answer: TestResponse) -> dict[str, Any]:
    """The JSON object of an answer; fails with the answer's text where it is none."""
    assert isinstance(answer.json, dict), answer.text
    return answer.json


@contextlib.contextmanager
def web_service(
    redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Iterator[WebService]:
    """A fresh application with an empty ledger and its files in `folder`."""
    for name, value in {"redis_url": redis_url, "blob_url": f"file://{folder}/blobs", **settings}.items():
        monkeypatch.setenv(name.upper(), str(value))
    forget_cached()
    configure(celery_app)
    service = WebService()
    service.ledger.redis.flushdb()
    try:
        yield service
    finally:
        get_changes().close()
        forget_cached()


@contextlib.contextmanager
def served(service: WebService) -> Iterator[str]:
    """The application on a real socket; gives its URL."""
    server = make_server("127.0.0.1", 0, service.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

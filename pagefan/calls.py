"""The calls of the REST API, as both clients make them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import httpx

from pagefan.answers import Format, Json, TableFormat, Wanted
from pagefan.records import Job


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `body` is what httpx takes: `json`, `files` and `data`."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = field(default_factory=dict)

    @property
    def arguments(self) -> Json:
        return {"params": self.params, "headers": self.headers, **self.body}


def key_header(key: str, retry_s: float) -> dict[str, str]:
    """With a key a request can be sent again without harm, so one that may be has a key of its own."""
    key = key or (secrets.token_hex(16) if retry_s else "")
    return {"Idempotency-Key": key} if key else {}


def submit_file(name: str, file: BinaryIO, headers: dict[str, str], options: Mapping[str, Any]) -> Call:
    return Call("POST", "/jobs", headers=headers, body={"files": {"file": (name, file)}, "data": form_of(options)})


def form_of(options: Mapping[str, Any]) -> Json:
    """The options as a form has them: metadata as JSON, a field for each tag."""
    return {name: json.dumps(value) if name == "metadata" else value for name, value in options.items()}


def submit_url(url: str, headers: dict[str, str], options: Mapping[str, Any]) -> Call:
    return Call("POST", "/jobs", headers=headers, body={"json": {"url": url, **options}})


def status(job_id: str, wait_s: float) -> Call:
    return Call("GET", f"/jobs/{job_id}", {"wait": wait_s})


def jobs(limit: int, cursor: str, wanted: Wanted) -> Call:
    labels = {"tag": list(wanted.get("tags", ()))}
    rest = {name: value for name, value in wanted.items() if name not in ("tags", "metadata") and value}
    values = {f"metadata.{key}": value for key, value in wanted.get("metadata", {}).items()}
    return Call("GET", "/jobs", {"limit": limit, "cursor": cursor} | labels | values | rest)


def batch(batch_id: str) -> Call:
    return Call("GET", f"/batches/{batch_id}")


def pages(job_id: str, since: int) -> Call:
    return Call("GET", f"/jobs/{job_id}/pages", {"since": since})


def answer(job_id: str) -> Call:
    return Call("GET", f"/jobs/{job_id}/answer")


def page(job_id: str, page_number: int) -> Call:
    return Call("GET", f"/jobs/{job_id}/pages/{page_number}")


def image(job_id: str, page_number: int) -> Call:
    return Call("GET", f"/jobs/{job_id}/pages/{page_number}/image")


def result(job_id: str, format: Format, partial: bool) -> Call:
    params = {"format": format, "partial": int(partial)}
    return Call("GET", f"/jobs/{job_id}/result", params, headers={"Accept": "*/*"})


def tables(job_id: str) -> Call:
    return Call("GET", f"/jobs/{job_id}/tables")


def table(job_id: str, number: int, format: TableFormat) -> Call:
    return Call("GET", f"/jobs/{job_id}/tables/{number}", {"format": format})


def events(job_id: str, with_text: bool, with_partial: bool) -> Call:
    return Call("GET", f"/jobs/{job_id}/events", {"text": int(with_text), "partial": int(with_partial)})


def cancel(job_id: str, purge: bool) -> Call:
    return Call("DELETE", f"/jobs/{job_id}", {"purge": int(purge)})


def retry(job_id: str, pages: str, options: Mapping[str, Any]) -> Call:
    return Call("POST", f"/jobs/{job_id}/retry", body={"json": {"pages": pages, **options}})


def submitted_job(answer: httpx.Response) -> Job:
    return submitted_jobs(answer)[0]


def submitted_jobs(answer: httpx.Response) -> list[Job]:
    replayed = {"replayed": "Idempotency-Replayed" in answer.headers}
    return [cast("Job", job | replayed) for job in answer.json()["jobs"]]

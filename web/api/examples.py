"""What OpenAPI shows beside the schemas: examples of calls and errors, and the headers that tell what to do next."""

from __future__ import annotations

import re
from typing import Any

from web.api.problems import KINDS, Kind

Json = dict[str, Any]

JOB_ID = "5f1c0e7ab3d94421"
API = "/api/v1/jobs/" + JOB_ID
COUNTS = {"total": 2, "ok": 2, "blank": 0, "fallback": 0, "failed": 0, "cancelled": 0, "running": 0, "queued": 0}
SUMMARY = {
    "id": JOB_ID, "state": "succeeded", "name": "report.pdf", "kind": "pdf", "size": 48213, "batch_id": "b7d2a1",
    "parent": "", "metadata": {"customer": "42"}, "tags": ["invoices"],
    "run": 1, "num_pages": 2, "pages": COUNTS, "progress": 1.0, "error": None, "seq": 9,
    "timings": {
        "created_at": "2026-05-04T09:30:00Z", "started_at": "2026-05-04T09:30:01Z", "ended_at": "2026-05-04T09:30:04Z",
        "waited_s": 1.0, "running_s": 3.0,
    },
    "links": {
        "self": API, "pages": f"{API}/pages", "events": f"{API}/events", "html": f"/jobs/{JOB_ID}",
        "results": {"md": f"{API}/result?format=md", "json": f"{API}/result?format=json"},
    },
}  # fmt: skip
JOB = SUMMARY | {
    "options": {"task": "transcribe", "language": "eng"}, "source_url": "", "selection": "1-2", "queue_position": None,
    "eta_s": None, "missing_pages": [], "fallback_pages": [], "pages_to_look_at": [], "warnings": [], "deliveries": [],
}  # fmt: skip
PAGE = {
    "page_number": 1, "state": "ok", "fault": None, "engine": "ocr", "stop_reason": "stop", "tokens": 0, "seconds": 1.2,
    "width": 1240, "height": 1754, "rotation": 0, "cached": False, "text_layer_recall": None, "confidence": 0.98,
    "notices": [], "corrected_at": None, "notice": "", "attempts": [], "seq": 5, "links": {"self": f"{API}/pages/1"},
}  # fmt: skip
CELLS = [
    {"row": 0, "column": 0, "text": "Ship", "row_span": 1, "column_span": 1, "is_header": True},
    {"row": 1, "column": 0, "text": "Ann", "row_span": 1, "column_span": 1, "is_header": False},
]
BLOCK = {"kind": "heading", "text": "Lamps", "level": 1, "lines": [0], "box": [90.0, 80.0, 400.0, 120.0]}
LINE = {"text": "Lamps", "box": [90.0, 80.0, 400.0, 120.0], "confidence": 0.98}
PAGE_TEXT = PAGE | {"text": "Lamps", "lines": [LINE], "blocks": [BLOCK]}
CORRECTED = PAGE_TEXT | {"corrected_at": "2026-05-04T09:41:00.000Z"}
TABLE = {"number": 1, "page_number": 1, "rows": 2, "columns": 1, "cells": CELLS, "links": {"self": f"{API}/tables/1"}}
ASKED = {
    "task": "ask", "question": "Who keeps it?", "text": "Marta Lindqvist [page 4].", "is_found": True, "pages": [4],
    "is_cited": True, "pages_asked": [1, 2, 3, 4], "is_all": True, "missing_pages": [], "data": None, "values": [],
    "error": None, "engine": "openai", "tokens": 12, "seconds": 1.8,
}  # fmt: skip
SHARE = {
    "url": f"https://pagefan.example/shared/{JOB_ID}/1778491800.n0LrbYvXy7eXhXjBvQ8sT0o2m5cK1dR9uWq3zPaEiFg",
    "expires_at": "2026-05-11T09:30:00.000Z",
}
MADE = {"batch_id": "b7d2a1", "jobs": [JOB | {"state": "queued", "num_pages": 0, "progress": 0.0}]}
BATCH = {
    "batch_id": "b7d2a1", "num_jobs": 1, "has_ended": True, "progress": 1.0, "states": {"succeeded": 1},
    "pages": COUNTS, "jobs": [SUMMARY],
}  # fmt: skip
NOT_IN_RESULTS = ("fault", "notice", "seq", "links", "corrected_at")
RESULT_PAGE = {name: value for name, value in PAGE.items() if name not in NOT_IN_RESULTS} | {
    "is_corrected": False,
    "reason": "", "detail": "", "text": "Lamps", "lines": [LINE], "blocks": [BLOCK],
}  # fmt: skip
READY = {
    "status": "ready",
    "checks": {"redis": "ok", "cpu_worker": "ok", "blobs": "ok"},
    "runtimes": [],
    "engines": ["ocr"],
}
TEXTS = {
    "application/json": {"schema": "pagefan.result/2", "job": JOB, "pages": [RESULT_PAGE]},
    "text/markdown": "<!-- page 1 -->\n\n# Lamps\n",
    "text/plain": "Lamps\n",
    "text/html": "<!doctype html><title>report.pdf</title><h1>Lamps</h1>",
}

BODIES: dict[str, Json] = {
    "createJobs": {"application/json": {"url": "https://example.com/report.pdf", "pages": "1-3", "language": "eng"}},
    "createJobFromUpload": {"application/json": {"pages": "1-3", "language": "eng"}},
    "convert": {"application/json": {"url": "https://example.com/report.pdf"}},
    "retryPages": {"application/json": {"pages": "failed", "dpi": 300}},
    "renameJob": {"application/json": {"name": "Lamps of 1890.pdf"}},
    "shareJob": {"application/json": {"days": 7}},
    "correctPage": {"application/json": {"text": "# Lamps\n"}},
}
MATCH: Json = {"page_number": 3, "num_pages": 1, "text": "…the lamps of the old harbour…", "marks": [[5, 10]]}
SYSTEM: Json = {
    "engine": "ocr", "num_unfinished": 3, "pages_s": 1.9,
    "workers": [{
        "queue": "gpu", "worker": "9b1c:77:1", "host": "reader-1", "pid": 77, "engine": "ocr", "model": "PP-OCRv6",
        "device": "CPU", "runtime": "OpenVINO 2026.4.1, f32", "memory_mb": 812, "device_memory_mb": None, "busy": 0.93,
        "pages_s": 1.9, "last_batch": {"pages": 4, "seconds": 2.1, "at": "2026-11-24T09:00:07Z"}, "trouble": "",
        "seen_s": 0.3,
    }],
    "queues": [{"name": "gpu", "num_waiting": 12, "oldest_s": 4.2, "trouble": ""}],
    "stores": {
        "disk_free_mb": 69171, "disk_total_mb": 258019, "cache_pages": 240, "cache_mb": 3.1, "cache_room_mb": 1024,
        "cache_hits": 0.04, "redis_mb": 5.2,
    },
    "faults": [{
        "job": JOB_ID, "name": "report.pdf", "state": "failed", "reason": "corrupt", "detail": "The file is damaged.",
        "ended_at": "2026-11-24T09:00:07Z", "html": f"/jobs/{JOB_ID}",
    }],
}  # fmt: skip
ANSWERS: dict[tuple[str, str], Json] = {
    ("createJobs", "202"): {"application/json": MADE},
    ("createJobFromUpload", "202"): {"application/json": MADE},
    ("convert", "200"): TEXTS,
    ("convert", "202"): {"application/json": MADE},
    ("getJob", "200"): {"application/json": JOB},
    ("renameJob", "200"): {"application/json": JOB | {"name": "Lamps of 1890.pdf"}},
    ("shareJob", "200"): {"application/json": SHARE},
    ("listJobs", "200"): {"application/json": {"jobs": [SUMMARY], "matches": {SUMMARY["id"]: MATCH}, "next": None}},
    ("cancelJob", "200"): {"application/json": JOB | {"state": "cancelled"}},
    ("retryPages", "202"): {"application/json": JOB | {"state": "running", "run": 2}},
    ("getBatch", "200"): {"application/json": BATCH},
    ("listPages", "200"): {"application/json": {"state": "succeeded", "seq": 9, "pages": [PAGE]}},
    ("getPage", "200"): {"application/json": PAGE_TEXT},
    ("getPageText", "200"): {"text/markdown": "# Lamps\n"},
    ("correctPage", "200"): {"application/json": CORRECTED},
    ("undoCorrection", "200"): {"application/json": PAGE_TEXT},
    ("getResult", "200"): TEXTS,
    ("getAnswer", "200"): {"application/json": ASKED},
    ("listTables", "200"): {"application/json": {"tables": [TABLE]}},
    ("getTable", "200"): {"text/csv": "Ship\r\nAnn\r\n", "application/json": TABLE},
    ("followJob", "200"): {"text/event-stream": {"id": "9", "event": "end", "data": '{"state": "succeeded"}'}},
    ("isAlive", "200"): {"application/json": {"status": "ok"}},
    ("isReady", "200"): {"application/json": READY},
    ("isReady", "503"): {"application/json": READY | {"status": "not ready", "checks": {"redis": "away"}}},
    ("getSystem", "200"): {"application/json": SYSTEM},
    ("getMetrics", "200"): {"text/plain": 'pagefan_pages_total{state="ok"} 12.0\n'},
}

COUNT = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Json] = {
    "RetryAfter": {"description": "Seconds to wait before asking again.", "schema": COUNT},
    "RateLimit": {"description": "Requests that the key may send in a minute.", "schema": COUNT},
    "RateRemaining": {"description": "How many of them are left.", "schema": COUNT},
    "RateReset": {"description": "Seconds to the next minute, with new ones.", "schema": COUNT},
    "Location": {"description": "Where to follow the first job.", "schema": {"type": "string"}},
    "Replayed": {
        "description": "`true` where an earlier request with this Idempotency-Key made the jobs.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "Changes with what is answered; for If-None-Match.", "schema": {"type": "string"}},
    "Job": {"description": "The id of the job that read the document.", "schema": {"type": "string"}},
    "State": {"description": "How it ended; `partial` where pages have no text.", "schema": {"type": "string"}},
    "Upload": {"description": "Where to send the parts.", "schema": {"type": "string"}},
    "UploadOffset": {"description": "Bytes of the file that are there.", "schema": COUNT},
    "UploadExpires": {"description": "When it is removed at the earliest.", "schema": {"type": "string"}},
    "Missing": {"description": "Numbers of the pages without text, such as `3,9`.", "schema": {"type": "string"}},
}
TOLD: dict[tuple[str, str], dict[str, str]] = {  # by call and status: the headers and their descriptions
    ("createJobs", "202"): {"Location": "Location", "Idempotency-Replayed": "Replayed"},
    ("createJobs", "409"): {"Retry-After": "RetryAfter"},
    ("beginUpload", "201"): {"Location": "Upload", "Upload-Expires": "UploadExpires"},
    ("sendPart", "204"): {"Upload-Offset": "UploadOffset", "Upload-Expires": "UploadExpires"},
    ("createJobFromUpload", "202"): {"Location": "Location", "Idempotency-Replayed": "Replayed"},
    ("convert", "200"): {"Pagefan-Job": "Job", "Pagefan-State": "State", "Pagefan-Missing-Pages": "Missing"},
    ("convert", "202"): {"Location": "Location", "Pagefan-Job": "Job"},
    ("convert", "409"): {"Retry-After": "RetryAfter"},
    ("shareJob", "409"): {"Retry-After": "RetryAfter"},
    ("correctPage", "409"): {"Retry-After": "RetryAfter"},
    ("undoCorrection", "409"): {"Retry-After": "RetryAfter"},
    ("getJob", "200"): {"ETag": "ETag", "Retry-After": "RetryAfter"},
    ("getResult", "200"): {"ETag": "ETag"},
    ("getResult", "409"): {"Retry-After": "RetryAfter"},
    ("getAnswer", "409"): {"Retry-After": "RetryAfter"},
    ("azureAnalyze", "202"): {"Retry-After": "RetryAfter"},
    ("azureResult", "200"): {"Retry-After": "RetryAfter"},
}
RATE = {"X-RateLimit-Limit": "RateLimit", "X-RateLimit-Remaining": "RateRemaining", "X-RateLimit-Reset": "RateReset"}
TOLD_RATE = ("200", "201", "202", "204", "429")  # others have them too; told of where they matter
WAITING = ("429", "503")  # every such answer says how long
ONLY_AT = {  # problems that come only under paths that match this
    "unknown-job": re.compile(r"\{(job|task|file|result)_id\}"),
    "unknown-batch": re.compile(r"/batches/"),
    "unknown-upload": re.compile(r"/uploads/"),
    "wrong-offset": re.compile(r"/uploads/"),
    "admins-only": re.compile(r"/system$"),
    "unknown-page": re.compile(r"/pages/\{"),
    "unknown-table": re.compile(r"/tables/\{"),
    "no-figure": re.compile(r"/figures/"),
    "no-image": re.compile(r"/image$"),
    "not-finished": re.compile(r"/result$|/pdf$|/answer$"),
    "being-made": re.compile(r"/result$|/pdf$|/convert$"),
    "still-running": re.compile(r"/text$|/share$"),
    "no-sharing": re.compile(r"/share$"),
    "no-text": re.compile(r"/text$"),
    "no-result": re.compile(r"/result$|/answer$|^(?!/api/v1/jobs)"),
    "page-busy": re.compile(r"/retry$"),
    "nothing-to-retry": re.compile(r"/retry$"),
    "key-in-use": re.compile(r"^/api/v1/(jobs|convert)$|/job$"),
    "key-mismatch": re.compile(r"^/api/v1/(jobs|convert)$|/job$"),
    "too-many-listeners": re.compile(r"/events$|^(?!/api/v1/jobs)"),
}


def add_examples(spec: Json, operations: list[tuple[str, str, Json]]) -> None:
    """Say of each call what its bodies look like, which problems it has and what their headers tell."""
    spec["components"]["headers"] = HEADERS
    spec["components"]["examples"] = {name: problem_example(name, kind) for name, kind in KINDS.items()}
    for path, _, operation in operations:
        name = operation["operationId"]
        put(operation.get("requestBody", {}).get("content", {}), BODIES.get(name, {}))
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            put(content, ANSWERS.get((name, status), {}))
            if problem := content.get("application/problem+json"):
                content["application/problem+json"] = problem | {"examples": problems_of(path, status)}
            told = TOLD.get((name, status), {}) | ({"Retry-After": "RetryAfter"} if status in WAITING else {})
            told |= RATE if "429" in operation["responses"] and status in TOLD_RATE else {}
            if told:
                answer["headers"] = {
                    header: {"$ref": f"#/components/headers/{described}"} for header, described in told.items()
                }


def put(content: Json, examples: Json) -> None:
    for media, example in examples.items():
        if media in content:
            content[media] = content[media] | {"example": example}


def problems_of(path: str, status: str) -> Json:
    """The problems that answer a call with this status, as references by their names."""
    of_status = [name for name, kind in KINDS.items() if str(kind.status) == status]
    names = [name for name in of_status if name not in ONLY_AT or ONLY_AT[name].search(path)]
    return {name: {"$ref": f"#/components/examples/{name}"} for name in names}


def problem_example(name: str, kind: Kind) -> Json:
    message = f"{kind.title}. {kind.advice}"
    return {
        "summary": kind.title,
        "value": {
            "type": f"urn:pagefan:problem:{name}",
            "title": kind.title,
            "status": kind.status,
            "detail": f"{kind.title}.",
            "advice": kind.advice,
            "message": message,
            "error": {"code": name, "message": message},
            "instance": API,
        },
    }

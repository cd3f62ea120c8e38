"""What becomes of real and hostile documents that go through the service one after another.

    python -m benchmarks.corpus FOLDER [--engine ocr]

FOLDER has a `manifest.json`: a list of {file, expected, also_acceptable}. Outcomes are `ok` or `error:REASON`. After
every document a good one is sent, to see that the service still works. The folder `field` has none: what is right of
its cases is in `benchmarks.field`, which wants `--engine ocr`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import field
from benchmarks.report import publish, table
from tests.services import Service, make_pdf
from web.stack.stack import Stack

LIMIT_S = 240.0  # beyond this a document counts as hanging, with every limit of the settings in force


def outcome(service: Service, path: Path) -> tuple[str, str]:
    """What the service made of a document, in the manifest's words, and what a user is told."""
    answer = service.http.post("/jobs", files={"file": (path.name, path.read_bytes())})
    if answer.status_code != 202:
        problem = answer.json()
        return f"error:{problem.get('reason', answer.status_code)}", str(problem.get("detail", ""))
    job = service.wait(str(answer.json()["jobs"][0]["id"]), 1800)
    total = job["pages"]["total"]
    pages = ("1 page" if total == 1 else f"{total} pages") + (
        f", missing {job['missing_pages']}" if job["missing_pages"] else ""
    )
    if job["state"] == "succeeded":
        return "ok", pages
    if job["error"]:
        return f"error:{job['error']['reason']}", job["error"]["detail"]
    return page_outcome(service, job), pages


def page_outcome(service: Service, job: dict[str, Any]) -> str:
    """A document of which pages failed: the reason of a single page, else `page_failed`."""
    reasons = {page["reason"] for page in service.result(job["id"])["pages"] if page["state"] == "failed"}
    return f"error:{reasons.pop()}" if len(reasons) == 1 and job["state"] == "failed" else "error:page_failed"


def is_as_expected(entry: dict[str, Any], found: str) -> bool:
    wanted = {entry["expected"], *entry.get("also_acceptable", ())}
    return found in wanted or (found == "error:timeout" and "error:page_failed" in wanted)


def run(service: Service, folder: Path, entries: list[dict[str, Any]]) -> tuple[list[list[object]], int]:
    rows: list[list[object]] = []
    wrong = 0
    for entry in entries:
        started = time.monotonic()
        found, note = outcome(service, folder / entry["file"])
        seconds = time.monotonic() - started
        after = service.wait(service.submit(make_pdf(1)))["state"]
        good = is_as_expected(entry, found) and seconds < LIMIT_S and after == "succeeded"
        wrong += not good
        rows.append(
            [entry["file"][:40], entry["expected"], found, "yes" if good else "NO", f"{seconds:.1f}", note[:90]]
        )
    return rows, wrong


def run_field(service: Service, folder: Path) -> tuple[list[list[object]], int]:
    """The cases of the field, with those that are about a name or a body at the end."""
    rows: list[list[object]] = []
    for case in field.CASES:
        started = time.monotonic()
        seen = field.look(service, folder / case.file, case.options)
        good = case.check(seen)
        seconds = f"{time.monotonic() - started:.1f}"
        rows.append([case.name, case.expected, seen.describe(), "yes" if good else "NO", seconds, ""])
    status = field.send_raw(service, folder / "latin1_name.multipart")
    rows.append(["latin1_name.multipart", "202 or 400", status, "yes" if status in (202, 400) else "NO", "", ""])
    for name in ("договор.png", "合同.png"):
        good = field.downloads_under(service, folder / "strip.png", name)
        rows.append([f"strip.png as {name}", "the whole name on download", good, "yes" if good else "NO", "", ""])
    return rows, sum(row[3] == "NO" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="echo")
    args = parser.parse_args()
    settings = {"ENGINE": args.engine, "WEB_PORT": "0", "FLOWER_PORT": "0"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as exits:
        stack = exits.enter_context(
            Stack(dict(os.environ) | settings, Path(folder), counts={"web": 1, "cpu": 1, "gpu": 1, "beat": 1})
        )
        service = Service(stack)
        exits.callback(service.close)
        if (manifest := args.folder / "manifest.json").exists():
            rows, wrong = run(service, args.folder, json.loads(manifest.read_text()))
        else:
            rows, wrong = run_field(service, args.folder)
    header = ["file", "expected", "outcome", "as it should", "seconds", "what the user is told"]
    lines = [*table(header, rows), "", f"{len(rows)} documents, {wrong} not as they should be. Engine: {args.engine}."]
    publish(f"corpus-{args.folder.name}", f"Documents of {args.folder.name} through the service", lines)


if __name__ == "__main__":
    main()

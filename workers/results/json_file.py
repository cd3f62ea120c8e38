"""The result as JSON: one object, a line a page, written as the pages come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

from workers.results.page import PageResult, in_order, page_record

SCHEMA = "pagefan.result/2"  # described in web/site/static/result.schema.json; a change that breaks readers raises it


def write_json(
    job: Mapping[str, Any], pages: Iterable[PageResult], out: IO[str], answer: Mapping[str, Any] | None = None
) -> None:
    """One object {schema, job, pages}, with `answer` where there is one; `job` has to be plain JSON values."""
    out.write(f'{{"schema": {dump(SCHEMA)},\n{job_line(job)}')
    out.write((f'"answer": {dump(answer)},\n' if answer is not None else "") + '"pages": [')
    for position, page in enumerate(in_order(pages)):
        out.write(",\n" if position else "\n")
        out.write(dump(page_record(page)))
    out.write("\n]}\n")


def job_line(job: Mapping[str, Any]) -> str:
    """The second line of the result."""
    return f'"job": {dump(job)},\n'


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)

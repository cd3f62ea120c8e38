"""The join: each page is fetched once, what it writes is what would be made on request, and memory stays flat."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from web_service import WebService

from tasks.assemble.results import WRITTEN_FORMATS, write_format
from tasks.blobs import Blobs, job_key
from tasks.services import get_blobs
from workers.layout.blocks import Block, Cell
from workers.results.page import PageResult
from workers.results.spool import SPOOL_BYTES, Spool

TABLE = Block(kind="table", text="a b", cells=(Cell(row=0, column=0, text="a"), Cell(row=0, column=1, text="b")))


def test_each_page_is_fetched_once(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: Counter[str] = Counter()
    read = Blobs.read

    def counted(blobs: Blobs, key: str) -> bytes:
        fetched[key] += 1
        return read(blobs, key)

    job_id = web.open(3)
    for number in (1, 2, 3):
        web.read(job_id, number)
    monkeypatch.setattr(Blobs, "read", counted)
    web.finish(job_id)
    pages = {key: times for key, times in fetched.items() if "/pages/" in key}
    assert pages == {job_key(job_id, f"pages/{number:06d}.r1.json"): 1 for number in (1, 2, 3)}


def test_what_the_join_writes_is_what_is_made_on_request(web: WebService) -> None:
    job_id = web.open(4)
    web.read(job_id, 1, "# Lamps\n\nThey give light to a")
    web.read(job_id, 2, "room, and shine.\n\n## Oil\n\n- wick\n- oil")
    web.fail(job_id, 3)
    web.read(job_id, 4, "", state="blank")
    web.finish(job_id)
    for format in WRITTEN_FORMATS:
        out = io.StringIO()
        write_format(web.job(job_id), format, out)
        written = get_blobs().read(job_key(job_id, f"result.{format}")).decode()
        assert told(written, format) == told(out.getvalue(), format)


def told(result: str, format: str) -> Any:
    return json.loads(result)["pages"] if format == "json" else result


def test_pages_come_back_as_they_went_by_as_often_as_wanted() -> None:
    pages = [
        PageResult(index=0, state="ok", text="a", blocks=(TABLE,), lines=({"text": "a", "box": None},)),
        PageResult(index=1, state="failed", reason="timeout", attempts=({"engine": "ocr"},)),
    ]
    with Spool() as spool:
        assert list(spool.keeping(pages)) == pages
        assert list(spool) == pages
        assert list(spool) == pages


def test_a_spool_holds_no_more_than_its_limit_in_memory() -> None:
    text = "x" * 100_000

    def pages() -> Iterator[PageResult]:
        for index in range(300):  # 30 MB
            yield PageResult(index=index, state="ok", text=f"{index}{text}")

    tracemalloc.start()
    with Spool() as spool:
        num_kept = sum(1 for _ in spool.keeping(pages()))
        num_read = sum(1 for _ in spool)
        _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert num_kept == num_read == 300
    assert most < 3 * SPOOL_BYTES

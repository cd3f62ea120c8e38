"""The asynchronous client, against a server on a real socket; it has the calls of the other, and gives the same."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from stand_in import finished_job, reading
from web_service import PDF, WebService

from pagefan import AsyncClient, Client, Refused, ServerAway, records
from pagefan.patience import LONGEST_PAUSE_S, is_passing
from web.api import outputs
from web.api.problems import Problem
from web.api.tables import TableOut


def run(url: str, work: Callable[[AsyncClient], Awaitable[Any]], **arguments: Any) -> Any:
    async def connected() -> Any:
        async with AsyncClient(url, **arguments) as client:
            return await work(client)

    return asyncio.run(connected())


def methods(kind: type) -> dict[str, inspect.Signature]:
    skipped = ("send", "submit_url", "job")  # older names
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(each) for name, each in found if not name.startswith("_") and name not in skipped}


def taken(signature: inspect.Signature) -> list[str]:
    return [str(parameter) for name, parameter in signature.parameters.items() if name != "self"]


def test_both_clients_have_the_same_calls() -> None:
    plain, awaited = methods(Client), methods(AsyncClient)
    assert plain.keys() == awaited.keys()
    for name in plain:
        assert taken(plain[name]) == taken(awaited[name]), name


def test_convert_and_events(web: WebService, url: str, document: Path) -> None:
    async def work(client: AsyncClient) -> None:
        seen: list[str] = []
        result = await client.convert(document, format="txt", on_progress=lambda job: seen.append(job["state"]))
        assert result.text.index("page 1") < result.text.index("page 2") < result.text.index("page 3")
        assert seen[-1] == "succeeded"
        events = [event async for event in client.events(result.job["id"])]
        assert [event.data["text"] for event in events if event.name == "text"] == ["page 1", "page 2", "page 3"]
        assert [job["id"] async for job in client.iter_jobs(at_once=1)] == [result.job["id"]]

    with reading(web):
        run(url, work)


def test_events_survive_any_break_of_the_line(web: WebService, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = finished_job(web, 4)
    given = httpx.Response.aiter_lines

    async def texts(client: AsyncClient) -> list[str]:
        return [event.data["text"] async for event in client.events(job_id) if event.name == "text"]

    async def broken(answer: httpx.Response) -> Any:
        lines = [line async for line in given(answer)]
        for line in islice(lines, 9):
            yield line
        raise httpx.ReadError("cut")

    whole = run(url, texts)
    monkeypatch.setattr(httpx.Response, "aiter_lines", broken)
    monkeypatch.setattr("pagefan.sse.RECONNECT_S", 0.0)
    assert run(url, texts) == whole == ["page 1", "page 2", "page 3", "page 4"]


def test_the_rest_of_the_calls(web: WebService, url: str, tmp_path: Path) -> None:
    job_id = finished_job(web, 2, failed=(2,))

    async def work(client: AsyncClient) -> None:
        assert (await client.status(job_id))["missing_pages"] == [2]
        assert (await client.page(job_id, 1))["text"] == "page 1"
        assert len((await client.pages(job_id))["pages"]) == 2
        assert "page 1" in await client.result(job_id, "txt")
        assert b"page 1" in (await client.download(job_id, "txt", tmp_path / "a.txt")).read_bytes()
        assert await client.tables(job_id) == []
        with pytest.raises(Refused, match="no table 1"):
            await client.table(job_id, 1)
        assert (await client.retry(job_id))["run"] == 2
        assert await client.cancel(job_id, purge=True) is None
        with pytest.raises(Refused, match="No such job"):
            await client.status(job_id)

    run(url, work)


def pipe() -> BinaryIO:
    reading_end, writing_end = os.pipe()
    with os.fdopen(writing_end, "wb") as out:
        out.write(PDF)
    return os.fdopen(reading_end, "rb")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda _: PDF, "document"),
        (lambda _: bytearray(PDF), "document"),
        (lambda path: str(path), "report.pdf"),
        (lambda path: path.open("rb"), "report.pdf"),
        (lambda _: io.BytesIO(PDF), "document"),
        (lambda _: pipe(), "document"),
    ],
    ids=["bytes", "bytearray", "path", "file", "memory", "pipe"],
)
def test_any_kind_of_source_can_be_sent(url: str, document: Path, make: Any, name: str) -> None:
    sources = [make(document), make(document)]
    with Client(url) as client:
        jobs = [client.submit(sources[0]), run(url, lambda client: client.submit(sources[1]))]
    assert [(job["name"], job["size"]) for job in jobs] == [(name, len(PDF))] * 2
    for source in sources:
        if hasattr(source, "close"):
            assert not source.closed, "it is the caller's"
            source.close()


def test_bytes_can_be_named_and_addresses_are_fetched_by_the_server(url: str) -> None:
    with Client(url) as client:
        assert client.submit(PDF, name="a.pdf")["name"] == "a.pdf"
        assert client.submit("https://example.com/b.pdf")["source_url"] == "https://example.com/b.pdf"


def test_text_files_are_refused(url: str) -> None:
    with Client(url) as client, pytest.raises(TypeError, match="binary"):
        client.submit(io.StringIO("text"))  # type: ignore[arg-type]  # which is what is refused


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A server that is full twice; the number of times it was asked."""
    asked: list[int] = []

    def refuse() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise Problem("queue-full", headers={"Retry-After": "0"})

    monkeypatch.setattr("web.api.jobs.refuse_when_full", refuse)
    yield asked


def test_full_server_is_asked_again_with_the_whole_file(busy: list[int], url: str, document: Path) -> None:
    with Client(url) as client, document.open("rb") as file:
        assert client.submit(file)["size"] == len(PDF)
    assert len(busy) == 3
    busy.clear()
    assert run(url, lambda client: client.submit(document))["size"] == len(PDF)
    assert len(busy) == 3


def test_without_patience_a_full_server_raises_at_once(busy: list[int], url: str, document: Path) -> None:
    with Client(url, retry_s=0) as client, pytest.raises(ServerAway, match="full") as caught:
        client.submit(document)
    assert (len(busy), caught.value.status, caught.value.retry_after_s) == (1, 503, 0)


def test_longer_waits_than_there_is_patience_for_are_not_begun(
    url: str, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse() -> None:
        asked.append(1)
        raise Problem("quota-exceeded", headers={"Retry-After": "3600"})

    monkeypatch.setattr("web.api.jobs.refuse_when_full", refuse)
    with Client(url) as client, pytest.raises(Refused) as caught:
        client.submit(document)
    assert (len(asked), caught.value.retry_after_s) == (1, 3600)
    assert LONGEST_PAUSE_S < 3600


@pytest.mark.parametrize(
    ("error", "can_repeat", "passing"),
    [
        (Refused(429, {}), False, True),
        (Refused(404, {}), True, False),
        (ServerAway("", status=503), False, True),
        (ServerAway("", status=504, was_there=True), False, False),
        (ServerAway("", was_there=True), True, True),
        (ServerAway("", was_there=True), False, False),
        (ServerAway("", was_there=False), True, False),
        (OSError(), True, False),
    ],
)
def test_only_what_does_no_harm_is_repeated(error: Exception, can_repeat: bool, passing: bool) -> None:
    assert is_passing(error, can_repeat=can_repeat) is passing


def test_answer_lost_on_the_way_makes_no_second_job(
    web: WebService, url: str, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, lost = httpx.Response.read, threading.Event()

    def read(answer: httpx.Response) -> bytes:
        content = given(answer)
        if answer.request.method == "POST" and not lost.is_set():
            lost.set()
            raise httpx.ReadError("cut")
        return content

    monkeypatch.setattr(httpx.Response, "read", read)
    with Client(url) as client:
        job = client.submit(document)
    assert lost.is_set()
    assert job["replayed"]
    assert [found.id for found in web.ledger.jobs()] == [job["id"]]


@pytest.mark.parametrize(
    ("record", "model"),
    [
        (records.Job, outputs.JobOut),
        (records.JobSummary, outputs.JobSummary),
        (records.JobList, outputs.JobListOut),
        (records.Match, outputs.MatchOut),
        (records.Batch, outputs.BatchOut),
        (records.Page, outputs.PageOut),
        (records.PageText, outputs.PageTextOut),
        (records.PageList, outputs.PageListOut),
        (records.PageCounts, outputs.PageCounts),
        (records.Timings, outputs.Timings),
        (records.Delivery, outputs.DeliveryOut),
        (records.Line, outputs.LineOut),
        (records.Table, TableOut),
    ],
)
def test_types_are_those_of_the_server(record: Any, model: Any) -> None:
    assert set(record.__required_keys__) <= set(model.model_fields)
    assert set(model.model_fields) <= set(record.__annotations__) | set(record.__optional_keys__)

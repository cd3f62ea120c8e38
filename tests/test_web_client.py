"""The Python client against a server on a real socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from stand_in import Worker, finished_job, reading, refusing
from web_service import PDF, WebService

from pagefan import Client, JobFailed, Refused, ServerAway, records
from pagefan.connection import whole_file
from tasks.ledger.records import Job
from web.api.problems import Problem


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_convert_gives_the_text_in_page_order(web: WebService, client: Client, document: Path) -> None:
    seen: list[records.Job] = []
    with reading(web):
        result = client.convert(document, format="txt", on_progress=seen.append)
    assert result.is_complete
    assert result.text.index("page 1") < result.text.index("page 2") < result.text.index("page 3")
    assert seen[-1]["state"] == "succeeded"


def test_convert_of_a_partial_document_names_the_missing_pages(web: WebService, client: Client, document: Path) -> None:
    with reading(web, failed=(2,)):
        result = client.convert(document)
    assert not result.is_complete
    assert result.missing_pages == [2]


def test_convert_of_a_broken_document_raises_with_the_reason(web: WebService, client: Client, document: Path) -> None:
    with refusing(web), pytest.raises(JobFailed, match="damaged"):
        client.convert(document)


def test_stand_in_that_breaks_ends_its_job_and_the_test(web: WebService, client: Client, document: Path) -> None:
    def work(job_id: str) -> None:
        raise RuntimeError(f"no hands for {job_id}")

    broken = pytest.raises(AssertionError, match="stand-in")
    with broken as caught, Worker(web, work), pytest.raises(JobFailed, match="no hands"):
        client.convert(document)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_refusal_carries_the_servers_words(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("hello, I am no document")
    with pytest.raises(Refused, match=r"letter\.txt") as caught:
        client.submit(path)
    assert caught.value.status == 415
    assert caught.value.problem["type"] == "urn:pagefan:problem:unsupported-format"


def test_client_follows_pages_cancels_and_retries(web: WebService, client: Client) -> None:
    job_id = web.open(2)
    first = client.pages(job_id)
    web.read(job_id, 1, "hello")
    assert [p["page_number"] for p in client.pages(job_id, since=first["seq"])["pages"]] == [1]
    assert client.page(job_id, 1)["text"] == "hello"
    assert "hello" in client.result(job_id, "txt", partial=True)
    web.fail(job_id, 2)
    web.finish(job_id)
    assert client.retry(job_id)["run"] == 2
    assert client.jobs()["jobs"][0]["id"] == job_id
    assert client.cancel(job_id) is not None
    assert client.cancel(job_id, purge=True) is None
    with pytest.raises(Refused, match="No such job"):
        client.status(job_id)


def test_wait_gives_up_after_its_time(web: WebService, client: Client) -> None:
    with pytest.raises(TimeoutError):
        client.wait(web.open(1), timeout_s=0.5)


def test_no_server_is_server_away() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerAway, match=r"127\.0\.0\.1"):
        client.jobs()


def test_events_bring_texts_in_page_order_while_the_job_runs(web: WebService, client: Client) -> None:
    job_id = web.open(3)
    web.read(job_id, 2)
    events = client.events(job_id)
    web.read(job_id, 1)
    texts = (event for event in events if event.name == "text")
    assert [next(texts).data["page_number"] for _ in range(2)] == [1, 2]
    web.read(job_id, 3)
    web.finish(job_id)
    rest = list(events)
    assert [event.data["text"] for event in rest if event.name == "text"] == ["page 3"]
    assert (rest[-1].name, rest[-1].data) == ("end", {"state": "succeeded"})
    assert list(client.events(job_id, since=rest[-1].id)) == []


def test_events_survive_any_break_of_the_line(web: WebService, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = finished_job(web, 4)
    whole = [(event.id, event.name) for event in client.events(job_id) if event.name in ("page", "text")]
    given = httpx.Response.iter_lines

    def broken(answer: httpx.Response) -> Iterator[str]:
        yield from islice(given(answer), 9)  # the first lines hold one event or two
        raise httpx.ReadError("cut")

    monkeypatch.setattr(httpx.Response, "iter_lines", broken)
    monkeypatch.setattr("pagefan.sse.RECONNECT_S", 0.0)
    assert [(event.id, event.name) for event in client.events(job_id) if event.name in ("page", "text")] == whole


def test_events_give_up_when_the_server_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagefan.patience.PATIENCE_S", 0.1)
    monkeypatch.setattr("pagefan.sse.RECONNECT_S", 0.05)
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerAway):
        list(client.events("x"))


def test_events_of_an_unknown_job_are_refused(client: Client) -> None:
    with pytest.raises(Refused, match="No such job"):
        list(client.events("x"))


def test_ask_gives_the_answer_of_each_page(web: WebService, client: Client, document: Path) -> None:
    with reading(web, 2):
        result = client.ask(document, "What is it?", dpi=100)
    assert [page["text"] for page in result.pages] == ["page 1", "page 2"]
    [job] = web.ledger.jobs()
    assert (job.options.task, job.options.question, job.options.dpi) == ("ask", "What is it?", 100)


def test_all_jobs_can_be_gone_through_and_a_batch_looked_at(client: Client, document: Path) -> None:
    sent = [client.submit(document, batch_id="autumn")["id"] for _ in range(5)]
    assert [job["id"] for job in client.iter_jobs(at_once=2)] == sent[::-1]
    assert [job["id"] for job in client.batch("autumn")["jobs"]] == sent


def test_file_results_are_waited_for_and_written_whole(
    web: WebService, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = finished_job(web, 1)
    asked: list[str] = []

    def open_pdf(job: Job) -> Iterator[bytes]:
        asked.append(job.id)
        if len(asked) < 3:
            raise Problem("being-made", headers={"Retry-After": "0"})
        return iter([b"%PDF-", b"1.7"])

    monkeypatch.setattr("web.api.results.open_pdf", open_pdf)
    path = client.download(job_id, "pdf", tmp_path / "a.pdf")
    assert path.read_bytes() == b"%PDF-1.7"
    assert len(asked) == 3
    result = client.fetch(client.status(job_id), "pdf")
    assert result.content == b"%PDF-1.7"
    with pytest.raises(ValueError, match="is no text"):
        assert result.text
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["a.pdf"]


def test_broken_download_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_name_that_is_no_text_is_sent_as_far_as_it_is(client: Client, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xe4d.pdf")
    path.write_bytes(PDF)
    assert client.submit(path)["name"] == "b?d.pdf"


def test_file_sent_twice_under_one_key_is_one_job(client: Client, document: Path) -> None:
    first, again = (client.submit(document, idempotency_key="k") for _ in range(2))
    assert first["id"] == again["id"]
    assert (first["replayed"], again["replayed"]) == (False, True)


@pytest.mark.parametrize("package", ["pagefan", "web", "tasks", "workers"])
def test_packages_say_that_they_are_typed(package: str) -> None:
    assert (Path(__file__).parents[1] / package / "py.typed").is_file()

"""The Python client and the command line against a server on a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web_service import PDF, WebService, served, web_service

from web import cli
from web.client import Client, JobFailed, Refused, ServerAway


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch) as service:
        yield service


@pytest.fixture
def url(web: WebService) -> Iterator[str]:
    with served(web) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(PDF)
    return path


class Worker(threading.Thread):
    """Takes each job that is submitted and does `work(job_id)`, as the workers would."""

    def __init__(self, web: WebService, work: Callable[[str], None]) -> None:
        super().__init__()
        self.web, self.work, self.is_over = web, work, threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        while not self.is_over.wait(0.05):
            for job_id in self.web.ledger.active_jobs():
                if self.web.ledger.begin_split(job_id):
                    self.work(job_id)

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()


def reading(web: WebService, num_pages: int = 3, failed: tuple[int, ...] = ()) -> Worker:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
        for number in range(num_pages, 0, -1):
            web.fail(job_id, number) if number in failed else web.read(job_id, number)
        web.finish(job_id)

    return Worker(web, work)


def refusing(web: WebService) -> Worker:
    def work(job_id: str) -> None:
        error = {"reason": "corrupt", "detail": "The file is damaged."}
        web.ledger.end_job(job_id, "failed", error=error)

    return Worker(web, work)


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_convert_gives_the_text_in_page_order(web: WebService, client: Client, document: Path) -> None:
    seen: list[dict[str, Any]] = []
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


# the command line


def test_convert_command_writes_beside_and_exits_0(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        assert run("convert", document, "-o", tmp_path / "out", "--server", url) == 0
    written = tmp_path / "out" / "report.md"
    assert "page 2" in written.read_text()
    assert str(written) in capsys.readouterr().out


def test_convert_command_prints_json_alone_to_standard_output(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        assert run("convert", document, "-o", "-", "--format", "json", "--server", url) == 0
    assert json.loads(capsys.readouterr().out)["pages"][0]["page_number"] == 1


def test_convert_command_takes_folders_and_keeps_equal_names_apart(web: WebService, url: str, tmp_path: Path) -> None:
    for name in ("a/report.pdf", "b/deep/report.PDF", "b/notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PDF)
    with reading(web):
        assert run("convert", tmp_path / "in", "-o", tmp_path / "out", "--server", url) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report-2.md", "report.md"]


def test_convert_command_exits_3_for_a_partial_document(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web, failed=(3,)):
        assert run("convert", document, "-o", tmp_path, "--server", url) == 3
    assert "page 3" in capsys.readouterr().err


def test_convert_command_exits_4_for_a_broken_document(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with refusing(web):
        assert run("convert", document, "--server", url) == 4
    assert "damaged" in capsys.readouterr().err


def test_convert_command_exits_5_when_the_job_is_cancelled(web: WebService, url: str, document: Path) -> None:
    with Worker(web, lambda job_id: web.client.delete(f"/api/v1/jobs/{job_id}")):
        assert run("convert", document, "--server", url) == 5


def test_commands_exit_6_when_the_server_is_away(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", document, "--server", "http://127.0.0.1:1") == 6
    assert run("status", "x", "--server", "http://127.0.0.1:1") == 6
    assert "pagefan up" in capsys.readouterr().err


def test_wrong_usage_exits_2(url: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("convert")
    assert caught.value.code == 2
    assert run("status", "unknown", "--server", url) == 2


def test_missing_file_exits_4_and_is_named(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "no-such.pdf", "--server", url) == 4
    assert "no-such.pdf" in capsys.readouterr().err


def test_status_cancel_and_retry_commands(web: WebService, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = web.open(2)
    web.fail(job_id, 1)
    assert run("status", job_id, "--server", url) == 0
    assert "missing pages: 1" in capsys.readouterr().out
    assert run("cancel", job_id, "--server", url) == 0
    assert run("status", job_id, "--server", url) == 5

    def repair() -> None:
        web.read(job_id, 1, run=2)
        web.finish(job_id)

    timer = threading.Timer(0.5, repair)
    timer.start()
    assert run("retry", job_id, "--pages", "1", "--server", url) == 3
    timer.join()


def test_convert_leaves_a_url_to_the_server(web: WebService, url: str, tmp_path: Path) -> None:
    source = "https://public.example/folder/annual%20report.pdf"
    with reading(web):
        assert run("convert", source, "--server", url, "-o", tmp_path, "--pages", "1-3") == 0
    assert "page 2" in (tmp_path / "annual report.md").read_text()
    [job] = web.ledger.jobs()
    assert (job.source_url, job.options.pages) == (source, "1-3")


def test_convert_of_a_private_url_says_what_to_do(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "http://192.168.0.1/a.pdf", "--server", url) == 4
    assert "Send the file itself" in " ".join(capsys.readouterr().err.split())

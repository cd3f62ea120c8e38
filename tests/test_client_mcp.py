"""The MCP server, as the official client package drives it: over stdio and HTTP in processes of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from conftest import plain_env
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from services import wait_until
from stand_in import Worker, reading
from web_service import PDF, WebService, page

from pagefan import AsyncClient
from pagefan.mcp import command
from pagefan.mcp.reading import chosen, excerpt, search, shortly
from pagefan.mcp.sending import bytes_of, path_of, send
from pagefan.mcp.server import http_options, make_server
from pagefan.paged import split_pages
from tasks.page_end import save_text
from workers.layout.blocks import Block, Cell, PageLayout

Work = Callable[[Any], Awaitable[Any]]
LIGHT = "import sys; from pagefan.mcp.command import main; sys.exit(main())"  # what `pagefan-mcp` runs
DATA_URI = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
CELLS = (
    Cell(row=0, column=0, text="Ship", is_header=True),
    Cell(row=0, column=1, text="Oil", is_header=True),
    Cell(row=1, column=0, text="Ann"),
    Cell(row=1, column=1, text="8.5"),
)


@contextlib.asynccontextmanager
async def by_stdio(url: str, *arguments: str, mode: str = "auto") -> AsyncIterator[Any]:
    """A client of `pagefan-mcp`, or of another command, as an assistant starts it.

    Mode `legacy` speaks the protocol of 2025, as most assistants do; `auto` that of 2026.
    """
    args = list(arguments) or ["-c", LIGHT]
    server = StdioServerParameters(command=sys.executable, args=args, env=plain_env(pagefan_url=url))
    async with Client(stdio_client(server), mode=mode) as client:
        yield client


@contextlib.asynccontextmanager
async def by_http(url: str, mode: str = "auto") -> AsyncIterator[Any]:
    with http_server(url) as address:
        async with Client(address, mode=mode) as client:
            yield client


@contextlib.asynccontextmanager
async def in_memory(url: str, *, may_read_files: bool = True) -> AsyncIterator[Any]:
    async with (
        AsyncClient(url, retry_s=0) as pagefan,
        Client(make_server(pagefan, may_read_files=may_read_files)) as client,
    ):
        yield client


def run(connection: Any, work: Work) -> Any:
    async def connected() -> Any:
        async with connection as client:
            return await work(client)

    return asyncio.run(asyncio.wait_for(connected(), 60))


async def call(client: Any, tool: str, **arguments: object) -> str:
    """What a model reads of a tool that does its work."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return str(answer.content[0].text)


async def refusal(client: Any, tool: str, **arguments: object) -> str:
    """What a model reads of a tool that fails."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer
    return str(answer.content[0].text)


def job_of(text: str) -> str:
    return text.partition("job: ")[2][:16]


def test_a_file_is_converted_read_and_searched_over_stdio(web: WebService, url: str, document: Path) -> None:
    told: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, _: str | None) -> None:
        told.append((progress, total))

    async def work(client: Any) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "convert", "read_pages", "search", "ask", "tables", "job_status", "cancel",
        }  # fmt: skip
        answer = await client.call_tool("convert", {"source": str(document)}, progress_callback=hear)
        text = answer.content[0].text
        job = job_of(text)
        assert "state: succeeded" in text
        assert "pages: 3; 3 of the 3 chosen are done" in text
        assert text.index("<!-- page 1 -->") < text.index("page 2") < text.index("<!-- page 3 -->")
        assert "page 2" in (found := await call(client, "read_pages", job=job, pages="2"))
        assert "page 3" not in found
        assert await call(client, "search", job=job, query="PAGE\n 3") == "1 places:\n- page 3: page 3"
        assert "state: succeeded" in await call(client, "job_status", job=job)
        result = await client.read_resource(f"pagefan://jobs/{job}/result.md")
        assert "page 1" in result.contents[0].text
        assert (await client.read_resource(f"pagefan://jobs/{job}/pages/2")).contents[0].text == "page 2"

    with reading(web):
        run(by_stdio(url, "-m", "web.cli", "mcp"), work)
    assert told[-1] == (3, 3)
    assert [progress for progress, _ in told] == sorted({progress for progress, _ in told})


def opening(web: WebService, num_pages: int, first: int = 0) -> Worker:
    """Opens each job and reads its first pages, and never the others."""

    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
        for number in range(1, first + 1):
            web.read(job_id, number)

    return Worker(web, work)


def only_job(web: WebService) -> str:
    [job] = web.ledger.jobs()
    return job.id


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("connect", [by_stdio, by_http])
def test_a_cancelled_call_cancels_its_job(web: WebService, url: str, connect: Any, mode: str) -> None:
    async def work(client: Any) -> None:
        heard = asyncio.Event()

        async def hear(progress: float, _total: float | None, _message: str | None) -> None:
            if progress == 1:
                heard.set()

        calling = asyncio.create_task(
            client.call_tool("convert", {"source": DATA_URI, "wait_s": 600}, progress_callback=hear)
        )
        await heard.wait()
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
        await asyncio.to_thread(wait_until, lambda: web.job(only_job(web)).state == "cancelled", 30)

    with opening(web, 3, first=1):
        run(connect(url, mode=mode), work)


def test_a_long_job_goes_on_when_the_call_has_waited_enough(web: WebService, url: str, document: Path) -> None:
    async def work(client: Any) -> None:
        text = await call(client, "convert", source=str(document), wait_s=0)
        job = job_of(text)
        assert f'job_status(job="{job}", wait_s=50)' in text
        assert "once it has ended" in await refusal(client, "search", job=job, query="x")
        await asyncio.to_thread(wait_until, lambda: web.job(job).counts.get("ok"), 30)
        assert "page 1" in await call(client, "read_pages", job=job, pages="1")
        assert "page 2 is not finished" in await call(client, "read_pages", job=job, pages="2")
        assert "state: cancelled" in await call(client, "cancel", job=job)

    with opening(web, 2, first=1):
        run(in_memory(url), work)


def test_questions_are_answered_page_by_page(web: WebService, url: str, document: Path) -> None:
    async def work(client: Any) -> None:
        text = await call(client, "ask", source=str(document), question="How much?", pages="1-2")
        assert "page 2" in text
        job = web.job(job_of(text))
        assert (job.options.task, job.options.question, job.options.pages) == ("ask", "How much?", "1-2")

    with reading(web, 2):
        run(in_memory(url), work)


def test_questions_to_an_engine_that_only_reads_are_refused_and_their_job_ends(
    web: WebService, url: str, document: Path
) -> None:
    def work_as_ocr(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=9, selection="1-9", size=9)
        save_text(page(job_id, 1), "print", engine="ocr", seconds=0.1)

    async def work(client: Any) -> None:
        words = await refusal(client, "ask", source=str(document), question="How much?")
        assert "language model" in words
        assert "`convert`" in words

    with Worker(web, work_as_ocr):
        run(in_memory(url), work)
    wait_until(lambda: web.job(only_job(web)).state == "cancelled", 30)


def test_tables_are_listed_and_given_as_csv(web: WebService, url: str) -> None:
    job_id = web.open(1)
    layout = PageLayout(lines=(), blocks=(Block(kind="table", text="t", cells=CELLS),), crops={})
    save_text(page(job_id, 1), "text", engine="text-layer", seconds=0.0, layout=layout)
    web.finish(job_id)

    async def work(client: Any) -> None:
        assert "1. page 1, 2 rows, 2 columns: Ship | Oil" in await call(client, "tables", job=job_id)
        assert (await call(client, "tables", job=job_id, number=1)).splitlines() == ["Ship,Oil", "Ann,8.5"]
        assert "no table 2" in await refusal(client, "tables", job=job_id, number=2)

    run(in_memory(url), work)


def test_long_text_is_given_in_parts_that_lead_on(web: WebService, url: str) -> None:
    job_id = web.open(4)
    for number in range(1, 5):
        save_text(page(job_id, number), f"page {number} {'x' * 300}", engine="vlm", seconds=0.1)
    web.finish(job_id)

    async def work(client: Any) -> None:
        text = await call(client, "read_pages", job=job_id, pages="2-", max_chars=700)
        assert "page 3" in text
        assert "page 4" not in text
        assert f'read_pages(job="{job_id}", pages="4") goes on' in text
        assert "no job id" in await refusal(client, "read_pages", job="../batches")
        assert "pages 1 to 4" in await refusal(client, "read_pages", job=job_id, pages="3-9")
        assert "Nothing in the 4 pages" in await call(client, "search", job=job_id, query="whale")

    run(in_memory(url), work)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("report.pdf", "no absolute path"),
        ("/nowhere/report.pdf", "No such file"),
        ("file:///nowhere/report.pdf", "No such file"),
        ("data:application/pdf;base64,%%%", "cannot be decoded"),
        ("data:application/pdf", "comma"),
        ("http://127.0.0.1/a.pdf", "127.0.0.1"),
    ],
)
def test_what_cannot_be_sent_is_said(url: str, source: str, words: str) -> None:
    async def work(client: Any) -> None:
        assert words in await refusal(client, "convert", source=source, wait_s=0)

    run(in_memory(url), work)


def test_server_that_is_away_is_said() -> None:
    async def work(client: Any) -> None:
        assert "PAGEFAN_URL" in await refusal(client, "convert", source=DATA_URI)

    run(in_memory("http://127.0.0.1:1"), work)


@contextlib.contextmanager
def http_server(url: str) -> Iterator[str]:
    """`pagefan-mcp --http` in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = [sys.executable, "-c", LIGHT, "--http", str(port), "--allow-host", "host.docker.internal"]
    with subprocess.Popen(arguments, env=os.environ | {"PAGEFAN_URL": url}, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: answers(port), 60, "the MCP server")
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 404
    return False


def test_over_http_bytes_are_converted_and_paths_and_strangers_are_refused(
    web: WebService, url: str, document: Path
) -> None:
    async def work(client: Any) -> None:
        for source in (str(document), document.as_uri()):
            assert "over HTTP" in await refusal(client, "convert", source=source)
        text = await call(client, "convert", source=DATA_URI, name="mine.pdf")
        assert "(mine.pdf)" in text
        assert "page 3" in text

    with reading(web), http_server(url) as address:
        run(Client(address), work)
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"Accept": "application/json, text/event-stream"}

        def status(**headers: str) -> int:
            return httpx.post(address, json=body, headers=accept | headers).status_code

        assert status(Host="evil.example.com") == 421
        assert status(Origin="http://evil.example.com") == 403
        assert status(Host="host.docker.internal:1") == status() not in (403, 421)


def test_options_of_http_name_this_machine_alone_where_no_more_are_given() -> None:
    security = http_options([])["transport_security"]
    assert {name.removesuffix(":*") for name in security.allowed_hosts} == {"127.0.0.1", "localhost", "[::1]"}


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["pagefan-mcp"])
    assert command.main() == 4
    assert 'pip install "pagefan[mcp]"' in capsys.readouterr().err


def test_the_command_loads_the_package_only_when_it_runs() -> None:
    script = "import sys, web.cli.parser; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert "pagefan.mcp.command" in loaded.stdout.split()
    assert not {"mcp", "uvicorn", "starlette"} & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [("", [1, 2, 3, 4, 5]), ("2", [2]), ("4,1-2", [1, 2, 4]), ("-1", [5]), ("4-", [4, 5]), (" 1 - 2 ", [1, 2])],
)
def test_selections_are_read_as_people_write_them(selection: str, numbers: list[int]) -> None:
    assert chosen(selection, 5) == numbers


@pytest.mark.parametrize("selection", ["0", "6", "3-2", "-6", "two", "1,,2", "1--2"])
def test_other_selections_are_refused(selection: str) -> None:
    with pytest.raises(ValueError, match="page"):
        chosen(selection, 5)


def test_pages_are_split_at_their_marks_and_given_as_far_as_they_fit() -> None:
    pages = split_pages("*Note.*\n\n<!-- page 1 -->\n\nOne goes <!-- page 2 --> on.\n\n<!-- page 4 -->\n\n" + "x" * 500)
    assert (pages[1], pages[2], pages[4][:3]) == ("One goes", "on.", "xxx")
    text, left = excerpt(pages, [1, 2, 4], 100)
    assert (text, left) == ("<!-- page 1 -->\n\nOne goes\n\n<!-- page 2 -->\n\non.", [4])
    text, left = excerpt(pages, [4, 5], 100)
    assert "Cut here" in text
    assert left == [5]
    assert shortly([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"


def test_search_shows_the_surroundings_and_counts_the_rest() -> None:
    hits, total = search([(1, "a" * 300 + " Oil\nlamp " + "b" * 300), (2, "oil lamp, oil lamp")], "oil lamp", 2)
    assert ([hit.page_number for hit in hits], total) == ([1, 2], 3)
    assert hits[0].snippet.startswith("…aaa")
    assert " Oil lamp " in hits[0].snippet
    with pytest.raises(ValueError, match="Nothing to search"):
        search([], " ", 1)


def test_data_and_file_addresses_are_read() -> None:
    assert bytes_of("data:text/plain,a%20b") == b"a b"
    assert path_of("file:///tmp/a%20b.pdf") == Path("/tmp/a b.pdf")


def test_a_call_that_is_cancelled_while_it_sends_has_its_job_to_cancel() -> None:
    sent: list[Any] = []

    async def work() -> None:
        with anyio.CancelScope() as call:

            class Slow:
                async def submit(self, _: bytes, *, name: str) -> dict[str, str]:
                    call.cancel()
                    await anyio.sleep(0)
                    return {"id": "1", "name": name}

            sent.append(await send(cast(AsyncClient, Slow()), DATA_URI, "a.pdf", {}, may_read_files=False))
            await anyio.sleep(0)
            sent.append("more than a cancelled call does")

    anyio.run(work)
    assert sent == [{"id": "1", "name": "a.pdf"}]


def line(**message: object) -> str:
    return json.dumps({"jsonrpc": "2.0", **message}) + "\n"


def test_an_assistant_that_ends_cancels_its_jobs(web: WebService, url: str) -> None:
    arguments = [sys.executable, "-c", LIGHT, "--server", url]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    convert = {"name": "convert", "arguments": {"source": DATA_URI, "wait_s": 600}}
    with (
        opening(web, 3, first=1),
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin
        assert process.stdout
        process.stdin.write(line(id=1, method="initialize", params=hello))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "pagefan"
        process.stdin.write(line(method="notifications/initialized"))
        process.stdin.write(line(id=2, method="tools/call", params=convert))
        process.stdin.flush()
        wait_until(lambda: [job for job in web.ledger.jobs() if job.state == "running"], 30, "the job")
        process.stdin.close()
        wait_until(lambda: web.job(only_job(web)).state == "cancelled", 30)
        assert process.wait(30) == 0

"""The answer to a question about a document: over REST, in results, and on the job's page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest
from web_service import PDF, WebService

from pagefan import Answer, AsyncClient, Client
from tasks.assemble.answer import keep_answer
from tasks.assemble.job_end import end_assembled
from tasks.assemble.results import write_results
from tasks.messages import JobOptions
from web.cli import parser as cli

SAID = "Marta [page 2], not [page 9]. <script>1</script>"


def ask(web: WebService, *, task: Any = "ask") -> str:
    """A job of two pages that are read, and whose question is open."""
    job_id = f"6{web.ledger.redis.incr('test:answers'):015d}"
    options = JobOptions(task=task, scope="document", question="Who?" if task == "ask" else "", schema='{"a":1}')
    web.ledger.create(job_id, owner="local", name="a.pdf", kind="pdf", size=1, options=options)
    web.ledger.begin_split(job_id)
    web.ledger.open_first_run(job_id, num_pages=2, selection="1-2", size=2)
    web.read(job_id, 1)
    web.read(job_id, 2, width=640, height=800, has_image=True)
    assert web.ledger.begin_assembly(job_id) == "assemble"
    return job_id


def answer(web: WebService, job_id: str, **said: Any) -> None:
    keep_answer(web.job(job_id), said)
    write_results(job_id)
    end_assembled(job_id, "succeeded", said.get("error"))


def test_an_answer_is_had_once_it_is_there(web: WebService) -> None:
    job_id = ask(web)
    assert (
        web.get(f"/jobs/{job_id}/answer").status_code,
        "appears here" in web.client.get(f"/jobs/{job_id}").text,
    ) == (
        409,
        True,
    )
    answer(web, job_id, text=SAID, is_found=True, pages=[2], is_cited=True)
    assert web.get(f"/jobs/{job_id}/answer").json["pages"] == [2]
    assert web.get(f"/jobs/{job_id}/result").text == f"{SAID}\n\n*From page 2.*\n"
    assert web.get(f"/jobs/{job_id}/result?format=json").json["answer"]["text"] == SAID
    assert "page 2" in web.get(f"/jobs/{job_id}/result?format=chunks").text


def test_the_pages_of_an_answer_are_links_and_nothing_in_it_runs(web: WebService) -> None:
    job_id = ask(web)
    answer(web, job_id, text=SAID, is_found=True, pages=[2], is_cited=True)
    shown = web.client.get(f"/jobs/{job_id}").text
    assert f'href="/jobs/{job_id}?from=2#page-2"' in shown
    assert "from=9" not in shown
    assert "<script>1" not in shown


def test_values_of_a_document_are_marked_on_their_page(web: WebService) -> None:
    job_id = ask(web, task="extract")
    value = {"path": "dogs", "value": 2, "page_number": 2, "box": [10.0, 20.0, 30.0, 40.0]}
    answer(web, job_id, text="-", data={"dogs": 2}, values=[value], is_found=True, pages=[2])
    assert web.get(f"/jobs/{job_id}/answer").json["values"] == [value]
    assert '<th scope="row">dogs</th>' in web.client.get(f"/jobs/{job_id}").text
    for number, is_marked in ((1, False), (2, True)):
        assert ('class="value"' in web.client.get(f"/jobs/{job_id}/pages/{number}/fragment").text) is is_marked


def test_a_question_without_an_answer_fails_its_job_and_says_why(web: WebService) -> None:
    job_id = ask(web)
    answer(web, job_id, error={"reason": "timeout", "detail": "It took too long."})
    assert web.get(f"/jobs/{job_id}").json["error"] == {"reason": "timeout", "detail": "It took too long."}
    assert "This question has no answer" in web.client.get(f"/jobs/{job_id}").text
    assert "It took too long." in web.get(f"/jobs/{job_id}/result").text


def test_clients_and_the_command_line_have_the_answer(
    web: WebService, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = {"text": SAID, "is_found": True, "pages": [2], "is_cited": True}
    document, schema = tmp_path / "a.pdf", tmp_path / "schema.json"
    document.write_bytes(PDF)
    schema.write_text('{"type": "object"}')
    sent: list[dict[str, Any]] = []

    def ended(self: object, _: object, **options: Any) -> Any:
        """A job that is sent, and has ended with an answer."""
        sent.append(options)
        job_id = ask(web, task=options["task"])
        answer(web, job_id, **said)
        return Client.status(cast("Client", self), job_id)

    monkeypatch.setattr(Client, "submit", ended)
    with Client(url) as client:
        result = client.ask(document, "Who?", scope="document")
        assert result.answer["pages"] == [2]
        assert client.answer(result.job["id"]) == result.answer
        client.extract(document, {"type": "object"}, scope="document", dpi=100)
    assert sent[1] == {"task": "extract", "schema": '{"type": "object"}', "scope": "document", "dpi": 100}
    assert cli.main(["ask", str(document), "Who?", "--scope", "document", "--server", url]) == 0
    assert capsys.readouterr().out == f"{SAID}\n"
    assert cli.main(["extract", str(document), str(schema), "--scope", "document", "--server", url]) == 0
    assert json.loads(capsys.readouterr().out) == {"data": None, "values": [], "missing_pages": []}


async def ask_async(url: str, job_id: str) -> Answer:
    async with AsyncClient(url) as client:
        return await client.answer(job_id)


def test_the_asynchronous_client_has_the_answer_too(web: WebService, url: str) -> None:
    job_id = ask(web)
    answer(web, job_id, text=SAID, is_found=True, pages=[2])
    assert asyncio.run(ask_async(url, job_id))["text"] == SAID


def test_other_jobs_have_no_answer(web: WebService) -> None:
    job_id = web.open(1)
    assert web.get(f"/jobs/{job_id}/answer").json["type"].endswith(":no-result")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scope": "document"}, "`scope=document` is for `task=ask`"),
        ({"scope": "document", "task": "ask"}, "needs a `question`"),
        ({"scope": "book", "task": "ask", "question": "Who?"}, "'page' or 'document'"),
    ],
)
def test_a_scope_without_what_it_needs_is_refused(web: WebService, options: dict[str, Any], words: str) -> None:
    assert words in web.upload(**options).text

"""Two engines on one server: each reads what is asked of it, beside the other, with a queue of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import plain_env
from services import Service, make_pdf, wait_until
from web_service import WebService, web_service

from tasks.beside import plain_request, read_beside
from tasks.ledger import Ledger, connect
from tasks.messages import JobOptions, PageTask
from tasks.runs import load_run
from tasks.settings import SettingsError, load_settings
from web.stack.environ import commands_of, read_procfile
from web.stack.stack import Stack
from workers.documents.pages import PreparedPage
from workers.engines import Generation

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")


@pytest.fixture(scope="module")
def service(start_stack: Callable[..., Stack]) -> Iterator[Service]:
    service = Service(start_stack(counts={"gpu-tesseract": 1}, other_engines="tesseract, echo"))
    yield service
    service.close()


@pytest.fixture
def ledger(redis_url: str) -> Ledger:
    ledger = Ledger(connect(redis_url))
    ledger.redis.flushdb()
    return ledger


def engines_of(service: Service, job_id: str) -> list[str]:
    assert service.wait(job_id)["state"] == "succeeded"
    return [page["engine"] for page in service.result(job_id)["pages"]]


@needs_tesseract
@pytest.mark.e2e
def test_a_job_is_read_by_the_engine_it_asks_for_and_a_page_again_by_another(service: Service) -> None:
    jobs = [service.submit(make_pdf(3), text_layer="ignore", engine=name) for name in ("", "tesseract", "echo")]
    assert [set(engines_of(service, job_id)) for job_id in jobs] == [{"echo"}, {"tesseract"}, {"echo"}]
    assert [page["text"] for page in service.result(jobs[1])["pages"]] == ["Page 1", "Page 2", "Page 3"]

    answer = service.http.post(f"/jobs/{jobs[0]}/retry", json={"pages": "2", "engine": "tesseract"})
    assert answer.status_code == 202, answer.text
    assert engines_of(service, jobs[0]) == ["echo", "tesseract", "echo"]
    service.http.post(f"/jobs/{jobs[0]}/retry", json={"pages": "2"})
    assert engines_of(service, jobs[0]) == ["echo", "echo", "echo"]


@needs_tesseract
@pytest.mark.e2e
def test_readyz_tells_the_engines_and_looks_at_the_workers_of_each(service: Service) -> None:
    told = service.http.get(f"{service.stack.base_url}/readyz").json()
    assert told["engines"] == ["echo", "tesseract"]
    assert told["checks"]["gpu-tesseract_worker"] == told["checks"]["gpu-tesseract_queue"] == "ok"
    assert next(iter(service.ledger.workers("gpu-tesseract").values()))["engine"] == "tesseract"
    wait_until(lambda: service.ledger.moved(["gpu-tesseract"])["gpu-tesseract"], 10, "a claim that moves the lane")


def test_an_engine_that_the_server_has_not_is_refused_with_those_it_has(web: WebService) -> None:
    answer = web.upload(engine="vlm")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["option"] == "engine"
    assert "no engine 'vlm', only ocr; more are set by OTHER_ENGINES" in answer.json["detail"]


def test_pages_of_one_job_wait_for_their_own_engine_and_leave_no_trace(ledger: Ledger) -> None:
    job_id = "lanes"
    ledger.create(job_id, owner="a", name="x.pdf", kind="pdf", size=1, options=JobOptions())
    ledger.begin_split(job_id)
    ledger.open_first_run(job_id, num_pages=4, selection="1-4", size=4)
    pages = [PageTask(job_id=job_id, run=1, index=index) for index in range(4)]
    for page in pages:
        ledger.move(page, "ready", bucket="", lane="tesseract" if page.index % 2 else "")
        ledger.offer(page)
    assert ledger.peek(9) == pages[::2]
    assert ledger.peek(9, "tesseract") == pages[1::2]
    assert ledger.ready_since("tesseract") >= ledger.ready_since() > 0
    claims = ledger.take("one", most=9, ttl_s=9, lane="tesseract")
    assert [claim.task for claim in claims] == pages[1::2]
    ledger.release("one", pages[1:2], blameless=True)
    assert ledger.peek(9, "tesseract") == pages[1:2]
    ledger.cancel(job_id)
    assert ledger.peek(9, "tesseract") == ledger.peek(9) == []
    ledger.forget(job_id)
    assert [key for key in ledger.redis.keys("pf:ready:*") if job_id in key] == []


def test_a_document_is_read_by_the_reader_that_suits_the_engine_it_asks_for(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    class Reading:
        def run(self, *_: object, engine: str, **__: object) -> Generation:
            used.append(engine)
            return Generation(text="")

    monkeypatch.setattr("tasks.beside.get_reading_sandbox", Reading)
    monkeypatch.setattr("tasks.services.has_runtime", lambda: True)
    with web_service(redis_url, tmp_path, monkeypatch, engine="tesseract", other_engines="openai") as web:
        options = JobOptions(task="ask", question="Who?", scope="document", engine="openai")
        web.ledger.create("asked", owner="local", name="x.pdf", kind="pdf", size=1, options=options)
        web.ledger.begin_split("asked")
        web.ledger.open_first_run("asked", num_pages=1, selection="1", size=1)
        page = PageTask(job_id="asked", run=1, index=0)
        assert load_run("asked", 1).engine == "ocr"
        drawn = PreparedPage(
            png=b"", packed=None, width=9, height=9, rotation=0, is_blank=False, text_layer="", num_tokens=0
        )
        read_beside(page, drawn, plain_request(page))
    assert used == ["ocr"]


def test_each_other_engine_has_a_worker_on_its_queue() -> None:
    settings = load_settings(plain_env(engine="ocr", other_engines="vlm,ocr,tesseract"))
    commands = commands_of(settings)
    assert set(commands) - set(read_procfile()) == {"gpu-vlm", "gpu-tesseract"}
    assert "--queues gpu-vlm --pool" in commands["gpu-vlm"]


def test_an_other_engine_that_nobody_knows_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="OTHER_ENGINES='vlm,tess' has a name that is not known: 'tess' is not one"):
        load_settings({"OTHER_ENGINES": "vlm,tess"})

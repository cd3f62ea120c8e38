"""What a GPU worker tells of the model server that its engine asks, and how pages fare in the whole service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from conftest import StartStack
from fault_server import FaultServer, serve
from PIL import Image
from services import Service, make_pdf, wait_until

from tasks.generate.served import engine_report, most_pages, observe_requests
from tasks.ledger import Ledger, connect
from tasks.metrics import KEY
from workers.engines import Control, PageRequest
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.registry import load_engine
from workers.prompts import TRANSCRIBE


def test_memory_of_a_gpu_does_not_bound_a_client() -> None:
    assert most_pages(load_engine("openai", OpenAIOptions(parallel_requests=16)), 8) == 16
    assert most_pages(load_engine("openai"), 8) == 1
    assert most_pages(load_engine("echo"), 8) == 8


def test_requests_are_entered_into_the_metrics_once(redis_url: str) -> None:
    with serve() as server, closing(Ledger(connect(redis_url)).redis) as redis:
        redis.flushdb()
        engine = OpenAIEngine(OpenAIOptions(base_url=server.base_url, model="m"))
        engine.load()
        with closing(engine):
            prepared = engine.prepare(Image.new("RGB", (32, 32)), PageRequest(page_number=1))
            engine.generate([prepared, prepared], Control())
            assert engine_report(engine) == {"trouble": "", "in_flight": 0}
            observe_requests(engine, Ledger(redis))
            observe_requests(engine, Ledger(redis))
        counted = [float(value) for key, value in redis.hgetall(KEY).items() if '"sum"' not in key]
    assert sum(counted) == 4  # two requests, two pages


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with serve(latency_s=0.02) as server:
        yield server


@pytest.fixture(scope="module")
def service(start_stack: StartStack, server: FaultServer) -> Iterator[Service]:
    """A stack whose engine asks the fault server for two pages at once."""
    stack = start_stack(
        engine="openai", openai_base_url=server.base_url, model="m", parallel_vlm_requests=2,
        vlm_concurrent_timeout=20, keep_page_images=0,
    )  # fmt: skip
    with closing(Service(stack)) as service:
        yield service


@pytest.mark.e2e
def test_failed_page_is_marked_and_the_others_finish(service: Service, server: FaultServer) -> None:
    bad = len(server.attempts[TRANSCRIBE])
    server.plan = {TRANSCRIBE: ["ok"] * bad + ["400"]}
    job = service.wait(service.submit(make_pdf(6)))
    assert job["state"] == "partial"
    pages = service.result(job["id"])["pages"]
    assert [page["page_number"] for page in pages] == [1, 2, 3, 4, 5, 6]
    (failed,) = (page for page in pages if page["state"] == "failed")
    assert "the model server answered 400: told to answer 400" in failed["detail"]
    markdown = service.http.get(f"/jobs/{job['id']}/result", params={"format": "md"}).text
    assert f"VLM_ERROR page {failed['page_number']}]" in markdown


@pytest.mark.e2e
def test_failed_page_falls_back_to_its_text_layer(service: Service, server: FaultServer) -> None:
    server.plan = {TRANSCRIBE: ["ok"] * len(server.attempts[TRANSCRIBE]) + ["400"]}
    job_id = service.submit(make_pdf(3, first=50), text_layer="fallback")
    service.wait(job_id)
    states = {page["state"]: page["text"] for page in service.result(job_id)["pages"]}
    assert set(states) == {"ok", "fallback"}
    assert "Page 5" in states["fallback"]


@pytest.mark.e2e
def test_page_without_answer_keeps_nobody_waiting(service: Service, server: FaultServer) -> None:
    server.plan = {TRANSCRIBE: ["ok"] * len(server.attempts[TRANSCRIBE]) + ["never"]}
    stuck = service.submit(make_pdf(12, first=60))
    wait_until(lambda: service.job(stuck)["pages"]["ok"] == 11, 15, "the other pages of the document")
    assert service.wait(service.submit(make_pdf(3, first=80)))["state"] == "succeeded"
    assert service.job(stuck)["state"] == "running"
    (key,) = service.ledger.redis.keys(f"*g-{stuck}.1.j")
    wait_until(lambda: service.ledger.redis.zcard(key) == 11, 5, "the chord to know of 11 pages, each once")
    service.http.delete(f"/jobs/{stuck}")
    assert service.wait(stuck)["state"] == "cancelled"
    wait_until(lambda: server.in_flight == 0, 10, "the server to see the disconnect")
    server.plan = {}


@pytest.mark.e2e
def test_cancelled_job_aborts_its_requests(service: Service, server: FaultServer) -> None:
    num_before, num_gone = len(server.attempts[TRANSCRIBE]), server.num_gone
    server.plan = {TRANSCRIBE: ["ok"] * num_before + ["never"] * 99}
    job_id = service.submit(make_pdf(5, first=20))
    wait_until(lambda: server.in_flight == 2, 30, "two requests")
    assert service.http.delete(f"/jobs/{job_id}").status_code < 300
    wait_until(lambda: server.num_gone == num_gone + 2, 10, "the server to see both disconnects")
    assert service.wait(job_id)["state"] == "cancelled"
    assert len(server.attempts[TRANSCRIBE]) == num_before + 2
    server.plan = {}


@pytest.mark.e2e
def test_readyz_and_metrics_tell_of_the_server(service: Service, server: FaultServer) -> None:
    """Last, as the pages wait for the server until they are done."""
    root = httpx.URL(service.stack.base_url)
    server.sick = "503"
    job_id = service.submit(make_pdf(3, first=30))
    answer = wait_until(lambda: unready(root), 30, "an unready service")
    assert "answered 503" in answer["checks"]["gpu_worker"]
    server.sick = ""
    assert service.wait(job_id)["state"] == "succeeded"
    wait_until(lambda: not unready(root), 30, "a ready service")
    metrics = wait_until(lambda: told(httpx.get(root.join("/metrics")).text), 10, "the requests in the metrics")
    assert 'pagefan_request_seconds_count{outcome="http_400"}' in metrics
    assert 'pagefan_page_seconds_count{engine="openai",step="request"}' in metrics
    assert "pagefan_requests_in_flight{worker=" in metrics


def unready(root: httpx.URL) -> dict[str, dict[str, str]]:
    answer = httpx.get(root.join("/readyz"))
    return dict(answer.json()) if answer.status_code == 503 else {}


def told(metrics: str) -> str:
    return metrics if 'outcome="http_503"' in metrics else ""

"""An engine that does not load: who is told what, and what becomes of its process."""

from __future__ import annotations

import pytest
from web_service import WebService, body_of

from tasks.generate.batcher import Batcher
from tasks.generate.failure import NEVER_LOADS, describe, forget_failure, give_up, report_failure
from tasks.metrics import LedgerCollector
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.engines import EngineError, OutOfMemory
from workers.engines.echo import EchoEngine, EchoOptions

SECRET = "/srv/models/secret cannot be read"


class Ended(Exception):
    """The process would have ended."""


class Broken(EchoEngine):
    def load(self) -> None:
        raise EngineError(SECRET)


@pytest.mark.parametrize(
    ("reason", "is_final"),
    [
        (EngineError("no such model"), True),
        (ImportError("no torch"), True),
        (OutOfMemory("another process has the GPU yet"), False),
        (RuntimeError("CUDA error"), False),
        (OSError("connection reset"), False),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(reason: Exception, *, is_final: bool) -> None:
    assert (NEVER_LOADS in describe(reason, "vlm")) == is_final


def test_batcher_raises_what_the_engine_raised(web: WebService) -> None:
    batcher = Batcher(Broken(EchoOptions()), get_ledger(), get_blobs(), get_settings(), print, print)
    with pytest.raises(EngineError, match=SECRET):
        batcher.start()
    batcher.close(5)
    assert web.ledger.workers("gpu") == {}


def test_process_says_why_and_ends(
    web: WebService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr("tasks.generate.failure.AGAIN_S", 0)
    web.ledger.report_alive("cpu", "c")
    with pytest.raises(Ended):
        give_up(EngineError(SECRET), web.ledger, engine="vlm", worker="w")
    assert SECRET in caplog.text
    answer = web.client.get("/readyz")
    assert answer.status_code == 503
    assert body_of(answer)["checks"]["gpu_worker"] == "the engine vlm cannot be loaded, its worker's log says why"
    assert SECRET not in answer.text


def test_worker_that_stops_takes_its_failure_with_it(web: WebService) -> None:
    for worker in ("mended", "other"):
        report_failure(web.ledger, worker, describe(EngineError(), "vlm"))
    forget_failure(web.ledger, "mended")
    assert list(web.ledger.workers("gpu")) == ["other:failed"]


def test_worker_without_an_engine_takes_no_tasks_and_hides_none_that_does(web: WebService) -> None:
    web.ledger.report_alive("cpu", "c")
    report_failure(web.ledger, "broken", describe(EngineError(), "vlm"))
    (alive,) = (metric for metric in LedgerCollector(web.ledger).collect() if metric.name == "pagefan_workers")
    assert {sample.labels["queue"]: sample.value for sample in alive.samples} == {"cpu": 1, "gpu": 0}
    web.ledger.report_alive("gpu", "well", engine="vlm", busy=0.0)
    assert web.client.get("/readyz").status_code == 200

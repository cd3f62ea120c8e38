"""What a GPU worker tells of its engine, and of the model server where the engine is the client of one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from tasks.ledger import Ledger
from tasks.metrics import observe
from workers.engines import Engine, JoiningEngine


@runtime_checkable
class ReportingEngine(Protocol):
    """The part of an engine that tells how it works."""

    def report(self) -> dict[str, Any]:
        """Facts for the worker's report, from any thread: `runtime` in words, `languages` that it can read now."""
        ...


@runtime_checkable
class ServedEngine(Protocol):
    """The part of a server's client that others have not; `generate` and all of this may be used in any thread."""

    name: str

    @property
    def trouble(self) -> str:
        """Why pages wait for the server; empty when it is well."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        ...

    def take_notes(self) -> tuple[list[tuple[str, float]], list[float]]:
        """Outcome and seconds of each request, and the seconds of each page, that ended since the last call."""
        ...


def takes_single_pages(engine: Engine) -> bool:
    """Whether `engine`, which is loaded, wants a page whenever another has ended, and not batches."""
    return isinstance(engine, JoiningEngine) and engine.num_slots > 0


def most_pages(engine: Engine, gpu_batch_pages: int) -> int:
    """Most pages that an engine is given at once; GPU_BATCH_PAGES is about the memory of a GPU, not of a server."""
    if isinstance(engine, JoiningEngine) and engine.num_slots > 0:
        return engine.num_slots
    return max(1, min(gpu_batch_pages, engine.max_batch))


def engine_report(engine: Engine) -> dict[str, Any]:
    """How the engine works, or how its server is doing, for the worker's report."""
    if isinstance(engine, ServedEngine):
        return {"trouble": engine.trouble, "in_flight": engine.in_flight}
    return dict(engine.report()) if isinstance(engine, ReportingEngine) else {}


def observe_requests(engine: Engine, ledger: Ledger) -> None:
    """Enter into the metrics what was asked of the server since the last call."""
    if not isinstance(engine, ServedEngine):
        return
    requests, page_seconds = engine.take_notes()
    for outcome, seconds in requests:
        observe(ledger, "request_seconds", seconds, outcome=outcome)
    for seconds in page_seconds:
        observe(ledger, "page_seconds", seconds, step="request", engine=engine.name)

"""A thread that does what the workers would, through the ledger, at the test's pace."""

from __future__ import annotations

import threading
from collections.abc import Callable

from web_service import WebService


class Worker(threading.Thread):
    """Takes each job that is submitted and does `work(job_id)`, as the workers would."""

    def __init__(self, web: WebService, work: Callable[[str], object]) -> None:
        super().__init__()
        self.web, self.work, self.is_over = web, work, threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        while not self.is_over.wait(0.05):
            for job_id in self.web.ledger.active_jobs():
                if self.web.ledger.begin_split(job_id):
                    self.try_to_work(job_id)

    def try_to_work(self, job_id: str) -> None:
        """Who waits for the job hears of a failure too, or would wait for ever."""
        try:
            self.work(job_id)
        except Exception as exc:
            self.failure = exc
            error = {"reason": "internal", "detail": f"The stand-in broke: {exc!r}"}
            self.web.ledger.end_job(job_id, "failed", error=error)

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join()
        if self.failure:
            raise AssertionError("the stand-in for the workers broke") from self.failure


def reading(web: WebService, num_pages: int = 3, failed: tuple[int, ...] = ()) -> Worker:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
        for number in range(num_pages, 0, -1):
            web.fail(job_id, number) if number in failed else web.read(job_id, number)
        web.finish(job_id)

    return Worker(web, work)


def finished_job(web: WebService, num_pages: int, failed: tuple[int, ...] = ()) -> str:
    job_id = web.open(num_pages)
    for number in range(num_pages, 0, -1):
        web.fail(job_id, number) if number in failed else web.read(job_id, number)
    web.finish(job_id)
    return job_id


def refusing(web: WebService) -> Worker:
    def work(job_id: str) -> None:
        error = {"reason": "corrupt", "detail": "The file is damaged."}
        web.ledger.end_job(job_id, "failed", error=error)

    return Worker(web, work)

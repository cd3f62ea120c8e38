"""What came of a question about a document as a whole: a file of its job, `answer.N.json`.

The files of a question bear the number of the run, for a repair asks anew.
"""

from __future__ import annotations

from typing import Any

from tasks.archive import load_pages
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.services import get_blobs, get_ledger

PARTS = ("json", "png", "packed")  # the files that a model is asked with


def question_key(job: Job, part: str) -> str:
    return job_key(job.id, f"question.{job.run}.{part}")


def answer_key(job: Job) -> str:
    return job_key(job.id, f"answer.{job.run}.json")


def read_answer(job: Job) -> dict[str, Any] | None:
    """What came of the job's question; None where there is nothing yet, or it asks none."""
    if not job.options.asks_document:
        return None
    try:
        return dict(get_blobs().read_json(answer_key(job)))
    except BlobMissing:
        return None


def unanswered(job_id: str) -> dict[str, str] | None:
    """Why the job's question has no answer, as {reason, detail}; None where it has one, or asks none."""
    job = get_ledger().job(job_id)
    found = read_answer(job) if job else None
    return found["error"] if found else None


def keep_answer(job: Job, answer: dict[str, Any]) -> None:
    """Write what came of the question, with the pages that nobody could look at; what it was asked with goes then."""
    missing = [page.page_number for page in load_pages(job) if page.state in ("failed", "cancelled")]
    whole = {
        "task": job.options.task,
        "question": job.options.question,
        "text": "",
        "is_found": False,
        "pages": [],
        "is_cited": False,
        "pages_asked": [],
        "is_all": True,
        "missing_pages": missing,
        "data": None,
        "values": [],
        "error": None,
        "engine": "",
        "tokens": 0,
        "seconds": 0.0,
    }
    get_blobs().write_json(answer_key(job), whole | answer)
    for part in PARTS:
        get_blobs().delete(question_key(job, part))


def failure(reason: str, detail: str) -> dict[str, Any]:
    return {"text": "", "error": {"reason": reason, "detail": detail}}

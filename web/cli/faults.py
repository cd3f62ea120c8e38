"""What went wrong with a document, in words for whoever sent it."""

from __future__ import annotations

from pathlib import Path

from pagefan.answers import JobFailed, Json, Refused
from pagefan.records import Job

IS_IT_RUNNING = "Is the server running? `pagefan up` starts one here; PAGEFAN_URL or --server names another."


def about(source: str, error: Exception) -> str:
    """What went wrong with which document; the server's sentences may begin with its name."""
    if isinstance(error, OSError) and error.strerror:
        at = f", {error.filename}" if error.filename and str(error.filename) != source else ""
        return f"{source}: {error.strerror}{at}"
    name = f"{Path(source).name}: "
    return f"{source}: {str(error).removeprefix(name)}"


def is_askers(error: Exception, source: str) -> bool:
    """Whether who asks can mend it: an option that is refused, a file that cannot be read."""
    if isinstance(error, Refused):
        return error.status < 500 and error.status != 429
    return isinstance(error, OSError) and str(error.filename) == source


def failure_facts(error: Exception) -> Json:
    """`reason` is the stable name of what went wrong, where it has one."""
    if isinstance(error, JobFailed):
        return job_facts(error.job) | {
            "reason": fault["reason"] if (fault := error.job["error"]) else "",
            "error": str(error),
        }
    return {"reason": error.kind if isinstance(error, Refused) else "", "error": str(error)}


def job_facts(job: Job) -> Json:
    return {"job": job["id"], "state": job["state"], "missing_pages": job["missing_pages"]}

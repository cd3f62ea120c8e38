"""The searchable PDF of a job, made by a CPU worker when somebody first asks for it, and kept with the job.

It is as large as the source and costs a look at each page, so that a job does not wait for it and most need none.
A repair gives a job another run, and with it another file; a correction removes it.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import redis

from tasks import passwords
from tasks.app import app
from tasks.archive import load_job
from tasks.assemble.results import iter_page_results
from tasks.blobs import BlobMissing, job_key, source_key
from tasks.broker import NORMAL
from tasks.ledger.records import Job
from tasks.runs import password_of
from tasks.services import get_blobs, get_ledger, get_sandbox
from tasks.settings import document_limits, get_settings
from workers.documents.kinds import DocumentError
from workers.documents.pages import write_searchable_pdf
from workers.results.page import page_record
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

logger = logging.getLogger(__name__)

MAKING = "making"
PAGE_S = 2.0  # most time for a page, on the average; a large one without loss takes as long
FAILURE_S = 60  # how long a failure stands before another try


def pdf_key(job: Job) -> str:
    return job_key(job.id, f"searchable.{job.run}.pdf")


def mark_key(job: Job) -> str:
    return f"pf:pdf:{job.id}:{job.run}"


def ask_for_pdf(job: Job) -> str:
    """ "ready", "making", or the reason for people why it cannot be made; called by the web, starts what is missing."""
    if get_blobs().exists(pdf_key(job)):
        return "ready"
    client = get_ledger().redis
    if client.set(mark_key(job), MAKING, nx=True, ex=int(longest_s(job) + 60)):
        write_pdf.apply_async((job.id,), priority=NORMAL, argsrepr=f"job {job.id}")
        get_ledger().take_back(job.id, mark_key(job))
    return str(client.get(mark_key(job)) or MAKING)


def longest_s(job: Job) -> float:
    return get_settings().open_timeout_s + PAGE_S * job.num_selected


@app.task(name="write_pdf")
def write_pdf(job_id: str) -> None:
    """Make the PDF of a job that has ended, the last that needs its password; a failure is on record for who asked."""
    job = load_job(job_id)
    if job is None or not job.has_ended:
        return
    try:
        if not get_blobs().exists(pdf_key(job)):
            try_to_make(job)
    finally:
        if job.options.has_password:
            passwords.forget(job_id, job.run)


def try_to_make(job: Job) -> None:
    try:
        make_pdf(job)
    except BlobMissing:
        note_failure(job, "The uploaded file is gone from the store.")
    except SandboxTimeout:
        note_failure(job, f"Making the PDF took over {longest_s(job):g} s.")
    except SandboxDied:
        note_failure(job, "The process that made the PDF died; the file may be damaged.")
    except DocumentError as exc:
        note_failure(job, exc.detail)
    except OSError as exc:
        note_failure(job, f"The PDF could not be stored ({exc.strerror}); free space and ask again.")
    except redis.RedisError:
        raise
    except Exception:
        logger.exception("job %s: no searchable PDF", job.id)
        note_failure(job, "Something went wrong on the server while the PDF was made; its log has the details.")


def make_pdf(job: Job) -> None:
    source = get_blobs().local(source_key(job.id, job.kind))
    with tempfile.TemporaryDirectory(prefix="pagefan-") as folder:
        pages, made = Path(folder, "pages.jsonl"), Path(folder, "searchable.pdf")
        with pages.open("w", encoding="utf-8") as out:
            out.writelines(
                json.dumps(page_record(replace(page, attempts=()))) + "\n" for page in iter_page_results(job)
            )
        get_sandbox().run(
            write_searchable_pdf,
            source,
            pages,
            made,
            password=password_of(job, job.run),
            limits=document_limits(),
            timeout_s=longest_s(job),
        )
        now = load_job(job.id)
        if now is None or (now.run, now.seq) != (job.run, job.seq):
            logger.info("job %s changed while its PDF was made", job.id, extra={"job": job.id})
        else:
            with get_blobs().writer(pdf_key(job)) as blob, made.open("rb") as file:
                shutil.copyfileobj(file, blob)
            remove_older(job)
    get_ledger().redis.delete(mark_key(job))


def remove_older(job: Job) -> None:
    """Remove the PDFs of earlier runs, which have other text."""
    remove_pdfs(job.id, but=pdf_key(job))


def remove_pdfs(job_id: str, *, but: str = "") -> None:
    """Remove the PDFs of a job, whose text is no longer its pages'; the next one who asks has another made."""
    for name in get_blobs().names(job_key(job_id)):
        if name.startswith("searchable.") and job_key(job_id, name) != but:
            get_blobs().delete(job_key(job_id, name))


def note_failure(job: Job, detail: str) -> None:
    logger.warning("job %s: no searchable PDF: %s", job.id, detail, extra={"job": job.id})
    get_ledger().redis.set(mark_key(job), detail, ex=FAILURE_S)
    get_ledger().take_back(job.id, mark_key(job))

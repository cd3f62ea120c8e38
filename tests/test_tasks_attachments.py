"""PDFs and images within a PDF become jobs of its batch: each once, whatever is lost on the way, and within limits."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from web_service import WebService

from tasks import attachments, passwords, pipeline, split
from tasks.archive import load_batch
from tasks.ids import attachment_id
from tasks.ledger.records import Job
from tasks.retention import purge_job
from tasks.settings import get_settings
from workers.light_pymupdf import pymupdf
from workers.sandbox.sandbox import SandboxTimeout

STEPS = ("unpack", "store", "enter", "write_job_record", "send_split", "open_first_run")


class Lost(BaseException):
    """The worker is gone."""


class HereAndNow:
    """A sandbox without processes; it may be too slow to finish the attached files."""

    is_slow = False

    def run(self, work: Callable[..., Any], *args: Any, timeout_s: float, **more: Any) -> Any:
        result = work(*args, **more)
        if self.is_slow and work.__name__ == "save_attached":
            raise SandboxTimeout(f"no answer within {timeout_s:g} s")
        return result


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> HereAndNow:
    sandbox = HereAndNow()
    for module in (split, attachments):
        monkeypatch.setattr(module, "get_sandbox", lambda: sandbox)
    return sandbox


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, sandbox: HereAndNow) -> list[str]:  # noqa: ARG001
    sent: list[str] = []
    monkeypatch.setattr(pipeline, "send_split", lambda job_id, **_: sent.append(job_id))
    return sent


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(out, "png")
    return out.getvalue()


def portfolio(**files: bytes) -> bytes:
    document = pymupdf.open()
    document.new_page().insert_text((50, 50), "For the best experience, open this portfolio in Acrobat.")
    for name, data in files.items():
        document.embfile_add(name, data, filename=name.replace("_", "."))
    return bytes(document.tobytes())


DOCUMENT = portfolio(report_pdf=portfolio(deep_pdf=portfolio()), sums_xlsx=b"PK\3\4", scan_png=picture())
NAMES = ["report.pdf", "scan.png"]


def submit(web: WebService, data: bytes = DOCUMENT, **options: str) -> str:
    return web.submit(data=data, name="all.pdf", **{"attachments": "1"} | options)


def attached_to(web: WebService, job_id: str) -> list[Job]:
    parent = job_of(web, job_id)
    return [job for job in load_batch("local", parent.batch_id) if job.id != job_id]


def job_of(web: WebService, job_id: str) -> Job:
    job = web.ledger.job(job_id)
    assert job is not None
    return job


def test_readable_files_become_jobs_of_the_batch_and_the_others_are_named(web: WebService, sent: list[str]) -> None:
    job_id = submit(web, pages="1", dpi="150", batch_id="mine")
    pipeline.split_document(job_id)
    found = attached_to(web, job_id)
    assert [(job.name, job.kind, job.state, job.batch_id) for job in found] == [
        ("report.pdf", "pdf", "queued", "mine"),
        ("scan.png", "png", "queued", "mine"),
    ]
    assert sent == [job.id for job in found]
    assert {(job.parent, job.options.pages, job.options.dpi, job.options.attachments) for job in found} == {
        (job_id, "", 150, False)
    }
    assert job_of(web, job_id).warnings == (
        "Attached to the PDF and not read: sums.xlsx (neither a PDF nor an image). Save what you need from it, and "
        "send that.",
    )
    assert web.get(f"/jobs/{found[0].id}").json["parent"] == job_id
    assert web.get(f"/jobs/{job_id}").json["options"]["attachments"] is True


def test_files_within_attached_files_are_named_only(web: WebService, sent: list[str]) -> None:
    job_id = submit(web)
    pipeline.split_document(job_id)
    pipeline.split_document(sent[0])
    assert len(attached_to(web, job_id)) == 2
    assert "deep.pdf" in job_of(web, sent[0]).warnings[0]


def test_without_the_option_there_is_a_warning_only(web: WebService, sent: list[str]) -> None:
    job_id = submit(web, attachments="0")
    pipeline.split_document(job_id)
    assert not attached_to(web, job_id)
    assert not sent
    assert "report.pdf, sums.xlsx, scan.png" in job_of(web, job_id).warnings[0]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("is_done", [True, False])
def test_worker_that_is_lost_at_any_step_makes_nothing_twice(
    web: WebService, sent: list[str], step: str, call: int, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: Any = {"send_split": pipeline, "open_first_run": type(web.ledger)}.get(step, attachments)
    real, calls = getattr(home, step), []

    def lose(*args: Any, **more: Any) -> Any:
        calls.append(step)
        if len(calls) != call:
            return real(*args, **more)
        if is_done:
            real(*args, **more)
        raise Lost

    job_id = submit(web)
    with monkeypatch.context() as patch:
        patch.setattr(home, step, lose)
        if call == 2 and step in ("unpack", "open_first_run"):
            pipeline.split_document(job_id)
        else:
            with pytest.raises(Lost):
                pipeline.split_document(job_id)
    pipeline.split_document(job_id)
    found = attached_to(web, job_id)
    assert [job.name for job in found] == NAMES
    assert [job.id for job in found] == [attachment_id(job_id, number) for number in (1, 3)]
    assert job_of(web, job_id).state == "running"
    assert set(sent) == {job.id for job in found}
    for job in found:
        pipeline.split_document(job.id)
        assert job_of(web, job.id).state == "running"


def test_purged_attachment_does_not_come_back(
    web: WebService, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(web)
    monkeypatch.setattr(type(web.ledger), "open_first_run", lambda *_, **__: (_ for _ in ()).throw(Lost))
    with pytest.raises(Lost):
        pipeline.split_document(job_id)
    purge_job(sent[0])
    monkeypatch.undo()
    assert attachments.take_attachments(job_id)[0] == [attachment_id(job_id, 3)]
    assert [job.name for job in attached_to(web, job_id)] == ["scan.png"]


def test_limit_of_unfinished_jobs_holds_and_is_told(
    web: WebService, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(web)
    monkeypatch.setenv("MAX_JOBS_QUEUED", "2")
    get_settings.cache_clear()
    pipeline.split_document(job_id)
    assert [job.name for job in attached_to(web, job_id)] == ["report.pdf"]
    assert sent == [attachment_id(job_id, 1)]
    assert "scan.png (there were too many unfinished jobs)" in job_of(web, job_id).warnings[0]


@pytest.mark.usefixtures("sent")
def test_cancelled_document_has_no_further_jobs(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submit(web)
    real = attachments.unpack

    def cancel(job: Job, folder: Path) -> bool:
        web.client.delete(f"/api/v1/jobs/{job_id}")
        return real(job, folder)

    monkeypatch.setattr(attachments, "unpack", cancel)
    pipeline.split_document(job_id)
    assert not attached_to(web, job_id)
    assert job_of(web, job_id).state == "cancelled"


def test_attached_documents_open_with_the_same_password(web: WebService, sent: list[str]) -> None:
    plain = pymupdf.open("pdf", portfolio(report_pdf=portfolio()))
    locked = plain.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="sesame", owner_pw="sesame")
    job_id = submit(web, locked, password="sesame")
    pipeline.split_document(job_id)
    assert [job.options.has_password for job in attached_to(web, job_id)] == [True]
    assert passwords.read(sent[0], 1) == "sesame"


@pytest.mark.usefixtures("sent")
def test_what_was_unpacked_in_time_is_read(web: WebService, sandbox: HereAndNow) -> None:
    sandbox.is_slow = True
    job_id = submit(web)
    pipeline.split_document(job_id)
    assert [job.name for job in attached_to(web, job_id)] == NAMES
    assert any("Not all files" in words for words in job_of(web, job_id).warnings)


@pytest.mark.usefixtures("sent")
def test_option_does_nothing_to_other_documents(web: WebService) -> None:
    for data in (portfolio(), picture()):
        job_id = web.submit(data=data, name="a", attachments="1")
        pipeline.split_document(job_id)
        assert job_of(web, job_id).warnings == ()
        assert not attached_to(web, job_id)

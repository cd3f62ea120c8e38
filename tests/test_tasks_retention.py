"""The periodic sweep: folders that no job came to, of uploads whose process died."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from web_service import WebService

from tasks.blobs import job_key, page_key
from tasks.retention import ORPHAN_S, clear_cancelled, expire_jobs
from tasks.services import get_blobs

ID = "00000000000000aa"


def orphan(folder: Path, *names: str, age_s: float) -> Path:
    """A job's folder with these files, written so long ago."""
    job = folder / "blobs" / "jobs" / ID
    job.mkdir(parents=True)
    for name in names:
        (job / name).parent.mkdir(exist_ok=True)
        (job / name).write_text("{")
    for path in sorted((job, *job.rglob("*")), reverse=True):
        os.utime(path, (time.time() - age_s,) * 2)
    return job


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("names", [(), ("source.pdf",), ("source.pdf.0a.part", "pages/000001.png"), ("job.json",)])
def test_a_folder_that_no_job_came_to_goes_once_it_is_left_alone(tmp_path: Path, names: tuple[str, ...]) -> None:
    job = orphan(tmp_path, *names, age_s=ORPHAN_S + 60)
    expire_jobs()
    assert not job.exists()


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("names", [(), ("source.pdf",), ("job.json",)])
def test_a_young_folder_stays(tmp_path: Path, names: tuple[str, ...]) -> None:
    job = orphan(tmp_path, *names, age_s=ORPHAN_S - 60)
    expire_jobs()
    assert job.is_dir()


@pytest.mark.usefixtures("web")
def test_a_folder_that_is_being_written_stays_however_old_the_rest_is(tmp_path: Path) -> None:
    job = orphan(tmp_path, "source.pdf", "pages/000001.png", age_s=10 * ORPHAN_S)
    with (job / "source.pdf.0a.part").open("wb") as upload:
        upload.write(b"%PDF")
        os.utime(job, (time.time() - 10 * ORPHAN_S,) * 2)
        expire_jobs()
    assert job.is_dir()


def test_the_folder_of_a_job_stays_though_it_has_no_record(web: WebService, tmp_path: Path) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    folder = tmp_path / "blobs" / "jobs" / job_id
    for path in sorted((folder, *folder.rglob("*")), reverse=True):
        os.utime(path, (1, 1))
    expire_jobs()
    assert folder.is_dir()


@pytest.mark.parametrize(("keeps_images", "kept"), [(True, ["000001.png", "000002.png"]), (False, ["000001.png"])])
def test_pages_of_a_cancelled_job_leave_nothing_that_only_the_engine_wanted(
    web: WebService, monkeypatch: pytest.MonkeyPatch, keeps_images: bool, kept: list[str]
) -> None:
    monkeypatch.setattr("tasks.page_end.keeps_images", lambda _: keeps_images)
    job_id = web.open(3)
    web.read(job_id, 1)
    get_blobs().write(page_key(job_id, 0, "png"), b"of a page that waits for its layout")
    for suffix in ("png", "packed", "layer.txt"):
        get_blobs().write(page_key(job_id, 1, suffix), b"of a page that waits for the engine")
    web.ledger.cancel(job_id)
    clear_cancelled(job_id)
    assert [name for name in get_blobs().names(job_key(job_id, "pages")) if not name.endswith("json")] == kept

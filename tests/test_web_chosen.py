"""What is done to several jobs at once, by the form around the list, and the small pictures in it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from documents import save_readable
from PIL import Image
from web_service import WebService

from tasks.settings import get_settings

pytestmark = pytest.mark.usefixtures("no_worker")


def read_job(web: WebService, name: str = "report.pdf", *, num_failed: int = 0) -> str:
    job_id = web.open(2, name=name)
    web.read(job_id, 1, f"the text of {job_id}")
    if num_failed:
        web.fail(job_id, 2)
    else:
        web.read(job_id, 2)
    web.finish(job_id)
    return job_id


def act(web: WebService, action: str, *ids: str, back: str = "", **fields: str) -> Any:
    page = web.client.get("/jobs").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    return web.client.post(
        "/jobs/chosen", data={"csrf_token": token, "action": action, "job": list(ids), "back": back, **fields}
    )


def test_results_come_in_one_zip_each_under_a_name_of_its_own(web: WebService) -> None:
    ids = [read_job(web, name) for name in ("a/b.pdf", "Report.pdf", "report.png")]
    running = web.open(1, name="late.pdf")
    answer = act(web, "download", *ids, running, format="md")
    assert answer.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    names = archive.namelist()
    assert [names[0].rpartition("/")[2], *names[1:]] == ["b.md", "Report.md", "report-2.md", "left out.txt"]
    for name, job_id in zip(names, ids, strict=False):
        assert job_id in archive.read(name).decode()
    assert "late.pdf" in archive.read("left out.txt").decode()
    assert act(web, "download", *ids, format="exe").status_code == 422


def test_jobs_are_retried_cancelled_and_deleted(web: WebService) -> None:
    whole, holed, running = read_job(web), read_job(web, num_failed=1), web.open(1)
    answer = act(web, "retry", whole, holed, running, back="q=report&evil=1&state=failed")
    assert answer.status_code == 303
    assert "evil" not in answer.headers["Location"]
    page = web.client.get(answer.headers["Location"]).text
    assert "1 job read again. 2 had no page without text, or were at work." in page
    assert 'value="report"' in page
    assert web.job(holed).state == "running"
    act(web, "cancel", whole, running)
    assert (web.job(whole).state, web.job(running).state) == ("succeeded", "cancelled")
    answer = act(web, "delete", whole, holed, running)
    assert "3 jobs deleted." in web.client.get(answer.headers["Location"]).text
    assert web.get("/jobs").json["jobs"] == []


def test_a_locked_document_keeps_no_other_from_being_read_again(web: WebService) -> None:
    locked, holed = web.submit(), read_job(web, num_failed=1)
    web.ledger.begin_split(locked)
    web.ledger.end_job(locked, "failed", error={"reason": "encrypted", "detail": "The PDF needs a password."})
    answer = act(web, "retry", locked, holed)
    assert answer.status_code == 303
    assert (web.job(locked).state, web.job(holed).state) == ("failed", "running")


def test_nothing_is_done_to_what_is_not_the_askers(web: WebService) -> None:
    mine, other = read_job(web), web.open(1, owner="key-other")
    for action in ("delete", "cancel", "retry", "download"):
        assert act(web, action, other, "..", "x" * 16, format="md").status_code == 422
    assert web.job(other).state == "running"
    assert web.client.post("/jobs/chosen", data={"action": "delete", "job": mine}).status_code == 403
    assert act(web, "burn", mine).status_code == 422
    assert web.job(mine)


def test_made_up_words_of_what_was_done_are_not_shown(web: WebService) -> None:
    web.open(1)
    for query in ("did=<b>&done=1&of=1", "did=delete&done=9&of=1", "did=delete&done=x&of=y", "did=delete&done=-1&of=2"):
        assert 'class="notice"' not in web.client.get(f"/jobs?{query}").text


def test_the_first_page_is_shown_small_and_kept(web: WebService) -> None:
    job_id = web.open(1)
    assert web.client.get(f"/jobs/{job_id}/thumbnail").mimetype == "image/svg+xml"
    save_readable(job_id, 1)
    answer = web.client.get(f"/jobs/{job_id}/thumbnail")
    assert answer.mimetype == "image/webp"
    picture = Image.open(io.BytesIO(answer.data))
    assert max(picture.size) <= 224
    assert web.client.get(f"/jobs/{job_id}/thumbnail").data == answer.data
    other = web.open(1, owner="key-other")
    assert web.client.get(f"/jobs/{other}/thumbnail").status_code == 404


def test_no_picture_is_kept_where_page_images_are_not(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = web.open(1)
    save_readable(job_id, 1)
    monkeypatch.setenv("KEEP_PAGE_IMAGES", "0")
    get_settings.cache_clear()
    assert web.client.get(f"/jobs/{job_id}/thumbnail").mimetype == "image/svg+xml"

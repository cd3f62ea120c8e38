"""A page that a person corrected, in every format; undone, read again, put away and purged."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from documents import LINES, save_readable
from services import make_pdf
from web_service import WebService, body_of, check_problem

from tasks import shelf
from tasks.assemble.content import correction_key
from tasks.assemble.job_end import conclude
from tasks.assemble.searchable import make_pdf as make_searchable
from tasks.assemble.searchable import pdf_key
from tasks.blobs import source_key
from tasks.repair import retry_job
from tasks.retention import purge_job
from tasks.services import get_blobs
from workers.light_pymupdf import pymupdf

pytestmark = pytest.mark.usefixtures("no_worker")

FORMATS = ("md", "txt", "json", "html", "docling", "chunks", "hocr", "alto")


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(2, name="ships.pdf")
    get_blobs().write(source_key(job_id, "pdf"), make_pdf(2))
    save_readable(job_id, 1)
    web.read(job_id, 2, notices=("low_confidence",))
    web.finish(job_id)
    conclude(job_id)
    return job_id


def path(job_id: str, number: int = 1) -> str:
    return f"/api/v1/jobs/{job_id}/pages/{number}/text"


def correct(web: WebService, job_id: str, old: str = "never", new: str = "hardly", number: int = 1) -> dict[str, Any]:
    text = web.client.get(path(job_id, number)).text
    assert old in text
    answer = web.client.put(path(job_id, number), json={"text": text.replace(old, new)})
    assert answer.status_code == 200, answer.text
    return body_of(answer)


def results(web: WebService, job_id: str) -> dict[str, str]:
    texts = {name: web.get(f"/jobs/{job_id}/result?format={name}").text for name in FORMATS}
    word = zipfile.ZipFile(io.BytesIO(web.get(f"/jobs/{job_id}/result?format=docx").data))
    return texts | {"docx": word.read("word/document.xml").decode()}


def searchable(web: WebService, job_id: str) -> str:
    job = web.job(job_id)
    make_searchable(job)
    with pymupdf.open(stream=get_blobs().read(pdf_key(job)), filetype="pdf") as document:
        return str(document[0].get_text())


def test_correction_is_in_all_formats_and_one_click_takes_it_back(web: WebService, job_id: str) -> None:
    before, tag = results(web, job_id), web.get(f"/jobs/{job_id}/result").headers["ETag"]
    page = correct(web, job_id)
    assert page["corrected_at"]
    assert [line["text"] for line in page["lines"]][2] == "ral seas & <hardly> rest."
    assert web.get(f"/jobs/{job_id}/result").headers["ETag"] != tag
    for name, text in results(web, job_id).items():
        assert "hardly" in text, name
        assert "never" not in text, name
    assert json.loads(results(web, job_id)["json"])["pages"][0]["is_corrected"]
    assert body_of(web.client.delete(path(job_id)))["corrected_at"] is None
    after = results(web, job_id)
    assert {name for name in before if name != "json" and after[name] != before[name]} <= {"docx"}
    assert "hardly" not in "".join(after.values())


def test_searchable_pdf_is_made_anew(web: WebService, job_id: str) -> None:
    assert "never" in searchable(web, job_id)
    correct(web, job_id)
    assert not get_blobs().exists(pdf_key(web.job(job_id)))
    made = searchable(web, job_id)
    assert "hardly" in made
    assert "never" not in made


def test_words_are_found_as_they_were_corrected(web: WebService, job_id: str) -> None:
    correct(web, job_id)
    assert body_of(web.client.get(f"/jobs/{job_id}/find?q=hardly"))["count"] == 1
    assert body_of(web.client.get(f"/jobs/{job_id}/find?q=never"))["count"] == 0


def test_corrected_page_is_no_longer_to_be_looked_at(web: WebService, job_id: str) -> None:
    assert body_of(web.get(f"/jobs/{job_id}"))["pages_to_look_at"] == [1, 2]
    correct(web, job_id, "page 2", "page two", number=2)
    assert body_of(web.get(f"/jobs/{job_id}"))["pages_to_look_at"] == [1]


def test_correction_outlives_another_one_a_repair_and_the_shelf(web: WebService, job_id: str) -> None:
    assert shelf.put_away(job_id)
    correct(web, job_id)
    correct(web, job_id, "Ann", "Anna")
    retry_job(job_id, pages="1", options={})
    check_problem(web.client.put(path(job_id), json={"text": "x"}), 409, "still-running")
    web.read(job_id, 1, "\n".join(line.text for line in LINES).replace("12", "13"), run=2)
    web.finish(job_id)
    conclude(job_id)
    text = web.client.get(path(job_id)).text
    assert "hardly" in text
    assert "Anna" in text
    assert shelf.put_away(job_id)
    assert web.client.get(path(job_id)).text == text
    assert "hardly" in web.get(f"/jobs/{job_id}/result?format=md").text
    web.client.delete(path(job_id))
    assert "hardly" not in web.get(f"/jobs/{job_id}/result?format=md").text


def test_purged_job_leaves_no_correction(web: WebService, job_id: str) -> None:
    correct(web, job_id)
    assert get_blobs().exists(correction_key(job_id, 0))
    purge_job(job_id)
    assert not get_blobs().exists(correction_key(job_id, 0))


def test_page_without_text_is_not_corrected(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.finish(job_id)
    check_problem(web.client.put(path(job_id, 2), json={"text": "x"}), 409, "no-text")
    check_problem(web.client.put(path(job_id, 3), json={"text": "x"}), 404, "unknown-page")
    check_problem(web.client.put(path("f" * 16), json={"text": "x"}), 404, "unknown-job")
    assert not get_blobs().exists(correction_key(job_id, 1))


def test_form_corrects_and_undoes(web: WebService, job_id: str) -> None:
    page = web.client.get(f"/jobs/{job_id}/pages/1").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    values = {"csrf_token": token, "text": "# Boats\r\n\r\nThey float."}
    answer = web.client.post(f"/jobs/{job_id}/pages/1/correct", data=values)
    assert (answer.status_code, answer.location) == (303, f"/jobs/{job_id}/pages/1")
    assert "They float." in web.client.get(answer.location).text
    assert web.client.post(f"/jobs/{job_id}/pages/1/undo", data={"csrf_token": token}).status_code == 303
    assert "They float." not in web.client.get(answer.location).text
    assert web.client.post(f"/jobs/{job_id}/pages/1/correct", data={"text": "x"}).status_code == 403

"""The list of jobs: found by names, by texts, by what is known of them; paged; never what is another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from web_service import WebService, check_problem

from tasks.archive import load_job, pages_at
from tasks.assemble.job_end import conclude
from tasks.corrections import correct_page, undo_correction
from tasks.index import get_index
from tasks.indexing import reindex
from tasks.repair import rename_job
from tasks.retention import purge_job
from tasks.shelf import put_away
from web.cli.parser import main


def read_job(web: WebService, *texts: str, put_by: bool = False, **about: Any) -> str:
    """A job that has ended with these texts, a page each."""
    job_id = web.open(len(texts), **about)
    for number, text in enumerate(texts, start=1):
        web.read(job_id, number, text)
    web.finish(job_id)
    conclude(job_id)
    if put_by:
        assert put_away(job_id)
    return job_id


def found(web: WebService, **query: Any) -> list[str]:
    answer = web.get("/jobs", query_string=query)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json["jobs"]]


def test_jobs_are_found_by_name_and_by_text(web: WebService) -> None:
    lamps = read_job(web, "rain", "Lamps of the old harbour, and <b>more</b> lamps", name="survey.pdf", put_by=True)
    ships = read_job(web, "Ships", name="Lamp list.pdf")
    running = web.open(1, name="lampshade.pdf")
    assert found(web, q="lamp") == [running, ships, lamps]
    assert found(web, q="old harb") == [lamps]
    assert found(web, q="URVEY") == [lamps]
    assert found(web, q=ships) == [ships]
    matches = web.get("/jobs?q=harbour").json["matches"]
    assert matches[lamps]["page_number"] == 2
    page = web.client.get("/jobs?q=lamps").text
    assert "<mark>Lamps</mark> of the old harbour, and &lt;b&gt;more" in page
    assert f"/jobs/{lamps}?q=lamps&amp;from=2#page-2" in page


def test_conditions_hold_together(web: WebService) -> None:
    done = read_job(web, "Lamps", put_by=True)
    running = web.open(1)
    failed = web.open(1)
    web.fail(failed, 1)
    web.finish(failed)
    conclude(failed)
    assert found(web, state="succeeded") == [done]
    assert found(web, state=["running", "failed"]) == [failed, running]
    assert found(web, engine="echo") == [done]
    assert found(web, engine="ocr") == []
    assert found(web, q="lamps", state="failed") == []
    assert found(web, since="2020-01-01", until="2100-01-01T00:00:00Z") == [failed, running, done]
    assert found(web, since="2100-01-01") == []
    assert found(web, until="2020-01-01") == []
    check_problem(web.get("/jobs?since=soon"), 422, "invalid-options")
    check_problem(web.get("/jobs?state=done"), 422, "invalid-options")


def test_a_batch_is_looked_through(web: WebService) -> None:
    first, second = web.submit(name="a.pdf", batch_id="b1"), web.submit(name="b.pdf", batch_id="b1")
    web.submit(name="a.pdf")
    assert found(web, batch_id="b1") == [second, first]
    assert found(web, batch_id="b1", q="a.p") == [first]


@pytest.mark.parametrize("query", ['"', "*", "NEAR(", "a AND", "\x00", "%", "😀", "' OR 1=1 --", "x" * 200])
def test_no_query_is_an_error(web: WebService, query: str) -> None:
    read_job(web, "Lamps")
    assert found(web, q=query) == []
    assert web.client.get("/jobs", query_string={"q": query}).status_code == 200


def test_pages_of_the_list_stay_put_while_jobs_come(web: WebService) -> None:
    ids = [read_job(web, "lamp") if number % 2 else web.open(1, name="lamp") for number in range(7)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = web.get("/jobs", query_string={"q": "lamp", "limit": 2, "cursor": cursor}).json
        seen += [job["id"] for job in answer["jobs"]]
        cursor = answer["next"]
        web.open(1, name="lamp")
    assert seen == ids[::-1]


def test_others_find_nothing(web: WebService) -> None:
    read_job(web, "Lamps", owner="key-other", name="lamps.pdf")
    assert found(web, q="lamps") == []


def test_a_job_that_goes_is_not_found(web: WebService) -> None:
    job_id = read_job(web, "Lamps", put_by=True)
    purge_job(job_id)
    assert found(web, q="lamps") == []
    index = get_index()
    assert index is not None
    assert index.ids("local", "lamps") == set()


def test_corrections_and_new_names_are_found(web: WebService) -> None:
    job_id = read_job(web, "Lanps", put_by=True)
    job = load_job(job_id)
    assert job is not None
    [page] = pages_at(job, [0])
    correct_page(job_id, page, shown="Lanps", text="Lamps")
    assert (found(web, q="lamps"), found(web, q="lanps")) == ([job_id], [])
    undo_correction(job_id, page)
    assert (found(web, q="lamps"), found(web, q="lanps")) == ([], [job_id])
    rename_job(job_id, "harbour.pdf")
    assert found(web, q="harbour") == [job_id]


def lose() -> None:
    index = get_index()
    assert index is not None
    index.path.unlink()


def break_it() -> None:
    index = get_index()
    assert index is not None
    index.path.write_bytes(b"no database" * 1000)


@pytest.mark.parametrize("harm", [lose, break_it])
def test_an_index_that_is_lost_is_made_anew(
    web: WebService, harm: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = read_job(web, "Lamps", name="survey.pdf", put_by=True)
    harm()
    assert found(web, q="lamps") == []
    assert found(web, q="survey") == [job_id]
    assert found(web, engine="echo") == [job_id]
    assert main(["reindex"]) == 0
    assert capsys.readouterr().out == "1 jobs can be found by their text\n"
    assert found(web, q="lamps") == [job_id]


@pytest.mark.usefixtures("web")
def test_reindex_says_where_there_is_no_index(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.indexing.get_index", lambda: None)
    with pytest.raises(ValueError, match="no local folder"):
        reindex()
    assert main(["reindex"]) == 2
    assert "BLOB_URL" in capsys.readouterr().err


def test_the_command_line_finds_jobs(web: WebService, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = read_job(web, "Lamps")
    web.open(1)
    assert main(["jobs", "--search", "lamps", "--state", "succeeded", "--engine", "echo", "--server", url]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [job_id]
    assert main(["jobs", "--until", "2020-01-01", "--server", url]) == 0
    assert capsys.readouterr().out == ""
    assert main(["jobs", "--since", "soon", "--server", url]) == 2

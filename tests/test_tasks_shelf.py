"""Finished jobs leave Redis, all there is to know of them stays, and a repair brings them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from web_service import WebService, page, read_events

from tasks import archive, repair, shelf
from tasks.assemble.job_end import conclude
from tasks.blobs import BlobMissing, job_key
from tasks.ledger import UnknownJob
from tasks.ledger.records import Page
from tasks.messages import JobOptions
from tasks.page_end import remove_intermediates
from tasks.reconcile import find_forgotten_jobs, look_after, reconcile
from tasks.repair import cancel_job, retry_job
from tasks.retention import expire_jobs, purge_job
from tasks.runs import load_run
from tasks.services import get_blobs
from web.api.shown import page_notice

pytestmark = pytest.mark.usefixtures("no_worker")

LISTS = ["pf:jobs", "pf:jobs:local"]


def ended(web: WebService, *, num_pages: int = 4) -> str:
    """A job whose second page failed, third page ran twice, and which was concluded."""
    job_id = web.open(num_pages)
    for number in {*range(1, num_pages + 1)} - {2}:
        web.read(job_id, number)
    web.fail(job_id, 2, detail="It was stopped.")
    retry_job(job_id, pages="3", options={})
    web.read(job_id, 3, "page 3 again", run=2, notices=("low_confidence",))
    web.finish(job_id)
    conclude(job_id)
    return job_id


def put_away(web: WebService, job_id: str) -> None:
    assert shelf.put_away(job_id)
    assert not web.ledger.has(job_id)


def keys_of(web: WebService, job_id: str) -> list[str]:
    return sorted(web.ledger.redis.scan_iter(f"*{job_id}*", count=1000))


def seen(web: WebService, job_id: str) -> dict[str, Any]:
    """All that the API tells of a job."""
    paths = [f"/jobs/{job_id}{end}" for end in ("", "/pages", "/pages?since=5", "/pages/2", "/pages/3", "/result")]
    paths += [f"/jobs/{job_id}/result?format={format}" for format in ("json", "html")]
    answers = {path: web.get(path) for path in [*paths, "/jobs", "/jobs?limit=1"]}
    told = {path: (answer.status_code, answer.headers.get("ETag"), answer.text) for path, answer in answers.items()}
    events = web.get(f"/jobs/{job_id}/events?since=4:1").text
    return told | {"events": list(read_events(iter(events.splitlines())))}


def test_a_job_that_was_put_away_is_seen_as_before(web: WebService) -> None:
    job_id = ended(web)
    pages_before = web.client.get(f"/jobs/{job_id}").text
    before = seen(web, job_id)
    put_away(web, job_id)
    assert seen(web, job_id) == before
    assert web.client.get(f"/jobs/{job_id}").text.count("cell") == pages_before.count("cell")
    assert web.client.get(f"/jobs/{job_id}/pages/3").status_code == 200
    assert json.loads(before[f"/jobs/{job_id}"][2])["missing_pages"] == [2]
    assert [event["event"] for event in before["events"]][-1] == "end"


def test_what_stays_in_redis_is_the_place_in_the_lists(web: WebService) -> None:
    job_id = ended(web)
    assert len(keys_of(web, job_id)) > 3
    put_away(web, job_id)
    assert keys_of(web, job_id) == []
    lists = {key for key in web.ledger.redis.scan_iter("pf:*", _type="zset") if web.ledger.redis.zscore(key, job_id)}
    assert lists == set(LISTS)
    assert web.ledger.num_active() == 0


def test_a_finished_job_takes_less_than_a_kilobyte(web: WebService) -> None:
    redis = web.ledger.redis
    before = redis.info("memory")["used_memory"]
    for number in range(500):
        job_id = batch_id = f"e{number:015x}"
        web.ledger.create(
            job_id, owner="key-12345678", name="r.pdf", kind="pdf", size=1, options=JobOptions(), batch_id=batch_id
        )
        web.ledger.begin_split(job_id)
        web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "It is damaged."})
        conclude(job_id)
        put_away(web, job_id)
    assert redis.info("memory")["used_memory"] - before <= 500 * 1000


@pytest.mark.parametrize("pages", ["failed", "1", "1-4"])
def test_a_repair_brings_it_back_and_ends_as_ever(web: WebService, pages: str) -> None:
    job_id = ended(web)
    put_away(web, job_id)
    run = retry_job(job_id, pages=pages, options={"dpi": 90})
    assert run == 3
    job = web.ledger.job(job_id)
    assert job is not None
    assert (job.state, job.run) == ("running", 3)
    assert job.counts["queued"] == {"failed": 1, "1": 1, "1-4": 4}[pages]
    assert load_run(job_id, 3).options.dpi == 90
    look_after(job_id, {page(job_id, number, 3).task_id for number in range(1, 5)})  # sends no page of earlier runs
    assert web.ledger.positions_fed(job_id, 1) == web.ledger.positions_fed(job_id, 2) == []
    for index in list(load_run(job_id, 3).selection):
        web.read(job_id, index + 1, "read anew", run=3)
    web.finish(job_id)
    conclude(job_id)
    texts = [page["text"] for page in web.get(f"/jobs/{job_id}/result?format=json").json["pages"]]
    expected = {"failed": ["page 1", "read anew", "page 3 again", "page 4"],
                "1": ["read anew", "", "page 3 again", "page 4"], "1-4": ["read anew"] * 4}  # fmt: skip
    assert texts == expected[pages]
    put_away(web, job_id)


def test_the_ledger_has_it_again_as_it_was(web: WebService) -> None:
    job_id = ended(web)
    job, pages = web.ledger.job(job_id), web.ledger.pages(job_id)
    put_away(web, job_id)
    assert shelf.take_out(job_id)
    assert web.ledger.job(job_id) == job
    assert web.ledger.pages(job_id) == pages
    assert web.ledger.pages(job_id, 6) == [page for page in pages if page.seq > 6]
    assert shelf.take_out(job_id)
    assert web.ledger.settled_due(10) == []


def test_a_cancelled_job_is_put_away_and_repaired_too(web: WebService) -> None:
    job_id = web.open(3)
    web.read(job_id, 1)
    cancel_job(job_id)
    before = web.get(f"/jobs/{job_id}").json
    assert before["missing_pages"] == [2, 3]
    put_away(web, job_id)
    assert web.get(f"/jobs/{job_id}").json == before
    cancel_job(job_id)
    assert web.get(f"/jobs/{job_id}").json == before
    retry_job(job_id, pages="2", options={})
    web.read(job_id, 2, run=2)
    web.finish(job_id)
    assert web.get(f"/jobs/{job_id}").json["missing_pages"] == [3]


def test_a_job_that_is_put_away_in_the_moment_of_its_repair_is_repaired(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ended(web)

    def charge(*_: object) -> None:
        put_away(web, job_id)

    monkeypatch.setattr(repair, "charge_pages", charge)
    assert retry_job(job_id, pages="failed", options={}) == 3


def test_a_job_that_is_put_away_while_its_pages_are_read_is_read_whole(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ended(web)
    job, read = web.ledger.job(job_id), web.ledger.pages_at
    assert job is not None
    calls: list[int] = []

    def pages_at(job_id: str, indexes: list[int]) -> Any:
        if calls:
            return read(job_id, indexes)
        calls.append(1)
        put_away(web, job_id)
        return read(job_id, indexes)

    expected = archive.load_pages(job)
    monkeypatch.setattr(web.ledger, "pages_at", pages_at)
    assert archive.load_pages(job) == expected
    assert [page.index for page in archive.pages_since(job, 6)] == [page.index for page in expected if page.seq > 6]


def test_a_job_is_not_put_away_before_its_time(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    running = web.open(1)
    assert not shelf.put_away(running)
    unconcluded = web.open(1)
    web.read(unconcluded, 1)
    web.finish(unconcluded)
    assert not shelf.put_away(unconcluded)
    job_id = ended(web)
    assert web.ledger.settled_due(10) == []
    seq = web.get(f"/jobs/{job_id}").json["seq"]
    assert not web.ledger.put_away(job_id, seq - 1)
    web.ledger.redis.zadd("pf:settled", {job_id: 1})
    retry_job(job_id, pages="1", options={})
    assert web.ledger.settled_due(10) == []
    assert not shelf.put_away(job_id)
    monkeypatch.setattr("tasks.ledger.end.SETTLE_S", -1)
    web.read(job_id, 1, run=3)
    web.finish(job_id)
    conclude(job_id)
    reconcile()
    assert not web.ledger.has(job_id)
    assert web.ledger.has(running)


def test_files_that_lack_something_are_written_first(web: WebService) -> None:
    job_id = ended(web)
    before = seen(web, job_id)
    get_blobs().write(job_key(job_id, "pages.jsonl"), b"")
    get_blobs().delete(job_key(job_id, "job.json"))
    put_away(web, job_id)
    assert seen(web, job_id) == before


def test_a_store_that_cannot_be_read_keeps_the_job_in_redis(
    web: WebService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = ended(web)
    web.ledger.redis.zadd("pf:settled", {job_id: 1})

    def refuse(_: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shelf, "job_on_file", refuse)
    shelf.put_away_settled()
    assert web.ledger.has(job_id)
    assert "stays in Redis" in caplog.text


def test_a_webhook_is_told_first(web: WebService) -> None:
    job_id = web.open(1)
    options = json.dumps(JobOptions(webhook_url="https://example.com/hook").to_json())
    web.ledger.redis.hset(f"pf:job:{job_id}", "options", options)
    web.read(job_id, 1)
    web.finish(job_id)
    conclude(job_id)
    assert not shelf.put_away(job_id)
    attempt = {"event": f"{job_id}.1.succeeded", "at": 1.0, "seconds": 0.1}
    web.ledger.note_delivery(job_id, attempt | {"status": 500, "reason": "http_500"})
    assert not shelf.put_away(job_id)
    web.ledger.note_delivery(job_id, attempt | {"status": 200, "reason": ""})
    put_away(web, job_id)
    assert [delivery["status"] for delivery in web.get(f"/jobs/{job_id}").json["deliveries"]] == [500, 200]


def test_purge_leaves_nothing_of_it(web: WebService, tmp_path: Path) -> None:
    job_id = ended(web)
    put_away(web, job_id)
    purge_job(job_id, texts_too=True)
    assert keys_of(web, job_id) == [f"pf:purged:{job_id}"]
    assert all(web.ledger.redis.zscore(key, job_id) is None for key in LISTS)
    assert [path for path in tmp_path.rglob("*") if job_id in str(path)] == []
    assert not shelf.take_out(job_id)
    with pytest.raises(UnknownJob):
        retry_job(job_id, pages="1", options={})


def test_it_expires_like_others(web: WebService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = ended(web)
    put_away(web, job_id)
    expire_jobs()
    assert web.get(f"/jobs/{job_id}").status_code == 200
    monkeypatch.setattr("tasks.retention.get_settings", lambda: type("Settings", (), {"job_ttl_s": -60}))
    monkeypatch.setattr("tasks.retention.trim", lambda: None)
    expire_jobs()
    assert web.get(f"/jobs/{job_id}").status_code == 404
    assert [path for path in tmp_path.rglob("*") if job_id in str(path)] == []


def test_what_comes_late_changes_nothing(web: WebService) -> None:
    job_id = ended(web)
    get_blobs().write(job_key(job_id, "pages/000001.png"), b"image")
    put_away(web, job_id)
    remove_intermediates(page(job_id, 1))
    assert get_blobs().read(job_key(job_id, "pages/000001.png")) == b"image"
    assert not web.ledger.move(page(job_id, 1), "failed")
    assert not web.ledger.create(job_id, owner="x", name="x", kind="pdf", size=1, options=JobOptions())
    conclude(job_id)
    find_forgotten_jobs()
    assert not web.ledger.has(job_id)
    assert keys_of(web, job_id) == []


def test_batches_and_lists_have_jobs_of_both_kinds(web: WebService) -> None:
    ids = [web.submit(batch_id="autumn") for _ in range(3)]
    for job_id in ids[:2]:
        web.ledger.begin_split(job_id)
        web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": ""})
        conclude(job_id)
    put_away(web, ids[1])
    assert [job["id"] for job in web.get("/batches/autumn").json["jobs"]] == ids
    assert [job["id"] for job in web.get("/jobs").json["jobs"]] == ids[::-1]
    first = web.get("/jobs?limit=2").json
    assert [job["id"] for job in web.get(f"/jobs?cursor={first['next']}").json["jobs"]] == ids[:1]


def test_a_listed_job_whose_files_are_gone_is_left_out(web: WebService) -> None:
    job_id = ended(web)
    put_away(web, job_id)
    get_blobs().delete(job_key(job_id))
    assert web.get("/jobs").json["jobs"] == []
    with pytest.raises(BlobMissing):
        get_blobs().read(job_key(job_id, "job.json"))


def test_a_page_is_read_without_the_others(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = ended(web)
    put_away(web, job_id)
    read, from_line = list[int](), Page.from_line

    def note(line: bytes) -> Page:
        read.append(from_line(line).page_number)
        return from_line(line)

    monkeypatch.setattr(Page, "from_line", note)
    assert web.get(f"/jobs/{job_id}/pages/4").json["text"] == "page 4"
    assert read == [4]
    read.clear()
    assert web.get(f"/jobs/{job_id}").json["missing_pages"] == [2]
    assert read == [2, 3], "the failed one, and the one that the engine was unsure of"
    get_blobs().delete(job_key(job_id, "notable.jsonl"))
    assert web.get(f"/jobs/{job_id}").json["pages_to_look_at"] == [3]


@pytest.mark.parametrize(
    ("values", "is_notable"),
    [
        ({"state": "ok"}, False),
        ({"state": "blank"}, False),
        ({"state": "ok", "text_layer_recall": 0.9}, False),
        ({"state": "ok", "text_layer_recall": 0.2}, True),
        ({"state": "ok", "notices": ("no_text",)}, True),
        ({"state": "fallback"}, True),
        ({"state": "failed"}, True),
        ({"state": "cancelled"}, True),
    ],
)
def test_pages_that_people_should_hear_of_are_known(values: dict[str, Any], is_notable: bool) -> None:
    page = Page(index=0, **values)
    assert page.is_notable == is_notable
    assert is_notable or not page_notice(page)

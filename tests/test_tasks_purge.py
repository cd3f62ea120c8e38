"""A purge is a promise: once it is answered nothing of the job is left, whatever ran at the same moment."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery.app.trace import build_tracer
from web_service import WebService, page

from tasks import cache, chord, pipeline
from tasks.app import app
from tasks.archive import write_job_record
from tasks.assemble import results
from tasks.assemble.searchable import ask_for_pdf
from tasks.blobs import Blobs, job_key
from tasks.generate import partials
from tasks.ledger import LedgerError
from tasks.messages import PageTask
from tasks.page_end import save_generation
from tasks.pipeline import generate_page, pages
from tasks.reconcile import find_forgotten_jobs, look_after, reconcile, was_missing
from tasks.repair import cancel_job, retry_job
from tasks.retention import purge_job, sweep_purged
from tasks.services import get_blobs
from workers.engines import Generation

pytestmark = pytest.mark.usefixtures("no_worker")


def remains(redis: Any, folder: Path, job_id: str) -> list[str]:
    """Keys in Redis, entries of its lists, and files that are left of a job."""
    left = [key for key in redis.scan_iter(f"*{job_id}*", count=1000) if key != f"pf:purged:{job_id}"]
    for key in redis.scan_iter("pf:*", count=1000, _type="zset"):
        left += [f"{key} has it"] if key != "pf:purges" and redis.zscore(key, job_id) is not None else []
    for key in redis.scan_iter("pf:*", count=1000, _type="set"):
        left += [f"{key} has it"] if redis.sismember(key, job_id) else []
    return left + [str(path) for path in folder.rglob("*") if job_id in str(path)]


def begin_chord(job_id: str, run: int) -> None:
    pages.begin(job_id, run, 4)
    for number in (1, 2):
        pages.return_early(page(job_id, number, run))


def finished_job(web: WebService, num_pages: int = 4) -> str:
    job_id = web.open(num_pages)
    for number in range(1, num_pages + 1):
        web.read(job_id, number)
    web.finish(job_id)
    return job_id


def running_repair(web: WebService) -> str:
    """A job whose pages are read for the second time, with all that can be at work on it."""
    job_id = finished_job(web)
    begin_chord(job_id, 1)
    retry_job(job_id, pages="1-4", options={})
    begin_chord(job_id, 2)
    web.ledger.move(page(job_id, 1, 2), "ready")
    web.ledger.take("token", most=1, ttl_s=60, want=[page(job_id, 1, 2)])
    web.ledger.start([page(job_id, 1, 2)])
    web.ledger.move(page(job_id, 2, 2), "ready")
    web.ledger.offer(page(job_id, 2, 2))
    partials.watch(web.ledger, job_id)
    web.begin(job_id, 3, "half of a")
    was_missing(job_id, page(job_id, 4, 2).task_id)
    return job_id


def test_purge_during_a_repair_leaves_nothing(web: WebService, tmp_path: Path) -> None:
    job_id = running_repair(web)
    assert web.client.delete(f"/api/v1/jobs/{job_id}?purge=1").status_code == 204
    assert remains(web.ledger.redis, tmp_path, job_id) == []
    for path in ("", "/pages", "/pages/1", "/result"):
        assert web.get(f"/jobs/{job_id}{path}").status_code == 404


def part_of_chord(job_id: str) -> None:
    pages.return_early(page(job_id, 3, 2))


def partial_text(job_id: str, web: WebService) -> None:
    texts = partials.PartialTexts(web.ledger)
    texts.begin([page(job_id, 3, 2)])(0, "half of a page")
    web.ledger.redis.set(partials.watch_key(job_id), 1, ex=60)
    texts.flush()
    web.ledger.redis.delete(partials.watch_key(job_id))


LATE: dict[str, Callable[[WebService, str], object]] = {
    "a page's text": lambda web, job: web.read(job, 3, run=2),
    "a failed page": lambda web, job: web.fail(job, 3),
    "a page's image": lambda _, job: get_blobs().write(job_key(job, "pages/000003.png"), b"image"),
    "the results": lambda _, job: results.write_results(job),
    "the record": lambda _, job: write_job_record(job),
    "a move": lambda web, job: web.ledger.move(page(job, 3, 2), "ready"),
    "an offer": lambda web, job: web.ledger.offer(page(job, 3, 2)),
    "a start": lambda web, job: web.ledger.start([page(job, 3, 2)]),
    "a renewal": lambda web, job: web.ledger.renew("token", [page(job, 1, 2)], ttl_s=60),
    "a claim given back": lambda web, job: web.ledger.release("token", [page(job, 1, 2)], blameless=True),
    "a window": lambda _, job: pages.feed(job, 2, finished=1),
    "a new run": lambda _, job: pages.begin(job, 3, 4),
    "a part of the chord": lambda _, job: part_of_chord(job),
    "a repair": lambda web, job: web.ledger.open_repair(job, indexes=[0], selection="1", options={}),
    "a lost run": lambda web, job: web.ledger.restore_run(job, 2, selection="1-4", size=4),
    "a page sent again": lambda web, job: web.ledger.count_resend(job, 3),
    "pages sent again": lambda web, job: web.ledger.mark_fed(job, 2, [1, 2]),
    "a missed task": lambda _, job: was_missing(job, page(job, 3, 2).task_id),
    "a look": lambda _, job: look_after(job, set()),
    "a list": lambda web, job: web.ledger.enlist(job),
    "a delivery": lambda web, job: web.ledger.note_delivery(job, {"event": "x"}),
    "a document": lambda web, job: web.ledger.set_source(job, kind="pdf", size=1),
    "a first run": lambda web, job: web.ledger.open_first_run(job, num_pages=1, selection="1", size=1),
    "a viewer": lambda web, job: partials.watch(web.ledger, job),
    "a partial text": lambda web, job: partial_text(job, web),
    "an end": lambda web, job: web.ledger.end_job(job, "failed"),
    "a cancellation": lambda _, job: cancel_job(job),
}


@pytest.mark.parametrize("late", LATE)
def test_what_comes_after_the_purge_leaves_nothing(web: WebService, tmp_path: Path, late: str) -> None:
    job_id = running_repair(web)
    purge_job(job_id)
    with suppress(LedgerError):
        LATE[late](web, job_id)
    assert remains(web.ledger.redis, tmp_path, job_id) == []


def test_a_pdf_asked_for_as_the_job_is_purged_leaves_nothing(web: WebService, tmp_path: Path) -> None:
    job = web.ledger.job(finished_job(web))
    assert job is not None
    purge_job(job.id)
    ask_for_pdf(job)
    assert remains(web.ledger.redis, tmp_path, job.id) == []


def test_no_job_takes_the_id_of_a_purged_one(web: WebService) -> None:
    job_id = finished_job(web)
    options = web.job(job_id).options
    purge_job(job_id)
    assert not web.ledger.create(job_id, owner="x", name="x", kind="pdf", size=1, options=options)


class PurgingBatcher:
    """Its page has ended, and before its task returns the job is purged."""

    def wait_for(self, page: PageTask) -> bool:
        pages.feed(page.job_id, page.run)
        return True

    def collect(self, page: PageTask) -> None:
        purge_job(page.job_id)


def test_task_that_returns_after_the_purge_leaves_no_chord(
    web: WebService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery counts the return by itself, after the task."""
    monkeypatch.setattr(pipeline, "get_batcher", PurgingBatcher)
    job_id = running_repair(web)
    task = page(job_id, 3, 2)
    request = {
        "id": task.task_id, "group": chord.group_id(job_id, 2), "group_index": 2, "chord": pages.join(job_id, 2),
        "delivery_info": {}, "is_eager": False, "ignore_result": True,
    }  # fmt: skip
    before = len(list(web.ledger.redis.scan_iter("*taskset*")))
    trace = build_tracer("generate_page", generate_page, app=app)
    assert before
    assert trace(task.task_id, [task.to_json()], {}, request).retval == 2
    assert remains(web.ledger.redis, tmp_path, job_id) == []


def test_text_kept_in_the_cache_as_the_job_is_purged_goes_again(web: WebService, monkeypatch: Any) -> None:
    job_id = web.open(2)
    key = "a" * 64
    web.ledger.move(page(job_id, 1), "ready", cache_key=key)
    write = Blobs.write_json

    def purge_first(blobs: Blobs, path: str, value: Any) -> None:
        if path.startswith(cache.FOLDER):
            purge_job(job_id, texts_too=True)
        write(blobs, path, value)

    monkeypatch.setattr(Blobs, "write_json", purge_first)
    save_generation(page(job_id, 1), Generation(text="secret"), engine="echo", seconds=0.1)
    assert get_blobs().names(f"cache/{key[:2]}") == []


def test_texts_of_earlier_runs_go_from_the_cache_too(web: WebService) -> None:
    job_id = web.open(1)
    keys = [letter * 64 for letter in "ab"]
    for run, key in enumerate(keys, start=1):
        web.ledger.move(page(job_id, 1, run), "ready", cache_key=key)
        cache.keep(key, Generation(text="secret"), engine="echo")
        web.read(job_id, 1, run=run)
        web.ledger.open_repair(job_id, indexes=[0], selection="1", options={})
    purge_job(job_id, texts_too=True)
    assert [cache.look_up(key) for key in keys] == [None, None]


def test_job_that_redis_lost_is_purged_with_its_cached_texts(web: WebService, tmp_path: Path) -> None:
    job_id = finished_job(web)
    web.ledger.open_repair(job_id, indexes=[0], selection="1", options={})
    web.ledger.move(page(job_id, 1, 2), "ready", cache_key="a" * 64)
    cache.keep("a" * 64, Generation(text="secret"), engine="echo")
    web.read(job_id, 1, run=2)
    web.finish(job_id)
    web.ledger.redis.flushdb()
    assert web.client.delete(f"/api/v1/jobs/{job_id}?purge=1").status_code == 204
    assert cache.look_up("a" * 64) is None
    assert remains(web.ledger.redis, tmp_path, job_id) == []


def due_now(web: WebService) -> None:
    for job_id in web.ledger.redis.zrange("pf:purges", 0, -1):
        web.ledger.redis.zadd("pf:purges", {job_id: 1})


def test_what_a_killed_process_left_is_swept(web: WebService, tmp_path: Path) -> None:
    """It was killed after it wrote and before it looked whether the job is there."""
    job_id = running_repair(web)
    purge_job(job_id)
    Path(tmp_path / "blobs" / "jobs" / job_id / "pages").mkdir(parents=True)
    (tmp_path / "blobs" / "jobs" / job_id / "pages" / "000001.png.abcd.part").write_bytes(b"half of an image")
    app.backend.set_chord_size(chord.group_id(job_id, 2), 4)
    web.ledger.redis.sadd("pf:active", job_id)
    due_now(web)
    reconcile()
    assert remains(web.ledger.redis, tmp_path, job_id) == []


def test_sweeps_grow_rare_and_end_with_the_memory_of_the_purge(web: WebService) -> None:
    job_id = finished_job(web)
    purge_job(job_id)
    assert web.ledger.purges_due() == []
    due_now(web)
    assert web.ledger.purges_due() == [(job_id, 1)]
    assert web.ledger.purges_due() == []
    web.ledger.redis.delete(f"pf:purged:{job_id}")
    due_now(web)
    sweep_purged()
    assert web.ledger.redis.zcard("pf:purges") == 0


def test_unfinished_jobs_are_entered_again(web: WebService) -> None:
    job_id = web.open(1)
    web.ledger.redis.delete("pf:active", "pf:active:local", "pf:jobs", "pf:jobs:local")
    find_forgotten_jobs()
    assert web.ledger.active_jobs() == [job_id]
    assert [job.id for job in web.ledger.jobs(owner="local")] == [job_id]


def end_pages(web: WebService, job_id: str) -> None:
    for number in (1, 2, 3, 4):
        web.read(job_id, number, run=2)


def write_images(_: WebService, job_id: str) -> None:
    for number in range(20):
        get_blobs().write(job_key(job_id, f"pages/{number:06d}.png"), b"x")


def begin_chords(web: WebService, job_id: str) -> None:
    for _ in range(3):
        if found := web.ledger.job(job_id):
            begin_chord(job_id, found.run)


def start_pages(web: WebService, job_id: str) -> None:
    for number in (1, 2, 3, 4):
        web.ledger.start([page(job_id, number, 2)])


def write_all_results(__: WebService, job_id: str) -> None:
    for _ in range(3):
        results.write_results(job_id)
        write_job_record(job_id)


def look_for_it(_: WebService, job_id: str) -> None:
    find_forgotten_jobs()
    look_after(job_id, set())


ACTS: list[Callable[[WebService, str], object]] = [
    lambda _, job: retry_job(job, pages="1-4", options={}),
    lambda _, job: cancel_job(job),
    end_pages,
    write_images,
    begin_chords,
    start_pages,
    write_all_results,
    look_for_it,
]


def test_race_of_retry_cancel_writers_and_purge_leaves_nothing(web: WebService, tmp_path: Path) -> None:
    chance = random.Random(12)
    jobs = [finished_job(web) for _ in range(20)]
    for job_id in jobs:
        acts = ACTS * 2
        chance.shuffle(acts)
        threads = [threading.Thread(target=quietly, args=(act, web, job_id)) for act in acts]
        half = chance.randrange(len(threads))
        for thread in threads[:half]:
            thread.start()
        assert web.client.delete(f"/api/v1/jobs/{job_id}?purge=1").status_code == 204
        for thread in threads[half:]:
            thread.start()
        for thread in threads:
            thread.join()
        assert remains(web.ledger.redis, tmp_path, job_id) == []
        assert web.get(f"/jobs/{job_id}").status_code == 404


def quietly(act: Callable[[WebService, str], object], web: WebService, job_id: str) -> None:
    """A job that is gone or busy, or whose folder is gone, is an answer that its callers are ready for."""
    with suppress(LedgerError, ValueError, OSError):
        act(web, job_id)
    app.backend.client.connection_pool.disconnect()  # each thread has one

"""Never lose a page: real processes, real Redis, kill -9. Every wait has a deadline: it is the promise."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from services import ENDED, Service, make_pdf, wait_until

from tasks.broker import queue_keys
from tasks.messages import PageTask
from web.stack.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

RECOVERY_S = 10  # the promise: pages of a dead process run elsewhere within this time
BATCH_S = 0.2


class Breakable(Service):
    """The stack; its pages are drawn small, for here they are to be many and no larger than what tells them apart."""

    def submit(self, data: bytes, name: str = "test.pdf", **options: Any) -> str:
        return super().submit(data, name, **{"dpi": "36"} | options)


@pytest.fixture(scope="module")
def module_service(start_stack: Callable[..., Stack]) -> Iterator[Service]:
    service = Breakable(
        start_stack(
            counts={"cpu": 2, "gpu": 2},
            render_processes=1,
            gpu_batch_pages=4,
            echo_seconds=BATCH_S,
            reconcile_s=2,
            shutdown_grace_s=20,
            keep_page_images=0,
        )
    )
    yield service
    service.close()


@pytest.fixture
def service(module_service: Service) -> Iterator[Service]:
    """The stack, whole again after each test."""
    yield module_service
    make_whole(module_service)


def make_whole(service: Service) -> None:
    for name, child in service.stack.processes.items():
        if not child.is_running:
            service.stack.restart(name)
    wait_until(service.stack.is_ready, 30, "a whole stack")
    wait_until(lambda: len(service.ledger.workers("gpu")) >= 2, 30, "both GPU workers")


def submit_and_reach(service: Service, num_pages: int, num_ok: int, **options: str) -> str:
    """A job of which at least `num_ok` pages are done and some are at work."""
    job_id = service.submit(make_pdf(num_pages), **options)
    wait_until(lambda: counts(service, job_id)["ok"] >= num_ok, 30, f"{num_ok} pages")
    return job_id


def counts(service: Service, job_id: str) -> dict[str, int]:
    job = service.ledger.job(job_id)
    assert job is not None
    return dict(job.counts)


KILLS: dict[str, Callable[[Service], None]] = {
    "render process": lambda service: service.kill_child("cpu"),
    "CPU worker": lambda service: service.stack.kill("cpu"),
    "model process": lambda service: service.kill_child("gpu"),
    "GPU worker": lambda service: service.stack.kill("gpu"),
    "CPU host": lambda service: service.kill_host("cpu"),
    "GPU host": lambda service: service.kill_host("gpu"),
}


@pytest.mark.parametrize("kind", KILLS)
def test_pages_of_a_killed_process_run_elsewhere_in_seconds(service: Service, kind: str) -> None:
    job_id = submit_and_reach(service, 120, 20)
    KILLS[kind](service)
    at_work = [page.index for page in service.ledger.pages(job_id) if not page.has_ended]
    wait_until(
        lambda: all(page and page.has_ended for page in service.ledger.pages_at(job_id, at_work)),
        RECOVERY_S + len(at_work) * BATCH_S,
        f"the {len(at_work)} pages at work when the {kind} was killed",
    )
    assert service.wait(job_id, 60)["state"] == "succeeded"
    service.check_complete(job_id, 120)


def test_page_that_takes_long_is_not_handed_out_twice(service: Service) -> None:
    """Several times the visibility timeout."""
    before = service.generations()
    job_id = service.submit(make_pdf(3), prompt="!slow 2 18")
    assert service.wait(job_id, 60)["state"] == "succeeded"
    assert service.generations() - before == 3


def test_same_task_message_twice_changes_nothing(service: Service) -> None:
    """The order of a crash after the result was stored and before the message was acknowledged."""
    job_id = submit_and_reach(service, 40, 10)
    duplicate_messages(service)
    assert service.wait(job_id)["state"] == "succeeded"
    service.check_complete(job_id, 40)
    wait_until(lambda: queued(service) == 0, 30, "the duplicates to be worked off")
    assert service.job(job_id)["pages"]["ok"] == 40


def duplicate_messages(service: Service) -> None:
    """Every message once more: those that wait, and those at work, as a visibility timeout hands them out again."""
    redis = service.ledger.redis
    for key in (key for queue in ("cpu", "gpu") for key in queue_keys(queue)):
        for raw in redis.lrange(key, 0, -1):
            redis.lpush(key, raw)
    for held in redis.hvals("pf:celery:unacked"):
        message, _, queue = json.loads(held)
        redis.lpush(f"pf:celery:{queue}", json.dumps(message))


def queued(service: Service) -> int:
    return sum(service.ledger.redis.llen(key) for queue in ("cpu", "gpu") for key in queue_keys(queue))


def test_page_that_kills_its_process_is_set_aside_and_the_others_finish(service: Service) -> None:
    job_id = service.submit(make_pdf(8), prompt="!kill 3")
    job = service.wait(job_id, 90)
    assert (job["state"], job["missing_pages"]) == ("partial", [3])
    page = service.ledger.page(job_id, 2)
    assert (page.state, page.reason) == ("failed", "poison")
    blobs = service.stack.data_dir / "blobs" / "jobs" / job_id / "pages"
    assert (blobs / "000003.png").exists(), "what killed the process is kept for inspection"
    assert not (blobs / "000004.png").exists()


def test_lost_messages_are_sent_again(service: Service) -> None:
    job_id = submit_and_reach(service, 100, 10)
    lost = 0
    for key in (key for queue in ("cpu", "gpu") for key in queue_keys(queue)):
        for raw in service.ledger.redis.lrange(key, 0, -1)[::2]:
            lost += service.ledger.redis.lrem(key, 1, raw)
    assert lost > 0
    assert service.wait(job_id, 60)["state"] == "succeeded"
    service.check_complete(job_id, 100)


CHORD = "pf:celery:celery-taskset-meta-g-{job}.1"
LOSSES = [
    "pf:fed:{job}:1",
    "pf:run:{job}:1",
    "pf:pages:{job}",
    "pf:changes:{job}",
    "pf:active",
    "pf:jobs",
    "pf:ready:owners",
    "pf:ready:jobs:local",
    "pf:ready:pages:{job}",
    CHORD + ".j",
    CHORD + ".s",
]


@pytest.mark.parametrize("key", LOSSES)
def test_lost_key_does_not_leave_a_job_unfinished(service: Service, key: str) -> None:
    job_id = submit_and_reach(service, 60, 12)
    service.ledger.redis.delete(key.format(job=job_id))
    assert service.wait(job_id, 90)["state"] == "succeeded"
    service.check_complete(job_id, 60)


def test_keys_and_messages_lost_at_random_leave_no_job_unfinished(service: Service) -> None:
    chance = random.Random(7)
    jobs = [service.submit(make_pdf(30)) for _ in range(6)]
    for _ in range(12):
        keys = sorted(key for key in service.ledger.redis.scan_iter("pf:*") if ":worker:" not in key)
        service.ledger.redis.delete(chance.choice(keys))
        time.sleep(0.1)
    for job_id in jobs:
        wait_until(partial(has_ended, service, job_id), 120, f"an end of job {job_id}")


def has_ended(service: Service, job_id: str) -> bool:
    answer = service.http.get(f"/jobs/{job_id}")
    return answer.status_code == 200 and answer.json()["state"] in ENDED


def test_cancel_stops_the_engine_and_leaves_other_jobs_alone(service: Service) -> None:
    slow = service.submit(make_pdf(200), prompt="!slow 1 60 !slow 2 60 !slow 3 60 !slow 4 60")
    other = service.submit(make_pdf(12))
    wait_until(lambda: counts(service, slow)["generating"] > 0, 30, "the slow pages to be at work")
    wait_until(lambda: service.job(other)["state"] in ENDED or counts(service, other)["ok"] >= 0, 1)
    assert service.http.delete(f"/jobs/{slow}").json()["state"] == "cancelled"
    wait_until(lambda: not list(service.ledger.redis.scan_iter(f"pf:claim:{slow}:*")), 7, "the engine to let go")
    assert service.wait(other, 15)["state"] == "succeeded"
    assert sum(counts(service, slow).values()) == 200
    assert counts(service, slow)["cancelled"] >= 196


def test_cancelled_job_can_be_purged(service: Service) -> None:
    job_id = submit_and_reach(service, 100, 4)
    assert service.http.delete(f"/jobs/{job_id}", params={"purge": "1"}).status_code == 204
    assert service.http.get(f"/jobs/{job_id}").status_code == 404
    folder = service.stack.data_dir / "blobs" / "jobs" / job_id
    wait_until(lambda: queued(service) == 0, 20, "its tasks to be dropped")
    wait_until(lambda: not folder.exists(), 20, "its files to go")


def test_purge_amid_repairs_cancels_and_kills_leaves_nothing(service: Service) -> None:
    """Whatever was at work, and whoever died of it: what a killed process left, the reconciler sweeps."""
    chance = random.Random(12)
    jobs = [submit_and_reach(service, 24, 24) for _ in KILLS]
    for job_id in jobs:
        service.wait(job_id)
    for job_id, kill in zip(jobs, KILLS.values(), strict=True):
        before = service.generations()
        assert service.http.post(f"/jobs/{job_id}/retry", json={"pages": "1-24"}).status_code == 202
        wait_until(partial(has_generated_more, service, before), 30, "the repair to be under way")
        acts: list[Callable[[], object]] = [partial(service.http.delete, f"/jobs/{job_id}"), partial(kill, service)]
        chance.shuffle(acts)
        threads = [threading.Thread(target=act) for act in acts]
        for thread in threads:
            thread.start()
        assert service.http.delete(f"/jobs/{job_id}", params={"purge": "1"}).status_code == 204
        for thread in threads:
            thread.join()
        make_whole(service)
    for job_id in jobs:
        wait_until(partial(has_no_remains, service, job_id), 60, f"job {job_id} to be gone")
        assert service.http.get(f"/jobs/{job_id}").status_code == 404


def has_generated_more(service: Service, before: int) -> bool:
    return service.generations() > before


def has_no_remains(service: Service, job_id: str) -> bool:
    return not remains(service, job_id)


def remains(service: Service, job_id: str) -> list[str]:
    """Keys in Redis and files that are left of a job."""
    known = (f"pf:purged:{job_id}", "pf:purges")
    keys = [key for key in service.ledger.redis.scan_iter(f"*{job_id}*", count=1000) if key not in known]
    return keys + [str(path) for path in (service.stack.data_dir / "blobs").rglob("*") if job_id in str(path)]


def test_repair_runs_only_the_pages_asked_for(service: Service) -> None:
    job_id = service.submit(make_pdf(10), prompt="!raise 3 !raise 7")
    assert service.wait(job_id)["missing_pages"] == [3, 7]
    before = service.generations()
    answer = service.http.post(f"/jobs/{job_id}/retry", json={"pages": "failed", "prompt": "Read it."})
    assert answer.status_code == 202, answer.text
    job = service.wait(job_id)
    assert (job["state"], job["missing_pages"]) == ("succeeded", [])
    assert service.generations() - before == 2
    page = service.ledger.page(job_id, 2)
    assert [attempt["reason"] for attempt in page.attempts] == ["error"]


def test_job_is_repaired_many_times_and_at_once(service: Service) -> None:
    job_id = service.submit(make_pdf(12))
    service.wait(job_id)
    for round_number in range(3):
        asked = [f"{3 * k + round_number + 1}" for k in range(3)]
        threads = [
            threading.Thread(
                target=service.http.post, args=(f"/jobs/{job_id}/retry",), kwargs={"json": {"pages": page}}
            )
            for page in asked
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert service.wait(job_id)["state"] == "succeeded"
    service.check_complete(job_id, 12)


def test_window_bounds_tasks_and_images_of_a_long_job(service: Service) -> None:
    job_id = service.submit(make_pdf(400))
    folder = service.stack.data_dir / "blobs" / "jobs" / job_id / "pages"
    window, most_tasks, most_images = service.stack.settings.page_window, 0, 0
    while (job := service.ledger.job(job_id)) and job.state not in ENDED:
        window = max(window, 3 * service.ledger.num_held() // 2)
        most_tasks = max(most_tasks, queued(service))
        most_images = max(most_images, len(list(folder.glob("*.png"))) if folder.exists() else 0)
        time.sleep(0.05)
    service.check_complete(job_id, 400)
    assert most_tasks <= window + 2
    assert most_images <= window + 2


def test_one_page_job_does_not_wait_for_a_long_one(service: Service) -> None:
    idle = latency(service)
    long = submit_and_reach(service, 600, 30)
    assert latency(service) <= 3 * idle + 1
    assert counts(service, long)["queued"] > 0
    service.http.delete(f"/jobs/{long}")


def latency(service: Service) -> float:
    """The middle of three times from submission to the end of a 1-page job, in seconds."""
    times = []
    for number in range(3):
        started = time.monotonic()
        assert service.wait(service.submit(make_pdf(1, first=9000 + number)))["state"] == "succeeded"
        times.append(time.monotonic() - started)
    return sorted(times)[1]


@pytest.mark.parametrize("outage_s", [0, 15])
def test_redis_restart_loses_nothing_and_says_503_meanwhile(service: Service, outage_s: float) -> None:
    """Also when Redis is away for longer than a worker's own patience of about ten seconds."""
    job_id = submit_and_reach(service, 80, 10)
    service.stack.kill("redis", signal.SIGKILL)
    answer = wait_until(lambda: (got := service.http.get(f"/jobs/{job_id}")).status_code != 200 and got, 5, "a 503")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    time.sleep(outage_s)
    service.stack.restart("redis")
    assert service.wait(job_id, 90)["state"] == "succeeded"
    service.check_complete(job_id, 80)
    assert [name for name, child in service.stack.processes.items() if not child.is_running] == []


def test_total_loss_of_redis_keeps_results_and_reports_the_rest(service: Service) -> None:
    finished = service.submit(make_pdf(5))
    service.wait(finished)
    unfinished = submit_and_reach(service, 200, 4)
    service.ledger.redis.flushall()
    job = service.job(finished)
    assert (job["state"], job["pages"]["ok"]) == ("succeeded", 5)
    service.check_complete(finished, 5)
    lost = service.job(unfinished)
    assert (lost["state"], lost["error"]["reason"]) == ("failed", "job_lost")
    after = service.submit(make_pdf(5))
    assert service.wait(after)["state"] == "succeeded"


def has_stopped(service: Service, name: str) -> bool:
    return not service.stack.processes[name].is_running


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_stopped_worker_gives_its_work_back(service: Service, name: str) -> None:
    job_id = submit_and_reach(service, 100, 10)
    service.stack.kill(name, signal.SIGTERM)
    wait_until(partial(has_stopped, service, name), 10, f"{name} to stop")
    assert service.wait(job_id, 60)["state"] == "succeeded"
    assert service.job(job_id)["pages"]["ok"] == 100


def test_second_signal_stops_at_once(service: Service) -> None:
    job_id = service.submit(make_pdf(4), prompt="!slow 1 30 !slow 2 30 !slow 3 30 !slow 4 30")
    wait_until(lambda: counts(service, job_id)["generating"] > 0, 30, "pages at work")
    for name in ("gpu", "gpu2"):
        service.stack.kill(name, signal.SIGTERM)
    time.sleep(0.5)  # a second signal, not one the kernel merges with the first
    for name in ("gpu", "gpu2"):
        service.stack.kill(name, signal.SIGTERM)
    for name in ("gpu", "gpu2"):
        wait_until(partial(has_stopped, service, name), 6, f"{name} to stop")
    service.http.delete(f"/jobs/{job_id}")


def test_rolling_restart_of_every_worker_under_load_loses_nothing(service: Service) -> None:
    job_id = submit_and_reach(service, 300, 10)
    for name in ("cpu", "gpu", "cpu2", "gpu2", "web", "beat"):
        service.stack.kill(name, signal.SIGTERM)
        wait_until(partial(has_stopped, service, name), 30, f"{name} to stop")
        service.stack.restart(name)
    assert service.wait(job_id, 90)["state"] == "succeeded"
    service.check_complete(job_id, 300)


def test_job_whose_process_died_as_it_ended_is_concluded(service: Service) -> None:
    """The state is in the ledger; the record that outlives Redis, and the webhook's call, would be missing."""
    job_id = submit_and_reach(service, 40, 4)
    record = service.stack.data_dir / "blobs" / "jobs" / job_id / "job.json"
    service.ledger.cancel(job_id)
    assert service.job(job_id)["state"] == "cancelled"
    wait_until(lambda: json.loads(record.read_text())["state"] == "cancelled", 20, "the job's record")


def test_generation_that_never_returns_costs_its_process_and_no_other_page(start_stack: Callable[..., Stack]) -> None:
    """One page sleeps, one holds Python's lock, so that no thread of its process can notice."""
    stack = start_stack(counts={"gpu": 2}, vlm_concurrent_timeout=1, poison_limit=2, gpu_batch_pages=2)
    with closing(Service(stack)) as service:
        job_id = service.submit(make_pdf(6), prompt="!hang 2 !freeze 5")
        other = service.submit(make_pdf(2))
        assert service.wait(other, 60)["state"] == "succeeded"
        job = service.wait(job_id, 120)
        assert (job["state"], job["missing_pages"]) == ("partial", [2, 5])
        assert {service.ledger.page(job_id, index).reason for index in (1, 4)} == {"poison"}
        logs = "".join(path.read_text() for path in (stack.data_dir / "logs").glob("gpu*.log"))
        assert "in _act_on_batch" in logs, "the log shows where it hung"


def test_page_tasks_return_the_same_for_every_run() -> None:
    page = PageTask(job_id="0123456789abcdef", run=1, index=9)
    assert PageTask.from_json(page.to_json()) == page
    assert page.task_id == "0123456789abcdef.1-p000010"

"""The system page and its JSON, who may see them, and the line on every page when nobody reads."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from services import Service, make_pdf, wait_until
from web_service import WebService, check_problem, web_service

from tasks.access.keys import create_key, get_keyring
from tasks.cache import trim
from tasks.generate.watchdog import Running
from tasks.services import get_blobs
from tasks.standstill import NO_WORKER
from tasks.system import trouble_of
from web.cli.parser import main
from web.stack.stack import Stack

GPU = {
    "host": "reader-1", "pid": 7, "engine": "vlm", "model": "tiny", "device": "H200", "memory_mb": 900,
    "device_memory_mb": 4000, "busy": 0.5, "pages_s": 2.5, "last_batch": {"pages": 8, "seconds": 3.0, "at": 1.79e9},
}  # fmt: skip


def fail(web: WebService, *, owner: str = "local") -> str:
    job_id = web.open(1, name="secret.pdf", owner=owner)
    web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "secret.pdf is damaged."})
    return job_id


def test_workers_queues_stores_and_errors_are_told(web: WebService) -> None:
    web.ledger.report_alive("gpu", "one", **GPU)
    web.ledger.report_alive("gpu", "two:failed", trouble="the engine vlm cannot be loaded", is_loaded=False)
    job_id = fail(web)
    trim()
    found = web.get("/system").json
    one, two = found["workers"]
    assert {name: one[name] for name in GPU if name != "last_batch"} == {
        k: v for k, v in GPU.items() if k != "last_batch"
    }
    assert (one["last_batch"]["pages"], one["last_batch"]["at"][:4]) == (8, "2026")
    assert two["trouble"] == "the engine vlm cannot be loaded"
    assert {queue["name"]: queue["trouble"] for queue in found["queues"]} == {"cpu": "none is running", "gpu": ""}
    assert found["pages_s"] == 2.5
    assert found["stores"]["disk_free_mb"] > 0
    assert [(fault["job"], fault["reason"]) for fault in found["faults"]] == [(job_id, "corrupt")]
    page = web.client.get("/system").text
    for words in ("reader-1", "H200", "8 pages in 3.0 s", "cannot be loaded", f'href="/jobs/{job_id}"'):
        assert words in page


def test_old_errors_are_not_of_late(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(web)
    monkeypatch.setattr("tasks.system.OF_LATE_S", 0.0)
    assert web.get("/system").json["faults"] == []
    assert "None." in web.client.get("/system").text


def test_only_an_admins_key_opens_it(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="static") as web:
        plain = create_key("ann", get_blobs())[1]
        admin, text = create_key("ops", get_blobs(), is_admin=True)
        other, own = fail(web, owner="key-other"), fail(web, owner=admin.owner)
        get_keyring.cache_clear()
        for key in ("static", plain):
            asked = {"headers": {"Authorization": f"Bearer {key}", "Accept": "text/html"}}
            check_problem(web.get("/system", **asked), 403, "admins-only")
            assert web.client.get("/system", **asked).status_code == 403
            assert ">System<" not in web.client.get("/jobs", **asked).text
        assert web.client.get("/system", headers={"Accept": "text/html"}).status_code == 303
        asked = {"headers": {"Authorization": f"Bearer {text}"}}
        faults = {fault["job"]: fault for fault in web.get("/system", **asked).json["faults"]}
        assert (faults[own]["name"], faults[own]["html"]) == ("secret.pdf", f"/jobs/{own}")
        assert (faults[other]["html"], "secret" in str(faults[other])) == ("", False)
        assert ">System<" in web.client.get("/jobs", **asked).text
        assert main(["keys", "revoke", admin.id]) == 0
        assert not get_keyring.__wrapped__().is_admin(admin.owner)


@pytest.mark.usefixtures("web")
def test_the_command_line_makes_admins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "ops", "--admin"]) == 0
    assert main(["keys", "create", "ann"]) == 0
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    assert [line.endswith("ops  (admin)") for line in capsys.readouterr().out.splitlines()] == [True, False]


def test_everybody_is_told_when_nobody_reads(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.site.system.LOOK_S", -1.0)
    web.ledger.note_moved(["gpu"])
    for path in ("/", "/jobs", "/docs", f"/jobs/{web.open(1)}"):
        page = web.client.get(path).text
        assert "no worker for the engine" in page
        assert "The last one worked at" in page
    web.ledger.report_alive("cpu", "c")
    web.ledger.report_alive("gpu", "g:failed", trouble="the engine vlm cannot be loaded", is_loaded=False)
    assert "Nothing is read at the moment: the engine vlm cannot be loaded." in web.client.get("/").text
    web.ledger.report_alive("gpu", "g", engine="echo")
    assert "banner" not in web.client.get("/").text


def test_an_idle_lane_is_told_of_by_its_engine_while_the_others_read(
    web: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.site.system.LOOK_S", -1.0)
    monkeypatch.setattr("web.site.system.lanes", lambda: ("", "tesseract"))
    monkeypatch.setattr("web.site.system.standing_still", lambda _: {"gpu-tesseract": (NO_WORKER, 0.0)})
    said = "Nothing is read by tesseract at the moment: no worker for the engine tesseract is running."
    assert said in web.client.get("/").text


def test_one_worker_that_works_is_enough() -> None:
    assert trouble_of({"a": {"trouble": "no memory"}, "b": {}}) == ""
    assert trouble_of({"a": {"trouble": "no memory"}}) == "no memory"


def test_pace_is_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    class Batch:
        batch = (1, 2, 3)
        deadline = time.monotonic() + 60

    running, runner = Running(), Batch()
    assert running.pace() == {"pages_s": 0.0}
    running.add(runner)  # type: ignore[arg-type]
    running.remove(runner)  # type: ignore[arg-type]
    assert running.pace()["pages_s"] == 3 / 60
    assert running.pace()["last_batch"]["pages"] == 3
    monkeypatch.setattr("tasks.generate.watchdog.PACE_S", -1.0)
    assert running.pace()["pages_s"] == 0.0


@pytest.mark.e2e
def test_real_workers_tell_of_themselves(stack: Stack) -> None:
    service = Service(stack)
    assert service.wait(service.submit(make_pdf(2)))["state"] == "succeeded"

    def workers_now() -> dict[str, Any]:
        return {worker["queue"]: worker for worker in service.http.get("/system").json()["workers"]}

    wait_until(lambda: bool(workers_now()["gpu"]["last_batch"]), 10, "the report after the batch")
    workers = workers_now()
    service.close()
    assert set(workers) == {"cpu", "gpu"}
    assert all(worker["host"] and worker["pid"] and worker["memory_mb"] for worker in workers.values())
    assert (workers["gpu"]["engine"], workers["gpu"]["device"]) == ("echo", "CPU")
    assert workers["gpu"]["last_batch"]["pages"] >= 1

"""Arguments of tasks and keys of blobs come from where others may write: nothing leaves the store by them."""

from __future__ import annotations

import inspect
import os
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from web_service import WebService

from tasks.app import app
from tasks.assemble.webhooks import deliver_webhook
from tasks.blobs import Blobs, job_key, page_key, source_key
from tasks.ids import BadId, BadKey, check_event, check_job_id, is_job_id, new_job_id
from tasks.messages import PageTask
from tasks.pipeline import generate_page, prepare_page, split_document
from tasks.retention import clear_cancelled, expire_jobs
from tasks.services import get_blobs
from tasks.unpacking import CHECKS

GOOD = "0123456789abcdef"
HOSTILE = ["../../victim", "..", ".", "", "/etc", "a/../../b", "\\..\\x", "a\0b", "../keys", GOOD + "\n", GOOD.upper()]
HOSTILE_KEYS = ["..", ".", "/etc/passwd", "../x", "jobs/../../x", "jobs//x", "jobs/", "a\\b", "a\0b", "x" * 600, "a\nb"]
NAMES = st.lists(st.sampled_from(["..", ".", "", "jobs", "a", "\\", "\0", "//", "~", "%2e%2e", "é"]), max_size=6)
TASKS = [
    task for name, task in sorted(app.tasks.items()) if not name.startswith("celery.")
]  # testers have to find them in one order


def parameters_of(task: Any) -> list[str]:
    return [name for name in inspect.signature(task.run).parameters if name != "self"]


@pytest.fixture
def victim(web: WebService, tmp_path: Path) -> Path:
    """A file beside the store, and the key that keeps the service closed."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("mine")
    assert web.ledger.redis.ping()
    get_blobs().write("keys/k.json", b"{}")
    return tmp_path / "victim" / "file"


@pytest.mark.parametrize("job_id", [*HOSTILE, "../../victim"])
def test_a_posted_task_removes_nothing_outside_its_job(victim: Path, job_id: str) -> None:
    with pytest.raises(BadId):
        clear_cancelled(job_id)
    assert victim.read_text() == "mine"
    assert get_blobs().exists("keys/k.json")


@pytest.mark.parametrize("task", [task.name for task in TASKS if parameters_of(task)])
@pytest.mark.parametrize("value", ["../../victim", "", None, -1, ["../x", 1, 1, 1], {"a": 1}, True])
def test_every_task_refuses_what_is_not_ours(victim: Path, task: str, value: Any) -> None:
    wanted = parameters_of(app.tasks[task])
    assert set(wanted) <= set(CHECKS) | {"event"}, "each parameter has a check"
    with pytest.raises(BadId):
        app.tasks[task](*[value] * len(wanted))
    with pytest.raises(BadId):
        app.tasks[task](surprise=value)
    assert victim.exists()


@pytest.mark.parametrize(
    "message",
    [[], ["../x", 1, 0], [GOOD, 1], [GOOD, 1, -1], [GOOD, 1, "0"], [GOOD, True, 0], [GOOD, 1, 0, 0], GOOD, None],
)
def test_a_page_that_is_none_is_refused(message: Any) -> None:
    for refuse in (PageTask.from_json, prepare_page, generate_page):
        with pytest.raises(BadId):
            refuse(message)


@pytest.mark.usefixtures("web")
def test_an_event_belongs_to_its_job() -> None:
    assert check_event(f"{GOOD}.1.succeeded", GOOD) == f"{GOOD}.1.succeeded"
    for event in (f"{GOOD}.1.succeeded", "x", f"{new_job_id()}.1.succeeded:x"):
        with pytest.raises(BadId):
            deliver_webhook("f" * 16, event)


@pytest.mark.usefixtures("web")
def test_a_task_with_an_id_of_ours_runs() -> None:
    split_document(new_job_id())
    clear_cancelled(new_job_id())


@given(st.text(max_size=40) | NAMES.map("/".join))
@example(GOOD)
@example(GOOD + "\n")
def test_only_what_we_make_is_an_id(text: str) -> None:
    is_ours = len(text) == 16 and set(text) <= set("0123456789abcdef")
    assert is_job_id(text) == is_ours
    for make in (check_job_id, job_key, lambda id: page_key(id, 0, "png"), lambda id: source_key(id, "pdf")):
        if is_ours:
            make(text)
        else:
            with pytest.raises(BadId):
                make(text)


def test_ids_we_make_are_ids() -> None:
    assert all(is_job_id(new_job_id()) for _ in range(50))


@pytest.mark.parametrize("scheme", ["file", "memory"])
@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_no_key_leads_out_of_the_store(tmp_path: Path, scheme: str, key: str) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs" if scheme == "file" else f"memory://{secrets.token_hex(4)}")
    for use in (blobs.read, blobs.size, blobs.local, blobs.exists, blobs.delete, blobs.names, blobs.ages):
        with pytest.raises(BadKey):
            use(key)
    with pytest.raises(BadKey):
        blobs.write(key, b"x")


def test_the_store_itself_is_never_removed(tmp_path: Path) -> None:
    blobs = Blobs(f"file://{tmp_path}/blobs")
    blobs.write("a", b"x")
    with pytest.raises(BadKey):
        blobs.delete("")
    assert blobs.names("") == ["a"]


@settings(max_examples=300)
@given(NAMES.map("/".join))
def test_every_path_lies_below_the_root(key: str) -> None:
    blobs = Blobs("file:///nowhere/blobs")
    try:
        path = blobs.path(key)
    except BadKey:
        return
    assert key == "" or os.path.commonpath([os.path.normpath(path), blobs.root]) == blobs.root
    assert os.path.normpath(path) == path


def test_a_link_in_the_store_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("mine")
    blobs = Blobs(f"file://{tmp_path}/blobs")
    blobs.write("jobs/a", b"x")
    (tmp_path / "blobs" / "jobs" / "link").symlink_to(tmp_path / "outside")
    for use in (blobs.read, blobs.delete, blobs.local, blobs.exists):
        with pytest.raises(BadKey):
            use("jobs/link/file")
    assert (tmp_path / "outside" / "file").read_text() == "mine"


def test_the_store_may_itself_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    blobs = Blobs(f"file://{tmp_path}/data/blobs")
    blobs.write("a/b", b"x")
    assert blobs.read("a/b") == b"x"


@pytest.mark.usefixtures("web")
def test_a_foreign_folder_among_the_jobs_stops_no_clearing(tmp_path: Path) -> None:
    (tmp_path / "blobs" / "jobs" / "lost+found").mkdir(parents=True)
    expire_jobs()
    assert (tmp_path / "blobs" / "jobs" / "lost+found").is_dir()


@pytest.mark.parametrize("job_id", ["%2e%2e", "..%2f..%2fkeys", "abc", GOOD.upper(), "pf:jobs"])
def test_the_web_knows_no_such_job(web: WebService, job_id: str) -> None:
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result", f"/jobs/{job_id}/pages/1/image"):
        assert web.get(path).status_code == 404

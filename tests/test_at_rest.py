"""What lies in the data folder and in Redis, seen by another user of the machine, with a whole stack at work."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pymupdf
import pytest
from conftest import StartStack
from redis import Redis
from services import Service, make_pdf, wait_until

from web.stack.redis_server import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def service(start_stack: StartStack) -> Iterator[Service]:
    """A stack started by somebody whose umask lets everybody read and write."""
    before = os.umask(0)
    service = Service(start_stack(counts={"flower": 1}, flower_port=free_port("127.0.0.1"), page_cache_mb=16))
    os.umask(before)
    yield service
    service.close()


def open_to_others(folder: Path) -> dict[str, str]:
    """What is in the folder, itself too, with a mode wider than 0700 for folders and 0600 for files."""
    found = {path: path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return {
        str(path): oct(mode)
        for path, mode in found.items()
        if stat.S_IMODE(mode) & ~(0o700 if stat.S_ISDIR(mode) else 0o600)
    }


def flower_answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthcheck").status_code == 200
    return False


def test_the_password_of_redis_is_told_to_nobody(service: Service) -> None:
    """Everybody on a machine may read all command lines; logs are sent around."""
    password = urlsplit(service.stack.redis_url).password or ""
    assert service.wait(service.submit(make_pdf(1)))["state"] == "succeeded"
    family = psutil.Process().children(recursive=True)
    assert len(family) >= len(service.stack.processes)
    assert not [process for process in family if password in " ".join(process.cmdline())]
    assert files_with(service.stack.data_dir, password) == ["redis/redis.conf"]


def test_the_password_of_a_pdf_is_gone_with_its_need(service: Service) -> None:
    password = "sesame opens 4711"
    job_id = service.submit(encrypted(make_pdf(3), password), password=password)
    assert service.wait(job_id)["state"] == "succeeded"
    folder = service.stack.data_dir
    wait_until(lambda: not files_with(folder, password), 30, "the password's end")
    assert keys_with(service, password) == []
    assert service.http.get(f"/jobs/{job_id}/result?format=pdf").status_code == 200

    refused = service.http.post(f"/jobs/{job_id}/retry", json={"pages": "2"})
    assert (refused.status_code, refused.json()["errors"][0]["option"]) == (422, "password")

    retry(service, job_id, pages="2", password=password)
    assert service.wait(job_id)["state"] == "succeeded"
    page = service.http.get(f"/jobs/{job_id}/pages/2").json()
    assert page["text"].startswith("page 2 ")
    assert service.result(job_id)["job"]["run"] == 2
    wait_until(lambda: not files_with(folder, password), 30, "the password's end")
    assert keys_with(service, password) == []


def test_a_finished_job_leaves_redis_and_is_repaired_from_its_files(service: Service) -> None:
    job_id = service.submit(make_pdf(5, first=50))
    assert service.wait(job_id)["state"] == "succeeded"
    before = service.result(job_id)
    wait_until(lambda: service.ledger.redis.zscore("pf:settled", job_id), 20, "the end of the job's last task")
    service.ledger.redis.zadd("pf:settled", {job_id: 1})  # as if a minute had gone
    wait_until(lambda: not service.ledger.has(job_id), 20, "the job's leaving")
    assert service.ledger.redis.keys(f"*{job_id}*") == []
    assert service.result(job_id) == before

    retry(service, job_id, pages="2,4")
    assert service.wait(job_id)["state"] == "succeeded"
    after = service.check_complete(job_id, 5)
    assert [page["text"] for page in after["pages"]] == [page["text"] for page in before["pages"]]
    assert after["job"]["run"] == 2


def test_what_was_purged_is_in_no_file(service: Service) -> None:
    """Redis' log on disk keeps what was deleted, until it is written anew."""
    prompt, folder = "read the words of the toad king", service.stack.data_dir
    job_id = service.submit(make_pdf(1, first=77), prompt=prompt, name="toads.pdf")
    assert service.wait(job_id)["state"] == "succeeded"
    wait_until(lambda: files_with(folder / "redis", prompt), 20, "Redis' log")
    assert service.http.delete(f"/jobs/{job_id}?purge=1").status_code == 204
    wait_until(service.ledger.forget_traces, 20, "a new log")
    wait_until(lambda: not files_with(folder, prompt) + files_with(folder, "toads.pdf"), 20, "the end of the old log")
    assert keys_with(service, prompt) == []
    assert not service.ledger.forget_traces(), "nothing was purged since"


def encrypted(pdf: bytes, password: str) -> bytes:
    with pymupdf.open(stream=pdf) as document:
        return bytes(document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw=password, owner_pw="owner"))


def retry(service: Service, job_id: str, **fields: str) -> None:
    answer = service.http.post(f"/jobs/{job_id}/retry", json=fields)
    assert answer.status_code == 202, answer.text


def keys_with(service: Service, text: str) -> list[str]:
    """The keys of Redis that have the text in them."""
    with Redis.from_url(service.stack.redis_url) as client:
        return [key for key in client.scan_iter(count=1000) if text in readable(client, key)]


def readable(client: Redis, key: bytes) -> str:
    read: dict[bytes, Callable[[], object]] = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
    }
    kind = client.type(key)
    return str(read[kind]()) if kind in read else ""  # gone meanwhile


def files_with(folder: Path, text: str) -> list[str]:
    """The files below the folder that have the text in them, by their paths from there."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path.relative_to(folder)) for path in files if text.encode() in path.read_bytes()]


def list_of(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(name))


def test_nothing_in_the_data_folder_is_for_others(service: Service) -> None:
    job_id = service.submit(make_pdf(3))
    assert service.wait(job_id)["state"] == "succeeded"
    pdf = f"/jobs/{job_id}/result?format=pdf"
    wait_until(lambda: service.http.get(pdf).status_code == 200, 30, "the searchable PDF")
    folder = service.stack.data_dir
    wanted = ("blobs/jobs", "blobs/cache", "logs/web.log", "redis/appendonlydir", "beat-schedule*", "stack.lock")
    for name in wanted:
        wait_until(partial(list_of, folder, name), 20, f"{name} in {folder}")
    assert not open_to_others(folder)
    wait_until(lambda: flower_answers(service.stack.flower_url), 60, "Flower")
    service.stack.stop()  # Flower writes at its end
    assert list(folder.glob("flower*"))
    assert not open_to_others(folder)

"""Large files in parts: they go on after a break, keep within limits, are nobody else's, and go when they are left."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Route, expect
from services import make_pdf
from web_service import WebService, body_of, check_problem, served, web_service

from tasks import uploads
from tasks.blobs import source_key
from tasks.retention import expire_jobs
from tasks.services import get_blobs
from web.app import create_app

PART = 64 * 1024
DOCUMENT = make_pdf(1) + b"\n% filler" * 30_000  # a PDF of some parts
pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, max_upload_mb=1, api_keys="ann,bob") as service:
        yield service


def ask(web: WebService, method: str, path: str, *, key: str = "ann", data: bytes = b"", **headers: object) -> Any:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return web.client.open(path, method=method, data=data, headers={"X-API-Key": key, **named})


def begin(web: WebService, length: int = len(DOCUMENT), name: str = "large.pdf", **more: Any) -> str:
    metadata = f"filename {base64.b64encode(name.encode()).decode()},is_confidential"
    answer = ask(web, "POST", "/api/v1/uploads", Upload_Length=length, Upload_Metadata=metadata, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"]).removeprefix("http://localhost")


def send(web: WebService, path: str, start: int, data: bytes, **more: Any) -> Any:
    kind = more.pop("Content_Type", "application/offset+octet-stream")
    return ask(web, "PATCH", path, data=data, Upload_Offset=start, Content_Type=kind, Tus_Resumable="1.0.0", **more)


def offset(web: WebService, path: str) -> int:
    return int(ask(web, "HEAD", path).headers["Upload-Offset"])


def make_job(web: WebService, path: str, key: str = "ann", **options: Any) -> Any:
    return web.client.post(f"{path}/job", json=options, headers={"X-API-Key": key})


def test_a_file_in_parts_becomes_a_job_also_when_the_server_was_started_anew(web: WebService) -> None:
    path = begin(web)
    assert send(web, path, 0, DOCUMENT[:PART]).headers["Upload-Offset"] == str(PART)
    web.app = create_app()
    web.client = web.app.test_client()
    assert offset(web, path) == PART
    assert send(web, path, PART, DOCUMENT[PART:]).status_code == 204
    answer = make_job(web, path, pages="1", tags=["big"])
    assert answer.status_code == 202, answer.text
    [job] = body_of(answer)["jobs"]
    assert (job["name"], job["size"], job["tags"], job["options"]["pages"]) == (
        "large.pdf",
        len(DOCUMENT),
        ["big"],
        "1",
    )
    assert get_blobs().read(source_key(job["id"], "pdf")) == DOCUMENT
    assert ask(web, "HEAD", path).status_code == 404
    assert list(uploads.uploads_of(web.job(job["id"]).owner)) == []


def test_what_came_before_a_break_stays(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.uploads.PIECE_BYTES", PART)
    path = begin(web)
    upload = uploads.find_upload(owner_of(web), path.rpartition("/")[2])

    class Breaking:
        left = 2 * PART + 100

        def read(self, size: int) -> bytes:
            if not self.left:
                raise ConnectionError
            some = min(size, 1000, self.left)
            self.left -= some
            return b"x" * some

    with pytest.raises(ConnectionError):
        uploads.add_bytes(upload, 0, Breaking())  # type: ignore[arg-type]
    assert offset(web, path) == 2 * PART


def owner_of(web: WebService) -> str:
    [owner] = get_blobs().names("uploads")
    assert web
    return owner


def test_a_part_has_to_follow_and_to_fit(web: WebService) -> None:
    path = begin(web)
    check_problem(send(web, path, 5, DOCUMENT[:PART]), 409, "wrong-offset")
    check_problem(send(web, path, 0, b"few"), 400, "bad-request")
    check_problem(send(web, path, "much", DOCUMENT[:PART]), 400, "bad-request")  # type: ignore[arg-type]
    check_problem(send(web, path, 0, DOCUMENT[:PART], Content_Type="application/pdf"), 415, "unsupported-media-type")
    check_problem(ask(web, "DELETE", path, Tus_Resumable="0.2"), 412, "other-version")
    check_problem(make_job(web, path), 409, "wrong-offset")
    assert send(web, path, 0, DOCUMENT).status_code == 204
    check_problem(send(web, path, len(DOCUMENT), b"x"), 413, "too-large")
    assert offset(web, path) == len(DOCUMENT)


def test_limits_hold_before_anything_is_sent(web: WebService) -> None:
    for length, kind, status in ((2 << 20, "too-large", 413), (0, "empty-file", 422), ("x", "bad-request", 400)):
        check_problem(ask(web, "POST", "/api/v1/uploads", Upload_Length=length), status, kind)
    for _ in range(5):
        begin(web, 1 << 20)
    full = ask(web, "POST", "/api/v1/uploads", Upload_Length=1 << 20)
    check_problem(full, 429, "quota-exceeded")
    assert len(list(uploads.uploads_of(owner_of(web)))) == 5
    begin(web, key="bob")


def test_what_is_no_document_is_refused_at_its_first_part(web: WebService) -> None:
    path = begin(web, 3 * PART, "notes.txt")
    check_problem(send(web, path, 0, b"hello, " * 20_000), 415, "unsupported-format")
    assert ask(web, "HEAD", path).status_code == 404


def test_an_upload_is_its_owners_alone(web: WebService) -> None:
    path = begin(web)
    for method in ("HEAD", "DELETE", "PATCH"):
        headers = {"Upload_Offset": 0, "Content_Type": "application/offset+octet-stream"}
        assert ask(web, method, path, key="bob", data=DOCUMENT[:PART], **headers).status_code == 404
    check_problem(make_job(web, path, key="bob"), 404, "unknown-upload")
    for id in ("..", "x", "0" * 32, "%2e%2e"):
        assert ask(web, "HEAD", f"/api/v1/uploads/{id}").status_code == 404
    assert ask(web, "HEAD", path, key="nobody").status_code == 401
    assert ask(web, "DELETE", path).status_code == 204
    assert ask(web, "HEAD", path).status_code == 404


def test_what_nobody_goes_on_with_is_removed(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    path = begin(web)
    send(web, path, 0, DOCUMENT[:PART])
    expire_jobs()
    assert offset(web, path) == PART
    monkeypatch.setattr("tasks.uploads.KEPT_S", -5.0)
    expire_jobs()
    assert ask(web, "HEAD", path).status_code == 404


def test_the_same_call_again_makes_no_second_job(web: WebService) -> None:
    path = begin(web)
    send(web, path, 0, DOCUMENT)
    headers = {"X-API-Key": "ann", "Idempotency-Key": "once"}
    first = web.client.post(f"{path}/job", json={}, headers=headers)
    again = web.client.post(f"{path}/job", json={}, headers=headers)
    assert body_of(first)["jobs"][0]["id"] == body_of(again)["jobs"][0]["id"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_tus_is_told(web: WebService) -> None:
    answer = ask(web, "OPTIONS", "/api/v1/uploads")
    assert answer.headers["Tus-Extension"] == "creation,expiration,termination"
    assert answer.headers["Tus-Max-Size"] == str(1 << 20)


@pytest.mark.browser
def test_the_form_goes_on_after_a_break(
    browser: Browser, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch) as web, served(web) as url:
        view = browser.new_page(base_url=url)
        broken: list[float] = []

        def break_some(route: Route) -> None:
            if route.request.method == "PATCH" and len(broken) < 2 and route.request.headers["upload-offset"] != "0":
                broken.append(time.monotonic())
                route.abort()
            else:
                route.continue_()

        view.route("**/api/v1/uploads/**", break_some)
        view.goto("/")
        large = make_pdf(1) + os.urandom(21 << 20)
        view.set_input_files("#file", FilePayload(name="large.pdf", mimeType="application/pdf", buffer=large))
        view.click("#send")
        expect(view.locator("h1")).to_have_text("large.pdf", timeout=30_000)
        job = web.get("/jobs").json["jobs"][0]
        assert (len(broken), job["size"]) == (2, len(large))
        assert view.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('pagefan.upload'))") == []
        view.close()

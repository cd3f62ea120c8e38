"""What a request may carry: known by its length and its shape before anything is made of it."""

from __future__ import annotations

import io
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_service import PDF, WebService, body_of, check_problem, web_service

from tasks.services import get_blobs
from web.api import bodies
from web.api.bodies import JSON_BYTES, JSON_DEPTH, JSON_ITEMS, check_json
from web.api.problems import Problem

ROOT = Path(__file__).parents[1]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


class Untouched(io.BytesIO):
    """A body that notes whether anybody read it."""

    was_read = False

    def read(self, *arguments: Any) -> bytes:
        self.was_read = True
        return super().read(*arguments)

    def readinto(self, buffer: Any) -> int:
        self.was_read = True
        return super().readinto(buffer)

    def readline(self, *arguments: Any) -> bytes:
        self.was_read = True
        return super().readline(*arguments)


@contextmanager
def disk_takes(num_bytes: int) -> Iterator[None]:
    """Files may grow to this size only, as on a disk that is nearly full: empty ones can be made, large ones not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def send(web: WebService, path: str, body: io.BytesIO, length: int, kind: str, **more: Any) -> Any:
    told = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": kind}
    return web.client.open(path, method="POST", input_stream=body, headers=more, environ_overrides=told)


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/jobs/0123456789abcdef/retry", "/login", "/api/v1/nothing"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "application/problem+json"])
def test_a_large_body_without_files_is_refused_unread(web: WebService, path: str, kind: str) -> None:
    body = Untouched(b"[" * 90)
    answer = send(web, path, body, 90 * 1024 * 1024, kind)
    assert answer.status_code == 413
    assert not body.was_read
    assert "1000 MiB" not in answer.text


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_of_unknown_length_is_read_to_its_limit_only(web: WebService, kind: str) -> None:
    body = io.BytesIO(b"a" * (3 * JSON_BYTES))
    headers = {"Content-Type": kind, "Transfer-Encoding": "chunked"}
    answer = web.client.open(
        "/login", method="POST", input_stream=body, headers=headers, environ_overrides={"wsgi.input_terminated": True}
    )
    assert answer.status_code in (403, 413)
    assert body.tell() <= JSON_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        "[" + "0," * 100_000 + "0]",
        "[" + "{}," * 20_000 + "0]",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/jobs/0123456789abcdef/retry"])
def test_deep_or_long_json_is_400(web: WebService, path: str, text: str) -> None:
    answer = web.client.post(path, data=text, content_type="application/json")
    assert str(JSON_DEPTH) in check_problem(answer, 400, "bad-request")["detail"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_deep_json_hides_in_no_other_encoding(web: WebService, encoding: str) -> None:
    """The sign ≡ has a quotation mark for one of its bytes, after which everything would look like one string."""
    data = ('["≡", ' + "[" * 100_000).encode(encoding)
    answer = web.client.post("/api/v1/jobs", data=data, content_type="application/json")
    assert "UTF-8" in check_problem(answer, 400, "bad-request")["detail"]


@pytest.mark.parametrize("text", ["", "{", "nul", "\xff", '"\\', "[1,]", "NaN"])
def test_json_that_is_none_is_refused_as_before(web: WebService, text: str) -> None:
    answer = web.client.post("/api/v1/jobs", data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code in (400, 422)


@given(VALUES)
def test_json_of_common_shape_passes(value: Any) -> None:
    check_json(json.dumps(value).encode())
    check_json(json.dumps({"a": "[{" * 5000, 'b\\"[': value}).encode())


@given(st.integers(JSON_DEPTH - 3, JSON_DEPTH + 3))
def test_the_depth_is_counted_exactly(depth: int) -> None:
    text = b"[" * depth + b"]" * depth
    if depth <= JSON_DEPTH:
        check_json(text)
    else:
        with pytest.raises(Problem):
            check_json(text)


@pytest.mark.parametrize("unit", [b'"\\"', b"[]", b'""', b'"', b"\\", b"[1],", b'{"a":1},'])
def test_looking_at_json_takes_little(unit: bytes) -> None:
    script = (
        "import resource, sys; from web.api.bodies import check_json; from web.api.problems import Problem\n"
        "data = sys.stdin.buffer.read(); before = resource.getrusage(resource.RUSAGE_SELF).ru_utime\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (int(before) + 5, int(before) + 5))\n"
        "try: check_json(data)\n"
        "except Problem: pass\n"
    )
    data = unit * (JSON_BYTES // len(unit))
    subprocess.run([sys.executable, "-c", script], input=data, check=True, cwd=ROOT)


def test_one_item_too_many() -> None:
    check_json(b"[" + b"0," * (JSON_ITEMS - 2) + b"0]")
    with pytest.raises(Problem):
        check_json(b"[" + b"0," * JSON_ITEMS + b"0]")


@pytest.mark.parametrize("field", ["prompt", "question", "password", "pages", "batch_id", "webhook_url"])
def test_a_field_that_is_too_long_is_named(web: WebService, field: str) -> None:
    options: dict[str, Any] = {field: "1" * 300_000}
    body = check_problem(web.upload(**options), 422, "invalid-options")
    assert field in {error["option"] for error in body["errors"]}


@pytest.mark.parametrize("what", ["prompt", "files", "fields"])
def test_a_form_with_too_much_in_it_says_so(web: WebService, what: str) -> None:
    data: dict[str, Any] = {"file": [(io.BytesIO(PDF), "a.pdf")]}
    if what == "prompt":
        data["prompt"] = "x" * 3_000_000
    elif what == "files":
        data["file"] = [(io.BytesIO(b"x"), f"{number}.pdf") for number in range(1000)]
    else:
        data |= {f"field{number}": "x" for number in range(1000)}
    answer = web.client.post("/api/v1/jobs", data=data)
    answer.request.environ["wsgi.input"].close()  # the test client leaves its file open
    detail = check_problem(answer, 413, "too-many-parts")["detail"]
    assert re.search(r"200 files, 50 fields and 1 MiB of text", detail)


def test_many_mistakes_are_not_all_named(web: WebService) -> None:
    body = {"url": "https://public.example/a.pdf"} | {f"x{number}": 1 for number in range(5000)}
    answer = web.client.post("/api/v1/jobs", json=body)
    assert len(check_problem(answer, 422, "invalid-options")["errors"]) <= 20


def upload_of(size: int) -> tuple[Untouched, str]:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    return Untouched(head + PDF + bytes(size) + b"\r\n--x--\r\n"), "multipart/form-data; boundary=x"


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/jobs", "/api/v1/jobs/0123456789abcdef/retry", "/login", "/logout"])
def test_without_a_key_no_upload_is_read(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    spooled = []
    monkeypatch.setattr(bodies, "LimitedFile", lambda *args: spooled.append(args))
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as web:
        body, kind = upload_of(1000)
        answer = send(web, path, body, len(body.getvalue()), kind)
        assert answer.status_code in (401, 403)
        assert not body.was_read
        huge, kind = upload_of(1000)
        assert send(web, path, huge, 900 * 1024 * 1024, kind).status_code in (401, 403, 413)
        assert not huge.was_read
    assert not spooled


@pytest.mark.parametrize("path", ["/login", "/logout", "/jobs/0123456789abcdef/retry"])
def test_a_form_that_takes_no_files_spools_none(web: WebService, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spooled = []
    monkeypatch.setattr(bodies, "LimitedFile", lambda *args: spooled.append(args))
    web.client.set_cookie("pagefan_csrf", "token")
    body, kind = upload_of(1000)
    assert send(web, path, body, len(body.getvalue()), kind).status_code in (400, 404)
    assert not spooled


def test_a_form_without_this_browsers_cookie_is_refused_unread(web: WebService) -> None:
    body, kind = upload_of(1000)
    assert send(web, "/jobs", body, len(body.getvalue()), kind).status_code == 403
    assert not body.was_read


def test_an_upload_over_quota_is_refused_unread(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha", key_active_jobs=1) as web:
        key = {"Authorization": "Bearer alpha"}
        body, kind = upload_of(10)
        assert send(web, "/api/v1/jobs", body, len(body.getvalue()), kind, **key).status_code == 202
        body, kind = upload_of(10)
        check_problem(send(web, "/api/v1/jobs", body, len(body.getvalue()), kind, **key), 429, "quota-exceeded")
        assert not body.was_read


@pytest.mark.parametrize("cursor", ["nan", "inf", "-inf", "1e400", "1_0", " 1", "٣", "-1"])
@pytest.mark.parametrize("path", ["/jobs", "/api/v1/jobs"])
def test_a_cursor_that_is_no_time_is_422(web: WebService, path: str, cursor: str) -> None:
    check_problem(web.client.get(path, query_string={"cursor": cursor}), 422, "invalid-options")


def test_when_the_disk_is_full_at_the_second_file_there_is_no_job(web: WebService) -> None:
    files = [(io.BytesIO(PDF), "a.pdf"), (io.BytesIO(PDF + bytes(200_000)), "b.pdf")]
    with disk_takes(100_000):
        check_problem(web.client.post("/api/v1/jobs", data={"file": files}), 503, "storage")
    assert web.get("/jobs").json["jobs"] == []
    assert get_blobs().names("jobs") == []
    assert web.ledger.num_active() == 0


def test_when_a_record_cannot_be_written_there_is_no_job(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def write(job_id: str) -> None:
        written.append(job_id)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.submit.write_job_record", write)
    files = [(io.BytesIO(PDF), "a.pdf"), (io.BytesIO(PDF), "b.pdf")]
    check_problem(web.client.post("/api/v1/jobs", data={"file": files}), 503, "storage")
    assert web.get("/jobs").json["jobs"] == []
    assert get_blobs().names("jobs") == []


def test_a_full_disk_is_not_ready(web: WebService) -> None:
    assert body_of(web.client.get("/readyz"))["checks"]["blobs"] == "ok"
    with disk_takes(1000):
        assert body_of(web.client.get("/readyz"))["checks"]["blobs"].startswith("cannot be written")
    assert get_blobs().names("health") == []


@pytest.mark.parametrize("num_files", [1, 3])
def test_the_queue_takes_exactly_as_many_as_it_may(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_files: int
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, max_jobs_queued=10) as web:

        def upload(_: int) -> int:
            files = [(io.BytesIO(PDF), f"{number}.pdf") for number in range(num_files)]
            return int(web.app.test_client().post("/api/v1/jobs", data={"file": files}).status_code)

        with ThreadPoolExecutor(20) as pool:
            codes = list(pool.map(upload, range(40)))
        taken = 10 // num_files
        assert codes.count(202) == taken
        assert codes.count(503) == 40 - taken
        assert web.ledger.num_active() == taken * num_files == len(get_blobs().names("jobs"))


def test_jobs_of_one_request_keep_their_order_and_none_is_skipped(web: WebService) -> None:
    files = [(io.BytesIO(PDF), f"{number}.pdf") for number in range(9)]
    batch_id = body_of(web.client.post("/api/v1/jobs", data={"file": files}))["batch_id"]
    jobs = web.get(f"/batches/{batch_id}").json["jobs"]
    assert [job["name"] for job in jobs] == [f"{number}.pdf" for number in range(9)]
    seen, cursor = [], ""
    while cursor is not None:
        answer = web.get("/jobs", query_string={"limit": 2, "cursor": cursor}).json
        seen += [job["name"] for job in answer["jobs"]]
        cursor = answer["next"]
    assert seen == [f"{number}.pdf" for number in reversed(range(9))]

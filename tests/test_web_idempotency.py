"""A request that is sent twice under one Idempotency-Key makes its jobs once."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from web_service import PDF, WebService


def send(web: WebService, key: str, data: bytes = PDF, **options: Any) -> Any:
    body = {"file": (io.BytesIO(data), "a.pdf"), **options}
    return web.app.test_client().post("/api/v1/jobs", data=body, headers={"Idempotency-Key": key})


def num_jobs(web: WebService) -> int:
    return len(web.get("/jobs").json["jobs"])


def test_same_request_again_gives_the_same_job(web: WebService) -> None:
    first, again = send(web, "k1"), send(web, "k1")
    assert again.status_code == 202
    assert again.json["jobs"][0]["id"] == first.json["jobs"][0]["id"]
    assert again.json["batch_id"] == first.json["batch_id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert num_jobs(web) == 1


def test_other_keys_and_no_key_make_other_jobs(web: WebService) -> None:
    assert len({send(web, key).json["jobs"][0]["id"] for key in ("k1", "k2", "", "")}) == 4


@pytest.mark.parametrize("other", [{"data": PDF + b"%"}, {"dpi": "99"}])
def test_key_of_another_request_is_422(web: WebService, other: dict[str, Any]) -> None:
    send(web, "k1")
    answer = send(web, "k1", **other)
    assert answer.status_code == 422
    assert answer.json["type"] == "urn:pagefan:problem:key-mismatch"
    assert num_jobs(web) == 1


def test_refused_request_does_not_use_its_key_up(web: WebService) -> None:
    assert send(web, "k1", data=b"hello").status_code in (415, 422)
    assert send(web, "k1").status_code == 202


def test_simultaneous_requests_make_one_job(web: WebService) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(web, "k1"), range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert num_jobs(web) == 1
    assert send(web, "k1").status_code == 202


def test_key_over_its_length_is_refused(web: WebService) -> None:
    assert send(web, "k" * 300).status_code == 422

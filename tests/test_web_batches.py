"""Jobs that were sent together, over REST and on a page."""

from __future__ import annotations

import io

from web_service import PDF, WebService, body_of, check_problem

from tasks.retention import purge_job


def send(web: WebService, *names: str, batch_id: str = "") -> tuple[str, list[str]]:
    files = [(io.BytesIO(PDF), name) for name in names]
    answer = web.client.post("/api/v1/jobs", data={"file": files, "batch_id": batch_id})
    answer.request.environ["wsgi.input"].close()
    assert answer.status_code == 202, answer.text
    return body_of(answer)["batch_id"], [job["id"] for job in body_of(answer)["jobs"]]


def test_files_of_one_request_are_a_batch_in_their_order(web: WebService) -> None:
    send(web, "other.pdf")
    batch_id, job_ids = send(web, "a.pdf", "b.pdf", "c.pdf")
    batch = web.get(f"/batches/{batch_id}").json
    assert [job["id"] for job in batch["jobs"]] == job_ids
    assert (batch["num_jobs"], batch["has_ended"], batch["progress"]) == (3, False, 0)
    assert batch["states"] == {"queued": 3}


def test_batch_adds_up_its_jobs_and_ends_with_the_last(web: WebService) -> None:
    batch_id, (first, second) = send(web, "a.pdf", "b.pdf")
    web.ledger.begin_split(first)
    web.ledger.open_first_run(first, num_pages=2, selection="1-2", size=2)
    web.read(first, 1)
    batch = web.get(f"/batches/{batch_id}").json
    assert (batch["progress"], batch["pages"]["total"], batch["pages"]["ok"]) == (0.25, 2, 1)
    web.read(first, 2)
    web.finish(first)
    web.ledger.cancel(second)
    batch = web.get(f"/batches/{batch_id}").json
    assert batch["has_ended"]
    assert batch["states"] == {"succeeded": 1, "cancelled": 1}


def test_requests_with_the_same_batch_id_share_a_batch(web: WebService) -> None:
    send(web, "a.pdf", batch_id="monday")
    send(web, "b.pdf", batch_id="monday")
    assert [job["name"] for job in web.get("/batches/monday").json["jobs"]] == ["a.pdf", "b.pdf"]


def test_unknown_batch_and_one_whose_jobs_are_gone_are_404(web: WebService) -> None:
    check_problem(web.get("/batches/nothing"), 404, "unknown-batch")
    batch_id, job_ids = send(web, "a.pdf")
    for job_id in job_ids:
        purge_job(job_id)
    check_problem(web.get(f"/batches/{batch_id}"), 404, "unknown-batch")
    assert web.ledger.redis.keys("pf:batch:*") == []


def test_page_of_a_batch_lists_its_jobs_only(web: WebService) -> None:
    send(web, "other.pdf")
    batch_id, _ = send(web, "a.pdf", "b.pdf")
    html = web.client.get(f"/jobs?batch={batch_id}").text
    assert "2 documents sent together" in html
    assert html.index("a.pdf") < html.index("b.pdf")
    assert "other.pdf" not in html

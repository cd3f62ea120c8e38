"""Metadata and tags: what people write on their jobs is given back everywhere, and finds the jobs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_in import reading
from web_service import PDF, WebService, body_of, check_problem

from pagefan import Client
from tasks.archive import load_job
from tasks.assemble.webhooks import payload
from tasks.ledger.records import job_fields, read_job
from tasks.search import Wanted, find_jobs
from web.cli.parser import main

META, TAGS = {"customer": "42", "note": "späť, a=b"}, ["invoices", "2026"]


def test_labels_come_back_with_the_job_its_result_and_its_webhook(web: WebService, url: str) -> None:
    with reading(web), Client(url) as client:
        result = client.convert(PDF, format="json", metadata=META, tags=TAGS)
    job = web.job(result.job["id"])
    sent = json.loads(json.dumps(payload(job)))["data"]
    shown = [result.job, json.loads(result.content)["job"], sent, web.get("/jobs").json["jobs"][0]]
    assert [(found["metadata"], found["tags"]) for found in shown] == [(META, TAGS)] * 4


def test_labels_outlive_the_ledger(web: WebService) -> None:
    job_id = web.submit(metadata=json.dumps(META), tags="invoices, 2026")
    job = web.job(job_id)
    assert read_job(job_id, job_fields(job)) == job
    web.ledger.redis.delete(f"pf:job:{job_id}")
    found = load_job(job_id)
    assert found is not None
    assert (found.metadata, found.tags) == (META, tuple(TAGS))


def test_jobs_are_found_by_all_their_labels(web: WebService, url: str) -> None:
    with Client(url) as client:
        both = client.submit(PDF, metadata=META, tags=TAGS)["id"]
        one = client.submit(PDF, metadata={"customer": "42"}, tags=["invoices"])["id"]
        client.submit(PDF, metadata={"customer": "7"})
        assert [job["id"] for job in client.iter_jobs(tags=["invoices"])] == [one, both]
        assert [job["id"] for job in client.iter_jobs(tags=TAGS)] == [both]
        assert [job["id"] for job in client.iter_jobs(metadata=META)] == [both]
        assert [job["id"] for job in client.iter_jobs(tags=["invoices"], metadata={"customer": "7"})] == []
        assert [job["id"] for job in client.iter_jobs(metadata={"customer": "42"}, at_once=1)] == [one, both]
    query = {"metadata": '{"customer": "42"}', "tag": "invoices,2026"}
    assert [job["id"] for job in web.get("/jobs", query_string=query).json["jobs"]] == [both]


def test_search_stops_where_it_has_looked_at_enough(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    first = web.submit(tags="old")
    for _ in range(5):
        web.open(1)
    monkeypatch.setattr("tasks.search.AT_ONCE", 2)
    monkeypatch.setattr("tasks.search.MOST", 4)
    found, at = find_jobs("local", Wanted(tags=("old",)))
    assert (found, at is None) == ([], False)
    found, at = find_jobs("local", Wanted(tags=("old",)), before=at)
    assert ([job.id for job in found], at) == ([first], None)


def test_command_line_sends_labels_and_lists_by_them(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    web.open(1, name="other.pdf")
    labels, server = ["--meta", "customer=42", "--meta", "note=späť, a=b", "--tag", "invoices"], ["--server", url]
    with reading(web):
        assert main(["convert", str(document), "-o", str(tmp_path / "out"), *labels, *server]) == 0
    capsys.readouterr()
    assert main(["jobs", "--json", *labels, *server]) == 0
    [job] = json.loads(capsys.readouterr().out)
    assert (job["metadata"], job["tags"]) == (META, ["invoices"])
    assert main(["status", job["id"], *server]) == 0
    assert "customer: 42" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["jobs", "--meta", "customer", *server])


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": "customer=42"},
        {"metadata": '["customer"]'},
        {"metadata": json.dumps({"with space": "1"})},
        {"metadata": json.dumps({"customer": 42})},
        {"metadata": json.dumps({"long": "x" * 513})},
        {"metadata": json.dumps({f"k{number}": "" for number in range(17)})},
        {"tags": ",".join(f"t{number}" for number in range(17))},
        {"tags": "x" * 65},
        {"tags": "two words"},
    ],
)
def test_labels_beyond_the_bounds_are_refused(web: WebService, options: dict[str, Any]) -> None:
    body = check_problem(web.upload(**options), 422, "invalid-options")
    assert body["errors"][0]["option"].startswith(next(iter(options)))


def test_labels_of_a_json_body(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FETCH_ALLOW", "127.0.0.1:9")
    body = {"url": "https://93.184.216.34/a.pdf", "metadata": META, "tags": TAGS}
    job = body_of(web.client.post("/api/v1/jobs", json=body))["jobs"][0]
    assert (job["metadata"], job["tags"]) == (META, TAGS)

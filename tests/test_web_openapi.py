"""The API's description: valid, without repetition, true in its examples, and enough for a client made from it."""

from __future__ import annotations

import compileall
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from stand_in import finished_job, reading
from web_service import WebService, body_of

from web.api.components import hoist, share_schemas, tell_apart
from web.api.problems import KINDS

Json = dict[str, Any]
OWN_CALLS = {
    "POST /api/v1/jobs": "createJobs",
    "GET /api/v1/jobs": "listJobs",
    "GET /api/v1/jobs/{job_id}": "getJob",
    "PATCH /api/v1/jobs/{job_id}": "renameJob",
    "POST /api/v1/jobs/{job_id}/share": "shareJob",
    "DELETE /api/v1/jobs/{job_id}/share": "unshareJob",
    "DELETE /api/v1/jobs/{job_id}": "cancelJob",
    "POST /api/v1/jobs/{job_id}/retry": "retryPages",
    "GET /api/v1/jobs/{job_id}/events": "followJob",
    "GET /api/v1/jobs/{job_id}/result": "getResult",
    "GET /api/v1/jobs/{job_id}/pages": "listPages",
    "GET /api/v1/jobs/{job_id}/pages/{number}": "getPage",
    "GET /api/v1/jobs/{job_id}/pages/{number}/image": "getPageImage",
    "GET /api/v1/jobs/{job_id}/pages/{number}/text": "getPageText",
    "PUT /api/v1/jobs/{job_id}/pages/{number}/text": "correctPage",
    "DELETE /api/v1/jobs/{job_id}/pages/{number}/text": "undoCorrection",
    "GET /api/v1/jobs/{job_id}/tables": "listTables",
    "GET /api/v1/jobs/{job_id}/tables/{number}": "getTable",
    "GET /api/v1/jobs/{job_id}/figures/{name}": "getFigure",
    "GET /api/v1/batches/{batch_id}": "getBatch",
    "POST /api/v1/convert": "convert",
    "POST /api/v1/uploads": "beginUpload",
    "PATCH /api/v1/uploads/{upload_id}": "sendPart",
    "DELETE /api/v1/uploads/{upload_id}": "dropUpload",
    "POST /api/v1/uploads/{upload_id}/job": "createJobFromUpload",
    "GET /healthz": "isAlive",
    "GET /readyz": "isReady",
    "GET /metrics": "getMetrics",
    "GET /api/v1/system": "getSystem",
}
SAMPLE = """
import sys
import time

from made import Client
from made.api.jobs import create_jobs, get_job, list_jobs
from made.api.results import get_page, get_result
from made.models import GetResultFormatType0, JobForm, Problem
from made.types import File

url, path = sys.argv[1:]
client = Client(base_url=url, raise_on_unexpected_status=True)
known = list_jobs.sync(client=client)
assert [job.name for job in known.jobs] == ["report.pdf"], known
with open(path, "rb") as file:
    body = JobForm(file=[File(payload=file, file_name="mine.pdf")], pages="1-3")
    [job] = create_jobs.sync(client=client, body=body).jobs
deadline = time.monotonic() + 60
while job.state not in ("succeeded", "failed"):
    assert time.monotonic() < deadline, job
    job = get_job.sync(job.id, client=client, wait=5)
assert (job.name, job.state, job.pages.ok) == ("mine.pdf", "succeeded", 3), job
assert "page 2" in get_result.sync(job.id, client=client, format_=GetResultFormatType0.MD)
assert get_page.sync(job.id, 3, client=client).text == "page 3"
problem = get_job.sync("0" * 16, client=client)
assert isinstance(problem, Problem) and problem.type_.endswith(":unknown-job"), problem
"""


@pytest.fixture
def spec(web: WebService) -> Json:
    return body_of(web.client.get("/openapi.json"))


def operations(spec: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield f"{method.upper()} {path}", operation


def bodies(operation: Json) -> Iterator[tuple[str, str, Json]]:
    """Each body of a call: its status, or `request`, its media type, and what is said of it."""
    for media, described in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", media, described
    for status, answer in operation["responses"].items():
        for media, described in answer.get("content", {}).items():
            yield status, media, described


def test_the_description_is_valid(spec: Json) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []


def test_ids_of_calls_are_stable_and_each_call_has_one_tag(spec: Json) -> None:
    found = {call: operation["operationId"] for call, operation in operations(spec)}
    assert OWN_CALLS.items() <= found.items()
    assert len(set(found.values())) == len(found)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]+", name) for name in found.values())
    tags = [tag["name"] for tag in spec["tags"]]
    assert len(set(tags)) == len(tags)
    assert all(tag["description"] for tag in spec["tags"])
    for call, operation in operations(spec):
        assert len(operation["tags"]) == 1, call
        assert operation["tags"][0] in tags


def test_no_schema_is_there_twice(spec: Json) -> None:
    schemas = spec["components"]["schemas"]
    assert not [name for name in schemas if not name.isalnum()]
    counts = Counter(json.dumps(schema, sort_keys=True) for schema in schemas.values())
    assert max(counts.values()) == 1
    assert "Problem" in schemas


def test_every_error_is_the_one_problem_with_examples_and_says_when_to_ask_again(spec: Json) -> None:
    for call, operation in operations(spec):
        for status, answer in operation["responses"].items():
            if status < "400" or call == "GET /readyz":
                continue
            problem = answer["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, call
            assert problem["examples"], (call, status)
            if status in ("429", "503"):
                assert answer["headers"]["Retry-After"] == {"$ref": "#/components/headers/RetryAfter"}, call
        if "429" in operation["responses"]:
            done = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            for answer in (done, operation["responses"]["429"]):
                assert {f"X-RateLimit-{name}" for name in ("Limit", "Remaining", "Reset")} <= answer["headers"].keys()
    assert set(spec["components"]["examples"]) == set(KINDS)


def test_every_call_shows_what_it_is_sent_and_answers(spec: Json) -> None:
    for call, operation in operations(spec):
        shown = {(status, media) for status, media, body in bodies(operation) if "example" in body}
        for status, media, _ in bodies(operation):
            is_text = media.startswith("text/") or media == "application/json"
            if is_text and status in ("request", "200", "202"):
                assert (status, media) in shown or (status, "application/json") in shown, (call, status, media)


def examples(spec: Json) -> Iterator[tuple[str, Json, Any]]:
    for call, operation in operations(spec):
        for status, media, body in bodies(operation):
            if "example" in body:
                yield f"{call} {status} {media}", body["schema"], body["example"]
            for name, reference in body.get("examples", {}).items():
                kept = spec["components"]["examples"][reference["$ref"].rpartition("/")[2]]
                yield f"{call} {status} {name}", body["schema"], kept["value"]


def test_examples_are_what_their_schemas_say(spec: Json) -> None:
    count = 0
    for where, schema, example in examples(spec):
        whole = {**schema, "components": spec["components"]}
        errors = [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(example)]
        assert errors == [], where
        count += 1
    assert count > 100


def test_example_problems_are_as_the_server_sends_them(web: WebService, spec: Json) -> None:
    sent = body_of(web.get("/jobs/5f1c0e7ab3d94421"))
    assert sent == spec["components"]["examples"]["unknown-job"]["value"]


def test_schemas_of_one_name_that_differ_stay_apart() -> None:
    reference = {"$ref": "#/components/schemas/A.Same"}
    schemas: Json = {"A.Same": {"type": "object"}, "B.Same": {"type": "object"}, "A.Other": {}, "B.Other": {"not": {}}}
    spec: Json = {"components": {"schemas": schemas}, "paths": {"/": [reference]}}
    share_schemas(spec)
    assert spec["components"]["schemas"] == {"Same": {"type": "object"}, "AOther": {}, "BOther": {"not": {}}}
    assert spec["paths"] == {"/": [{"$ref": "#/components/schemas/Same"}]}


def test_parts_of_a_schema_become_schemas() -> None:
    schema = {"$schema": "x", "items": {"$ref": "#/$defs/page"}, "$defs": {"page": {"type": "string"}}}
    assert hoist(schema, "Result") == {
        "Result": {"items": {"$ref": "#/components/schemas/ResultPage"}},
        "ResultPage": {"type": "string"},
    }


def test_a_call_with_two_paths_has_two_ids() -> None:
    short, long = {"operationId": "read"}, {"operationId": "read"}
    tell_apart([("/read/{handler}", "put", long), ("/read", "put", short)])
    assert (short["operationId"], long["operationId"]) == ("read", "readWithHandler")


def test_a_generated_client_lists_submits_waits_and_fetches(
    web: WebService, url: str, spec: Json, document: Path, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(spec))
    (tmp_path / "config.yml").write_text(
        "post_hooks: []\ncontent_type_overrides:\n  image/png: application/octet-stream\n"
        "  application/pdf: application/octet-stream\n"
    )
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--fail-on-warning"]
    command += ["--path", "openapi.json", "--config", "config.yml", "--meta", "none", "--output-path", "made"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    assert compileall.compile_dir(tmp_path / "made", quiet=1)
    (tmp_path / "sample.py").write_text(SAMPLE)
    finished_job(web, 2)
    with reading(web):
        run = subprocess.run(
            [sys.executable, "sample.py", url, str(document)], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    assert run.returncode == 0, run.stderr

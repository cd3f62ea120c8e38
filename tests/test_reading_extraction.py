"""Values by a schema: what is taken of answers and schemas, where values stand, and a page on its way to its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from model_server import serve_model
from PIL import Image
from test_tasks_shortcuts import open_job, prepare
from web_service import WebService, web_service
from web_service import page as page_of

from tasks.page_end import save_generation
from workers.engines import Control, Generation, PageRequest
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.lines import Line
from workers.prompts import build_prompt
from workers.reading.answers import generate
from workers.reading.extraction import check
from workers.reading.layer_lines import LayerWord
from workers.reading.line_words import words_of
from workers.reading.numbers import says_date, says_number
from workers.reading.values import value_records
from workers.schemas import BadSchema, check_schema

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"total": {"type": "number"}, "name": {"type": "string"}},
        "required": ["total"],
    }
)


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        ('{"total": 5}', {"total": 5}),
        ('Here it is:\n```json\n{"total": 5}\n```\nDone.', {"total": 5}),
        ('The values are {"total": 5, "name": "{x"} as {you} see.', {"total": 5, "name": "{x"}),
        ('{"total": "five"} or rather {"total": 5}', {"total": 5}),
    ],
)
def test_json_is_taken_out_of_what_stands_around_it(answer: str, data: Any) -> None:
    checked = check(Generation(text=answer), SCHEMA)
    assert (checked.stop_reason, json.loads(checked.data)) == ("stop", data)
    assert "| total | 5 |" in checked.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Generation(text="nothing"), "has no JSON"),
        (Generation(text='{"total": NaN}'), "has no JSON"),
        (Generation(text="{" * 100_000), "has no JSON"),
        (Generation(text='{"name": "x"}'), "'total' is a required property"),
        (Generation(text='{"total": 5, "na', stop_reason="length"), "max_new_tokens"),
    ],
)
def test_answer_that_does_not_fit_is_no_result(answer: Generation, words: str) -> None:
    checked = check(answer, SCHEMA)
    assert (checked.stop_reason, checked.text, checked.data) == ("invalid_answer", "", "")
    assert words in checked.error


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "no JSON"),
        ("[]", "has to be of an object"),
        ('{"type": "object", "properties": {"a": {"type": "text"}}}', "not valid at"),
        ('{"type": "object", "properties": {"a": {"$ref": "http://example.com/a"}}}', "names nothing"),
        ('{"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}', "nested deeper"),
        ('{"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}', "`pattern`"),
        (json.dumps({"type": "object", "title": "x" * 20_000}), "longer than"),
    ],
)
def test_schema_that_cannot_be_used_is_refused(schema: str, words: str) -> None:
    with pytest.raises(BadSchema, match=words):
        check_schema(schema)


def test_values_are_found_among_the_words_by_their_letters_and_numbers() -> None:
    words = [LayerWord(text, (10.0 * at, 0.0, 10.0 * at + 8, 9.0), 0) for at, text in enumerate(
        ["To", "Ada", "Lovelace,", "7", "of", "7", "€1.118,50"]
    )]  # fmt: skip
    data = {"to": {"name": "Ada Lovelace"}, "sum": 1118.5, "page": 7, "missing": "Bob", "none": None}
    found = {record["path"]: record["box"] for record in value_records(data, 3, words)}
    assert found == {
        "to.name": (10.0, 0.0, 28.0, 9.0), "sum": (60.0, 0.0, 68.0, 9.0), "page": None, "missing": None, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value", "is_said"),
    [
        ("1.118,50", 1118.5, True),
        ("1,118.50", 1118.5, True),
        ("1 118,50 €", 1118.5, True),
        ("1’118.50", 1118.5, True),
        ("EUR1118.5", 1118.5, True),
        ("(−5)", -5, True),
        ("5", -5, False),
        ("2 0 2 6", 2026, False),
        ("14,218", 14218, True),
        ("No.7", 7, False),
        ("1e3", 1000, False),
        ("9" * 5000, 9, False),
    ],
)
def test_numbers_are_known_however_they_are_written(text: str, value: float, is_said: bool) -> None:
    assert says_number(text, value) is is_said


@pytest.mark.parametrize(
    ("text", "is_said"),
    [("04.05.2026", True), ("5/4/26,", True), ("2026-05-04", True), ("04.06.2026", False), ("2026-04-05", False)],
)
def test_dates_are_known_in_figures(text: str, is_said: bool) -> None:
    assert says_date(text, date(2026, 5, 4)) is is_said


def test_a_number_in_groups_and_a_date_have_their_places() -> None:
    words = words_of([Line(text="Due 04.05.2026: 1 118,50 EUR", box=(0.0, 0.0, 280.0, 10.0), confidence=0.9)])
    due, total = value_records({"due": "2026-05-04", "total": 1118.5}, 1, words)
    assert due["box"] == (40.0, 0.0, 150.0, 10.0)
    assert total["box"] == (160.0, 0.0, 240.0, 10.0)


@pytest.mark.parametrize(("second", "reason"), [('{"total": 5}', "stop"), ("still none", "invalid_answer")])
def test_wrong_answer_is_asked_for_once_more_with_what_is_wrong(second: str, reason: str) -> None:
    def model(prompt: str, _: Image.Image) -> str:
        return second if "does not fit" in prompt else "none"

    request = PageRequest(page_number=1, task="extract", schema=SCHEMA, prompt=build_prompt("extract", schema=SCHEMA))
    told: list[Generation] = []
    with (
        serve_model(model) as server,
        closing(OpenAIEngine(OpenAIOptions(base_url=server.base_url, model="m", timeout_s=10.0))) as engine,
    ):
        engine.load()
        page = engine.prepare(Image.new("RGB", (32, 32)), request)
        control = Control(on_done=lambda _, generation: told.append(generation))
        (generation,) = generate(engine, [page], control)
        assert len(server.bodies) == 2
        assert server.bodies[0]["response_format"]["json_schema"]["schema"] == json.loads(SCHEMA)
    assert generation.stop_reason == reason
    assert told and all(each == generation for each in told)


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, engine="echo") as service:
        yield service


def test_page_shows_its_values_and_one_without_any_is_failed(web: WebService) -> None:
    for answer, state in (('{"total": 5, "name": "Ada"}', "ok"), ("none", "failed")):
        job_id = open_job(web, task="extract", schema=SCHEMA, text_layer="fallback")
        prepare(web, job_id, digest=answer, layer="A sound layer of text that must not stand for values.")
        save_generation(page_of(job_id, 1), check(Generation(text=answer), SCHEMA), engine="echo", seconds=0.0)
        web.finish(job_id)
        (page,) = web.get(f"/jobs/{job_id}/result?format=json").json["pages"]
        assert page["state"] == state
        if state == "failed":
            assert page["reason"] == "invalid_answer" and "no JSON" in page["detail"]
            continue
        assert page["data"] == {"total": 5, "name": "Ada"}
        assert [value["path"] for value in page["values"]] == ["total", "name"]
        assert "| total | 5 |" in web.get(f"/jobs/{job_id}/result?format=md").text


def test_schema_is_refused_with_a_sentence(web: WebService) -> None:
    assert "needs a JSON schema" in web.upload(task="extract").json["detail"]
    assert "has to be of an object" in web.upload(task="extract", schema="[]").json["detail"]


def test_engine_that_reads_plain_text_takes_no_schema(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.needed.engine_name", lambda: "tesseract")
    assert "needs a language model" in web.upload(task="extract", schema=SCHEMA).json["detail"]

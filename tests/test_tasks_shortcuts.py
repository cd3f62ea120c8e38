"""Pages that end without an engine: a sound text layer that is preferred, and equal pages in the cache."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from web_service import WebService, page, web_service

from tasks import cache
from tasks.ledger.records import Page
from tasks.messages import JobOptions
from tasks.page_end import fail_page, save_generation
from tasks.prepare import keep_prepared
from tasks.retention import purge_job
from tasks.services import get_blobs
from tasks.settings import get_settings
from workers.documents.pages import PreparedPage
from workers.engines import Generation, Line
from workers.reading.layer_lines import LayerWord
from workers.reading.page_layer import LayerVerdict

LAYER = "The keeper writes down every ship that passes and nobody reads the book."
TEXT = Generation(text="read by an engine", lines=(Line(text="read", box=(1.0, 2.0, 30.0, 4.0), confidence=0.9),))


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    with web_service(redis_url, tmp_path, monkeypatch, engine="echo") as service:
        yield service


def prepared(
    digest: str = "d1", layer: str = "", verdict: LayerVerdict = "", words: Sequence[LayerWord] = ()
) -> PreparedPage:
    return PreparedPage(
        png=b"png", packed=None, width=64, height=96, rotation=0, is_blank=False, text_layer=layer, num_tokens=1,
        digest=digest, revision="r1", layer_verdict=verdict, layer_words=tuple(words),
    )  # fmt: skip


def open_job(web: WebService, num_pages: int = 1, *, owner: str = "local", **options: Any) -> str:
    job_id = f"5{web.ledger.redis.incr('test:shortcuts'):015d}"
    web.ledger.create(job_id, owner=owner, name="a.pdf", kind="pdf", size=1, options=JobOptions(**options))
    web.ledger.begin_split(job_id)
    web.ledger.open_first_run(job_id, num_pages=num_pages, selection=f"1-{num_pages}", size=num_pages)
    return job_id


def prepare(web: WebService, job_id: str, number: int = 1, *, run: int = 1, **made: Any) -> Page:
    """What prepare_page does once the page is rendered."""
    keep_prepared(page(job_id, number, run), prepared(**made))
    return web.ledger.page(job_id, number - 1)


def generate(web: WebService, job_id: str, number: int = 1, generation: Generation = TEXT, **rest: Any) -> Page:
    save_generation(page(job_id, number, rest.pop("run", 1)), generation, engine="echo", seconds=0.5, **rest)
    return web.ledger.page(job_id, number - 1)


def text_of(web: WebService, job_id: str, number: int = 1) -> Any:
    return web.get(f"/jobs/{job_id}/pages/{number}").json["text"]


def test_sound_text_layer_is_preferred_and_needs_no_engine(web: WebService) -> None:
    job_id = open_job(web, text_layer="prefer")
    ended = prepare(web, job_id, layer=LAYER + "\n")
    assert (ended.state, ended.engine, ended.tokens, ended.has_image) == ("ok", "text-layer", 0, True)
    assert text_of(web, job_id) == LAYER


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        ("Page 1", {"text_layer": "prefer"}),
        ("\ufffd" * 99, {"text_layer": "prefer"}),
        (LAYER, {"text_layer": "fallback"}),
        (LAYER, {"text_layer": "ignore"}),
        (LAYER, {"text_layer": "prefer", "task": "describe"}),
    ],
)
def test_page_goes_to_the_engine_where_its_text_layer_is_not_wanted_or_not_sound(
    web: WebService, layer: str, options: dict[str, Any]
) -> None:
    assert prepare(web, open_job(web, **options), layer=layer).state == "ready"


def words_of(text: str, top: float = 10.0, line: int = 0) -> list[LayerWord]:
    """The words of a line, 10 px a letter."""
    words, x = [], 10.0
    for word in text.split():
        words.append(LayerWord(word, (x, top, x + 10 * len(word), top + 12), line))
        x += 10 * len(word) + 6
    return words


def read_line(text: str, top: float = 10.0) -> Line:
    return Line(text=text, box=(8.0, top - 2, 20.0 + 11 * len(text), top + 14), confidence=0.8)


@pytest.mark.parametrize("text_layer", ["auto", "prefer"])
def test_layer_that_the_pixels_agree_with_is_the_text_with_its_lines(web: WebService, text_layer: str) -> None:
    job_id = open_job(web, text_layer=text_layer)
    ended = prepare(web, job_id, layer="Page 1", verdict="sound", words=words_of("Page 1"))
    assert (ended.state, ended.engine) == ("ok", "text-layer")
    shown = web.get(f"/jobs/{job_id}/pages/1").json
    assert [(line["text"], line["box"]) for line in shown["lines"]] == [("Page 1", [10.0, 10.0, 66.0, 22.0])]


@pytest.mark.parametrize("text_layer", ["auto", "prefer"])
def test_layer_that_the_pixels_reject_is_used_for_nothing(web: WebService, text_layer: str) -> None:
    job_id = open_job(web, text_layer=text_layer)
    assert prepare(web, job_id, layer=LAYER, verdict="unsound").state == "ready"
    assert generate(web, job_id, 1, Generation(text="something else")).text_layer_recall is None
    cached = prepare(web, open_job(web, text_layer=text_layer), layer=LAYER, verdict="unsound")
    assert (cached.cached, cached.text_layer_recall) == (True, None)
    other = open_job(web, text_layer=text_layer)
    prepare(web, other, layer=LAYER, verdict="unsound", digest="d2")
    fail_page(page(other, 1), "timeout")
    assert web.ledger.page(other, 0).state == "failed"


def test_layer_that_nobody_could_look_at_is_not_the_text_of_auto(web: WebService) -> None:
    assert prepare(web, open_job(web, text_layer="auto"), layer=LAYER).state == "ready"


@pytest.mark.parametrize("is_cached", [False, True])
def test_words_of_a_part_are_put_together_with_what_is_read_of_the_rest(web: WebService, is_cached: bool) -> None:
    words = words_of("The keeper's log")
    read = Generation(text="", lines=(read_line("The keepers iog"), read_line("Scanned below", 40)))
    if is_cached:
        first = open_job(web)
        prepare(web, first)
        generate(web, first, 1, read)
    job_id = open_job(web, text_layer="auto")
    prepare(web, job_id, layer="The keeper's log", verdict="partial", words=words)
    ended = web.ledger.page(job_id, 0) if is_cached else generate(web, job_id, 1, read)
    assert (ended.state, ended.engine, ended.cached) == ("ok", "echo", is_cached)
    assert text_of(web, job_id).split("\n") == ["The keeper's log", "Scanned below"]
    assert not get_blobs().exists(f"jobs/{job_id}/pages/000001.words.json")


def test_words_of_a_part_do_not_reach_the_cache(web: WebService) -> None:
    first, second = open_job(web, text_layer="auto"), open_job(web)
    prepare(web, first, layer="The keeper's log", verdict="partial", words=words_of("The keeper's log"))
    generate(web, first, 1, Generation(text="The keepers iog", lines=(read_line("The keepers iog"),)))
    assert (text_of(web, first), prepare(web, second).cached) == ("The keeper's log", True)
    assert text_of(web, second) == "The keepers iog"


def test_repair_reads_a_page_anew_although_its_text_layer_is_preferred(web: WebService) -> None:
    job_id = open_job(web, text_layer="prefer")
    prepare(web, job_id, layer=LAYER)
    run = web.ledger.open_repair(job_id, indexes=[0], selection="1", options={})
    assert prepare(web, job_id, run=run, layer=LAYER).state == "ready"


@pytest.mark.parametrize(
    ("text_layer", "layer", "state"),
    [("fallback", LAYER, "fallback"), ("fallback", "Page 1", "fallback"), ("fallback", "\ufffd" * 9, "failed"),
     ("prefer", LAYER[:9], "fallback"), ("ignore", LAYER, "failed")],
)  # fmt: skip
def test_failed_page_falls_back_to_a_sound_layer_only(web: WebService, text_layer: str, layer: str, state: str) -> None:
    job_id = open_job(web, text_layer=text_layer)
    prepare(web, job_id, layer=layer)
    fail_page(page(job_id, 1), "timeout")
    assert web.ledger.page(job_id, 0).state == state


def test_recall_of_the_text_layer_is_on_record(web: WebService) -> None:
    job_id = open_job(web, 3)
    for number, layer in ((1, LAYER), (2, "Page 1"), (3, "")):
        prepare(web, job_id, number, layer=layer, digest=f"d{number}")
    half = generate(web, job_id, 1, Generation(text="the KEEPER writes down every ship"))
    assert half.text_layer_recall == pytest.approx(6 / 13, abs=0.001)
    assert [generate(web, job_id, number).text_layer_recall for number in (2, 3)] == [None, None]


def test_equal_page_is_served_from_the_cache(web: WebService) -> None:
    first, second = open_job(web), open_job(web)
    assert not prepare(web, first).cached
    assert not generate(web, first).cached
    ended = prepare(web, second, layer=LAYER)
    assert (ended.state, ended.cached, ended.engine, ended.seconds) == ("ok", True, "echo", 0.0)
    assert ended.text_layer_recall == 0.0
    shown = web.get(f"/jobs/{second}/pages/1").json
    assert (shown["text"], shown["lines"][0]["box"], shown["cached"]) == (TEXT.text, [1.0, 2.0, 30.0, 4.0], True)


@pytest.mark.parametrize(
    "otherwise",
    [{"prompt": "Translate."}, {"max_new_tokens": 7}, {"temperature": 0.5}, {"task": "describe"}],
)
def test_page_asked_for_otherwise_misses_the_cache(web: WebService, otherwise: dict[str, Any]) -> None:
    first = open_job(web)
    prepare(web, first)
    generate(web, first)
    assert prepare(web, open_job(web, **otherwise)).state == "ready"
    assert prepare(web, open_job(web), digest="d2").state == "ready"


@pytest.mark.parametrize(
    ("generation", "rest"),
    [
        (Generation(text="cut", stop_reason="length"), {}),
        (Generation(text="again", stop_reason="repetition"), {}),
        (TEXT, {"attempts": [{"engine": "echo", "seconds": 0.1, "reason": "repetition"}]}),
    ],
)
def test_text_that_did_not_end_well_at_once_is_not_cached(
    web: WebService, generation: Generation, rest: dict[str, Any]
) -> None:
    first = open_job(web)
    prepare(web, first)
    generate(web, first, 1, generation, **rest)
    assert prepare(web, open_job(web)).state == "ready"


def test_repair_is_not_served_from_the_cache_and_renews_it(web: WebService) -> None:
    job_id = open_job(web)
    prepare(web, job_id)
    generate(web, job_id)
    run = web.ledger.open_repair(job_id, indexes=[0], selection="1", options={})
    assert prepare(web, job_id, run=run).state == "ready"
    generate(web, job_id, 1, Generation(text="better"), run=run)
    assert prepare(web, open_job(web)).cached
    assert text_of(web, job_id) == "better"


def test_deleting_a_job_for_good_takes_its_pages_out_of_the_cache(web: WebService) -> None:
    job_id = open_job(web)
    prepare(web, job_id)
    generate(web, job_id)
    web.finish(job_id)
    purge_job(job_id, texts_too=True)
    assert prepare(web, open_job(web)).state == "ready"


@pytest.mark.usefixtures("web")
def test_cache_is_kept_within_its_size_by_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MIB", 1)  # PAGE_CACHE_MB counts bytes here
    keys = [f"{number:x}" * 64 for number in range(4)]
    for number, key in enumerate(keys):
        cache.keep(key, Generation(text="x" * 200), engine="echo")
        age_s = 100 - number
        os.utime(get_blobs().path(cache.blob_key(key)), (time.time() - age_s,) * 2)
    assert cache.look_up(keys[0]) is not None  # used now, though made first
    monkeypatch.setenv("PAGE_CACHE_MB", "700")
    get_settings.cache_clear()
    cache.trim()
    assert [cache.look_up(key) is not None for key in keys] == [True, False, False, True]


@pytest.mark.usefixtures("web")
def test_entry_unused_for_as_long_as_jobs_are_kept_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.keep("a" * 64, TEXT, engine="echo")
    monkeypatch.setenv("JOB_TTL_S", "60")
    get_settings.cache_clear()
    cache.trim()
    assert cache.look_up("a" * 64) is not None
    os.utime(get_blobs().path(cache.blob_key("a" * 64)), (time.time() - 61,) * 2)
    cache.trim()
    assert cache.look_up("a" * 64) is None


def test_cache_that_is_switched_off_is_not_used(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_CACHE_MB", "0")
    get_settings.cache_clear()
    first = open_job(web)
    assert prepare(web, first).cache_key == ""
    generate(web, first)
    assert prepare(web, open_job(web)).state == "ready"
    assert get_blobs().names("cache") == []


def test_nobody_learns_what_another_key_has_sent(web: WebService) -> None:
    first = open_job(web, owner="key-a")
    prepare(web, first)
    generate(web, first)
    assert not prepare(web, open_job(web, owner="key-b")).has_ended
    assert prepare(web, open_job(web, owner="key-a")).cached

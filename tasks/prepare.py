"""Pages that need no engine: a PDF's own text where the job prefers it, and what the page cache has."""

from __future__ import annotations

from typing import Any

from tasks.cache import look_up
from tasks.messages import JobOptions, PageTask
from tasks.metrics import count
from tasks.page_end import TEXT_LAYER, measure_recall, save_text
from tasks.runs import load_run
from tasks.services import get_ledger
from workers.documents.pages import PreparedPage
from workers.documents.text_layer import is_healthy
from workers.engines import Line


def end_without_engine(page: PageTask, prepared: PreparedPage, cache_key: str, **about: Any) -> bool:
    """End the page `ok` if its text is at hand. A repair asks for a new reading, so it gets neither."""
    if page.run > 1:
        return False
    options = load_run(page.job_id, page.run).options
    if prefers_layer(options) and is_healthy(prepared.text_layer):
        save_text(page, prepared.text_layer.strip(), engine=TEXT_LAYER, seconds=0.0, **about)
        return True
    entry = look_up(cache_key)
    if entry is None:
        return False
    save_text(
        page,
        entry["text"],
        engine=entry["engine"],
        seconds=0.0,
        tokens=entry["tokens"],
        lines=tuple(Line(**line) for line in entry["lines"]),
        rotation=entry["rotation"],
        notices=tuple(entry.get("notices", ())),
        cached=True,
        cache_key=cache_key,
        text_layer_recall=measure_recall(options, prepared.text_layer, entry["text"]),
        **about,
    )
    count(get_ledger(), "pages_cached")
    return True


def prefers_layer(options: JobOptions) -> bool:
    """A text layer can answer for a transcription only."""
    return options.text_layer == "prefer" and options.task == "transcribe" and not options.prompt

"""A question about a document as a whole, asked on a GPU worker: by its engine, between the pages of other jobs."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from PIL import Image

from tasks.archive import pages_at, read_content
from tasks.assemble.answer import answer_key, failure, keep_answer, question_key
from tasks.assemble.question import question_request
from tasks.blobs import BlobMissing
from tasks.broker import AWAY
from tasks.generate.batcher import Batcher
from tasks.generate.runner import Loaded
from tasks.ledger.records import Job
from tasks.messages import PageTask
from tasks.reasons import REASONS
from tasks.services import get_blobs, get_ledger
from tasks.settings import get_settings
from workers.asking.passages import Passage, understood
from workers.asking.places import PageWords, placed_values
from workers.engines import Engine, Generation, Prepared
from workers.lines import Line
from workers.png import open_png
from workers.reading.large import unpack
from workers.reading.line_words import words_of

logger = logging.getLogger(__name__)

LOOK_S = 0.5  # how often somebody who cancels is noticed


def answer_or_give_up(job_id: str, batcher: Batcher) -> None:
    """Ask, and write what comes of it, be it that something unexpected was raised. Raises where a store is away."""
    try:
        answer(job_id, batcher)
    except (OSError, *AWAY):
        raise
    except Exception:
        logger.exception("job %s could not be asked about", job_id)
        job = get_ledger().job(job_id)
        if job is not None:
            keep_answer(job, failure("internal", REASONS["internal"]))


def answer(job_id: str, batcher: Batcher) -> None:
    """Ask what `tasks.assemble.question` has prepared, and write what comes of it. Harmless to repeat."""
    ledger, blobs = get_ledger(), get_blobs()
    job = ledger.job(job_id)
    if job is None or job.has_ended or blobs.exists(answer_key(job)):
        return
    if ledger.count_try(job_id, f"answer:{job.run}") > get_settings().poison_limit:
        keep_answer(job, failure("poison", "The process that was asked died each time. Retry a page to ask again."))
        return
    try:
        question = blobs.read_json(question_key(job, "json"))
        started = time.monotonic()
        generation = ask(job, question, batcher)
    except BlobMissing:
        logger.info("job %s: its question is gone; the assembly makes it again", job_id)
        return
    if generation.stop_reason == "cancelled":
        return
    about = {"engine": batcher.engine.name, "tokens": generation.tokens}
    about["seconds"] = round(time.monotonic() - started, 3)
    keep_answer(job, answer_of(job, question, generation) | about)
    logger.info("job %s: asked in %.2f s", job_id, about["seconds"], extra={"job": job_id})


def ask(job: Job, question: dict[str, Any], batcher: Batcher) -> Generation:
    """What the engine says; `cancelled` where the job ends meanwhile. Raises BlobMissing."""
    page = PageTask(job_id=job.id, run=job.run, index=job.num_pages)  # after the last, which is nobody's
    prepared, image = load(job, question, batcher.engine)
    said = batcher.ask(Loaded(page, 0, "", prepared), image)
    while True:
        try:
            return said.result(LOOK_S)
        except NotYet:
            now = get_ledger().job(job.id)
            if now is None or now.has_ended:
                batcher.running.stop({page})
                return Generation(text="", stop_reason="cancelled")


def load(job: Job, question: dict[str, Any], engine: Engine) -> tuple[Prepared, Image.Image]:
    """The question as the engine wants it, and the image of its page."""
    blobs, request = get_blobs(), question_request(job, question["prompt"])
    image = open_png(blobs.read(question_key(job, "png"))).convert(engine.image_spec.mode)
    try:
        return unpack(engine, blobs.read(question_key(job, "packed")), request), image
    except BlobMissing:
        return engine.prepare(image, request), image


def answer_of(job: Job, question: dict[str, Any], generation: Generation) -> dict[str, Any]:
    """What came of a question: an answer with its pages, values with theirs and their places, or why there is none."""
    passages = [Passage(passage["text"], tuple(passage["pages"])) for passage in question["passages"]]
    asked = sorted({page for passage in passages for page in passage.pages})
    about = {"pages_asked": asked, "is_all": question["is_all"]}
    reason: str = generation.stop_reason
    if reason in ("length", "repetition") and generation.text.strip() and not job.options.schema:
        reason = "stop"  # what there is of an answer is better than none
    if reason != "stop":
        reason = "generation_failed" if reason == "error" else reason
        return about | failure(reason, generation.error or REASONS.get(reason, ""))
    if generation.data:
        data = json.loads(generation.data)
        values = placed_values(data, list(iter_words(job, asked)))
        found = sorted({value["page_number"] for value in values if value["page_number"]})
        about |= {"data": data, "values": values, "pages": found, "is_found": bool(values)}
        return about | {"text": generation.text}
    said = understood(generation.text, passages)
    return about | {"text": said.text, "is_found": said.is_found, "pages": said.pages, "is_cited": said.is_cited}


def iter_words(job: Job, numbers: Sequence[int]) -> list[PageWords]:
    """The words of pages, by their lines."""
    found = []
    for page in pages_at(job, [number - 1 for number in numbers]):
        lines = [Line.from_json(line) for line in read_content(page).get("lines", ())]
        found.append(PageWords(page.page_number, words_of(lines)))
    return found

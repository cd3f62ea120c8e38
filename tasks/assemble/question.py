"""What is asked of a document as a whole: the passages for it are chosen and its image is made on a CPU worker.

`tasks.generate.asking` asks.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict

from tasks.assemble.answer import answer_key, failure, keep_answer, question_key
from tasks.assemble.results import write_format
from tasks.blobs import BlobMissing
from tasks.ledger.records import Job
from tasks.runs import load_run
from tasks.services import engine_name, engine_options, get_blobs, get_ledger, get_sandbox, lane_of, longest_answer
from tasks.settings import document_limits, get_settings
from workers.asking.passages import NOTHING, Choice, Passage, choose, prompt_of, words_of_schema
from workers.documents.kinds import DocumentError
from workers.documents.pages import prepare_page
from workers.engines import EngineError, PageRequest
from workers.results.options import ResultOptions
from workers.sandbox.sandbox import SandboxDied, SandboxTimeout

PASSAGE_CHARS = 1000  # smaller than chunks for retrieval, so that more places of a document come together
SPOOL_CHARS = 1_000_000
MISSING = ["missing"]  # the kinds of a chunk that says that a page has no text


def has_open_question(job_id: str) -> bool:
    """Whether a model has to be asked before the job can end; what it is asked with is written then."""
    job = get_ledger().job(job_id)
    if job is None or not job.options.asks_document or get_blobs().exists(answer_key(job)):
        return False
    if get_blobs().exists(question_key(job, "json")):
        return True
    options = job.options
    words = options.question or words_of_schema(json.loads(options.schema))
    choice = choose(list(iter_passages(job)), words, get_settings().question_chars)
    if choice is None:
        keep_answer(job, {"text": NOTHING, "is_found": False})
        return False
    try:
        prepare_question(job, choice)
    except DocumentError as exc:
        keep_answer(job, failure(exc.reason, exc.detail))
        return False
    return True


def iter_passages(job: Job) -> Iterator[Passage]:
    """The document in pieces, in its order, without what stands in the place of pages that have no text."""
    with tempfile.SpooledTemporaryFile(SPOOL_CHARS, "w+", encoding="utf-8", newline="") as out:
        write_format(job, "chunks", out, options=ResultOptions(max_chars=PASSAGE_CHARS))
        out.seek(0)
        for line in out:
            chunk = json.loads(line)
            if chunk["kinds"] != MISSING:
                yield Passage(chunk["text"], tuple(chunk["pages"]))


def prepare_question(job: Job, choice: Choice) -> None:
    """Write what a model is asked with: the words, and the page that fits best as it wants it. Raises DocumentError."""
    options, blobs = job.options, get_blobs()
    prompt = prompt_of(choice, question=options.question, schema=options.schema, prompt=options.prompt)
    question = {"prompt": prompt, "best_page": choice.best_page, "is_all": choice.is_all}
    request = question_request(job, prompt)
    context = load_run(job.id, job.run)
    try:
        made = get_sandbox().run(
            prepare_page,
            blobs.local(context.source_key),
            choice.best_page - 1,
            engine=engine_name(context.lane),
            options=engine_options(context.lane),
            request=request,
            password=context.options.password,
            limits=document_limits(),
            timeout_s=get_settings().render_timeout_s,
        )
    except EngineError as exc:
        raise DocumentError("generation_failed", str(exc)) from exc
    except (SandboxTimeout, SandboxDied, BlobMissing) as exc:
        detail = f"Page {choice.best_page} could not be made ready for the question; retry a page to ask again."
        raise DocumentError("internal", detail) from exc
    blobs.write(question_key(job, "png"), made.png)
    if made.packed is not None:
        blobs.write(question_key(job, "packed"), made.packed)
    passages = [asdict(passage) for passage in choice.passages]
    blobs.write_json(question_key(job, "json"), question | {"passages": passages})  # last: the others are there then


def question_request(job: Job, prompt: str) -> PageRequest:
    """What an engine is asked; as a page's number it has the one after the last."""
    options = job.options
    return PageRequest(
        page_number=job.num_pages + 1,
        task=options.task,
        language=options.language,
        prompt=prompt,
        schema=options.schema,
        max_new_tokens=options.max_new_tokens or longest_answer(lane_of(options.engine)),
        temperature=options.temperature,
    )

"""Server-sent events: what changes in a job, and its text in page order, as it comes.

An event's id is "SEQ:NUM_TEXTS": the last change and the number of pages whose text has been sent. It says all there is
to know, so that a listener that comes back with it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile
from typing import Any

from apiflask import APIBlueprint
from flask import Response, request, stream_with_context

from tasks.archive import pages_at, pages_since
from tasks.ledger.records import Job, Page
from web.api.changes import Topic, get_changes
from web.api.inputs import EventsQuery
from web.api.jobs import find_job
from web.api.outputs import Answers
from web.api.partials import Feed
from web.api.problems import Problem
from web.api.shown import job_out, page_out, page_text_out
from workers.documents.selection import Selection

HEARTBEAT_S = 15.0
PAUSE_S = 0.1  # changes that come closer together go out together; longer where many listen
MOST_CHANGES, MOST_TEXTS = 500, 32  # in one piece; it is in memory as a whole

Batch = tuple[str, "Cursor", bool]  # events, where they lead, whether the job has no more at present

EVENT = {  # OpenAPI before 3.2 describes a stream by one of its events
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "description": "`job`, `page`, `text`, `partial` or `end`."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
ANSWERS: Answers = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": EVENT}}},
    204: {"description": "The job has ended and the listener has seen everything"},
    404: {"description": "Unknown job"},
    503: {"description": "Job store away, or too many listeners"},
}

bp = APIBlueprint("events", __name__, url_prefix="/api/v1", tag="Jobs")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a listener has come: changes up to `seq`, texts of the first `num_texts` chosen pages."""

    seq: int = 0
    num_texts: int = 0

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that an event id stands for; the start for anything else."""
        seq, _, num_texts = text.partition(":")
        if not (seq.isdecimal() and (num_texts or "0").isdecimal()):
            return cls()
        return cls(int(seq[:15]), int(num_texts[:15] or 0))


@bp.get("/jobs/<job_id>/events")
@bp.input(EventsQuery, location="query")
@bp.doc(responses=ANSWERS, operation_id="followJob")
def listen(job_id: str, query_data: EventsQuery) -> Response:
    """Listen to a job

    `job` events bring the job, `page` events a page whose state has changed, `text` events a page with its text: the
    first pages first, each as soon as all before it have ended, and again when a repair changes it. `end` is the last
    one. After a break, send the last event's id as `Last-Event-ID` (browsers do) or as `since`.

    `partial` events, `{page_number, text}`, bring what an engine has read so far of pages that are being read: the
    first such pages, the last 20,000 characters of each, at most twice a second. They have no id and are not repeated;
    a page's `text` stands in their place once it has ended.
    """
    job = find_job(job_id)
    cursor = Cursor.parse(request.headers.get("Last-Event-ID") or query_data.since)
    if job.has_ended and has_seen_all(job, cursor, query_data.text):
        return Response(status=204)
    seats = ExitStack()
    topic = seats.enter_context(get_changes().listen(job.id))
    if topic is None:
        raise Problem("too-many-listeners", headers={"Retry-After": "10"})
    response = Response(
        stream_with_context(stream(job, topic, cursor, with_text=query_data.text, with_partial=query_data.partial)),
        mimetype="text/event-stream",
    )
    response.call_on_close(seats.close)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    return response


def has_seen_all(job: Job, cursor: Cursor, with_text: bool) -> bool:
    return cursor.seq >= job.seq and (not with_text or cursor.num_texts >= job.num_selected)


def stream(job: Job, topic: Topic, cursor: Cursor, *, with_text: bool, with_partial: bool) -> Iterator[str]:
    """Events until the job has ended, with a comment now and then so that no proxy thinks the connection dead."""
    yield "retry: 2000\n\n"
    spoke_at, caught_up = time.monotonic(), False
    feed = Feed(topic)
    while True:
        while not caught_up or job.seq > cursor.seq:
            key = (cursor, with_text, job.seq)
            text, cursor, caught_up = topic.share(key, partial(next_events, job, cursor, with_text=with_text))
            spoke_at = time.monotonic()
            yield text
        if job.has_ended:
            yield encode("end", cursor, {"state": job.state})
            return
        if with_partial and (text := feed.look(job)):
            spoke_at = time.monotonic()
            yield text
        if time.monotonic() - spoke_at >= HEARTBEAT_S:
            spoke_at = time.monotonic()
            yield ": still here\n\n"
        (feed if with_partial else topic).wait(cursor.seq, HEARTBEAT_S)
        time.sleep(PAUSE_S * (1 + topic.listeners / 100))
        try:
            job = topic.latest(partial(find_job, job.id)) or job
        except Problem:
            yield encode("end", cursor, {"state": "deleted"})
            return


def next_events(job: Job, cursor: Cursor, *, with_text: bool) -> Batch:
    """What comes next for all listeners that are at `cursor`; together they bring it up to the change `job.seq`."""
    changes = changed_pages(job, cursor.seq)
    out = []
    for page in changes[:MOST_CHANGES]:
        cursor = Cursor(page.seq, cursor.num_texts)
        was_sent = page.has_ended and place_of(job, page) < cursor.num_texts
        show, name = (page_text_out, "text") if was_sent else (page_out, "page")
        out.append(encode(name, cursor, show(job, page).model_dump(mode="json")))
    if len(changes) > MOST_CHANGES:
        return "".join(out), cursor, False
    cursor = Cursor(max(cursor.seq, job.seq), cursor.num_texts)
    pages = next_texts(job, cursor) if with_text else []
    for page in pages:
        cursor = Cursor(cursor.seq, cursor.num_texts + 1)
        out.append(encode("text", cursor, page_text_out(job, page).model_dump(mode="json")))
    if len(pages) == MOST_TEXTS:
        return "".join(out), cursor, False
    out.append(encode("job", cursor, job_out(job).model_dump(mode="json")))
    return "".join(out), cursor, True


def next_texts(job: Job, cursor: Cursor) -> list[Page]:
    """The pages that are next in page order, as far as all of them have ended."""
    indexes = list(places_of(job.selection))[cursor.num_texts : cursor.num_texts + MOST_TEXTS]
    pages = pages_at(job, indexes) if indexes else []
    return list(takewhile(lambda page: page.has_ended and page.seq <= cursor.seq, pages))


def encode(name: str, cursor: Cursor, data: dict[str, Any]) -> str:
    return f"id: {cursor.seq}:{cursor.num_texts}\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def place_of(job: Job, page: Page) -> int:
    return places_of(job.selection).get(page.index, job.num_pages)


@lru_cache(maxsize=64)
def places_of(selection: str) -> dict[int, int]:
    """The place of each chosen page, by its index, in page order."""
    return {index: place for place, index in enumerate(Selection.parse(selection))}


def changed_pages(job: Job, seq: int) -> list[Page]:
    """Pages whose last change lies after `seq` and not after the job's own, in the order of their changes."""
    return sorted((page for page in pages_since(job, seq) if seq < page.seq <= job.seq), key=lambda page: page.seq)

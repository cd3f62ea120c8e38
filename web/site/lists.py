"""The page with the list of jobs: looked through, searched, and worked on, several at once. It needs no JavaScript."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import urlencode

from apiflask import APIBlueprint
from flask import render_template, request
from markupsafe import Markup, escape

from tasks.index import get_index
from tasks.messages import JOB_ENDED, JobState
from web.api.batches import find_batch
from web.api.list_inputs import ListQuery
from web.api.lists import list_of
from web.api.outputs import JobListOut, MatchOut
from web.api.shown import job_summary
from web.site.chosen import MOST, TOGETHER
from web.site.fields import validate
from web.site.pages import FORMATS
from workers.documents.text_layer import TEXT_LAYER
from workers.engines.registry import ENGINES

bp = APIBlueprint("lists_site", __name__, enable_openapi=False)

LISTED = 30
DID = {"retry": "read again", "cancel": "cancelled", "delete": "deleted"}
LEFT = {"retry": "had no page without text, or were at work", "cancel": "had ended already"}
FIELDS = ("q", "state", "engine", "tag", "since", "until", "batch", "cursor")
UNFINISHED = [state for state in get_args(JobState) if state not in JOB_ENDED]
STATES = {  # what people choose from: the word in the address, its states, what it is called
    "unfinished": (UNFINISHED, "At work or waiting"),
    "succeeded": (["succeeded"], "Complete"),
    "partial": (["partial"], "Partly read"),
    "failed": (["failed"], "Failed"),
    "cancelled": (["cancelled"], "Cancelled"),
}


@bp.get("/jobs")
def show_jobs() -> str:
    chosen = query_values()
    chosen.pop("cursor", None)
    cursor = request.args.get("cursor", "")  # as it is: it was not typed
    if list(chosen) == ["batch"]:
        together = [job_summary(job) for job in find_batch(chosen["batch"])]
        found = JobListOut(jobs=together, matches={}, next=None)
    else:
        found = list_of(validate(ListQuery, as_in_api(chosen) | {"limit": LISTED, "cursor": cursor}))
    return render_template(
        "jobs.html",
        jobs=found.jobs,
        excerpts={job_id: excerpt(match) for job_id, match in found.matches.items()},
        matches=found.matches,
        next=found.next,
        chosen=chosen,
        is_first=not cursor,
        said=what_was_done(),
        back=urlencode(chosen),
        together={name: FORMATS[name][0] for name in TOGETHER},
        states={word: name for word, (_, name) in STATES.items()},
        engines=[*sorted(ENGINES), TEXT_LAYER],
        finds_texts=get_index() is not None,
    )


def what_was_done() -> str:
    """What was done to chosen jobs, in a sentence; "" where nothing was."""
    verb = DID.get(request.args.get("did", ""), "")
    done, of = request.args.get("done", 0, type=int), request.args.get("of", 0, type=int)
    if not verb or not of or not 0 <= done <= of <= MOST:
        return ""
    left = of - done
    why = LEFT.get(request.args["did"], "") if left else ""
    return f"{done} {'job' if done == 1 else 'jobs'} {verb}." + (f" {left} {why}." if why else "")


def query_values() -> dict[str, str]:
    """What the address asks for, as far as it is in FIELDS and not empty."""
    return {name: value for name in FIELDS if (value := request.args.get(name, "").strip())}


def as_in_api(chosen: dict[str, str]) -> dict[str, Any]:
    """The same in the words of the API."""
    values: dict[str, Any] = {name: value for name, value in chosen.items() if name not in ("batch", "state")}
    if word := chosen.get("state"):
        values["state"] = STATES[word][0] if word in STATES else [word]
    return values | ({"batch_id": chosen["batch"]} if "batch" in chosen else {})


def excerpt(match: MatchOut) -> Markup:
    """The piece of text with its hits marked."""
    out, at = Markup(), 0
    for start, end in match.marks:
        out += escape(match.text[at:start]) + Markup("<mark>{}</mark>").format(match.text[start:end])
        at = end
    return out + escape(match.text[at:])

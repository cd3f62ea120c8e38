"""Sentences about a job for the pages; `static/common.js` has the same for live updates."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from web.api.outputs import JobOut


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """ "about 3 min" from seconds."""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


def speed(pages_a_second: float) -> str:
    return f"{pages_a_second:.1f} pages/s" if pages_a_second >= 1 else f"{pages_a_second * 60:.0f} pages/min"


def pace(job: JobOut) -> str:
    """What is going on with a job, in a sentence."""
    ended = round(job.progress * job.pages.total)
    if job.state in ENDED:
        read, missing = count(readable(job), "page"), count(len(job.missing_pages), "page")
        return ENDED[job.state].format(read=read, missing=missing)
    ahead = f"{count(job.queue_position, 'job')} ahead" if job.queue_position else ""
    if job.state == "queued":
        return f"Waiting; {ahead}" if ahead else "Waiting to be opened"
    if job.state == "splitting":
        return "Opening the document"
    if job.state == "assembling":
        return f"All {count(job.pages.total, 'page')} read, putting the text together"
    parts = [f"{ended} of {count(job.pages.total, 'page')}"]
    if ahead:
        parts.append(ahead)
    if job.eta_s is not None:
        parts.append(f"{duration(job.eta_s)} left")
    if job.eta_s:
        parts.append(speed((job.pages.total - ended) / job.eta_s))
    return " · ".join(parts)


ENDED = {
    "succeeded": "All of {read} read",
    "partial": "{read} read, {missing} missing",
    "failed": "No page could be read",
    "cancelled": "Stopped with {read} read",
}


def readable(job: JobOut) -> int:
    return job.pages.ok + job.pages.blank + job.pages.fallback


def with_code(text: str) -> Markup:
    """The text, escaped, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))

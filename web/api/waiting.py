"""Answers that wait for the end of their job, as long as the client asked for, or until it hangs up."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from functools import partial

from flask import request
from werkzeug.http import parse_dict_header

from tasks.ledger.records import Job
from tasks.repair import cancel_job
from web.api.changes import get_changes
from web.api.jobs import PAUSE_S, find_job
from web.api.problems import Problem
from web.api.results import open_result

MOST_WAIT_S = 600.0
DEFAULT_WAIT_S = 60.0
LOOK_S = 1.0  # between two looks whether the client is still there
SOCKETS = ("gunicorn.socket", "werkzeug.socket")  # where a server puts the connection


def preferred_wait_s(default: float = DEFAULT_WAIT_S) -> float:
    """How long the client would wait, by `Prefer: wait=N` or `respond-async` (RFC 7240); what is no number is none."""
    preferences = {name.lower(): value for name, value in parse_dict_header(request.headers.get("Prefer", "")).items()}
    wanted = preferences.get("wait") or ""
    if wanted.isascii() and wanted.isdecimal():
        return min(float(wanted[:9]), MOST_WAIT_S)
    return 0.0 if "respond-async" in preferences else default


def wait_for_end(job_id: str, wait_s: float, *, cancel_if_left: bool = True) -> Job:
    """The asker's job once it has ended or `wait_s` is over; at once when too many wait already.

    A client that hangs up ends the waiting. Nobody will ask for its job, so that is cancelled, unless it is not this
    request's own. Raises Problem for an unknown job.
    """
    deadline, job = time.monotonic() + wait_s, find_job(job_id)
    with get_changes().listen(job_id) as topic:
        while topic and not job.has_ended and (left_s := deadline - time.monotonic()) > 0:
            topic.wait(job.seq, min(left_s, LOOK_S))
            if has_hung_up():
                if cancel_if_left:
                    cancel_job(job_id)
                return find_job(job_id)
            topic.rest(job.seq, min(PAUSE_S, left_s))
            job = topic.latest(partial(find_job, job_id)) or job
    return job


def has_hung_up() -> bool:
    """Whether the other end of this request's connection is closed; False where the server does not show it."""
    connection = next((request.environ[name] for name in SOCKETS if name in request.environ), None)
    if connection is None:
        return False
    try:
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0)) and not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True


def open_result_in_time(job: Job, format: str, wait_s: float) -> Iterator[bytes]:
    """The result of a job that has ended; one that is made at the first request is waited for. Raises Problem."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return open_result(job, format, partial=False)
        except Problem as exc:
            if exc.kind != "being-made" or time.monotonic() > deadline or has_hung_up():
                raise

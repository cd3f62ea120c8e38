"""Reads server-sent events, and goes on where it was when the line breaks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator

import httpx

from pagefan.answers import Event, Json, ServerAway, error_of

RECONNECT_S = 1.0


class NothingNew(Exception):
    """The job has ended and the listener has had all its events."""


def listen(http: httpx.Client, path: str, params: Json, *, since: str, patience_s: float) -> Iterator[Event]:
    """The events of a job until `end`; each once, however often the connection breaks.

    Raises ServerAway when the server is away for longer than `patience_s`, Refused.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            for event in listen_once(http, path, params, since):
                since, deadline = event.id or since, time.monotonic() + patience_s
                yield event
                if event.name == "end":
                    return
        except NothingNew:
            return
        except ServerAway:
            if time.monotonic() > deadline:
                raise
        time.sleep(RECONNECT_S)


def listen_once(http: httpx.Client, path: str, params: Json, since: str) -> Iterator[Event]:
    """Events as long as the connection holds. Raises NothingNew, ServerAway, Refused."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": since} if since else {})
    try:
        with http.stream("GET", path, params=params, headers=headers) as answer:
            if answer.status_code == 204:
                raise NothingNew
            if answer.is_error:
                answer.read()
                raise error_of(answer)
            yield from read_events(answer.iter_lines())
    except httpx.TransportError as exc:
        raise ServerAway(f"{http.base_url.host} cannot be reached: {exc}") from exc


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """Events from their lines, by the rules of the HTML standard (9.2.6) as far as this server uses them.

    An event that the end of the stream cuts off is dropped.
    """
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield Event(id=fields.get("id", ""), name=fields.get("event", ""), data=json.loads(fields["data"]))
        fields = {}

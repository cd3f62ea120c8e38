"""Reads server-sent events, and goes on where it was when the line breaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pagefan.answers import Event, ServerAway, error_of, unreached

RECONNECT_S = 1.0
Params = Mapping[str, Any]


class NothingNew(Exception):
    """The job has ended and the listener has had all its events."""


@dataclass
class EventReader:
    """Makes events of lines, by the rules of the HTML standard (9.2.6) as far as this server uses them."""

    fields: dict[str, str] = field(default_factory=dict)

    def feed(self, line: str) -> Event | None:
        """The event that this line completes; one that the end of the stream cuts off never comes."""
        name, _, value = line.partition(":")
        if line:
            self.fields[name] = value.removeprefix(" ")
            return None
        fields, self.fields = self.fields, {}
        if "data" not in fields:
            return None
        return Event(id=fields.get("id", ""), name=fields.get("event", ""), data=json.loads(fields["data"]))


@dataclass
class Listening:
    """How far a listener is, and how long it has been without news."""

    since: str
    patience_s: float
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.patience_s

    def headers(self) -> dict[str, str]:
        return {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.since} if self.since else {})

    def heard(self, event: Event) -> None:
        self.since, self.deadline = event.id or self.since, time.monotonic() + self.patience_s

    def check_patience(self, error: ServerAway) -> None:
        if time.monotonic() > self.deadline:
            raise error


def listen(http: httpx.Client, path: str, params: Params, *, since: str, patience_s: float) -> Iterator[Event]:
    """The events of a job until `end`; each once, however often the connection breaks.

    Raises ServerAway when the server is away for longer than `patience_s`, Refused.
    """
    place = Listening(since, patience_s)
    while True:
        try:
            for event in listen_once(http, path, params, place):
                place.heard(event)
                yield event
                if event.name == "end":
                    return
        except NothingNew:
            return
        except ServerAway as exc:
            place.check_patience(exc)
        time.sleep(RECONNECT_S)


def listen_once(http: httpx.Client, path: str, params: Params, place: Listening) -> Iterator[Event]:
    """Events as long as the connection holds. Raises NothingNew, ServerAway, Refused."""
    try:
        with http.stream("GET", path, params=params, headers=place.headers()) as answer:
            if answer.is_error:
                answer.read()
            check_stream(answer)
            yield from read_events(answer.iter_lines())
    except httpx.TransportError as exc:
        raise unreached(http, exc) from exc


async def alisten(
    http: httpx.AsyncClient, path: str, params: Params, *, since: str, patience_s: float
) -> AsyncIterator[Event]:
    """As `listen`."""
    place = Listening(since, patience_s)
    while True:
        try:
            async for event in alisten_once(http, path, params, place):
                place.heard(event)
                yield event
                if event.name == "end":
                    return
        except NothingNew:
            return
        except ServerAway as exc:
            place.check_patience(exc)
        await asyncio.sleep(RECONNECT_S)


async def alisten_once(http: httpx.AsyncClient, path: str, params: Params, place: Listening) -> AsyncIterator[Event]:
    """As `listen_once`."""
    reader = EventReader()
    try:
        async with http.stream("GET", path, params=params, headers=place.headers()) as answer:
            if answer.is_error:
                await answer.aread()
            check_stream(answer)
            async for line in answer.aiter_lines():
                if event := reader.feed(line):
                    yield event
    except httpx.TransportError as exc:
        raise unreached(http, exc) from exc


def check_stream(answer: httpx.Response) -> None:
    if answer.status_code == 204:
        raise NothingNew
    if answer.is_error:
        raise error_of(answer)


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    reader = EventReader()
    yield from filter(None, map(reader.feed, lines))

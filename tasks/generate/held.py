"""The pages that one engine's process has to do with, and how far it is with each."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from tasks.ledger import Ledger
from tasks.messages import PageTask

LOOK_S, HELD_LOOK_S = 0.2, 1.0  # how often a task looks at a page that others may work on, and at one held here

Key = tuple[str, int]


@dataclass(slots=True)
class Place:
    """One page. `stage` is "" unless this process has claimed it; `ended_at` is set until its task has come."""

    page: PageTask
    is_wanted: bool = False  # its Celery task waits here
    stage: Literal["", "claimed", "storing"] = ""
    ended_at: float | None = None  # time.monotonic()


class Held:
    """Used by all threads of an engine's process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._places: dict[Key, Place] = {}
        self._changed = threading.Condition()

    def _place(self, page: PageTask) -> Place:
        return self._places.setdefault(page.key, Place(page))

    def _tidy(self, key: Key) -> None:
        place = self._places.get(key)
        if place and not (place.is_wanted or place.stage or place.ended_at):
            del self._places[key]

    def wait_for(self, page: PageTask, kick: threading.Event) -> bool:
        """Whether the page has ended, here or elsewhere; False where it has to be prepared again before it can.

        `kick` wakes the owner of the engine.
        """
        with self._changed:
            self._place(page).is_wanted = True
        try:
            self._ledger.offer(page)
            while (seen := self._ledger.look(page)) is not None:
                if seen.state in ("queued", "preparing"):
                    return False
                kick.set()
                with self._changed:
                    self._changed.wait(HELD_LOOK_S if self._place(page).stage else LOOK_S)
            return True
        finally:
            with self._changed:
                self._place(page).is_wanted = False
                self._tidy(page.key)

    def wanted(self) -> tuple[PageTask, ...]:
        """The pages whose tasks wait here, the longest first."""
        with self._changed:
            return tuple(place.page for place in self._places.values() if place.is_wanted)

    def claim(self, pages: Iterable[PageTask]) -> None:
        with self._changed:
            for page in pages:
                place = self._place(page)
                place.page, place.stage = page, "claimed"

    def claimed(self) -> list[PageTask]:
        """The pages whose claims are to be renewed, those on their way to the store among them."""
        with self._changed:
            return [place.page for place in self._places.values() if place.stage]

    def store(self, page: PageTask) -> None:
        """The outcome of a claimed page is on its way to the store."""
        with self._changed:
            self._place(page).stage = "storing"

    def end(self, page: PageTask) -> None:
        """The outcome is stored; its task has not come."""
        with self._changed:
            self._place(page).ended_at = time.monotonic()

    def drop(self, page: PageTask) -> None:
        """The page is claimed no longer; a task that waits for it looks at once."""
        with self._changed:
            self._place(page).stage = ""
            if self._place(page).is_wanted:
                self._changed.notify_all()
            self._tidy(page.key)

    def collect(self, page: PageTask) -> None:
        """The page has ended, and its task returns now."""
        with self._changed:
            self._place(page).ended_at = None
            self._tidy(page.key)

    def overdue(self, older_s: float) -> list[PageTask]:
        """Pages that ended longer ago than this, and whose tasks have not come."""
        before = time.monotonic() - older_s
        with self._changed:
            return [place.page for place in self._places.values() if place.ended_at and place.ended_at <= before]

    def lapse(self, running: Collection[PageTask]) -> list[PageTask]:
        """Let the claims go of pages that are neither running nor on their way to the store; returns these pages."""
        lapsed = []
        with self._changed:
            for key, place in list(self._places.items()):
                if place.stage == "claimed" and place.page not in running:
                    place.stage = ""
                    lapsed.append(place.page)
                    self._tidy(key)
        return lapsed

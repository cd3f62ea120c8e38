"""The page for who runs the service, and the line on every page when nobody reads."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from apiflask import APIBlueprint
from flask import g, render_template

from tasks.access.keys import get_keyring
from tasks.assemble.result_job import iso_time
from tasks.lanes import lanes, queue_of
from tasks.ledger import StoreAway
from tasks.services import engine_name, get_impatient_ledger
from tasks.standstill import NO_WORKER
from tasks.system import standing_still
from web.api.system import system_out

logger = logging.getLogger(__name__)

bp = APIBlueprint("system_site", __name__, enable_openapi=False)

LOOK_S = 2.0  # between two looks for the line, however many pages are shown


@bp.get("/system")
def show_system() -> str:
    return render_template("system.html", system=system_out(), poll_s=3)


def is_admin() -> bool:
    """Whether the asker may open the page; False as well where that cannot be told now."""
    try:
        return "owner" in g and not g.get("is_guest") and get_keyring().is_admin(g.owner)
    except OSError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """Why nothing is read, in a sentence, and since when, in ISO 8601; "" where that is not known."""

    words: str
    since: str


class Banner:
    """What is said to everybody when a queue has no worker; looked up once for all requests of a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at, self._said = float("-inf"), None  # type: float, Standstill | None

    def said(self) -> Standstill | None:
        with self._lock:
            if time.monotonic() - self._looked_at > LOOK_S:
                self._said, self._looked_at = look(), time.monotonic()
            return self._said


def look() -> Standstill | None:
    """None where all is well, and while Redis is away, of which every call tells by itself."""
    try:
        still = standing_still(get_impatient_ledger())
    except StoreAway as exc:
        logger.info("nobody knows whether there are workers: %s", exc)
        return None
    what = "Nothing is read at the moment"
    if "gpu" not in still and "cpu" in still:
        queue, missing = "cpu", "no CPU worker is running"
    elif idle := [lane for lane in lanes() if queue_of(lane) in still]:
        queue, missing = queue_of(idle[0]), f"no worker for the engine {engine_name(idle[0])} is running"
        what = f"Nothing is read by {idle[0]} at the moment" if idle[0] else what
    else:
        return None
    trouble, moved_at = still[queue]
    why = missing if trouble == NO_WORKER else trouble
    words = f"{what}: {why}. Documents that are sent wait until that is mended."
    return Standstill(words=words, since=iso_time(moved_at) if moved_at else "")

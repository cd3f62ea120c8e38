"""The ledger: the truth about jobs and pages, in Redis. Its changes are `ledger.lua`, its readings are here.

Jobs and pages are small hashes; nothing here grows with a page's content. Times are Unix seconds. A module for each
stage, in the order that a job passes them: `entry`, `runs`, `pages`, `claims`, `end`; `moves` and `days` are of no job.
"""

from __future__ import annotations

from tasks.ledger.claims import Claims
from tasks.ledger.days import Days
from tasks.ledger.end import JobEnd
from tasks.ledger.entry import JobEntry, new_fields
from tasks.ledger.errors import IdTaken, LedgerError, PageBusy, QueueFull, UnknownJob
from tasks.ledger.moves import Moves
from tasks.ledger.pages import Pages
from tasks.ledger.runs import Runs
from tasks.ledger.script import StoreAway, connect

__all__ = [
    "IdTaken",
    "Ledger",
    "LedgerError",
    "PageBusy",
    "QueueFull",
    "StoreAway",
    "UnknownJob",
    "connect",
    "new_fields",
]


class Ledger(JobEntry, Runs, Pages, Claims, Moves, Days, JobEnd):
    """Reads and changes of jobs and pages; safe to share between threads."""

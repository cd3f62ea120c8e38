"""What the ledger refuses."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger refuses this change."""


class UnknownJob(LedgerError):
    """No job has this id."""


class QueueFull(LedgerError):
    """There are as many unfinished jobs as may be, of all or of one owner."""

    def __init__(self, *, is_owners: bool) -> None:
        super().__init__("too many unfinished jobs")
        self.is_owners = is_owners


class IdTaken(LedgerError):
    """Another job has or had this id, whose files it is."""


class PageBusy(LedgerError):
    """The page is still at work; wait for it or cancel the job."""

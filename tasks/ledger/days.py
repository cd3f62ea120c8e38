"""What each owner's day has been charged with, in pages. A day is a number, of days since 1970 in UTC."""

from __future__ import annotations

from tasks.ledger.script import Script


class Days(Script):
    """Charges of runs, which are named; a day is forgotten the day after."""

    def charge(self, owner: str, day: int, run: str, num_pages: int, *, most: int) -> bool:
        """Charge the day with a run's pages, once; False, and nothing is charged, where that would be over `most`."""
        return bool(self._call("charge", owner=owner, day=day, run=run, pages=num_pages, most=most))

    def refund(self, owner: str, day: int, run: str) -> None:
        """Take back what this run was charged; nothing happens where it was not."""
        self._call("refund", owner=owner, day=day, run=run)

    def charged(self, owner: str, day: int) -> int:
        return int(self.redis.hget(f"pf:day:{owner}:{day}", "total") or 0)

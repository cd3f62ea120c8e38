"""Generation: the workers that can do it, and the prepared pages each of them has claimed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.ledger.records import Claimed, read_claim
from tasks.ledger.script import Script
from tasks.messages import PageTask

ALIVE_S = 15  # a worker that has not reported for this long is not counted


class Claims(Script):
    """Prepared pages wait in the queue of their job; a process claims some for a time and renews that."""

    def report_alive(self, queue: str, worker: str, **report: Any) -> None:
        """Say that this worker can take tasks of `queue`; forgotten after 15 s."""
        self._call("report_alive", queue=queue, worker=worker, report=report)

    def workers(self, queue: str) -> dict[str, dict[str, Any]]:
        """The workers of `queue` that reported within 15 s, with what they said."""
        return dict(self._call("workers", queue=queue, age=ALIVE_S))

    def num_held(self) -> int:
        """How many pages the engines of one queue's workers hold at once, of the queue where they are most."""
        return max(map(int, self.redis.hvals("pf:held")), default=0)

    def forget_worker(self, queue: str, worker: str) -> None:
        """What this worker said counts no more."""
        self.redis.hdel(f"pf:workers:{queue}", worker)

    def forget_workers(self, queues: Iterable[str]) -> None:
        """None of the workers of these queues lives any more."""
        self.redis.delete(*(f"pf:workers:{queue}" for queue in queues))

    def offer(self, page: PageTask) -> None:
        """Put a prepared page in the queue of its job; nothing happens when it is there, claimed or ended."""
        self._call("offer", job=page.job_id, run=page.run, index=page.index)

    def take(
        self,
        token: str,
        *,
        most: int,
        ttl_s: float,
        want: Iterable[PageTask] = (),
        bucket: str | None = None,
        lane: str = "",
    ) -> list[Claimed]:
        """Claim up to `most` pages of a lane: the wanted ones if nobody has them, then those whose turn it is.

        Pages of the bucket come first, without one those of the first page's; others fill what room is left.
        """
        arguments: dict[str, Any] = {"token": token, "n": most, "ttl_ms": int(ttl_s * 1000), "lane": lane}
        arguments["want"] = [[page.job_id, page.index] for page in want]
        if bucket is not None:
            arguments["bucket"] = bucket
        answer = self._call("take", **arguments)
        return [read_claim(entry) for entry in answer]

    def peek(self, most: int, lane: str = "") -> list[PageTask]:
        """The pages that `take` would claim now, in its order."""
        return [read_claim(entry).task for entry in self._call("peek", n=most, lane=lane)]

    def start(self, pages: Sequence[PageTask]) -> None:
        """Count a start of generation for each page; forgotten when the page ends."""
        self._call("start", pages=[[page.job_id, page.index] for page in pages])

    def renew(self, token: str, pages: Sequence[PageTask], *, ttl_s: float) -> set[int]:
        """Keep the claims; the places in `pages` of those that must stop, because cancelled or no longer ours."""
        keys = [[page.job_id, page.index] for page in pages]
        return set(self._call("renew", token=token, pages=keys, ttl_ms=int(ttl_s * 1000)))

    def release_others(self, token: str) -> int:
        """Free the pages that dead processes of the same worker hold, which bear the blame. Returns their number."""
        num_pages = 0
        for key in self.redis.scan_iter("pf:claim:*", count=1000):
            holder = self.redis.get(key)
            if holder and holder != token and holder.partition(":")[0] == token.partition(":")[0]:
                _, _, job_id, index = key.split(":")
                self.release(holder, [PageTask(job_id=job_id, run=0, index=int(index))], blameless=False)
                num_pages += 1
        return num_pages

    def release(self, token: str, pages: Sequence[PageTask], *, blameless: bool) -> None:
        """Give claims back; `blameless` also takes back the start that was counted."""
        keys = [[page.job_id, page.index] for page in pages]
        self._call("release", token=token, pages=keys, blameless=blameless)

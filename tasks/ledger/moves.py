"""Movement: when something of a queue was taken or done the last time, and what waits to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.ledger.script import Script


class Moves(Script):
    """Facts for `tasks.standstill`; a claim of a page moves the queue of its lane by itself."""

    def note_moved(self, queues: Iterable[str]) -> None:
        """Say that something of these queues was just taken or done."""
        self._call("note_moved", queues=list(queues))

    def moved(self, queues: Sequence[str]) -> dict[str, float]:
        """When something of each queue was taken or done the last time; 0.0 for never."""
        times = self.redis.hmget("pf:moved", list(queues))
        return {queue: float(moved_at or 0) for queue, moved_at in zip(queues, times, strict=True)}

    def ready_since(self, lane: str = "") -> float:
        """Since when a page of the lane is ready whose turn it is and that nobody has claimed; 0.0 for none."""
        return float(self._call("ready_since", lane=lane))

"""How large a batch may be: learned, downwards, from batches that did not fit in the engine's memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from workers.engines import Prepared

logger = logging.getLogger(__name__)


class Budget:
    """The size of a batch is its pages times the tokens of the longest prompt, to which the others are padded.

    Between the largest size that fitted and the smallest that did not, the middle is tried next. What does not fit is
    forgotten with the process: memory that others held for a moment costs no more than that.
    """

    def __init__(self) -> None:
        self._fitted = 0
        self._failed: int | None = None

    @property
    def most(self) -> int | None:
        """The largest size that is tried; None as long as everything has fitted."""
        return None if self._failed is None else (self._fitted + self._failed) // 2

    def note_fit(self, batch: Sequence[Prepared]) -> None:
        size = size_of(batch)
        if self._failed is None or size < self._failed:
            self._fitted = max(self._fitted, size)

    def note_failure(self, batch: Sequence[Prepared]) -> None:
        size = size_of(batch)
        if self._failed is None or size < self._failed:
            self._failed, self._fitted = size, min(self._fitted, size - 1)
            logger.warning("%d pages did not fit in the engine's memory; batches are smaller now", len(batch))

    def cut(self, batch: Sequence[Prepared]) -> Iterator[slice]:
        """The parts of `batch` that fit, in its order, each as large as can be and of one page at least."""
        start, most = 0, self.most
        for end in range(1, len(batch) + 1):
            if end == len(batch) or (most is not None and size_of(batch[start : end + 1]) > most):
                yield slice(start, end)
                start = end


def size_of(batch: Sequence[Prepared]) -> int:
    """Tokens of the batch; an engine that counts none has pages of one size."""
    return len(batch) * max((max(1, prepared.num_tokens) for prepared in batch), default=0)

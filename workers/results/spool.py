"""Pages on their way to several writers: fetched once, then read again from this machine's own disk.

Where pages lie may be far away, and what they are made of costs more than reading them back.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from workers.results.page import PageResult

SPOOL_BYTES = 4_000_000  # more than this waits on disk, so that memory does not grow with the document


class Spool:
    """A nameless file of pages that is gone when its block ends; only this process can write to it."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def keeping(self, pages: Iterable[PageResult]) -> Iterator[PageResult]:
        """The same pages, each kept as it goes by."""
        for page in pages:
            pickle.dump(page, self._file, pickle.HIGHEST_PROTOCOL)
            yield page

    def __iter__(self) -> Iterator[PageResult]:
        """The pages that were kept, in their order; by one reader at a time."""
        self._file.seek(0)
        while True:
            try:
                page: PageResult = pickle.load(self._file)
            except EOFError:
                return
            yield page

"""Where results are written: beside what is there, never over a person's file."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from web.cli.names import fitting
from web.cli.written import is_ours


class Places:
    """Names for the results of one run; those of its sources and of what it has written are taken.

    A file that was there is left alone, unless `pagefan` wrote it and nobody has changed it since, or with `overwrite`.
    """

    def __init__(self, sources: Iterable[Path] = (), *, overwrite: bool = False) -> None:
        self.overwrite = overwrite
        self._taken = {path.resolve() for path in sources}
        self._naming = threading.Lock()

    def find(self, folder: Path, stem: str, suffix: str) -> Path:
        """`report.md`, or the first of `report-2.md`, `report-3.md` … that is free."""
        with self._naming:
            number = 1
            while not self.is_free(path := folder / fitting(f"{stem}{f'-{number}' if number > 1 else ''}", suffix)):
                number += 1
            self._taken.add(path.resolve())
        return path

    def is_free(self, path: Path) -> bool:
        if path.resolve() in self._taken:
            return False
        return self.overwrite or not path.exists() or is_ours(path)

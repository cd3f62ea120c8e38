"""Where processor time goes within a process: functions are wrapped, and each step has what its own code took.

A step that runs within another is taken off that one. Time is that of all threads, as runtimes have their own; so no
two steps may run at once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from typing import Any
from unittest.mock import patch


class Stopwatch:
    """Processor seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def _turn(self) -> None:
        """What passed since the last turn is the innermost open step's."""
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def wrapped(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.step(name):
                return run(*arguments, **options)

        return timed

    @contextmanager
    def watching(self, places: Mapping[str, Sequence[str]]) -> Iterator[None]:
        """Watch functions while the block runs: for each step, the names by which they are called, `module:name`."""
        with ExitStack() as exits:
            for step, names in places.items():
                for name in names:
                    module, _, path = name.partition(":")
                    owner: Any = import_module(module)
                    *holders, attribute = path.split(".")
                    for holder in holders:
                        owner = getattr(owner, holder)
                    run = getattr(owner, attribute)
                    exits.enter_context(patch.object(owner, attribute, self.wrapped(step, run)))
            yield

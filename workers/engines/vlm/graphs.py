"""Steps of a running batch as CUDA graphs: the host says one word a step instead of a thousand.

A step is recorded as it runs, so nothing is compiled and no compiler is needed. One recording serves a number of rows
and a length of the longest; both are rounded up, so that there are few. All of them read and write the same tensors.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from traceback import clear_frames
from typing import Any, Protocol

import torch

logger = logging.getLogger(__name__)

SHORTEST = 512  # tokens; lengths are rounded up to this, and above it to powers of two

Replay = Callable[[], torch.Tensor]


class Steps(Protocol):
    """What is recorded: see `slots.Slots`."""

    num_slots: int
    length: int

    def forward(self, rows: int, length: int) -> torch.Tensor: ...

    @property
    def advanced(self) -> Sequence[torch.Tensor]:
        """What a step changes that a second one would change again."""
        ...


class Graphs:
    """The recordings, made at the first step of their kind or before. `why_off` is why there are none any more."""

    def __init__(self) -> None:
        self.why_off = ""
        self.seconds = 0.0  # spent on recording
        self._replays: dict[tuple[int, int], Replay] = {}
        self._pool: Any = None

    @property
    def num_recorded(self) -> int:
        return len(self._replays)

    def run(self, steps: Steps, rows: int, length: int) -> torch.Tensor:
        """One step of the first `rows`, whose longest is `length`: what `steps.forward` gives, or more rows of it."""
        shape = _above(rows, 1, steps.num_slots), _above(length, SHORTEST, steps.length)
        if shape not in self._replays and not self.why_off:
            self._try(steps, shape)
        replay = self._replays.get(shape)
        return replay() if replay else steps.forward(rows, length)

    def record_all(self, steps: Steps) -> None:
        """Record every kind of step there can be, while no page waits for one."""
        for length in _powers(SHORTEST, steps.length):
            for rows in _powers(1, steps.num_slots):
                if not self.why_off and (rows, length) not in self._replays:
                    self._try(steps, (rows, length))

    def forget(self) -> None:
        """The tensors are others now."""
        self._replays.clear()

    def _try(self, steps: Steps, shape: tuple[int, int]) -> None:
        """Whatever a model, a kernel or a driver has against it, the step can be run as it is."""
        began = time.monotonic()
        before = [tensor.clone() for tensor in steps.advanced]
        try:
            self._replays[shape] = self._record(lambda: steps.forward(*shape))
        except Exception as exc:
            self.why_off = f"{type(exc).__name__}: {next(iter(str(exc).strip().splitlines()), '')}"
            self._replays.clear()
            clear_frames(exc.__traceback__)
            logger.warning("steps are no CUDA graphs: %s", self.why_off)
        for tensor, value in zip(steps.advanced, before, strict=True):
            tensor.copy_(value)
        self.seconds += time.monotonic() - began

    def _record(self, step: Replay) -> Replay:
        """Run the step once as it is, for what libraries set up at first, then record it."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):  # others upload pages
            result = step()

        def replay() -> torch.Tensor:
            graph.replay()
            return result

        return replay


def _powers(first: int, last: int) -> list[int]:
    """`first`, twice that, and so on, up to `last`, which is one of them."""
    found = [min(first, last)]
    while found[-1] < last:
        found.append(min(2 * found[-1], last))
    return found


def _above(value: int, first: int, last: int) -> int:
    return next(power for power in _powers(first, last) if power >= value)

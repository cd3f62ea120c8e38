"""The thread that owns a model whose pages join a running batch: a page takes its place the moment another has ended.

The prompts of joining pages are read between the steps of the pages that run, a few layers at a time, so that none of
these waits for the whole of it. The thread sleeps while there is no page; nothing in it looks at a clock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import torch

from workers.engines import EngineBroken, EngineError, OutOfMemory
from workers.engines.vlm.collate import collate
from workers.engines.vlm.graphs import Graphs
from workers.engines.vlm.model import LoadedModel, current_device, device_errors, free_bytes
from workers.engines.vlm.rows import Watch
from workers.engines.vlm.seats import Joined, Seats
from workers.engines.vlm.slots import FirstPass, read_prompts, why_no_slots

logger = logging.getLogger(__name__)

LAYERS_A_STEP = 4  # of a model's blocks that read prompts, between two steps of the pages that run
SHARE_OF_CACHE = 0.6  # of the memory that is free; the rest is for prompts that are read, and for steps
AT_ONCE = 8  # a share of the batch of 1 / this is read at once where more pages wait than there is room for


class NoSlots(EngineError):
    """Pages of this model cannot join others that are half done."""


class Refill:
    """`submit` may be called from any thread; the outcomes come by the rows. `most` pages run at once."""

    def __init__(self, loaded: LoadedModel, watch: Watch, name: str, most: int, graphs: Graphs | None) -> None:
        self.loaded, self.watch, self.name, self.most, self.graphs = loaded, watch, name, most, graphs
        self.seats = Seats(loaded, watch, graphs)
        self._waiting: deque[Joined] = deque()
        self._order: tuple[int, Future[None]] | None = None  # of `warm`
        self._arrived = threading.Condition()
        self._is_closing = False
        self._broken: EngineBroken | None = None
        self._num_threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, pages: Sequence[Joined]) -> None:
        """Have these pages generated. Raises EngineError where the thread has ended."""
        with self._arrived:
            if self._broken or self._is_closing:
                raise self._broken or EngineError(f"{self.name} is closed")
            self._waiting += pages
            self._arrived.notify()

    def warm(self, length: int) -> None:
        """Take the memory of as many rows of this length as there may be, and record their steps.

        Called while no page is there. `most` is lowered to what there is memory for, beside that for reading prompts.

        Afterwards only a page that is longer finds something to be done before it.
        """
        done: Future[None] = Future()
        with self._arrived:
            self._order = length, done
            self._arrived.notify()
        done.result()

    def close(self) -> None:
        with self._arrived:
            self._is_closing = True
            self._arrived.notify()
        self._thread.join()

    # the thread

    def _run(self) -> None:
        torch.set_num_threads(self._num_threads)  # it is a number of each thread
        with current_device(self.loaded.device), torch.no_grad():
            while self._rest():
                try:
                    with device_errors(self.name):
                        self._warm()
                        self._admit()
                        self.seats.step()
                except Exception as exc:
                    self._fail(exc)
        _give_up([*self.seats.clear(), *self._waiting], self._broken or EngineError(f"{self.name} is closed"))

    def _rest(self) -> bool:
        """Sleep until there is a page; False when the thread is to end."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self.seats.is_busy or self._order or self._is_closing)
        return not (self._is_closing or self._broken)

    def _warm(self) -> None:
        if self._order is None:
            return
        (length, done), self._order = self._order, None
        try:
            if (slots := self.seats.slots) is not None:
                free = free_bytes(self.loaded.device)
                if free is not None:
                    self.most = max(1, min(self.most, int(free * SHARE_OF_CACHE) // (slots.cache.token_bytes * length)))
                slots.fit(self.most, length)
                if self.graphs is not None:
                    self.graphs.record_all(slots)
        except Exception as exc:
            done.set_exception(exc)
        else:
            done.set_result(None)

    def _admit(self) -> None:
        """Let waiting pages join: all of them, or a share of the batch, which costs less at once than one by one."""
        for page in self._waiting.copy():
            if reason := page.row.control.should_stop(page.row.index):
                page.row.stop = reason
                self._waiting.remove(page)
                self.watch.conclude(page.row)
        num_free, num_waiting = self.most - len(self.seats.running), len(self._waiting)
        if num_waiting and num_free >= min(num_waiting, max(1, self.most // AT_ONCE)):
            self._join([self._waiting.popleft() for _ in range(min(num_free, num_waiting))])

    def _join(self, pages: list[Joined]) -> None:
        """Read the prompts of `pages` and seat them; what fails is tried page by page."""
        try:
            with device_errors(self.name), self._stepping_meanwhile():
                self.seats.fit(pages)
                first = self._read(pages)
        except EngineBroken as exc:
            _give_up(pages, exc)
            raise
        except EngineError as exc:
            self._join_again(pages, exc)
        else:
            self.seats.join(pages, first)

    def _read(self, pages: list[Joined]) -> FirstPass:
        inputs = collate([page.staged.ready_inputs() for page in pages], pad_id=self.loaded.pad_id, pad_left=True)
        first = read_prompts(self.loaded.model, inputs)
        if self.seats.slots is None and (reason := why_no_slots(self.loaded.model, first)):
            raise NoSlots(reason)
        return first

    def _join_again(self, pages: list[Joined], exc: EngineError) -> None:
        if len(pages) > 1:
            for page in pages:
                self._join([page])
        elif isinstance(exc, OutOfMemory) and self.seats.running:
            self.most = len(self.seats.running)
            logger.warning("%s has memory for %d pages at once", self.name, self.most)
            self._waiting.appendleft(pages[0])
        else:
            _give_up(pages, exc)

    @contextmanager
    def _stepping_meanwhile(self) -> Iterator[None]:
        """Go on with the pages that run whenever the model has computed a few layers of something else."""
        failures: list[Exception] = []

        def step() -> None:
            if self.seats.running and not failures:
                try:
                    with device_errors(self.name):
                        self.seats.step()
                except Exception as exc:  # of the pages that run, not of those whose prompts are read
                    failures.append(exc)

        if not self.seats.running:
            yield
            return
        try:
            with interrupted(self.loaded.model, step):
                yield
        finally:
            if failures:
                self._fail(failures[0])

    def _fail(self, exc: Exception) -> None:
        """The pages that run bear what has happened; the others begin anew."""
        pages = self.seats.clear()
        logger.warning("%s failed with %d pages", self.name, len(pages), exc_info=exc)
        if isinstance(exc, OutOfMemory):
            self.most = max(1, len(pages) // 2)
        if isinstance(exc, EngineBroken):
            self._broken = exc
        _give_up(pages, exc if isinstance(exc, EngineError) else EngineError(f"{type(exc).__name__}: {exc}"))


def _give_up(pages: Iterable[Joined], error: EngineError) -> None:
    for page in pages:
        if page.row.stop is None:
            page.row.stop = "error"
            page.row.outcome.set_exception(error)


@contextmanager
def interrupted(model: Any, work: Callable[[], None]) -> Iterator[None]:
    """Do `work` before every few blocks that `model` computes, those of its vision too, but not within `work`."""
    count, is_working = 0, False

    def pause(*_: Any) -> None:
        nonlocal count, is_working
        if is_working:
            return
        count += 1
        if count % LAYERS_A_STEP == 0:
            is_working = True
            try:
                work()
            finally:
                is_working = False

    lists = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]
    hooks = [block.register_forward_pre_hook(pause) for blocks in lists for block in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

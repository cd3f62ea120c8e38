"""The pages that run, as the host sees them: which page has which slot, how far each is, and what they came to."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from workers.engines.vlm.batch import HostCopy
from workers.engines.vlm.decode import CHECK_EVERY, experts_for_decoding
from workers.engines.vlm.graphs import Graphs
from workers.engines.vlm.model import LoadedModel
from workers.engines.vlm.rows import Row, Watch
from workers.engines.vlm.slots import FirstPass, Slots
from workers.engines.vlm.stage import Staged


@dataclass(slots=True, kw_only=True, eq=False)
class Joined:
    """A page on its way. `made` counts its tokens on the device, of which the host may not know all."""

    row: Row
    staged: Staged
    temperature: float
    made: int = 0

    @property
    def length(self) -> int:
        return self.staged.prompt_tokens + self.made

    @property
    def most_tokens(self) -> int:
        return self.staged.prompt_tokens + self.row.limit


class Seats:
    """Used by the thread that owns the model. `steps` counts those that there have been."""

    def __init__(self, loaded: LoadedModel, watch: Watch, graphs: Graphs | None) -> None:
        self.running: list[Joined] = []  # one a slot
        self.slots: Slots | None = None  # with the first page
        self.steps = 0
        self._loaded, self._watch, self._graphs = loaded, watch, graphs
        self._fresh: list[torch.Tensor] = []  # tokens of the running pages of which no copy was asked for, [pages] each
        self._copies: deque[tuple[HostCopy, list[Joined]]] = deque()

    @property
    def is_busy(self) -> bool:
        return bool(self.running or self._copies)

    def fit(self, pages: Sequence[Joined]) -> None:
        """Have room for these pages beside those that run."""
        if self.slots:
            self.slots.fit(len(self.running) + len(pages), max(page.most_tokens for page in pages))

    def join(self, pages: list[Joined], first: FirstPass) -> None:
        """Seat pages that were read together; `fit` was called for them."""
        self._ask()
        start = len(self.running)
        if self.slots is None:
            self.slots = Slots(self._loaded, first, self._graphs)
            self.fit(pages)
        for row, page in enumerate(pages):
            self.slots.join(start + row, first, row, page.staged.prompt_tokens)
        self.slots.heat(start, [page.temperature for page in pages])
        self.running += pages
        seats = slice(start, len(self.running))
        tokens = self.slots.choose(seats, first.ids.shape[1], first.logits, draws=_draws(pages))
        self._copies.append((HostCopy(tokens[:, None], self.steps), pages))
        self._count(pages)

    def step(self) -> None:
        """One token more for each running page, and what there is to do every few of them."""
        if self.running and self.slots:
            length = max(page.length for page in self.running)
            with experts_for_decoding(self._loaded.model):
                tokens = self.slots.step(len(self.running), length, draws=_draws(self.running))
            self._fresh.append(tokens)
            self.steps += 1
            if len(self._fresh) == CHECK_EVERY:
                self._ask()
            self._count(self.running)
        self._look()

    def clear(self) -> set[Joined]:
        """Let all pages go; gives those that had not ended."""
        pages = {*self.running, *(page for _, some in self._copies for page in some)}
        self.running.clear()
        self._fresh.clear()
        self._copies.clear()
        return pages

    def _count(self, pages: Sequence[Joined]) -> None:
        """The pages have one token more; those that have all leave, though the host has not seen them."""
        for page in pages:
            page.made += 1
        self._leave([page for page in pages if page.made >= page.row.limit])

    def _ask(self) -> None:
        """Ask for a copy of the tokens since the last one, before other pages have these slots or it has been long."""
        if self._fresh:
            self._copies.append((HostCopy(torch.stack(self._fresh, 1), self.steps), self.running.copy()))
            self._fresh.clear()

    def _look(self) -> None:
        """Take in the copies that have come, waiting for those that are long due; pages that are over leave."""
        while self._copies:
            copy, pages = self._copies[0]
            if not copy.has_arrived(wait=not self.running or self.steps - copy.taken >= CHECK_EVERY):
                return
            self._copies.popleft()
            self._watch.add([page.row for page in pages], copy.read())
            self._leave([page for page in pages if page.row.stop])

    def _leave(self, pages: Sequence[Joined]) -> None:
        """Free the slots of `pages`; the last rows take them, so that the first slots are the taken ones."""
        gone = [page for page in self.running if page in pages]
        if gone:
            self._ask()
        for page in gone:
            slot, last = self.running.index(page), self.running.pop()
            if last is not page:
                assert self.slots is not None
                self.slots.move(len(self.running), slot, last.length)
                self.running[slot] = last


def _draws(pages: Sequence[Joined]) -> bool:
    return any(page.temperature > 0 for page in pages)

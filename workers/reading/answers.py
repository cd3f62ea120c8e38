"""Answers of language models understood: what an engine writes in a dialect becomes text for people, and blocks.

Between an engine and everything that looks at its text. Markdown stays as it was written; its blocks are found when
results are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from PIL import Image

from workers.engines import Control, Engine, Generation, Prepared
from workers.engines.profiles import PLAIN, Profile
from workers.layout.dialects.readers import MARKDOWN, read_answer
from workers.reading.extraction import extract
from workers.reading.rows import RowsControl
from workers.reading.two_steps import ImageOf, read_twice
from workers.results.markdown import as_markdown

PATIENCE = 20  # times what it costs to read texts that grow, until they are read again: a twentieth of the time at most


@runtime_checkable
class ModelEngine(Protocol):
    """The part of an engine that says what its model answers in."""

    @property
    def profile(self) -> Profile: ...


def profile_of_engine(engine: Engine) -> Profile:
    return engine.profile if isinstance(engine, ModelEngine) else PLAIN


def no_image(_: int) -> Image.Image | None:
    return None


def generate(
    engine: Engine, batch: Sequence[Prepared], control: Control, image_of: ImageOf = no_image
) -> list[Generation]:
    """As the engine's own `generate`, with its answers understood; `image_of` gives the page that is in a row."""
    asked = [row for row, page in enumerate(batch) if page.request.task == "extract"]
    if not asked:
        return transcribe(engine, batch, control, image_of)
    done = dict(zip(asked, extract(engine, [batch[row] for row in asked], control, asked, image_of), strict=True))
    if rest := sorted({*range(len(batch))} - {*asked}):
        pages, inner = [batch[row] for row in rest], RowsControl.of(control, rest)
        done |= zip(rest, transcribe(engine, pages, inner, lambda row: image_of(rest[row])), strict=True)
    return [done[row] for row in range(len(batch))]


def transcribe(engine: Engine, batch: Sequence[Prepared], control: Control, image_of: ImageOf) -> list[Generation]:
    """Of pages from which nothing is extracted."""
    profile = profile_of_engine(engine)
    if profile.dialect == MARKDOWN:
        return engine.generate(batch, control)
    twice = [row for row, page in enumerate(batch) if profile.is_first(page.request)]
    once = sorted({*range(len(batch))} - {*twice})
    done: dict[int, Generation] = {}
    if once:
        done |= zip(once, generate_once(engine, [batch[row] for row in once], profile, control, once), strict=True)
    if twice:
        pages = [batch[row] for row in twice]
        inner = RowsControl.of(control, twice)
        done |= zip(twice, read_twice(engine, pages, inner, profile, lambda row: image_of(twice[row])), strict=True)
    return [done[row] for row in range(len(batch))]


def generate_once(
    engine: Engine, pages: Sequence[Prepared], profile: Profile, control: Control, rows: Sequence[int]
) -> list[Generation]:
    """Pages that stand in these rows for the control."""
    inner = Understanding.of(control, rows)
    inner.batch, inner.profile = pages, profile
    return [inner.understood(place, generation) for place, generation in enumerate(engine.generate(pages, inner))]


@dataclass(slots=True)
class Understanding(RowsControl):
    """Tells the caller what answers mean; each is understood once, though an engine tells of it and returns it."""

    batch: Sequence[Prepared] = ()
    profile: Profile = PLAIN
    known: dict[int, Generation] = field(default_factory=dict)
    told_at: dict[int, float] = field(default_factory=dict)  # time.monotonic()
    cost_s: float = 0.0  # of the last text that was told

    def understood(self, row: int, generation: Generation) -> Generation:
        if row not in self.known:
            self.known[row] = understand(self.batch[row], generation, self.profile)
        return self.known[row]

    def tell(self, row: int, text: str) -> None:
        started = time.monotonic()
        if started < self.told_at.get(row, 0.0) + PATIENCE * self.cost_s * len(self.rows):
            return
        RowsControl.tell(self, row, text_of(self.profile, text))
        self.told_at[row] = time.monotonic()
        self.cost_s = self.told_at[row] - started

    def end(self, row: int, generation: Generation) -> None:
        RowsControl.end(self, row, self.understood(row, generation))


def understand(page: Prepared, generation: Generation, profile: Profile) -> Generation:
    """What an answer says; to a question it says text only."""
    if not generation.text.strip():
        return generation
    size = page.image.size if page.image else None
    answer = read_answer(profile.dialect, generation.text, grid=profile.grid, size=size)
    made = replace(generation, text=as_markdown(answer.blocks))
    if page.request.task != "transcribe":
        return made
    return replace(made, blocks=answer.blocks, wants_turn=answer.turn)


def text_of(profile: Profile, text: str) -> str:
    """An answer as far as it has come, as people read it."""
    return as_markdown(read_answer(profile.dialect, text).blocks)

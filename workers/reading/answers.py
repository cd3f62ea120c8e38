"""Answers of language models understood: what an engine writes in a dialect becomes text for people, and blocks.

Between an engine and everything that looks at its text. Markdown stays as it was written; its blocks are found when
results are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from workers.engines import Control, Engine, Generation, Prepared
from workers.engines.profiles import PLAIN, Profile
from workers.layout.dialects.readers import MARKDOWN, read_answer
from workers.reading.rows import RowsControl
from workers.results.markdown import as_markdown


@runtime_checkable
class ModelEngine(Protocol):
    """The part of an engine that says what its model answers in."""

    @property
    def profile(self) -> Profile: ...


def profile_of_engine(engine: Engine) -> Profile:
    return engine.profile if isinstance(engine, ModelEngine) else PLAIN


def generate(engine: Engine, batch: Sequence[Prepared], control: Control) -> list[Generation]:
    """As the engine's own `generate`, with its answers understood."""
    profile = profile_of_engine(engine)
    if profile.dialect == MARKDOWN:
        return engine.generate(batch, control)
    inner = Understanding.of(control, range(len(batch)))
    inner.batch, inner.profile = batch, profile
    return [inner.understood(row, generation) for row, generation in enumerate(engine.generate(batch, inner))]


@dataclass(slots=True)
class Understanding(RowsControl):
    """Tells the caller what answers mean; each is understood once, though an engine tells of it and returns it."""

    batch: Sequence[Prepared] = ()
    profile: Profile = PLAIN
    known: dict[int, Generation] = field(default_factory=dict)

    def understood(self, row: int, generation: Generation) -> Generation:
        if row not in self.known:
            self.known[row] = understand(self.batch[row], generation, self.profile)
        return self.known[row]

    def tell(self, row: int, text: str) -> None:
        RowsControl.tell(self, row, text_of(self.profile, text))

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

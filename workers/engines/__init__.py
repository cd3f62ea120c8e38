"""What an engine is, and what goes in and out of it. The engines themselves are named in `registry`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

from workers.layout.blocks import Block
from workers.lines import Line as Line

StopReason = Literal[
    "stop", "length", "repetition", "timeout", "cancelled", "content_filter", "invalid_answer", "error"
]  # fmt: skip


class EngineError(Exception):
    """The engine cannot work on this page; trying again would not help."""


class EngineBroken(EngineError):
    """The engine's process can no longer generate and has to be replaced."""


class TransientEngineError(EngineError):
    """The engine failed for a reason that may pass; the page may be tried again."""


class OutOfMemory(TransientEngineError):
    """The batch did not fit in the engine's memory; a smaller batch may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine may be told when it is made; each has a class of its own options, see `options` and `registry`.

    Lengths are pixels, times are seconds. Options can be hashed and pickled.
    """

    @property
    def knows_languages(self) -> bool:
        """Whether a page's text depends on the language that is asked for; see PageRequest."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """The page image an engine wants: both sides multiples of `factor` px, the longest at most `max_side` px.

    `min_letter` is the height of the smallest lines of print it reads, in px from the top of an `h` to the foot of a
    `g`; a page whose print would be smaller than that on one image is read in tiles. 0 never cuts a page.
    `takes_large` is said of an engine that reads a larger image in tiles itself.
    """

    factor: int
    max_side: int
    mode: Literal["RGB", "L"] = "RGB"
    min_letter: float = 0.0
    takes_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What is asked of one page. `page_number` is 1-based, as people count.

    `task` is transcribe, ask, describe or extract, which has a JSON `schema`, as text. `language` is for engines that
    know languages, as `deu+fra` or `auto`; "" leaves it to the engine.
    """

    page_number: int
    task: str = "transcribe"
    language: str = ""
    prompt: str = ""
    schema: str = ""
    max_new_tokens: int = 4096
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One page, ready to generate from: its image, or the tensors a processor made of it."""

    request: PageRequest
    image: Image.Image | None = None
    tensors: dict[str, Any] | None = None
    num_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What an engine made of one page. `error` says why where `stop_reason` is "error".

    `rotation` is the clockwise turn of 0, 90, 180 or 270 degrees that made the text upright for the engine; the boxes
    of `lines` lie on the page image as it was, not turned. `notices` are words for what people should look at; what
    they mean stands in `tasks.reasons`. `engine` names another engine that read the page for the one that was asked.
    `data` is the JSON that was extracted, as text.
    """

    text: str
    stop_reason: StopReason = "stop"
    tokens: int = 0
    lines: tuple[Line, ...] = ()
    error: str = ""
    rotation: int = 0
    notices: tuple[str, ...] = ()
    engine: str = ""
    blocks: tuple[Block, ...] = ()
    wants_turn: int = 0
    data: str = ""


@dataclass(slots=True)
class Control:
    """How the caller steers a generation that runs; rows count from 0 in the order of the batch.

    An engine asks at every check (each few tokens, each line): `should_stop(row)` names why a row must stop.
    """

    deadline: float = float("inf")  # time.monotonic() at which every row stops with "timeout"
    cancelled: set[int] = field(default_factory=set)  # rows given up by the caller, added from another thread
    on_text: Callable[[int, str], None] | None = None  # (row, all text so far), from any thread, never per token
    on_done: Callable[[int, Generation], None] | None = None  # see `done`

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        if row in self.cancelled:
            return "cancelled"
        return "timeout" if time.monotonic() > self.deadline else None

    def done(self, row: int, generation: Generation) -> Generation:
        """Tell the caller what a row came to while others still run, once a row, from any thread; gives it back."""
        if self.on_done:
            self.on_done(row, generation)
        return generation


class Engine(Protocol):
    """Turns prepared page images into text. One instance a process; `generate` is called by one thread only.

    The constructor is cheap and loads no model, so that CPU workers can call `prepare`.
    """

    name: str
    revision: str  # identity of the weights, for caches and results
    image_spec: ImageSpec
    max_batch: int  # most pages one `generate` can use well

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        """CPU side: processor and tokenizer; needs no model weights."""
        ...

    def pack(self, prepared: Prepared) -> bytes | None:
        """The bytes of `prepared` for the spool; None where the page's PNG is all that `generate` needs."""
        ...

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        """The inverse of `pack`."""
        ...

    def load(self) -> None:
        """Load the model; called once, in the process and thread that will generate."""
        ...

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page, in the order of `batch`. Raises EngineError for the batch as a whole."""
        ...

    def close(self) -> None:
        """Give back what `load` took."""
        ...


@runtime_checkable
class StagingEngine(Protocol):
    """The part of an engine that can bring the next batch to its device while it generates."""

    def stage(self, batch: Sequence[Prepared]) -> None:
        """Called from another thread than `generate`, which may then get these very pages, in this order, or not."""
        ...


@runtime_checkable
class JoiningEngine(Protocol):
    """The part of an engine whose pages join those that run: `generate` may be called in several threads at once."""

    @property
    def num_slots(self) -> int:
        """Most pages it can be given at once; 0 where it wants batches after all, which is known once it is loaded."""
        ...

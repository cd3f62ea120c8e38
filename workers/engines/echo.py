"""The `echo` engine: deterministic text at a chosen speed, for tests, capacity planning and fault drills.

A page's text says its number, the size of its image and a digest of its pixels, so that a page that was lost,
changed or put in the wrong place shows. A batch takes `echo_seconds` however many pages it has, as a GPU does,
plus a random part of `echo_jitter_s`.

Directives in the prompt make chosen pages fail; N is a page number, 1-based:

    !raise N        the page ends with an error that another attempt would not mend
    !transient N    the batch with this page raises TransientEngineError
    !oom N          the batch with this page raises OutOfMemory, unless the page is alone in it
    !kill N         the process kills itself with SIGKILL
    !hang N         the batch never returns and ignores cancellation and deadline
    !freeze N       as hang, and no other thread of the process can run either
    !loop N         the page's text repeats itself, unless the temperature is above 0
    !loopalways N   the page's text repeats itself at any temperature
    !slow N S       the page takes S seconds more

Several directives are separated by white space.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from workers.engines import (
    Control,
    EngineError,
    Generation,
    ImageSpec,
    OutOfMemory,
    PageRequest,
    Prepared,
    TransientEngineError,
)
from workers.engines.options import ImageOptions, option
from workers.engines.whole_image import WholeImage
from workers.prompts import TRANSCRIBE

STEP_S = 0.02  # longest time between two looks at the control
TEXT_INTERVAL_S = 0.25
NUM_LOOPS = 100

_DIRECTIVE = re.compile(r"!([a-z]+)\s+(\d+)(?:\s+(\d+(?:\.\d+)?))?(?!\S)")


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoOptions(ImageOptions):
    seconds: float = option(
        0.0, setting="echo_seconds", unit="s", help="Time the echo engine sleeps for a batch, as a GPU would work."
    )
    jitter_s: float = option(
        0.0, setting="echo_jitter_s", unit="s", help="Largest random delay the echo engine adds to it."
    )


class EchoEngine(WholeImage):
    """Says what it was given. Needs no model and no weights."""

    name = "echo"
    revision = "1"
    max_batch = 64

    def __init__(self, options: EchoOptions) -> None:
        self.image_spec = ImageSpec(factor=options.resize_factor or 32, max_side=options.max_dimension or 1024)
        self._seconds = options.seconds
        self._jitter_s = options.jitter_s

    def load(self) -> None:
        """Nothing to load."""

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page. Raises what the prompts' directives say."""
        _act_on_batch(batch)
        seconds = self._seconds + random.uniform(0.0, self._jitter_s)
        return _Batch(batch, seconds, control).run()

    def close(self) -> None:
        """Nothing to give back."""


OPTIONS = EchoOptions
ENGINE = EchoEngine


def find_directives(request: PageRequest) -> dict[str, float]:
    """The directives of the prompt that concern this page, each with its number of seconds (0 without one)."""
    found = _DIRECTIVE.findall(request.prompt)
    return {name: float(seconds or 0) for name, page, seconds in found if int(page) == request.page_number}


def _act_on_batch(batch: Sequence[Prepared]) -> None:
    """Carry out the directives that concern a whole batch or process."""
    for prepared in batch:
        number, directives = prepared.request.page_number, find_directives(prepared.request)
        if "kill" in directives:
            os.kill(os.getpid(), signal.SIGKILL)
        while "hang" in directives:
            time.sleep(60.0)
        while "freeze" in directives:
            ctypes.PyDLL(None).sleep(60)  # keeps the interpreter's lock
        if "transient" in directives:
            raise TransientEngineError(f"told to fail at page {number}")
        if "oom" in directives and len(batch) > 1:
            raise OutOfMemory(f"told to run out of memory at page {number} in a batch of {len(batch)}")


def page_text(prepared: Prepared) -> str:
    """What the engine says of a page: the same for the same pixels, whatever was in the batch with it."""
    if prepared.image is None:
        raise EngineError("The echo engine wants the page's image.")
    width, height = prepared.image.size
    digest = hashlib.sha256(prepared.image.convert("RGB").tobytes()).hexdigest()[:8]
    text = f"page {prepared.request.page_number} of {width}x{height}, pixels {digest}"
    prompt = prepared.request.prompt
    return f"{text}\n\n{prompt}" if prompt and prompt != TRANSCRIBE else text


@dataclass(slots=True)
class _Row:
    """One page under way: all its text, how it will end, and when, in seconds after the start."""

    whole: Generation
    ends_s: float
    result: Generation | None = None


class _Batch:
    """Pages that run side by side, each until its time is over or the control stops it."""

    def __init__(self, batch: Sequence[Prepared], seconds: float, control: Control) -> None:
        self._rows = [_plan_row(prepared, seconds) for prepared in batch]
        self._control = control
        self._started = time.monotonic()
        self._told_s = 0.0

    def run(self) -> list[Generation]:
        while True:
            elapsed = time.monotonic() - self._started
            for number, row in enumerate(self._rows):
                if row.result is None and (result := self._end_row(number, row, elapsed)):
                    row.result = self._control.done(number, result)
            waiting = [row.ends_s - elapsed for row in self._rows if row.result is None]
            if not waiting:
                return [row.result for row in self._rows if row.result is not None]
            self._tell(elapsed)
            time.sleep(min(STEP_S, *waiting))

    def _end_row(self, number: int, row: _Row, elapsed: float) -> Generation | None:
        if reason := self._control.should_stop(number):
            return Generation(text=_part(row, elapsed), stop_reason=reason)
        return row.whole if elapsed >= row.ends_s else None

    def _tell(self, elapsed: float) -> None:
        if self._control.on_text is None or elapsed - self._told_s < TEXT_INTERVAL_S:
            return
        self._told_s = elapsed
        for number, row in enumerate(self._rows):
            if row.result is None:
                self._control.on_text(number, _part(row, elapsed))


def _plan_row(prepared: Prepared, seconds: float) -> _Row:
    request = prepared.request
    directives = find_directives(request)
    ends_s = seconds + directives.get("slow", 0.0)
    text = page_text(prepared)
    if "raise" in directives:
        error = f"told to fail at page {request.page_number}"
        return _Row(Generation(text="", stop_reason="error", error=error), ends_s)
    if "loopalways" in directives or ("loop" in directives and request.temperature == 0.0):
        looping = text + " again and again" * NUM_LOOPS
        return _Row(Generation(text=looping, stop_reason="repetition", tokens=len(looping.split())), ends_s)
    words = text.split()
    if len(words) > request.max_new_tokens:
        cut = " ".join(words[: request.max_new_tokens])
        return _Row(Generation(text=cut, stop_reason="length", tokens=request.max_new_tokens), ends_s)
    return _Row(Generation(text=text, tokens=len(words)), ends_s)


def _part(row: _Row, elapsed: float) -> str:
    """The text so far, as if it came at an even speed."""
    share = min(elapsed / row.ends_s, 1.0) if row.ends_s > 0 else 1.0
    return row.whole.text[: int(share * len(row.whole.text))]

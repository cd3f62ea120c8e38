"""What the host knows of a batch while it runs: each page's tokens and text so far, and why it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Executor, Future

from workers.engines import Control, EngineError, Generation, StopReason
from workers.repetition import is_looping

TEXT_INTERVAL_S = 0.25

Decode = Callable[[Sequence[int]], str]


class Row:
    """One page of a batch. `ids` are its tokens without the end token; `stop` is why it ended, None while it runs."""

    def __init__(self, limit: int, decode: Decode) -> None:
        self.ids: list[int] = []
        self.limit = limit
        self.stop: StopReason | None = None if limit else "length"
        self.text = TextStream(decode)
        self.outcome: Future[Generation] | None = None  # once the page is over

    def add(self, tokens: Sequence[int], eos_ids: Set[int]) -> None:
        """Take over newly generated `tokens`, up to the first end token or the limit."""
        for token in tokens:
            if self.stop:
                return
            if token in eos_ids:
                self.stop = "stop"
                return
            self.ids.append(token)
            if len(self.ids) == self.limit:
                self.stop = "length"


class TextStream:
    """Text that grows with its tokens, without decoding them all each time.

    Only the tokens since the last two pieces are decoded. A piece that ends inside a character (U+FFFD) or that does
    not begin like the one before it waits for more tokens; the method is that of text-generation-inference.
    """

    def __init__(self, decode: Decode) -> None:
        self.text = ""
        self._decode = decode
        self._start = 0  # first token that is decoded again
        self._done = 0  # tokens whose text is in `text`

    def extend(self, ids: Sequence[int]) -> str:
        """The text of `ids`, all tokens so far."""
        try:
            before = self._decode(ids[self._start : self._done])
            after = self._decode(ids[self._start :])
        except EngineError:
            return self.text  # perhaps it can be decoded when there is more of it
        if len(after) > len(before) and after.startswith(before) and not after.endswith("\ufffd"):
            self.text += after[len(before) :]
            self._start, self._done = self._done, len(ids)
        return self.text


class Rows:
    """The pages of one batch and the checks that run on them every few tokens.

    Tokens are made text by `pool`, one thread that is not the one which generates.
    """

    def __init__(
        self,
        limits: Sequence[int],
        eos_ids: Set[int],
        control: Control,
        decode: Decode,
        pool: Executor,
        *,
        stops_loops: bool = True,
    ) -> None:
        self.rows = [Row(limit, decode) for limit in limits]
        self.eos_ids = eos_ids
        self.control = control
        self.is_filler = FillerTokens(decode)
        self.stops_loops = stops_loops
        self._decode, self._pool = decode, pool
        self._told_at = float("-inf")
        self._telling: list[Future[None]] = []

    @property
    def running(self) -> list[int]:
        return [index for index, row in enumerate(self.rows) if row.stop is None]

    def add(self, indexes: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[int]:
        """Take over the new tokens of the rows `indexes` and run the checks.

        Returns the rows that were stopped from outside: the model does not know yet that they are over.
        """
        stopped = []
        for index, new in zip(indexes, tokens, strict=True):
            row = self.rows[index]
            if row.stop:
                continue
            row.add(new, self.eos_ids)
            if row.stop is None and (reason := self._interrupt(index)):
                row.stop = reason
                stopped.append(index)
            if row.stop:
                row.outcome = self._pool.submit(self._conclude, index)
        self._publish()
        return stopped

    def generations(self, num_pages: int) -> list[Generation]:
        """What the first `num_pages` rows came to; waits for what is still on its way."""
        for telling in self._telling:
            telling.result()
        outcomes = [row.outcome or self._pool.submit(self._conclude, i) for i, row in enumerate(self.rows[:num_pages])]
        return [outcome.result() for outcome in outcomes]

    def _conclude(self, index: int) -> Generation:
        row = self.rows[index]
        try:
            generation = Generation(
                text=self._decode(row.ids).strip(), stop_reason=row.stop or "error", tokens=len(row.ids)
            )
        except EngineError as exc:
            generation = Generation(text="", stop_reason="error", tokens=len(row.ids), error=str(exc))
        return self.control.done(index, generation)

    def _publish(self) -> None:
        if self.control.on_text and time.monotonic() - self._told_at >= TEXT_INTERVAL_S:
            self._told_at = time.monotonic()
            self._telling += [self._pool.submit(self._tell, row, len(self.rows[row].ids)) for row in self.running]

    def _tell(self, index: int, num_tokens: int) -> None:
        row = self.rows[index]
        before = row.text.text
        if self.control.on_text and (text := row.text.extend(row.ids[:num_tokens])) != before:
            self.control.on_text(index, text)

    def _interrupt(self, index: int) -> StopReason | None:
        if reason := self.control.should_stop(index):
            return reason
        if self.stops_loops and is_looping(self.rows[index].ids, is_filler=self.is_filler):
            return "repetition"
        return None


class FillerTokens:
    """Tells whether a token has no letter and no digit, as rules of tables and leaders have none."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._known: dict[int, bool] = {}

    def __call__(self, token: int) -> bool:
        if token not in self._known:
            self._known[token] = not any(char.isalnum() for char in self._text(token))
        return self._known[token]

    def _text(self, token: int) -> str:
        try:
            return self._decode([token])
        except EngineError:
            return ""

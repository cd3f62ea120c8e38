"""What the host knows of pages under way: each one's tokens and text so far, and why it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Executor, Future

from workers.engines import Control, EngineError, Generation, StopReason
from workers.repetition import is_looping

TEXT_INTERVAL_S = 0.25

Decode = Callable[[Sequence[int]], str]


class Row:
    """One page under way: row `index` of what `control` steers. `ids` are its tokens without the end token.

    `stop` is why it ended, None while it runs; `outcome` comes once its text is there.
    """

    def __init__(self, limit: int, decode: Decode, control: Control, index: int) -> None:
        self.ids: list[int] = []
        self.limit, self.control, self.index = limit, control, index
        self.stop: StopReason | None = None if limit else "length"
        self.text = TextStream(decode)
        self.outcome: Future[Generation] = Future()

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


class Watch:
    """The checks that run on rows every few tokens.

    Tokens are made text by `pool`, one thread that is not the one which generates.
    """

    def __init__(self, eos_ids: Set[int], decode: Decode, pool: Executor, *, stops_loops: bool = True) -> None:
        self.eos_ids = eos_ids
        self.is_filler = FillerTokens(decode)
        self.stops_loops = stops_loops
        self._decode, self._pool = decode, pool
        self._told_at = float("-inf")

    def begin(self, control: Control, index: int, limit: int) -> Row:
        """A row that has no tokens yet."""
        row = Row(limit, self._decode, control, index)
        if row.stop:
            self.conclude(row)
        return row

    def add(self, rows: Sequence[Row], tokens: Sequence[Sequence[int]]) -> list[Row]:
        """Take over the new tokens of `rows` and run the checks.

        Returns the rows that were stopped from outside: the model does not know yet that they are over.
        """
        stopped = []
        for row, new in zip(rows, tokens, strict=True):
            if row.stop:
                continue
            row.add(new, self.eos_ids)
            if row.stop is None and (reason := self._interrupt(row)):
                row.stop = reason
                stopped.append(row)
            if row.stop:
                self.conclude(row)
        self._publish(rows)
        return stopped

    def conclude(self, row: Row) -> None:
        """Have the row's outcome made, as it is."""
        self._pool.submit(self._conclude, row)

    def _conclude(self, row: Row) -> None:
        try:
            row.outcome.set_result(row.control.done(row.index, self._generation(row)))
        except Exception as exc:  # whatever the caller's `on_done` raises is the caller's
            row.outcome.set_exception(exc)

    def _generation(self, row: Row) -> Generation:
        try:
            text = self._decode(row.ids).strip()
            return Generation(text=text, stop_reason=row.stop or "error", tokens=len(row.ids))
        except EngineError as exc:
            return Generation(text="", stop_reason="error", tokens=len(row.ids), error=str(exc))

    def _publish(self, rows: Sequence[Row]) -> None:
        if time.monotonic() - self._told_at < TEXT_INTERVAL_S:
            return
        self._told_at = time.monotonic()
        for row in rows:
            if row.control.on_text and row.stop is None:
                self._pool.submit(self._tell, row, row.control.on_text, len(row.ids))

    def _tell(self, row: Row, on_text: Callable[[int, str], None], num_tokens: int) -> None:
        before = row.text.text
        if (text := row.text.extend(row.ids[:num_tokens])) != before:
            on_text(row.index, text)

    def _interrupt(self, row: Row) -> StopReason | None:
        if reason := row.control.should_stop(row.index):
            return reason
        if self.stops_loops and is_looping(row.ids, is_filler=self.is_filler):
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

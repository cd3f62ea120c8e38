"""The control of some rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from workers.engines import Control, Generation


@dataclass(slots=True)
class RowsControl(Control):
    """The control of some rows of a batch: row `n` here is row `rows[n]` there."""

    whole: Control | None = None
    rows: Sequence[int] = ()

    @classmethod
    def of(cls, whole: Control, rows: Sequence[int]) -> Self:
        control = cls(deadline=whole.deadline, whole=whole, rows=rows)
        if whole.on_text:
            control.on_text = control.tell
        if whole.on_done:
            control.on_done = control.end
        return control

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        assert self.whole is not None
        return self.whole.should_stop(self.rows[row])

    def tell(self, row: int, text: str) -> None:
        assert self.whole is not None and self.whole.on_text is not None
        self.whole.on_text(self.rows[row], text)

    def end(self, row: int, generation: Generation) -> None:
        assert self.whole is not None
        self.whole.done(self.rows[row], generation)

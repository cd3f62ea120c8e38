"""What came of a question about a document as a whole, as the server gives it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from pagefan.records import Fault, Value


class Answer(TypedDict):
    """What came of a question about a document as a whole, or of the values wanted of it; pages count from 1.

    `pages` are those that the answer cites or, unless `is_cited`, whose words it has. `pages_asked` are those whose
    text the model was given, `missing_pages` those that could not be read.
    """

    task: Literal["ask", "extract"]
    question: str
    text: str
    is_found: bool
    pages: list[int]
    is_cited: bool
    pages_asked: list[int]
    is_all: bool
    missing_pages: list[int]
    data: dict[str, Any] | None
    values: list[Value]
    error: Fault | None
    engine: str
    tokens: int
    seconds: float

"""The readers of the dialects that models answer in, by their names. A new dialect is one file and one line here."""

from __future__ import annotations

from dataclasses import replace

from workers.layout.blocks import Box
from workers.layout.dialects.answer import Answer, Reader, box_of
from workers.layout.dialects.deepseek import read_deepseek
from workers.layout.dialects.doctags import read_doctags
from workers.layout.dialects.dots import read_dots
from workers.layout.dialects.html_page import read_html_page
from workers.layout.dialects.markdown import read_markdown
from workers.layout.dialects.mineru import read_mineru
from workers.layout.dialects.nanonets import read_nanonets
from workers.layout.dialects.olmocr import read_olmocr

MARKDOWN = "markdown"


def read_only_markdown(text: str) -> Answer:
    return Answer(blocks=read_markdown(text))


READERS: dict[str, Reader] = {
    MARKDOWN: read_only_markdown,
    "deepseek": read_deepseek,
    "doctags": read_doctags,
    "dots": read_dots,
    "html": read_html_page,
    "mineru": read_mineru,
    "nanonets": read_nanonets,
    "olmocr": read_olmocr,
}


def read_answer(dialect: str, text: str, *, grid: int = 0, size: tuple[int, int] | None = None) -> Answer:
    """The answer with boxes as shares of the page, 0 to 1; without boxes where they cannot be known.

    `grid` is what the dialect's boxes are counted in; 0 is pixels of the image that the model was given, of this size.
    """
    answer = READERS[dialect](text)
    across, down = (grid, grid) if grid else size or (0, 0)
    blocks = tuple(replace(block, box=share_of(block.box, across, down)) for block in answer.blocks)
    return replace(answer, blocks=blocks)


def share_of(box: Box | None, across: float, down: float) -> Box | None:
    """The part of a box that lies on the page, as shares of it; None where nothing does."""
    if box is None or not across or not down:
        return None
    shares = box[0] / across, box[1] / down, box[2] / across, box[3] / down
    return box_of([min(max(share, 0.0), 1.0) for share in shares])

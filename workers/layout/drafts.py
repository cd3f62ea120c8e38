"""Lines and blocks written from drafts, in pixels of the page image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from workers.engines import Line
from workers.layout.blocks import Block, BlockKind, Cell, PageLayout
from workers.layout.canvas import Canvas
from workers.layout.code import code_text, empty_lines
from workers.layout.tables import Table
from workers.layout.words import Row, Word, box_of, text_of_row
from workers.reading_order import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A block to be: `rows` are its lines of words; a table has cells, whose rows of words are its lines."""

    kind: BlockKind
    box: Box
    rows: tuple[Row, ...] = ()
    table: Table | None = None
    marker: Word | None = None
    level: int = 0


def finish(drafts: Sequence[Draft], canvas: Canvas) -> PageLayout:
    """Lines and blocks of the drafts, in their order, in pixels of the page image."""
    lines: list[Line] = []
    blocks = [
        table_block(draft, draft.table, lines, canvas) if draft.table else text_block(draft, lines, canvas)
        for draft in drafts
    ]
    return PageLayout(lines=tuple(lines), blocks=tuple(blocks))


def text_block(draft: Draft, lines: list[Line], canvas: Canvas) -> Block:
    start = len(lines)
    words = [word for row in draft.rows for word in row]
    texts = code_text(draft.rows) if draft.kind == "code" else list(map(text_of_row, draft.rows))
    for number, (row, text) in enumerate(zip(draft.rows, texts, strict=True)):
        marked = [draft.marker, *row] if draft.marker and number == 0 else row
        lines.append(line_of(marked, text if draft.kind == "code" else text_of_row(marked), canvas))
    gaps = empty_lines(draft.rows) if draft.kind == "code" else [0] * len(texts)
    return Block(
        kind=draft.kind,
        text="\n".join("\n" * gap + text for gap, text in zip(gaps, texts, strict=True)),
        box=canvas.to_pixels(draft.box),
        lines=tuple(range(start, len(lines))),
        level=draft.level,
        marker=draft.marker.text if draft.marker else "",
        size=round(median(word.size for word in words) * canvas.scale_y, 2) if words else 0.0,
        is_bold=2 * sum(len(w.text) for w in words if w.is_bold) > sum(len(w.text) for w in words),
    )


def table_block(draft: Draft, table: Table, lines: list[Line], canvas: Canvas) -> Block:
    start = len(lines)
    texts: list[list[str]] = []
    for cell in table.cells:
        lines += [line_of(row, text_of_row(row), canvas) for row in cell.rows]
        while len(texts) <= cell.span[0]:
            texts.append([])
        texts[cell.span[0]].append(cell.text)
    return Block(
        kind="table",
        text="\n".join("\t".join(row) for row in texts if row),
        box=canvas.to_pixels(draft.box),
        lines=tuple(range(start, len(lines))),
        cells=tuple(
            Cell(
                row=cell.span[0],
                column=cell.span[2],
                text=cell.text,
                row_span=cell.span[1] - cell.span[0],
                column_span=cell.span[3] - cell.span[2],
                is_header=cell.is_header,
            )
            for cell in table.cells
        ),
    )


def line_of(row: Row, text: str, canvas: Canvas) -> Line:
    return Line(
        text=text,
        box=canvas.to_pixels(box_of(row)),
        confidence=round(min(word.confidence for word in row), 4),
        doubts=tuple(word.text for word in row if word.is_doubted),
    )

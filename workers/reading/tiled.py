"""Pages of a batch through an engine: those that fit at once, large ones tile by tile after them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from workers.engines import Control, Engine, Generation, Line, Prepared
from workers.reading.answers import generate, no_image
from workers.reading.joins import join_tiles
from workers.reading.large import LargePage
from workers.reading.rows import RowsControl
from workers.reading.two_steps import ImageOf

STOPPED = ("cancelled", "timeout", "error", "content_filter")  # how a tile ends that leaves the page without its text


def generate_all(
    engine: Engine, batch: Sequence[Prepared], control: Control, image_of: ImageOf = no_image
) -> list[Generation]:
    """One Generation a page, in the order of `batch`; `control` is told of each once. `image_of` is by rows of it."""
    large = {row for row, page in enumerate(batch) if isinstance(page, LargePage)}
    if not large:
        return generate(engine, batch, control, image_of)
    found = generate_small(engine, batch, large, control, image_of)
    for row in sorted(large):
        page = batch[row]
        assert isinstance(page, LargePage)
        found[row] = control.done(row, generate_large(engine, page, row, control))
    return [found[row] for row in range(len(batch))]


def generate_small(
    engine: Engine, batch: Sequence[Prepared], large: Set[int], control: Control, image_of: ImageOf
) -> dict[int, Generation]:
    rows = [row for row in range(len(batch)) if row not in large]
    if not rows:
        return {}
    pages, inner = [batch[row] for row in rows], RowsControl.of(control, rows)
    generations = generate(engine, pages, inner, lambda place: image_of(rows[place]))
    return dict(zip(rows, generations, strict=True))


def generate_large(engine: Engine, page: LargePage, row: int, control: Control) -> Generation:
    """One page, as many tiles at a time as the engine takes pages; stops at the first tile that comes to nothing."""
    done: list[Generation] = []
    for first in range(0, len(page.parts), engine.max_batch):
        parts = page.parts[first : first + engine.max_batch]
        part_control = RowsControl.of(replace(control, on_text=None, on_done=None), [row] * len(parts))
        part_control.whole = control  # which another thread adds to
        done += generate(engine, parts, part_control)
        if control.on_text:
            control.on_text(row, join_tiles(page.tiles[: len(done)], [part.text for part in done]))
        if any(part.stop_reason in STOPPED for part in done):
            break
    return join_generations(page, done)


def join_generations(page: LargePage, done: Sequence[Generation]) -> Generation:
    """The page's Generation of those of its tiles, the last of which may be missing."""
    worst = next((part for part in done if part.stop_reason != "stop"), None)
    return Generation(
        text=join_tiles(page.tiles[: len(done)], [part.text for part in done]),
        stop_reason=worst.stop_reason if worst else "stop",
        error=worst.error if worst else "",
        tokens=sum(part.tokens for part in done),
        lines=tuple(placed(line, page, place) for place, part in enumerate(done) for line in part.lines),
        rotation=done[0].rotation if done else 0,
        notices=tuple(dict.fromkeys(notice for part in done for notice in part.notices)),
    )


def placed(line: Line, page: LargePage, place: int) -> Line:
    """The line of a tile, with its box on the image that people see."""
    tile, part = page.tiles[place], page.parts[place]
    across = down = 1.0
    if part.image is not None:  # a tile may have been stretched to the engine's sizes
        across, down = (tile.x1 - tile.x0) / part.image.width, (tile.y1 - tile.y0) / part.image.height
    x0, y0, x1, y1 = line.box
    box = (
        (tile.x0 + x0 * across) * page.scale[0],
        (tile.y0 + y0 * down) * page.scale[1],
        (tile.x0 + x1 * across) * page.scale[0],
        (tile.y0 + y1 * down) * page.scale[1],
    )
    return replace(line, box=box)

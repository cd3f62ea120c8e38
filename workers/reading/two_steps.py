"""Models that are asked twice: first where what stands on a page, then for each region what stands in it.

Both steps go through the engine as any page does, the crops of all pages of a batch together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from workers.engines import Control, Engine, Generation, Prepared
from workers.engines.profiles import Profile
from workers.layout.blocks import Block
from workers.layout.dialects.mineru import GRID, UNREAD, Region, read_region, regions_of
from workers.layout.dialects.readers import share_of
from workers.reading.rows import RowsControl
from workers.results.markdown import as_markdown

LEAST_SIDE = 28  # px of a crop, and below how many it is enlarged (mineru-vl-utils, mineru_client.py)
MOST_RATIO = 50.0  # of a crop's sides, and beyond which it gets white margins (the same)
MOST_REGIONS = 300  # of a page; a model that loops names more

ImageOf = Callable[[int], Image.Image | None]
Crop = tuple[int, int, Prepared]  # the page's row, the region's place in it, and what the engine is given


@dataclass(slots=True)
class Page:
    """A page between its two steps: what the first came to, and what was read in its regions, by their places."""

    first: Generation
    regions: list[Region]
    read: dict[int, Generation] = field(default_factory=dict)

    def blocks(self) -> tuple[Block, ...]:
        found = (
            block
            for place, region in enumerate(self.regions)
            for block in read_region(region, self.read[place].text if place in self.read else "")
        )
        return tuple(replace(block, box=share_of(block.box, GRID, GRID)) for block in found)

    def generation(self) -> Generation:
        """What the page came to; one of its parts that did not end well says how. Without regions it is no layout."""
        if not self.regions:
            return self.first
        parts = [self.first, *self.read.values()]
        worst = next((part for part in parts if part.stop_reason != "stop"), self.first)
        blocks, tokens = self.blocks(), sum(part.tokens for part in parts)
        return Generation(
            text=as_markdown(blocks), stop_reason=worst.stop_reason, error=worst.error, tokens=tokens, blocks=blocks
        )


def read_twice(
    engine: Engine, batch: Sequence[Prepared], control: Control, profile: Profile, image_of: ImageOf
) -> list[Generation]:
    """One Generation a page; `control` is told of each when all of its regions have been read."""
    looking = silenced(control, range(len(batch)))
    pages = [Page(first, regions_of(first.text)[:MOST_REGIONS]) for first in engine.generate(batch, looking)]
    waiting: list[Crop] = []
    for row, place, image in crops_of(batch, pages, image_of):
        request = replace(batch[row].request, prompt=prompt_for(pages[row].regions[place], profile))
        waiting.append((row, place, engine.prepare(image, request)))
        if len(waiting) == engine.max_batch:
            read_some(engine, waiting, pages, control)
            waiting = []
    read_some(engine, waiting, pages, control)
    return [control.done(row, page.generation()) for row, page in enumerate(pages)]


def silenced(control: Control, rows: Sequence[int]) -> RowsControl:
    """The control of these rows that only asks whether to stop."""
    silent = RowsControl.of(replace(control, on_text=None, on_done=None), rows)
    silent.whole = control
    return silent


def crops_of(
    batch: Sequence[Prepared], pages: Sequence[Page], image_of: ImageOf
) -> Iterator[tuple[int, int, Image.Image]]:
    """Row, place and picture of each region that has text; one page is held as an image at a time."""
    for row, page in enumerate(pages):
        wanted = [place for place, region in enumerate(page.regions) if region.label not in UNREAD]
        if page.first.stop_reason not in ("stop", "length", "repetition") or not wanted:
            continue
        image = image_of(row) or batch[row].image
        if image is None:
            page.first = replace(page.first, stop_reason="error", error="the page's image is gone; read it again")
            continue
        image = image.convert("RGB")
        for place in wanted:
            yield row, place, crop_of(image, page.regions[place])


def crop_of(image: Image.Image, region: Region) -> Image.Image:
    """The region, upright, as large and as wide as the model takes it."""
    x0, y0, x1, y1 = share_of(region.box, GRID, GRID) or (0.0, 0.0, 1.0, 1.0)
    left, top = min(int(x0 * image.width), image.width - 1), min(int(y0 * image.height), image.height - 1)
    crop = image.crop((left, top, max(left + 1, round(x1 * image.width)), max(top + 1, round(y1 * image.height))))
    crop = crop.rotate(-region.turn, expand=True) if region.turn else crop
    width, height = (max(side, math.ceil(max(crop.size) / MOST_RATIO)) for side in crop.size)
    if (width, height) != crop.size:
        sheet = Image.new("RGB", (width, height), "white")
        sheet.paste(crop, ((width - crop.width) // 2, (height - crop.height) // 2))
        crop = sheet
    times = LEAST_SIDE / min(crop.size)
    return crop if times <= 1 else crop.resize((math.ceil(crop.width * times), math.ceil(crop.height * times)))


def prompt_for(region: Region, profile: Profile) -> str:
    return profile.crop_prompts.get(region.label) or profile.crop_prompts["text"]


def read_some(engine: Engine, crops: Sequence[Crop], pages: Sequence[Page], control: Control) -> None:
    """Ask for what stands in some regions, but for those of pages that are to stop; tell how far pages have come."""
    going: list[Crop] = []
    for row, place, prepared in crops:
        if reason := control.should_stop(row):
            pages[row].read[place] = Generation(text="", stop_reason=reason)
        else:
            going.append((row, place, prepared))
    if not going:
        return
    silent = silenced(control, [row for row, _, _ in going])
    generations = engine.generate([prepared for _, _, prepared in going], silent)
    for (row, place, _), generation in zip(going, generations, strict=True):
        pages[row].read[place] = generation
    if control.on_text:
        for row in dict.fromkeys(row for row, _, _ in going):
            control.on_text(row, as_markdown(pages[row].blocks()))

"""Pages that are hard to see, for an engine and for people: their ink in black, on white paper."""

from __future__ import annotations

import numpy as np
from PIL import Image

from workers.documents.ink import BACKGROUND_BLOCKS, BLANK_SIDE, SAMPLE_PX, contrast_of, ink_pixels

FAINT = 40  # levels of 255: blocks of black print on white paper differ from it by 80 and more
STRONG_BLOCKS = 30  # so many blocks that are not faint are print, and no dust
FULL_SHARE = 90  # percentile of the ink that becomes black


def is_faint(image: Image.Image) -> bool:
    """Whether nothing on the page is much darker or lighter than the paper around it; colours do not count."""
    block = max(1, round(max(image.size) / BLANK_SIDE))
    blocks = (image.reduce(block) if block > 1 else image).convert("L")
    paper = blocks.reduce(min(BACKGROUND_BLOCKS, max(blocks.size))).resize(blocks.size, Image.Resampling.BILINEAR)
    contrast = np.abs(np.asarray(blocks, dtype=np.int16) - np.asarray(paper, dtype=np.int16))
    return int((contrast >= FAINT).sum()) < STRONG_BLOCKS


def clear_view(image: Image.Image) -> Image.Image:
    """What differs from the paper around it, in any colour and whichever is the darker, as black on white.

    Of the size and mode that the image has.
    """
    contrast = contrast_of(image)
    sample = contrast[::SAMPLE_PX, ::SAMPLE_PX]
    noise = int(np.median(sample))
    ink = sample[ink_pixels(sample)]
    full = max(noise + 1, int(np.percentile(ink, FULL_SHARE))) if ink.size else 255
    shades = np.clip((np.arange(256) - noise) * (255 / (full - noise)), 0, 255)
    return Image.fromarray((255 - shades).astype(np.uint8)[contrast]).convert(image.mode)

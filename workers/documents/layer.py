"""The text layer of a PDF page as words on its image, and whether the page is a picture for the most part."""

from __future__ import annotations

from workers.layout.words import Word, words_of_page
from workers.light_pymupdf import pymupdf
from workers.reading.layer_lines import LayerWord

SLOPED = 2.2  # times its size; boxes of level words are 1.4 times as thick as that, or less
PICTURE_SHARE = 0.7  # of the page's area that bitmaps cover, from which it is a picture


def layer_words(page: pymupdf.Page, width: int, height: int) -> list[LayerWord]:
    """The words of the page with boxes in pixels of its image, which is `width` x `height` and upright."""
    rect = page.rect
    to_image = page.rotation_matrix * pymupdf.Matrix(width / rect.width, height / rect.height)
    return [
        LayerWord(
            text=word.text,
            box=tuple(pymupdf.Rect(word.box).transform(to_image)),
            line=word.line,
            angle=(word.angle + page.rotation) % 360,
            is_sloped=thickness(word) > SLOPED * word.size,
        )
        for word in words_of_page(page)
    ]


def thickness(word: Word) -> float:
    """Of the word's box, across the way it runs."""
    x0, y0, x1, y1 = word.box
    return y1 - y0 if word.angle in (0, 180) else x1 - x0


def is_picture(page: pymupdf.Page) -> bool:
    """Whether bitmaps cover most of the page, as on a scan."""
    shown = (pymupdf.Rect(info["bbox"]) & page.rect for info in page.get_image_info())
    area = sum(rect.get_area() for rect in shown if rect.is_valid and not rect.is_empty)
    return bool(area >= PICTURE_SHARE * page.rect.get_area())

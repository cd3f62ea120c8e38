"""hOCR 1.2: the page images' text as HTML with boxes, which scanning tools, archives and libraries read.

Boxes are pixels of the page image; those of words are interpolated, see `line_blocks`. An image is named as the ZIP of
results names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import IO

from workers.layout.blocks import Box
from workers.results.line_blocks import LineBlock, TextLine, blocks_of_page, clean, words_of
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, image_name, in_order

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<title>{}</title>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8" />
<meta name="ocr-system" content="pagefan" />
<meta name="ocr-capabilities" content="{}" />
</head>
<body>
"""
LINES = {"page_header": "ocr_header", "page_footer": "ocr_footer", "caption": "ocr_caption"}
FLOATS = {"table": "ocr_table", "figure": "ocr_photo"}
CAPABILITIES = ("ocr_page", "ocr_carea", "ocr_par", "ocr_line", "ocrx_word", *LINES.values(), *FLOATS.values())


def write_hocr(name: str, pages: Iterable[PageResult], outline: Outline, out: IO[str]) -> None:
    """Write the document; the pages come in order, and `outline` is of the same pages."""
    out.write(HEAD.format(escape(clean(name)), " ".join(CAPABILITIES)))
    for page in in_order(with_outline(pages, outline)):
        out.writelines(page_html(page))
    out.write("</body>\n</html>\n")


def page_html(page: PageResult) -> Iterator[str]:
    whole = (0, 0, page.width, page.height)
    number = page.page_number
    title = f'image "{image_name(number)}"; {bbox(whole)}; ppageno {page.index}'
    yield f"<div class='ocr_page' id='page_{number}' title='{title}'>\n"
    for index, block in enumerate(blocks_of_page(page), 1):
        yield from block_html(block, f"{number}_{index}", whole, page.rotation)
    yield "</div>\n"


def block_html(block: LineBlock, name: str, whole: Box, rotation: int) -> Iterator[str]:
    box = block.box or whole
    outer = FLOATS.get(block.kind)
    if outer:
        yield f"<div class='{outer}' id='float_{name}' title='{bbox(box)}'>\n"
    if block.lines:
        yield f"<div class='ocr_carea' id='block_{name}' title='{bbox(box)}'>\n"
        yield f"<p class='ocr_par' id='par_{name}' title='{bbox(box)}'>\n"
        kind = LINES.get(block.kind, "ocr_line")
        for index, line in enumerate(block.lines, 1):
            yield from line_html(line, kind, f"{name}_{index}", box, rotation)
        yield "</p>\n</div>\n"
    if outer:
        yield "</div>\n"


def line_html(line: TextLine, kind: str, name: str, box: Box, rotation: int) -> Iterator[str]:
    yield f"<span class='{kind}' id='line_{name}' title='{bbox(line.box or box)}'>"
    sure = f"; x_wconf {round(100 * line.confidence)}" if line.confidence is not None else ""
    words = (
        f"<span class='ocrx_word' id='word_{name}_{index}' title='{bbox(place or line.box or box)}{sure}'>"
        f"{escape(word, quote=False)}</span>"
        for index, (word, place) in enumerate(words_of(line, rotation), 1)
    )
    yield " ".join(words)
    yield "</span>\n"


def bbox(box: Box) -> str:
    """Whole pixels, as the specification wants them, none of them negative."""
    return "bbox " + " ".join(str(max(0, round(side))) for side in box)

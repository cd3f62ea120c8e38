"""Draws docs/blocks.png: a page with blocks of most kinds, each in its box, found by the layout of the product.

python -m tools.blocks_picture
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from workers.layout.blocks import Block
from workers.layout.document import settle
from workers.layout.pages import layout_of_pdf_page, warm_up
from workers.light_pymupdf import pymupdf

OUT = Path(__file__).parents[1] / "docs" / "blocks.png"
WIDTH, HEIGHT = 1000, 1414  # pixels, A4
COLOURS = {
    "title": "#b3261e", "heading": "#d9730d", "paragraph": "#3f6fb5", "list_item": "#2a8f7a", "table": "#7b3fb5",
    "figure": "#8a6d1d", "caption": "#a0547a", "formula": "#007a99", "code": "#4d4d4d", "footnote": "#6a7f1f",
    "page_header": "#888888", "page_footer": "#888888",
}  # fmt: skip
PROSE = "The keeper climbs ninety-two steps with a can of oil, trims the wick, fills the tank and winds the clockwork "
PROSE += "that turns the lens. The lens weighs more than two tons and floats on a ring of mercury. "
LISTING = "def light(lamp):\n    if lamp.oil > 0:\n        lamp.burn()\n    return lamp"
ROWS = [["Night", "Ships", "Oil"], ["3 March", "14", "8.5"], ["4 March", "6", "9.2"], ["5 March", "2", "9.0"]]


def draw_page(page: pymupdf.Page, number: int) -> None:
    page.insert_text((60, 40), "The Keeper's Book", fontsize=9)
    page.insert_text((520, 810), str(number), fontsize=9)
    if number > 1:
        page.insert_textbox(pymupdf.Rect(60, 70, 535, 400), PROSE * 3, fontsize=11)
        return
    page.insert_text((60, 90), "How a Lighthouse Works", fontsize=24, fontname="hebo")
    page.insert_text((60, 130), "1 The Lamp", fontsize=15, fontname="hebo")
    page.insert_textbox(pymupdf.Rect(60, 142, 535, 225), PROSE * 2, fontsize=11)
    for n, text in enumerate(("oil, four cans a week", "wicks and a pair of scissors", "cloths for the brass")):
        page.insert_text((75, 238 + 17 * n), f"•  {text}", fontsize=11)
    page.insert_text((60, 305), "2 What It Burns", fontsize=15, fontname="hebo")
    for r, row in enumerate(ROWS):
        for c, text in enumerate(row):
            box = pymupdf.Rect(60 + 110 * c, 320 + 20 * r, 170 + 110 * c, 340 + 20 * r)
            page.draw_rect(box, width=0.6)
            page.insert_text((box.x0 + 6, box.y1 - 6), text, fontsize=10, fontname="hebo" if r == 0 else "helv")
    page.insert_text((60, 418), "Table 1: Oil of three nights, in litres.", fontsize=9)
    page.insert_textbox(pymupdf.Rect(60, 432, 535, 500), PROSE, fontsize=11)
    for n, line in enumerate(LISTING.split("\n")):
        page.insert_text((75, 500 + 14 * n), line, fontsize=10, fontname="cour")
    page.insert_image(pymupdf.Rect(190, 570, 400, 690), stream=lighthouse())
    page.insert_text((190, 706), "Figure 1: The tower at night.", fontsize=9)
    page.draw_line((60, 752), (200, 752), width=0.5)
    page.insert_text((60, 766), "1 Mercury is not used any more.", fontsize=8)


def lighthouse() -> bytes:
    """A picture of a tower and its beam, as PNG."""
    image = Image.new("RGB", (420, 240), "#1b2a49")
    draw = ImageDraw.Draw(image)
    draw.polygon([(210, 60), (420, 10), (420, 110)], fill="#f5e6a1")
    draw.polygon([(190, 80), (230, 80), (245, 230), (175, 230)], fill="#e8e8e8")
    draw.rectangle([192, 50, 228, 78], fill="#c0392b")
    draw.rectangle([0, 228, 420, 240], fill="#27406b")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def main() -> None:
    warm_up()
    with tempfile.TemporaryDirectory() as folder, pymupdf.open() as document:
        for number in (1, 2, 3):
            draw_page(document.new_page(), number)
        path = Path(folder) / "page.pdf"
        document.save(path)
        pages = [layout_of_pdf_page(path, index, width=WIDTH, height=HEIGHT) for index in range(3)]
        pixmap = document[0].get_pixmap(matrix=pymupdf.Matrix(WIDTH / 595, HEIGHT / 842))
        image = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
    draw_boxes(image, settle([page.blocks for page in pages])[0])
    image.quantize(64).save(OUT, optimize=True)


def draw_boxes(image: Image.Image, blocks: tuple[Block, ...]) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    for block in blocks:
        assert block.box is not None
        x0, y0, x1, y1 = block.box
        colour = COLOURS[block.kind]
        draw.rectangle([x0 - 4, y0 - 4, x1 + 4, y1 + 4], outline=colour, width=2)
        label = f"{block.kind} {block.level}" if block.level else block.kind
        width = draw.textlength(label, font=font)
        draw.rectangle([x1 + 6, y0 - 4, x1 + 14 + width, y0 + 16], fill=colour)
        draw.text((x1 + 10, y0 - 4), label, fill="white", font=font)


if __name__ == "__main__":
    main()

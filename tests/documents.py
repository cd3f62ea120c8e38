"""Pages with blocks, lines and an image, written as workers write them, for tests of what people see."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw
from web_service import page

from tasks.blobs import page_key
from tasks.page_end import save_text
from tasks.services import get_blobs
from workers.engines import Line
from workers.layout.blocks import Block, Cell, PageLayout

WIDTH, HEIGHT = 600, 800
LINES = (
    Line(text="Ships of the north", box=(60, 60, 400, 90), confidence=0.99),
    Line(text="They carry oil over the seve-", box=(60, 120, 520, 140), confidence=0.99),
    Line(text="ral seas & <never> rest.", box=(60, 150, 480, 170), confidence=0.5),
    Line(text="• first", box=(80, 190, 200, 210), confidence=0.99),
    Line(text="Ship", box=(60, 260, 140, 280), confidence=0.99),
    Line(text="Load", box=(260, 260, 340, 280), confidence=0.99),
    Line(text="Ann", box=(60, 300, 140, 320), confidence=0.99),
    Line(text="12", box=(260, 300, 300, 320), confidence=0.99),
    Line(text="running foot", box=(60, 760, 300, 780), confidence=0.99),
)
CELLS = (
    Cell(row=0, column=0, text="Ship", is_header=True),
    Cell(row=0, column=1, text="Load", is_header=True),
    Cell(row=1, column=0, text="Ann"),
    Cell(row=1, column=1, text="12"),
)
BLOCKS = (
    Block(kind="heading", text=LINES[0].text, box=(60, 60, 400, 90), lines=(0,), level=1, size=24),
    Block(kind="paragraph", text=f"{LINES[1].text}\n{LINES[2].text}", box=(60, 120, 520, 170), lines=(1, 2)),
    Block(kind="list_item", text="first", marker="•", box=(80, 190, 200, 210), lines=(3,), level=1),
    Block(kind="table", text="Ship\tLoad\nAnn\t12", box=(50, 250, 400, 330), lines=(4, 5, 6, 7), cells=CELLS),
    Block(kind="figure", text="", box=(60, 400, 400, 700), figure="p001-1.png"),
    Block(kind="page_footer", text="running foot", box=(60, 760, 300, 780), lines=(8,)),
)


def page_image() -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    for line in LINES:
        draw.text((line.box[0], line.box[1]), line.text, fill="black", font_size=20)
    draw.ellipse((60, 400, 400, 700), outline="black", width=4)
    return image


def save_readable(job_id: str, number: int = 1) -> None:
    """A page that an engine has read: its image, its lines, and one block of many kinds."""
    image = page_image()
    with get_blobs().writer(page_key(job_id, number - 1, "png")) as file:
        image.save(file, "PNG")
    crop = io.BytesIO()
    image.crop((60, 400, 400, 700)).save(crop, "PNG")
    layout = PageLayout(lines=LINES, blocks=BLOCKS, crops={"p001-1.png": crop.getvalue()})
    text = "\n".join(line.text for line in LINES)
    save_text(
        page(job_id, number),
        text,
        engine="ocr",
        seconds=0.5,
        lines=LINES,
        layout=layout,
        width=WIDTH,
        height=HEIGHT,
        has_image=True,
    )

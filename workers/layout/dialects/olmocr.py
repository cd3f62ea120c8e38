"""What olmOCR writes: Markdown after lines of front matter, which say among other things whether the page is turned.

`rotation_correction` is the angle of Pillow's `ROTATE_90` and so on, counter-clockwise, whatever its description says:
so the model was trained and so its own pipeline turns the page (allenai/olmocr, train/dataloader.py, pipeline.py). A
figure stands as `![what it shows](page_x_y_width_height.png)`, in pixels of the image that the model was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from workers.layout.blocks import Block
from workers.layout.dialects.answer import Answer, box_of
from workers.layout.dialects.markdown import read_markdown

KEYS = ("primary_language", "is_rotation_valid", "rotation_correction", "is_table", "is_diagram")
FIELD = re.compile(rf"({'|'.join(KEYS)}):[ \t]*([^\n]*)")
FIGURE = re.compile(r"!\[([^\]\n]{0,4000})\]\(page_(\d{1,5})_(\d{1,5})_(\d{1,5})_(\d{1,5})\.png\)")


def read_olmocr(text: str) -> Answer:
    """The blocks of one page, with boxes in pixels for its figures, and the turn that the model asks for."""
    fields, body = front_matter(text)
    blocks = [
        block for part in parts_of(body) for block in ([part] if isinstance(part, Block) else read_markdown(part))
    ]
    return Answer(blocks=tuple(blocks), turn=turn_of(fields))


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """The fields at the head, and the text after them; a head that was cut off ends with its last known line."""
    lines = text.replace("\r\n", "\n").lstrip().split("\n")
    start = 1 if lines[0].startswith("```") and lines[0].strip("` ").isalpha() else 0
    if start >= len(lines) or lines[start].strip() != "---":
        return {}, text
    fields: dict[str, str] = {}
    end = start + 1
    while end < len(lines) and (found := FIELD.fullmatch(lines[end].strip())):
        fields[found[1]] = found[2].strip()
        end += 1
    if not fields and end < len(lines) and lines[end].strip() != "---":
        return {}, text
    if end < len(lines) and lines[end].strip() == "---":
        end += 1
    elif end == len(lines) - 1 and any(key.startswith(lines[end].strip().partition(":")[0]) for key in KEYS):
        end += 1  # cut off within a key
    return fields, "\n".join([*lines[:start], *lines[end:]])


def turn_of(fields: dict[str, str]) -> int:
    """Degrees clockwise that make the page upright; 0 where it is, or where the model contradicts itself."""
    is_upright = fields.get("is_rotation_valid", "True").lower() != "false"
    correction = fields.get("rotation_correction", "0")
    return 0 if is_upright or correction not in ("90", "180", "270") else 360 - int(correction)


def parts_of(body: str) -> Iterator[Block | str]:
    """Figures that stand on lines of their own, and the Markdown between them."""
    held: list[str] = []
    for line in body.split("\n"):
        found = FIGURE.fullmatch(line.strip())
        if found is None:
            held.append(line)
            continue
        yield "\n".join(held)
        held = []
        x, y, width, height = map(int, found.groups()[1:])
        yield Block(kind="figure", text=found[1].strip(), box=box_of((x, y, x + width, y + height)))
    yield "\n".join(held)

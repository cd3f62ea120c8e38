"""ALTO 4.4: all pages in one file, for archives and libraries.

Boxes are pixels of the page images; those of words are interpolated, see `line_blocks`. What kind a block is stands in
its tag. An image is named as the ZIP of results names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO
from xml.sax.saxutils import escape, quoteattr

from workers.layout.blocks import KINDS, Box
from workers.results.line_blocks import LineBlock, TextLine, blocks_of_page, clean, words_of
from workers.results.outline import Outline, with_outline
from workers.results.page import PageResult, image_name, in_order

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#" SCHEMAVERSION="4.4">
<Description>
<MeasurementUnit>pixel</MeasurementUnit>
<sourceImageInformation>
<fileName>{}</fileName>
{}
</sourceImageInformation>
<Processing ID="reading">
<processingSoftware><softwareName>Pagefan</softwareName></processingSoftware>
</Processing>
</Description>
<Tags>
{}
</Tags>
<Layout>
"""
TAGS = "\n".join(f'<LayoutTag ID="kind_{kind}" LABEL="{kind}"/>' for kind in KINDS)


def write_alto(name: str, pages: Iterable[PageResult], outline: Outline, out: IO[str]) -> None:
    """Write the document; the pages come in order, and `outline` is of the same pages."""
    images = [f"<fileIdentifier>{image_name(index + 1)}</fileIdentifier>" for index in sorted(outline.settled)]
    out.write(HEAD.format(escape(clean(name)), "\n".join(images), TAGS))
    for page in in_order(with_outline(pages, outline)):
        out.writelines(page_xml(page))
    out.write("</Layout>\n</alto>\n")


def page_xml(page: PageResult) -> Iterator[str]:
    number = page.page_number
    sure = f' PC="{page.confidence:.3f}"' if page.confidence is not None else ""
    size = f'WIDTH="{page.width}" HEIGHT="{page.height}"'
    turn = f' ROTATION="{page.rotation}"' if page.rotation else ""
    yield f'<Page ID="page_{number}" PHYSICAL_IMG_NR="{number}" {size}{sure}{turn}>\n'
    yield f'<PrintSpace ID="space_{number}" HPOS="0" VPOS="0" {size}>\n'
    for index, block in enumerate(blocks_of_page(page), 1):
        yield from block_xml(block, f"{number}_{index}", page.rotation)
    yield "</PrintSpace>\n</Page>\n"


def block_xml(block: LineBlock, name: str, rotation: int) -> Iterator[str]:
    """A table or a figure is composed: what was read in it, and the figure's picture, are blocks within."""
    place, tag = place_of(block.box), f'TAGREFS="kind_{block.kind}"'
    is_composed = block.kind in ("table", "figure")
    if is_composed:
        yield f'<ComposedBlock ID="composed_{name}" TYPE="{block.kind}" {tag}{place}>\n'
    if block.kind == "figure":
        file = f" FILEID={quoteattr(clean(f'figures/{block.figure}'))}" if block.figure else ""
        yield f'<Illustration ID="figure_{name}" {tag}{place}{file}/>\n'
    if block.lines:
        yield f'<TextBlock ID="block_{name}" {tag}{place}>\n'
        for index, line in enumerate(block.lines, 1):
            yield from line_xml(line, f"{name}_{index}", rotation)
        yield "</TextBlock>\n"
    if is_composed:
        yield "</ComposedBlock>\n"


def line_xml(line: TextLine, name: str, rotation: int) -> Iterator[str]:
    sure = f' WC="{min(max(line.confidence, 0), 1):.3f}"' if line.confidence is not None else ""
    words = (f"<String CONTENT={quoteattr(word)}{place_of(box)}{sure}/>" for word, box in words_of(line, rotation))
    yield f'<TextLine ID="line_{name}"{place_of(line.box)}>{"<SP/>".join(words)}</TextLine>\n'


def place_of(box: Box | None) -> str:
    """The four attributes, none where the place is not known."""
    if box is None:
        return ""
    left, top, right, bottom = box
    return f' HPOS="{left:.1f}" VPOS="{top:.1f}" WIDTH="{max(0, right - left):.1f}" HEIGHT="{max(0, bottom - top):.1f}"'

"""The DoclingDocument: docling-core loads it, shows all of its text, and cuts it into chunks."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import pytest
from docling_core.transforms.chunker.hierarchical_chunker import HierarchicalChunker
from docling_core.types.doc.document import ContentLayer, DoclingDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.layout.blocks import KINDS, Block, BlockKind, Cell
from workers.results.docling import write_docling
from workers.results.outline import outline_of
from workers.results.page import PageResult

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # docling-core's own, of its older names

HOSTILE = st.text(st.sampled_from(list("ab1 .)(*_`#>-+=|\\[]<>!&;~:/x$'\"\té\x00\u2028\U0001f600")), max_size=30)
BOXES = st.none() | st.tuples(*[st.floats(-50, 5000)] * 4)
CELLS = st.lists(
    st.builds(
        Cell,
        row=st.integers(0, 3),
        column=st.integers(0, 3),
        text=HOSTILE,
        row_span=st.integers(1, 3),
        column_span=st.integers(1, 3),
        is_header=st.booleans(),
    ),
    max_size=5,
).map(tuple)
BLOCKS = st.builds(
    Block,
    kind=st.sampled_from(KINDS),
    text=HOSTILE,
    box=BOXES,
    level=st.integers(0, 120),
    marker=st.sampled_from(["", "-", "3.", "[x]", "[ ]", "python", "§"]) | HOSTILE,
    cells=CELLS,
    markup=st.sampled_from(["", "markdown", "latex"]),
)


def block(kind: BlockKind, text: str = "", top: float = 0, **more: object) -> Block:
    return Block(kind=kind, text=text, box=(10, top, 500, top + 20), **more)  # type: ignore[arg-type]


def page(number: int, *blocks: Block, **more: Any) -> PageResult:
    values: dict[str, Any] = {"state": "ok", "engine": "ocr", "width": 600, "height": 800} | more
    return PageResult(index=number - 1, text="\n".join(each.text for each in blocks), blocks=blocks, **values)


def document(*pages: PageResult) -> dict[str, Any]:
    out = io.StringIO()
    write_docling("report", pages, outline_of(pages), out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def load(*pages: PageResult) -> DoclingDocument:
    return DoclingDocument.model_validate(document(*pages))


CELLS_OF_TABLE = (
    Cell(row=0, column=0, text="Region", row_span=2, is_header=True),
    Cell(row=0, column=1, text="Sales", column_span=2, is_header=True),
    Cell(row=1, column=1, text="2025", is_header=True),
    Cell(row=1, column=2, text="2026", is_header=True),
    Cell(row=2, column=0, text="North", is_header=True),
    Cell(row=2, column=1, text="7"),
    Cell(row=2, column=2, text="9"),
)
WHOLE = (
    page(
        1,
        block("page_header", "Confidential", 5),
        block("title", "Quarterly report", 30, size=40, level=1),
        block("heading", "1 Results", 60, size=30),
        block("paragraph", "Sales rose in every\nregion, and went on rising in the", 90),
        block("footnote", "* of the year", 760),
    ),
    page(
        2,
        block("page_header", "Confidential", 5),
        block("paragraph", "south as well.", 10),
        block("list_item", "first point", 40, marker="1.", level=1),
        block("list_item", "below it", 60, marker="•", level=2),
        block("list_item", "second point", 80, marker="2.", level=1),
        block("list_item", "done", 100, marker="[x]", level=1),
        block("caption", "Table 1: revenue", 120),
        block("table", "Region Sales\n2025 2026\nNorth 7 9", 140, cells=CELLS_OF_TABLE),
        block("figure", "a word inside", 300, figure="p002-1.png"),
        block("caption", "Figure 1: a chart", 320),
        block("formula", "E = mc^2", 400, markup="latex"),
        block("code", "print('hi')\n    pass", 430, marker="py"),
        block("heading", "2 **Bold** words", 460, markup="markdown", level=2),
        block("page_footer", "2", 790),
    ),
    page(3, state="failed", reason="timeout", detail="It took too long."),
)


def test_every_kind_of_block_has_its_place_in_the_tree() -> None:
    found = load(*WHOLE)
    labels = {text.text: text.label.value for text in found.texts}
    assert labels == {
        "Confidential": "page_header",
        "Quarterly report": "title",
        "1 Results": "section_header",
        "Sales rose in every region, and went on rising in the south as well.": "text",
        "* of the year": "footnote",
        "first point": "list_item",
        "below it": "list_item",
        "second point": "list_item",
        "done": "checkbox_selected",
        "Table 1: revenue": "caption",
        "a word inside": "text",
        "Figure 1: a chart": "caption",
        "E = mc^2": "formula",
        "print('hi')\n    pass": "code",
        "2 Bold words": "section_header",
        "2": "page_footer",
        "[VLM_ERROR page 3]: timeout: It took too long.": "text",
    }
    assert found.tables[0].caption_text(found) == "Table 1: revenue"
    assert found.pictures[0].caption_text(found) == "Figure 1: a chart"
    assert found.tables[0].data.grid[1][0].text == "Region"
    assert [cell.row_header for cell in found.tables[0].data.grid[2]] == [True, False, False]
    [group, nested] = found.groups
    assert nested.parent and nested.parent.cref == group.self_ref
    assert [child.resolve(found).label.value for child in group.children] == ["list_item", "list", "list_item"]


def test_text_that_goes_on_over_a_page_stands_on_both() -> None:
    found = load(*WHOLE)
    [text] = [text for text in found.texts if text.text.startswith("Sales rose")]
    assert [prov.page_no for prov in text.prov] == [1, 2]
    assert text.prov[0].charspan[1] == text.prov[1].charspan[0] == text.text.index("south")
    assert text.prov[1].bbox.as_tuple() == (10, 10, 500, 30)
    assert found.pages[2].size.as_tuple() == (600, 800)


def test_markdown_of_docling_core_has_the_text_without_the_furniture() -> None:
    markdown = load(*WHOLE).export_to_markdown()
    for words in ("# Quarterly report", "## 1 Results", "first point", "| North", "print('hi')", "Figure 1: a chart"):
        assert words in markdown
    assert "Confidential" not in markdown


def test_chunks_of_docling_core_have_headings_pages_and_all_of_the_text() -> None:
    chunks = list(HierarchicalChunker().chunk(load(*WHOLE)))
    [sales] = [chunk for chunk in chunks if "Sales rose" in chunk.text]
    assert sales.meta.headings == ["Quarterly report", "1 Results"]
    everything = " ".join(chunk.text for chunk in chunks)
    for words in ("south as well", "first point", "below it", "second point", "North", "E = mc^2", "print('hi')"):
        assert words in everything


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(BLOCKS, max_size=6), min_size=1, max_size=3), st.sampled_from([(600, 800), (0, 0)]))
def test_any_blocks_make_a_document_that_is_read_whole(pages: list[list[Block]], size: tuple[int, int]) -> None:
    found = document(*(page(n, *blocks, width=size[0], height=size[1]) for n, blocks in enumerate(pages, 1)))
    loaded = DoclingDocument.model_validate(found)
    reached = {
        item.self_ref
        for item, _ in loaded.iterate_items(
            with_groups=True, traverse_pictures=True, included_content_layers=set(ContentLayer)
        )
    }
    written = [record for part in ("texts", "tables", "pictures", "groups") for record in found[part]]
    assert reached >= {record["self_ref"] for record in written}
    cells = [cell["text"] for table in found["tables"] for cell in table["data"]["table_cells"]]
    kept = letters(*(record.get("orig", "") for record in written), *cells)
    for each in (each for blocks in pages for each in blocks):
        texts = [cell.text for cell in each.cells] if each.kind == "table" and each.cells else [each.text]
        assert each.markup or letters(*texts) <= kept
    loaded.export_to_markdown()
    list(HierarchicalChunker().chunk(loaded))


def letters(*texts: str) -> Counter[str]:
    """What no joining of lines takes away, and how often it is there."""
    return Counter(letter for text in texts for letter in text if letter.isalnum())

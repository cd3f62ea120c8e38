"""Documents made of blocks, as the API gives them: HTML, options of Markdown, tables, figures, the ZIP of all."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from web_service import WebService, check_problem, page

from tasks.layout import NO_LAYOUT, awaits_layout
from tasks.page_end import save_text
from web.api.mathml import render_formula
from web.api.render import render_markdown
from workers.layout.blocks import Block, Cell, PageLayout

SCHEMA = Path(__file__).parents[1] / "web" / "site" / "static" / "result.schema.json"
PNG = b"\x89PNG\r\n\x1a\n figure"
CELLS = (
    Cell(row=0, column=0, text="Ship <b>", is_header=True),
    Cell(row=0, column=1, text="Oil", is_header=True),
    Cell(row=1, column=0, text="Ann"),
    Cell(row=1, column=1, text="8.5"),
)
MORE = (Cell(row=0, column=0, text="Bob"), Cell(row=0, column=1, text="9"))


def save_blocks(job_id: str, number: int, *blocks: Block) -> None:
    crops = {block.figure: PNG for block in blocks if block.figure}
    layout = PageLayout(lines=(), blocks=blocks, crops=crops)
    save_text(page(job_id, number), "text", engine="text-layer", seconds=0.0, layout=layout)


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(3, name="book.pdf")
    save_blocks(
        job_id,
        1,
        Block(kind="title", text="The <i>Book</i>", size=20),
        Block(kind="heading", text="1 Lamps", size=14),
        Block(kind="paragraph", text="It is lit at dusk & put"),
        Block(kind="figure", text="axis", figure="p001-1.png", box=(0, 0, 50, 50)),
        Block(kind="list_item", text="oil", marker="•", level=1),
        Block(kind="list_item", text="wick", marker="(a)", level=2),
        Block(kind="list_item", text="fourth", marker="4.", level=1),
        Block(kind="heading", text="2 Ships", size=14),
        Block(kind="table", text="t", cells=CELLS),
    )
    save_blocks(job_id, 2, Block(kind="table", text="t", cells=MORE), Block(kind="footnote", text="1 A note."))
    save_blocks(job_id, 3, Block(kind="code", text="  if x < 1:\n      pass", marker="python"))
    web.finish(job_id)
    return job_id


def result(web: WebService, job_id: str, format: str, **options: str) -> Any:
    answer = web.get(f"/jobs/{job_id}/result", query_string={"format": format} | options)
    assert answer.status_code == 200, answer.text
    return answer


def test_html_is_a_document(web: WebService, job_id: str) -> None:
    html = result(web, job_id, "html").text
    assert re.findall(r'<li class="l\d"><a href="#(h-\d)">([^<]+)', html) == [
        ("h-1", "The &lt;i&gt;Book&lt;/i&gt;"), ("h-2", "1 Lamps"), ("h-3", "2 Ships"),
    ]  # fmt: skip
    assert '<h1 id="h-1" dir="auto">The &lt;i&gt;Book&lt;/i&gt;</h1>' in html
    assert '<h2 id="h-2" dir="auto">1 Lamps</h2>' in html
    assert '<img src="data:image/png;base64,iVBORw0KGg' in html
    lists = html[html.index("oil") - 40 : html.index("2 Ships</h2>")]
    assert re.findall(r"</?[uo]l[^>]*>|</?li", lists) == [
        "<ul>", "<li", '<ul class="marked">', "<li", "</li", "</ul>", "</li", "</ul>", "<ol>", "<li", "</li", "</ol>",
    ]  # fmt: skip
    assert '<li dir="auto" value="4">fourth' in lists
    assert html.count("<table>") == 1
    assert "<th>Ship &lt;b&gt;</th>" in html
    assert "<pre><code>  if x &lt; 1:\n      pass</code></pre>" in html
    assert re.findall(r'id="(page-\d)"', html) == ["page-1", "page-2", "page-3"]


def test_markdown_has_options(web: WebService, job_id: str) -> None:
    plain = result(web, job_id, "md")
    assert plain.text.startswith("<!-- page 1 -->\n\n# The \\<i>Book\\</i>\n\n## 1 Lamps\n")
    other = result(web, job_id, "md", page_marks="anchor", tables="html")
    assert '<a id="page-2"></a>' in other.text
    assert "<table>" in other.text
    assert other.headers["ETag"] != plain.headers["ETag"]
    check_problem(web.get(f"/jobs/{job_id}/result?format=md&page_marks=loud"), 422, "invalid-options")


def test_json_has_blocks_by_the_schema(web: WebService, job_id: str) -> None:
    answer = json.loads(result(web, job_id, "json").text)
    jsonschema.validate(answer, json.loads(SCHEMA.read_text()), jsonschema.Draft202012Validator)
    first = answer["pages"][0]["blocks"]
    assert [(block["kind"], block.get("level")) for block in first[:2]] == [("title", 1), ("heading", 2)]
    assert first[3] == {"kind": "figure", "text": "axis", "figure": "p001-1.png", "box": [0, 0, 50, 50]}


def test_tables_come_one_by_one_and_whole(web: WebService, job_id: str) -> None:
    [table] = web.get(f"/jobs/{job_id}/tables").json["tables"]
    assert (table["number"], table["page_number"], table["rows"], table["columns"]) == (1, 1, 3, 2)
    answer = web.client.get(table["links"]["self"])
    assert answer.content_type == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(answer.text))) == [["Ship <b>", "Oil"], ["Ann", "8.5"], ["Bob", "9"]]
    html = web.client.get(f"{table['links']['self']}?format=html")
    assert "<th>Ship &lt;b&gt;</th>" in html.text
    assert "sandbox" in html.headers["Content-Security-Policy"]
    assert web.client.get(f"{table['links']['self']}?format=json").json == table
    check_problem(web.get(f"/jobs/{job_id}/tables/2"), 404, "unknown-table")


def test_figures_come_by_their_names_and_nothing_else_does(web: WebService, job_id: str) -> None:
    answer = web.get(f"/jobs/{job_id}/figures/p001-1.png")
    assert (answer.content_type, answer.data) == ("image/png", PNG)
    for name in ("p001-2.png", "..%2Fresult.md", "p001-1.png.part"):
        assert web.get(f"/jobs/{job_id}/figures/{name}").status_code == 404


def test_zip_has_tables_and_figures(web: WebService, job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.api.downloads.wait_for_pdf", lambda _: "no worker makes one here")
    with zipfile.ZipFile(io.BytesIO(result(web, job_id, "zip").data)) as archive:
        assert {"book.md", "book.html", "tables/table-001.csv", "figures/p001-1.png"} <= set(archive.namelist())
        assert archive.read("figures/p001-1.png") == PNG
        assert "![](figures/p001-1.png)" in archive.read("book.md").decode()


def test_a_page_has_blocks_once_its_layout_is_found(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1)
    save_text(page(job_id, 2), "# Written\n\nby a model", engine="vlm", seconds=1.0)
    assert web.get(f"/jobs/{job_id}/pages/1").json["blocks"] == []
    blocks = web.get(f"/jobs/{job_id}/pages/2").json["blocks"]
    assert [(block["kind"], block["markup"]) for block in blocks] == [
        ("heading", "markdown"),
        ("paragraph", "markdown"),
    ]


def test_results_of_older_versions_are_read(web: WebService) -> None:
    job_id = web.open(1)
    web.read(job_id, 1, "Old words\nof a page")
    web.finish(job_id)
    assert awaits_layout(web.ledger.page(job_id, 0), {"lines": [{}]})
    assert "Old words of a page" in result(web, job_id, "md", page_marks="none").text
    assert "Old words of a page" in result(web, job_id, "html").text


def test_a_page_without_layout_says_so(web: WebService) -> None:
    job_id = web.open(1)
    web.read(job_id, 1)
    seq = web.ledger.page(job_id, 0).seq
    assert web.ledger.note(page(job_id, 1), NO_LAYOUT)
    assert web.ledger.note(page(job_id, 1), NO_LAYOUT)
    assert web.ledger.page(job_id, 0).notices == (NO_LAYOUT,)
    assert web.ledger.page(job_id, 0).seq > seq
    assert not web.ledger.note(page(job_id, 1, run=2), NO_LAYOUT)
    assert "layout of this page was not found" in web.get(f"/jobs/{job_id}/pages/1").json["notice"]


@pytest.mark.parametrize(
    "latex",
    [
        "\\text{<script>alert(1)</script>}",
        "\\href{javascript:alert(1)}{x}",
        "\\style{background:url(//evil.example)}{x}",
        "</math><img src=x onerror=alert(1)>",
        "&lt;script&gt;",
        "{" * 1900,
        "\\left(" * 300,
        "x" * 3000,
    ],
)
def test_formulas_cannot_act(latex: str) -> None:
    html = str(render_formula(latex))
    assert not re.search(r"<(script|img)|href|style=|onerror=\S*>", html.replace(" onerror=alert(1)", ""))
    assert html.startswith(("<math", '<code class="formula">'))


def test_formulas_in_markdown_are_typeset_and_prices_are_not() -> None:
    html = render_markdown("It costs $5 and $6, and $x^2$ or \\(y\\).\n\n$$\n\\frac{1}{2}\n$$")
    assert html.count("<math") == 3
    assert "$5 and $6" in html
    assert '<math display="block">' in html
    assert "<math" not in render_markdown("formula-0123456789abcdef <math><mi>x</mi></math>")

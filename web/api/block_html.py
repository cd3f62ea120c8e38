"""One block of a document as HTML. What a page says is escaped; what a language model wrote as Markdown is cleaned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup, escape

from web.api.mathml import render_formula
from web.api.render import render_inline, render_markdown
from workers.layout.blocks import Block
from workers.results.flow import Item
from workers.results.grid import write_html
from workers.results.items import NUMBER, mark_of


class Writer:
    """How the texts of blocks become HTML; `first_level` is that of the highest headings."""

    first_level = 1

    def prose(self, item: Item) -> Markup:
        """The text with small marks where pages turn inside it."""
        text = inline(item.block)
        for number, more in item.more:
            text += Markup(' <a class="turn" id="page-{0}" href="#page-{0}">{0}</a> {1}').format(number, more)
        return text

    def code(self, block: Block) -> Markup:
        return escape(block.text)

    def cell(self, block: Block, text: str) -> Markup:
        return render_inline(text) if block.markup == "markdown" else plain_cell(text)


PLAIN = Writer()


def block_html(item: Item, *, anchor: str, picture: str, with_figure_text: bool, writer: Writer = PLAIN) -> str:
    """`anchor` is the id of a heading; `picture` the address of a figure's image, empty for none."""
    block = item.block
    match block.kind:
        case "title" | "heading":
            return heading_html(item, anchor, writer) if anchor else ""
        case "table" if block.cells:
            table = write_html(block.cells, lambda text: str(writer.cell(block, text)))
            return f'<div class="table" tabindex="0">{table}</div>'  # a wide one is scrolled by keys
        case "code":
            return Markup("<pre><code>{}</code></pre>").format(writer.code(block))
        case "formula" if block.markup == "latex":
            return render_formula(block.text, is_block=True)
        case "figure" | "formula":
            return figure_html(block, picture, with_text=with_figure_text)
        case "caption" | "footnote":
            return Markup('<p class="{}" dir="auto">{}</p>').format(block.kind, writer.prose(item))
    if block.markup == "markdown":
        return render_markdown(block.text)
    text = writer.prose(item)
    return Markup('<p dir="auto">{}</p>').format(text) if text else ""


def heading_html(item: Item, anchor: str, writer: Writer) -> Markup:
    level = min(max(item.block.level, 1) + writer.first_level - 1, 6)
    return Markup('<h{0} id="{1}" dir="auto">{2}</h{0}>').format(level, anchor, writer.prose(item))


def plain_cell(text: str) -> Markup:
    return Markup("<br>").join(text.split("\n"))


def inline(block: Block) -> Markup:
    if block.markup:
        return render_inline(block.text)
    return Markup("<br>").join(" ".join(line.split()) for line in block.text.split("\n"))


def figure_html(block: Block, picture: str, *, with_text: bool) -> str:
    """The picture; what was read inside it is folded away, or stands alone where there is no picture."""
    text = block.text.strip() if with_text or block.kind == "formula" else ""
    if not picture:
        return Markup('<p class="plain" dir="auto">{}</p>').format(text) if text else ""
    words = Markup('<details><summary>Text in the picture</summary><p class="plain">{}</p></details>').format(text)
    alt = " ".join(block.text.split())[:200] or "Figure"
    return Markup('<figure><img src="{}" alt="{}">{}</figure>').format(picture, alt, words if text else "")


def items_html(items: Sequence[Item], writer: Writer = PLAIN) -> Iterator[str]:
    """Lists, nested by the levels of their items; marks that HTML does not make by itself are written."""
    tags: list[str] = []
    for item in items:
        mark = mark_of(item.block.marker)
        tag = "ul" if mark is None or not NUMBER.fullmatch(mark) else "ol"
        depth = min(max(item.block.level, 1), len(tags) + 1)
        while len(tags) > depth or (len(tags) == depth and tags[-1] != tag):
            yield f"</li></{tags.pop()}>"
        if len(tags) == depth:
            yield "</li>"
        else:
            yield '<ul class="marked">' if mark is None else f"<{tag}>"
            tags.append(tag)
        yield item_html(item, mark, writer)
    while tags:
        yield f"</li></{tags.pop()}>"


def item_html(item: Item, mark: str | None, writer: Writer) -> str:
    """The item, open for what is nested in it."""
    text = writer.prose(item)
    if mark is None:
        return Markup('<li dir="auto">{} {}').format(item.block.marker, text)
    if number := NUMBER.fullmatch(mark):
        return Markup('<li dir="auto" value="{}">{}').format(int(number[1]), text)
    ticks = {"- [x]": "☑ ", "- [ ]": "☐ "}
    return Markup('<li dir="auto">{}{}').format(ticks.get(mark, ""), text)

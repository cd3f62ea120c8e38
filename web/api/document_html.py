"""A whole document as one readable HTML page: headings with a table of contents, lists, tables, figures, formulas.

It comes from pages of strangers, so that everything in it is escaped, or cleaned where a language model wrote Markdown.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from itertools import count

from markupsafe import Markup, escape

from tasks.assemble.results import iter_page_results
from tasks.blobs import BlobMissing, job_key
from tasks.ledger.records import Job
from tasks.reasons import describe, explain
from tasks.services import get_blobs
from web.api.block_html import block_html, items_html
from workers.documents.text_layer import TEXT_LAYER
from workers.layout.blocks import Block
from workers.results.flow import Flowed, Item, flow
from workers.results.outline import HEADINGS, Outline, outline_of, with_outline
from workers.results.page import PageResult
from workers.results.prose import join_lines

LEAST_HEADINGS = 3  # in a table of contents
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1.25rem; font: 1.05rem/1.6 Georgia, "Times New Roman", serif; }
body { overflow-wrap: anywhere; }
h1, h2, h3, h4, h5, h6 { font-family: system-ui, sans-serif; line-height: 1.25; margin: 1.6em 0 .5em; }
nav { font: 0.95rem/1.5 system-ui, sans-serif; border: 1px solid #8886; border-radius: 6px; padding: .8rem 1rem; }
nav summary { cursor: pointer; font-weight: 600; } nav ul { list-style: none; padding: 0; margin: .5rem 0 0; }
nav a { color: inherit; text-decoration: none; } nav a:hover { text-decoration: underline; }
.l2 { padding-left: 1rem; } .l3 { padding-left: 2rem; } .l4, .l5, .l6 { padding-left: 3rem; }
.page { display: flex; align-items: center; gap: .6rem; margin: 1.5rem 0; }
.page, .turn { font: 0.75rem system-ui, sans-serif; opacity: .6; color: inherit; text-decoration: none; }
.page::after { content: ""; flex: 1; border-top: 1px solid; opacity: .4; }
.turn { border: 1px solid; border-radius: 3px; padding: 0 .25em; vertical-align: 2px; }
.plain { white-space: pre-wrap; }
.missing { border-left: 4px solid #c0392b; padding-left: 1rem; }
.caption, .footnote { font-size: .9em; } .footnote { border-top: 1px solid #8884; padding-top: .3rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font: 0.92rem/1.45 system-ui, sans-serif; }
td, th { border: 1px solid #8886; padding: .25rem .55rem; text-align: left; vertical-align: top; }
th { background: #8882; }
pre { overflow-x: auto; background: #8881; padding: .8rem 1rem; border-radius: 6px; font-size: .88rem; }
figure { margin: 1.2rem 0; text-align: center; } figure img { max-width: 100%; height: auto; background: #fff; }
figure details { text-align: left; font-size: .85em; opacity: .8; } .marked { list-style: none; padding-left: 1.2rem; }
math[display=block] { margin: .8rem 0; overflow-x: auto; }
@media print { nav, .page { display: none; } body { max-width: none; } }
"""
HEAD = Markup(
    """<!doctype html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title>
<style>{}</style>
</head>
<body>
"""
)
POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)


def policy() -> str:
    """A policy under which the page's own style and pictures are all it can load, and a script could not run."""
    return POLICY.format(base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode())


def write_html(job: Job) -> Iterator[str]:
    """The document, piece by piece; each page begins at the anchor `page-12`."""
    outline = outline_of(iter_page_results(job))
    yield str(HEAD.format(job.name, Markup(STYLE)))
    yield contents(outline)
    numbers = count(1)
    pages = with_outline(iter_page_results(job), outline)
    for flowed in flow(pages, compounds=outline.compounds):
        yield page_html(job, flowed, numbers)
    yield "</body>\n</html>\n"


def contents(outline: Outline) -> str:
    """The table of contents, of a document that has headings enough for one."""
    if len(outline.headings) < LEAST_HEADINGS:
        return ""
    entries = Markup("\n").join(
        Markup('<li class="l{}"><a href="#h-{}">{}</a></li>').format(min(level, 6), number, join_lines(text))
        for number, (level, text) in enumerate(outline.headings, 1)
    )
    return str(
        Markup("<nav><details open><summary>Contents</summary>\n<ul>\n{}\n</ul></details></nav>\n").format(entries)
    )


def is_heading(block: Block) -> bool:
    return block.kind in HEADINGS and bool(block.text.strip())


def page_html(job: Job, flowed: Flowed, numbers: Iterator[int]) -> str:
    page = flowed.page
    number = page.page_number
    mark = Markup('<a class="page" id="page-{0}" href="#page-{0}">Page {0}</a>\n').format(number)
    note = note_of(page)
    parts = ["" if flowed.is_marked else mark, note, *body_html(job, flowed, numbers)]
    return "".join(f"{part}\n" for part in parts if part)


def note_of(page: PageResult) -> Markup:
    """What people should know of a page, or what stands in its place."""
    if not page.has_text:
        why = explain(page.reason or page.state, page.detail) or f"It is not finished: {page.state}."
        return missing(f"[VLM_ERROR page {page.page_number}]: {why}" if page.state == "failed" else why)
    words = f"Second best: {explain(page.reason, page.detail)} " if page.state == "fallback" else ""
    words += describe(page.notices)
    return missing(words) if words else Markup("")


def missing(words: str) -> Markup:
    return Markup('<p class="missing">{}</p>').format(escape(words))


def body_html(job: Job, flowed: Flowed, numbers: Iterator[int]) -> Iterator[str]:
    items: list[Item] = []
    for item in flowed.items:
        if item.block.kind == "list_item":
            items.append(item)
            continue
        yield from items_html(items)
        items.clear()
        anchor = f"h-{next(numbers)}" if is_heading(item.block) else ""
        with_text = flowed.page.engine != TEXT_LAYER
        yield block_html(item, anchor=anchor, picture=picture_of(job, item.block), with_figure_text=with_text)
    yield from items_html(items)


def picture_of(job: Job, block: Block) -> str:
    """The figure as a data URI, so that the page is whole when it is saved; empty where there is none."""
    if not block.figure:
        return ""
    try:
        return "data:image/png;base64," + base64.b64encode(get_blobs().read(figure_key(job, block.figure))).decode()
    except BlobMissing:
        return ""


def figure_key(job: Job, name: str) -> str:
    return job_key(job.id, f"figures/{name}")

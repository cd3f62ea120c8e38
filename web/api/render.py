"""Recognised text as HTML. It comes from a model that read a stranger's page, so nothing of it is trusted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from tasks.archive import load_pages, read_content
from tasks.ledger.records import Job, Page
from tasks.reasons import describe, explain

TAG_NAMES = (
    "a b blockquote br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong sub sup "
    "table tbody td tfoot th thead tr u ul"
)
TAGS = frozenset(TAG_NAMES.split())
ATTRIBUTES = {
    "a": {"href", "title"},
    "td": {"colspan", "rowspan", "align"},
    "th": {"colspan", "rowspan", "align", "scope"},
    "ol": {"start"},
}
SCHEMES = {"http", "https", "mailto"}
STYLE = """
:root { color-scheme: light dark; }
body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; font: 1.05rem/1.6 Georgia, serif; }
body { overflow-wrap: anywhere; }
section { border-top: 1px solid #8886; padding: 1rem 0; }
section > h2:first-child { font: 0.85rem system-ui, sans-serif; opacity: .7; }
.plain { white-space: pre-wrap; }
.missing { border-left: 4px solid #c0392b; padding-left: 1rem; }
table { border-collapse: collapse; } td, th { border: 1px solid #8886; padding: .2rem .5rem; }
"""
MOST_MARKDOWN = 60_000  # characters; a page of a book has some 3,000
MOST_BRACKETS = 5_000
MOST_CELLS = 10_000
TOO_MUCH = Markup(
    '<p class="missing">This text is too long or too deep to be shown as Markdown; it is shown as it is.</p>\n'
)
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
    "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)


@cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])


def policy() -> str:
    """A policy under which the page's own style is all it can load, and a script could not run."""
    return POLICY.format(base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode())


def render_markdown(text: str) -> Markup:
    """Markdown, and the HTML tables that models write in it, as HTML that is safe to show. Too much is shown plain."""
    if is_too_much(text):
        return TOO_MUCH + render_plain(text)
    html = nh3.clean(
        parser().render(text),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(html)


def is_too_much(text: str) -> bool:
    """Whether Markdown of it would take long: a bracket costs as much as forty letters, a short row a whole one."""
    return len(text) > MOST_MARKDOWN or text.count("[") > MOST_BRACKETS or text.count("|") > MOST_CELLS


def render_plain(text: str) -> Markup:
    return Markup('<div class="plain">{}</div>').format(text)


def render_text(text: str, *, is_plain: bool) -> Markup:
    """The text of a page; plain where an OCR engine gave lines, Markdown where a language model wrote."""
    return render_plain(text) if is_plain else render_markdown(text)


def write_html(job: Job) -> Iterator[str]:
    """The whole document as one HTML page, a section a page, each with the anchor `page-12`."""
    yield str(HEAD.format(job.name, Markup(STYLE)))
    for page in load_pages(job):
        number = page.page_number
        yield f'<section id="page-{number}" dir="auto">\n<h2>Page {number}</h2>\n{body_of(page)}\n</section>\n'
    yield "</body>\n</html>\n"


def body_of(page: Page) -> Markup:
    content = read_content(page)
    text = content.get("text", "")
    if page.state in ("ok", "blank", "fallback"):
        words = f"Second best: {explain(page.reason, page.detail)}"
        note = missing(words) if page.state == "fallback" else Markup("")
        if page.notices:
            note += missing(describe(page.notices))
        return note + render_text(text, is_plain=bool(content.get("lines")))
    why = explain(page.reason or page.state, page.detail) or f"It is not finished: {page.state}."
    return missing(f"[VLM_ERROR page {page.page_number}]: {why}" if page.state == "failed" else why)


def missing(words: str) -> Markup:
    return Markup('<p class="missing">{}</p>').format(escape(words))

"""Recognised text as HTML. It comes from a model that read a stranger's page, so nothing of it is trusted."""

from __future__ import annotations

import re
import secrets
from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.texmath import texmath_plugin

from web.api.mathml import render_formula

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
FORMULAS = ("math_inline", "math_inline_double", "math_block", "math_block_label", "math_block_eqno")
PLACE = re.compile(r"formula-[0-9a-f]{16}")
MOST_MARKDOWN = 60_000  # characters; a page of a book has some 3,000
MOST_BRACKETS = 5_000
MOST_CELLS = 10_000
TOO_MUCH = Markup(
    '<p class="missing">This text is too long or too deep to be shown as Markdown; it is shown as it is.</p>\n'
)


@cache
def parser() -> MarkdownIt:
    """CommonMark with GitHub's tables and strikethrough, and formulas between `$`, `$$`, `\\(` and `\\[`."""
    markdown = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
    dollarmath_plugin(markdown, allow_space=False, allow_digits=False, double_inline=True)
    texmath_plugin(markdown, delimiters="brackets")
    for name in FORMULAS:
        markdown.add_render_rule(name, keep_formula)
    return markdown


def keep_formula(_: object, tokens: Sequence[Token], index: int, __: object, env: MutableMapping[str, Any]) -> str:
    """A word in place of the formula, for the cleaner would take it apart; `env` has the formula under it."""
    token = tokens[index]
    place = f"formula-{secrets.token_hex(8)}"  # nobody can have written that
    env[place] = render_formula(token.content, is_block="block" in token.type or "double" in token.type)
    return place


def render_markdown(text: str) -> Markup:
    """Markdown, and the HTML tables that models write in it, as HTML that is safe to show. Too much is shown plain."""
    if is_too_much(text):
        return TOO_MUCH + render_plain(text)
    formulas: dict[str, Markup] = {}
    html = nh3.clean(
        parser().render(text, formulas),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(PLACE.sub(lambda found: formulas.get(found[0], found[0]), html))


def is_too_much(text: str) -> bool:
    """Whether Markdown of it would take long: a bracket costs as much as forty letters, a short row a whole one."""
    return len(text) > MOST_MARKDOWN or text.count("[") > MOST_BRACKETS or text.count("|") > MOST_CELLS


def render_inline(text: str) -> Markup:
    """Markdown of one line, without an element around it."""
    html = str(render_markdown(text)).strip()
    inner = html.removeprefix("<p>").removesuffix("</p>")
    return Markup(inner if "<p>" not in inner else html)


def render_plain(text: str) -> Markup:
    return Markup('<div class="plain">{}</div>').format(text)

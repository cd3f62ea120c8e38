"""HTML as models write it, cut into tags and texts: what is no tag that is known is text, whatever it looks like.

So `x<y` stays, a tag that the end of the answer tore is left out, and nothing else is lost, as it would be by a parser
that takes everything from `<` on for a tag. The time it takes grows with the text alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

KNOWN = (
    "table|thead|tbody|tfoot|tr|td|th|caption|colgroup|col|br|p|div|span|b|i|u|s|em|strong|sup|sub|small|big|del|ins|mark"
    "|ul|ol|li|a|img|input|math|pre|code|h[1-6]|hr|chem|center|font|label|form|select|option|blockquote|html|head|body"
    "|watermark|page_number|signature|header|footer"
)
TAG = re.compile(rf"""<(/?)({KNOWN})(?=[\s/>])((?:[^<>"']|"[^"]*"|'[^']*')*)>""", re.IGNORECASE)
NAMES = frozenset([*KNOWN.split("|"), "h1", "h2", "h3", "h4", "h5", "h6"])
MOST_TORN = 300  # characters of a tag that the end of the answer tore
STRUCTURAL = ("colspan", "rowspan", "data-bbox", "data-label", "class", "style", "border", "align", "display", "type")
ATTRIBUTE = re.compile(r"""(?<![a-zA-Z-])([a-zA-Z-]{1,20})\s?=\s?(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


class Tag(NamedTuple):
    """A tag by its name in small letters; `attributes` are as they were written."""

    name: str
    is_end: bool
    attributes: str

    def value(self, name: str) -> str:
        """Of the attribute of this name, "" without one."""
        for found in ATTRIBUTE.finditer(self.attributes):
            if found[1].lower() == name:
                return html.unescape(found[2] or found[3] or found[4] or "")
        return ""

    def has(self, name: str) -> bool:
        return name in self.attributes.lower()


def pieces(text: str) -> Iterator[Tag | str]:
    """Tags, and the texts between them as they are read."""
    end = whole_end(text)
    read = 0
    for found in TAG.finditer(text, 0, end):
        if found.start() > read:
            yield html.unescape(text[read : found.start()])
        yield Tag(found[2].lower(), bool(found[1]), found[3])
        read = found.end()
    if read < end:
        yield html.unescape(text[read:end])


def whole_end(text: str) -> int:
    """Where the text ends without a tag that the answer's end tore; a torn `alt` is text, and is left, as is `<b`."""
    start = text.rfind("<", max(0, len(text) - MOST_TORN))
    written = text[start + 1 :].lower()
    torn = written.removeprefix("/")
    if start < 0 or ">" in torn:
        return len(text)
    if not torn or (len(written) > 1 and any(name.startswith(torn) for name in NAMES)):
        return start
    name, *said = torn.split() or [""]
    is_tag = (not said and len(name) > 1) or any(
        each.startswith(known) or known.startswith(each) for each in said[:1] for known in STRUCTURAL
    )
    return start if name in NAMES and is_tag and torn.isascii() and "alt" not in torn else len(text)

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
    "|ul|ol|li|a|img|input|math|pre|code|h[1-6]|hr|center|font|label|form|select|option|blockquote|html|head|body"
    "|watermark|page_number|signature|header|footer"
)
TAG = re.compile(rf"""<(/?)({KNOWN})(?=[\s/>])((?:[^<>"']|"[^"]*"|'[^']*')*)>""", re.IGNORECASE)
TORN = re.compile(
    rf"""<(?:/?[a-z0-9]{{0,12}}|(?:{KNOWN})(?:\s+[a-z-]+(?:="?[a-z0-9 ,.:;_\[\]-]*"?)?){{0,9}}\s*)\Z""", re.IGNORECASE
)
MOST_TORN = 300  # characters of a tag that the end of the answer tore
ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


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
    torn = TORN.search(text, max(0, len(text) - MOST_TORN))
    end = torn.start() if torn else len(text)
    read = 0
    for found in TAG.finditer(text, 0, end):
        if found.start() > read:
            yield html.unescape(text[read : found.start()])
        yield Tag(found[2].lower(), bool(found[1]), found[3])
        read = found.end()
    if read < end:
        yield html.unescape(text[read:end])

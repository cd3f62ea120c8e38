"""Text as XML 1.0 can have it (its section 2.2, production Char)."""

from __future__ import annotations

import re

NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """With a space in the place of each character that XML cannot have."""
    return NOT_IN_XML.sub(" ", text)

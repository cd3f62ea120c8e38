"""What lines of plain text are made of besides words: leaders of dots, boxes to tick, the indentation of listings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

LEADERS = re.compile(r"[.·․‥…](?:[ \t]{0,2}[.·․‥…]){4,}")
SHORT = "..."
TICKED, EMPTY = "[x]", "[ ]"
BOXES = {0x2610: EMPTY, 0x2611: TICKED, 0x2612: TICKED}  # ballot boxes; what follows is Wingdings in private use
BOXES |= {0xF06F: EMPTY, 0xF0A8: EMPTY, 0xF0FD: TICKED, 0xF0FE: TICKED}

KEYWORD = re.compile(
    r"(?:def|class|return|if|elif|else|for|while|try|except|finally|import|from|with|print|public|private|protected|"
    r"static|void|int|float|double|bool|char|const|let|var|function|func|fn|struct|enum|using|package|switch|case|"
    r"break|continue|yield|raise|throw|catch|do|end|begin|echo|SELECT|INSERT|UPDATE|CREATE)\b"
)
ENDS = ("{", "}", ";", ":", ")", "};", ");", ",")
OPENS = ("#", "//", "/*", "@", "}", "<", "$ ")
SIGNS = re.compile(r"\w\(|[=!<>+*/-]=|->|=>|::|\w\[\w|&&|\|\||\w = \S|[<>] ?\d")
LEAST_SIGNS = 2  # of those above, which make a line look like code
MOST_OTHER = 2  # lines in a row within a listing that do not
LEAST_LINES = 2


def tidy(line: str) -> str:
    """The line with its leaders short and its boxes in ASCII."""
    return shorten_leaders(line.translate(BOXES))


def shorten_leaders(text: str) -> str:
    """Five dots and more, as lead to a page number in a table of contents, become three between spaces."""
    return LEADERS.sub(short_leader, text)


def short_leader(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    left = " " if before and not before.isspace() else ""
    return left + SHORT + (" " if after and not after.isspace() else "")


def is_code_like(line: str) -> bool:
    """Whether a line looks like one of a program; prose may do so too, but hardly two lines of three."""
    line = line.strip()
    signs = [KEYWORD.match(line), line.endswith(ENDS), line.startswith(OPENS), SIGNS.search(line), line.count('"') > 1]
    return sum(map(bool, signs)) >= LEAST_SIGNS


def find_listings(lines: Sequence[str], is_near: Sequence[bool]) -> list[range]:
    """The places of lines that make up listings; `is_near` says of each line whether it stands close to the one before.

    A listing begins and ends with a line that looks like code, and so do most of its lines.
    """
    listings: list[range] = []
    first = last = -1
    for place, line in enumerate(lines):
        if first >= 0 and (not is_near[place] or place - last > MOST_OTHER + 1):
            listings.append(range(first, last + 1))
            first = -1
        if is_code_like(line):
            first, last = (place if first < 0 else first), place
    if first >= 0:
        listings.append(range(first, last + 1))
    return [listing for listing in listings if is_listing([lines[place] for place in listing])]


def is_listing(lines: Sequence[str]) -> bool:
    return len(lines) >= LEAST_LINES and 3 * sum(map(is_code_like, lines)) >= 2 * len(lines)


def indents(boxes: Sequence[tuple[float, float, float, float]], lines: Sequence[str]) -> list[int]:
    """By how many letters each line of a listing stands further right than the one furthest left."""
    letter = median((box[2] - box[0]) / max(1, len(line)) for box, line in zip(boxes, lines, strict=True))
    left = min(box[0] for box in boxes)
    return [round((box[0] - left) / max(letter, 1e-6)) for box in boxes]

"""Markdown of any program against truth that others made: words, order, headings and tables.

Words are compared as bags (F1), the order by the Levenshtein distance over the length of the truth. Headings match
where their texts are 85 % alike; their levels agree where two of them stand to each other as they do in the truth.
Tables are scored by relations between neighbouring cells: Göbel, Hassan, Oro and Orsi, "A methodology for evaluating
algorithms for table understanding in PDF documents" (DocEng 2012), as used in the ICDAR 2013 competition.
"""

from __future__ import annotations

import html
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

VARIANTS = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "–": "-", "—": "-", "−": "-", "\u00ad": ""}
)
SAME_HEADING = 85.0  # per cent
HEADING = re.compile(r"(?m)^\s{0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
HTML_HEADING = re.compile(r"(?is)<h([1-6])[^>]*>(.*?)</h\1>")
HOCR_LINE = re.compile(r"""class=['"]ocr_(?:line|caption|header|textfloat)['"]""")
HOCR_WORD = re.compile(r"""(?s)class=['"]ocrx_word['"][^>]*>(.*?)</span>""")
Cells = list[tuple[int, int, int, int, str]]  # row, column, rows, columns, text
Relation = tuple[str, str, str]


@dataclass(slots=True)
class Scores:
    """What was measured of one document; None where its truth does not tell."""

    word_f1: float | None = None
    error_rate: float | None = None
    heading_f1: float | None = None
    levels_agree: float | None = None
    table_f1: float | None = None
    relations: tuple[int, int, int] = field(default=(0, 0, 0))  # right, found, wanted


def score(markdown: str, truth: Path, kind: str) -> Scores:
    """`kind` is that of the truth: hocr, txt, md or icdar."""
    if kind == "icdar":
        wanted = icdar_relations(truth)
        found = sum((relations(cells) for cells in tables_of(markdown)), Counter[Relation]())
        right = (wanted & found).total()
        counts = right, found.total(), wanted.total()
        return Scores(table_f1=f1(*counts), relations=counts)
    text = truth.read_text(errors="replace")
    if kind == "md":
        heading_f1, agree = score_headings(headings(text), headings(markdown))
        return Scores(word_f1=word_f1(plain(text), plain(markdown)), heading_f1=heading_f1, levels_agree=agree)
    wanted_text = hocr_text(text) if kind == "hocr" else text
    return Scores(word_f1=word_f1(wanted_text, plain(markdown)), error_rate=error_rate(wanted_text, plain(markdown)))


def unify(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(VARIANTS).split())


def f1(right: float, found: float, wanted: float) -> float:
    return 2 * right / (found + wanted) if found + wanted else 1.0


def word_f1(truth: str, text: str) -> float:
    wanted, found = (Counter(re.findall(r"[^\W_]+", unify(each).lower())) for each in (truth, text))
    return f1((wanted & found).total(), found.total(), wanted.total())


def error_rate(truth: str, text: str) -> float:
    wanted = unify(truth)
    return min(1.0, Levenshtein.distance(wanted, unify(text)) / max(1, len(wanted)))


def plain(markdown: str) -> str:
    """The text without the marks of Markdown and HTML."""
    text = re.sub(r"(?s)<!--.*?-->", " ", markdown)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"</?[a-zA-Z][^>]*>", " ", text)
    text = re.sub(r"(?m)^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$", " ", text)
    text = re.sub(r"(?m)^\s{0,3}#{1,6}\s+", "", text).replace("|", " ").replace("**", "").replace("`", "")
    return html.unescape(re.sub(r"\\([\\`*_{}\[\]()#+\-.!|<>~$&])", r"\1", text))


def headings(markdown: str) -> list[tuple[int, str]]:
    """Levels and texts, without their numbers."""
    found = [(len(match[1]), match[2]) for match in HEADING.finditer(markdown)]
    found += [(int(match[1]), match[2]) for match in HTML_HEADING.finditer(markdown)]
    texts = [(level, unify(plain(text))) for level, text in found]
    return [(level, re.sub(r"^[\divxIVX.]+\s+", "", text).lower()) for level, text in texts if text]


def score_headings(wanted: Sequence[tuple[int, str]], found: Sequence[tuple[int, str]]) -> tuple[float, float | None]:
    """F1 of the texts, and the share of pairs whose levels compare alike; None where there is no pair."""
    free = list(range(len(found)))
    pairs = []
    for level, text in wanted:
        best = max(free, key=lambda i: fuzz.ratio(text, found[i][1]), default=None)
        if best is not None and fuzz.ratio(text, found[best][1]) >= SAME_HEADING:
            free.remove(best)
            pairs.append((level, found[best][0]))
    alike = [sign(a[0] - b[0]) == sign(a[1] - b[1]) for a, b in combinations(pairs, 2)]
    return f1(len(pairs), len(found), len(wanted)), sum(alike) / len(alike) if alike else None


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


class TableParser(HTMLParser):
    """The tables of an HTML text, each as its rows of (rows, columns, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[list[str]]]] = []
        self._rows: list[list[list[str]]] | None = None
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._cell = [given.get("rowspan") or "1", given.get("colspan") or "1", ""]
            self._rows[-1].append(self._cell)
        elif tag == "br" and self._cell is not None:
            self._cell[2] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "table" and self._rows is not None:
            self.tables.append(self._rows)
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell[2] += data


def tables_of(markdown: str) -> list[Cells]:
    """HTML tables and pipe tables, by their cells."""
    parser = TableParser()
    parser.feed(markdown)
    found = [placed([[(int(r), int(c), text) for r, c, text in row] for row in rows]) for rows in parser.tables]
    block: list[list[tuple[int, int, str]]] = []
    for line in [*re.sub(r"(?is)<table.*?</table>", "", markdown).splitlines(), ""]:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.strip().startswith("|"):
            found += [placed(block)] if block else []
            block = []
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            block.append([(1, 1, plain(cell)) for cell in cells])
    return found


def placed(rows: Iterable[Iterable[tuple[int, int, str]]]) -> Cells:
    """Cells at the first free column of their row, as HTML places them."""
    taken: set[tuple[int, int]] = set()
    cells: Cells = []
    for r, row in enumerate(rows):
        column = 0
        for down, along, text in row:
            while (r, column) in taken:
                column += 1
            taken.update((r + i, column + j) for i in range(down) for j in range(along))
            cells.append((r, column, down, along, text))
            column += along
    return cells


def relations(cells: Cells) -> Counter[Relation]:
    """Each filled cell with the next filled ones on its right and below, once a pair."""
    keys = [key_of(text) for *_, text in cells]
    grid = {
        (r + i, c + j): n for n, (r, c, down, along, _) in enumerate(cells) for i in range(down) for j in range(along)
    }
    last = max((r for r, _ in grid), default=-1), max((c for _, c in grid), default=-1)
    pairs: set[tuple[int, int, str]] = set()
    for (r, c), n in grid.items():
        for down, along, way in ((0, 1, "right"), (1, 0, "below")):
            y, x = r + down, c + along
            while keys[n] and y <= last[0] and x <= last[1]:
                other = grid.get((y, x), n)
                if other != n and keys[other]:
                    pairs.add((n, other, way))
                    break
                y, x = y + down, x + along
    return Counter((keys[a], keys[b], way) for a, b, way in pairs)


def key_of(text: str) -> str:
    unified = unify(text)
    return re.sub(r"\W+", "", unified.lower()) or unified.replace(" ", "")


def icdar_relations(path: Path) -> Counter[Relation]:
    found: Counter[Relation] = Counter()
    for region in ElementTree.parse(path).getroot().iterfind("./table/region"):
        cells: Cells = []
        for cell in region.iter("cell"):
            row, column = int(cell.attrib["start-row"]), int(cell.attrib["start-col"])
            down = int(cell.get("end-row") or row) - row + 1
            along = int(cell.get("end-col") or column) - column + 1
            content = cell.find("content")
            cells.append((row, column, down, along, "".join(content.itertext()) if content is not None else ""))
        found += relations(cells)
    return found


def hocr_text(text: str) -> str:
    lines = [HOCR_WORD.findall(line) for line in HOCR_LINE.split(text)]
    return "\n".join(" ".join(html.unescape(re.sub(r"<[^>]+>", "", word)) for word in line) for line in lines)

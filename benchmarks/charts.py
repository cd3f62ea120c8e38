"""Charts as SVG: bars that lie, one a row, each of one or more parts. No fonts, no scripts, no other files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import takewhile
from math import floor, log10

WIDTH, LABEL, VALUE = 720, 190, 70  # px: the whole, what is left of the bars, what is right of them
HEAD, ROW, BAR, AXIS = 34, 30, 18, 34
LETTER = 6.6  # px, about, of the 12 px text
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999", "#332288", "#117733",
    "#882255", "#44aa99",
)  # fmt: skip


def bars(
    title: str, rows: Sequence[tuple[str, Mapping[str, float]]], *, unit: str, mark: tuple[str, float] | None = None
) -> str:
    """Rows of (label, parts by name): the parts of a row lie end to end. `mark` is a line across, with its name."""
    names = list(dict.fromkeys(name for _, parts in rows for name in parts))
    most = max([sum(parts.values()) for _, parts in rows] + ([mark[1]] if mark else []) + [1e-9])
    scale = (WIDTH - LABEL - VALUE) / most
    legend = list(legend_lines(names)) if len(names) > 1 else []
    top = HEAD + 20 * (max((line for line, *_ in legend), default=-1) + 1)
    bottom = top + ROW * len(rows)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    body = [text(12, 22, title, weight="bold", size=14)]
    for line, x, name in legend:
        body += [box(x, HEAD + 20 * line, 12, 12, colours[name], name), text(x + 17, HEAD + 20 * line + 11, name)]
    for place, (label, parts) in enumerate(rows):
        body += row(label, parts, top + ROW * place, scale, colours)
    body += axis(most, scale, top, bottom, unit)
    if mark:
        body += mark_line(mark, scale, top, bottom)
    height = bottom + AXIS
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    style = 'font-family="Helvetica, Arial, sans-serif" font-size="12"'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([f'{head} {style} role="img" aria-label="{escape(title)}">', ground, *body, "</svg>"]) + "\n"


def legend_lines(names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Line, place from the left, and name of each entry."""
    line, x = 0, 12
    for name in names:
        width = 17 + round(LETTER * len(name)) + 16
        if x + width > WIDTH and x > 12:
            line, x = line + 1, 12
        yield line, x, name
        x += width


def row(label: str, parts: Mapping[str, float], y: int, scale: float, colours: Mapping[str, str]) -> list[str]:
    found = [text(LABEL - 8, y + 14, label, anchor="end")]
    x = float(LABEL)
    for name, value in parts.items():
        found.append(box(x, y, value * scale, BAR, colours[name], f"{name}: {figure(value)}"))
        x += value * scale
    return [*found, text(x + 6, y + 14, figure(sum(parts.values())))]


def axis(most: float, scale: float, top: int, bottom: int, unit: str) -> list[str]:
    found = []
    for tick in ticks(most):
        x = LABEL + tick * scale
        found.append(f'<path d="M{x:.1f} {top - 4}V{bottom}" stroke="#000" stroke-opacity="0.12"/>')
        found.append(text(x, bottom + 12, figure(tick), anchor="middle", size=11))
    return [*found, text(LABEL, bottom + 28, unit, size=11)]


def mark_line(mark: tuple[str, float], scale: float, top: int, bottom: int) -> list[str]:
    x = LABEL + mark[1] * scale
    line = f'<path d="M{x:.1f} {top - 4}V{bottom}" stroke="#c00" stroke-width="1.5" stroke-dasharray="5 3"/>'
    return [line, text(x, bottom + 28, mark[0], anchor="middle", size=11, fill="#c00")]


def ticks(most: float) -> list[float]:
    """Three to six round numbers from 0 on."""
    power = 10.0 ** floor(log10(most))
    step = next(part * power for part in (0.2, 0.5, 1.0, 2.0) if most / (part * power) <= 6)
    return list(takewhile(lambda value: value <= most * 1.001, (place * step for place in range(8))))


def figure(value: float) -> str:
    """Three figures that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def box(x: float, y: float, width: float, height: float, fill: str, title: str) -> str:
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" height="{height}" fill="{fill}">'
    return f"{shape}<title>{escape(title)}</title></rect>"


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", fill: str = "#222"
) -> str:
    about = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {about}>{escape(words)}</text>'

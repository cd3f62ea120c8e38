"""What benchmarks found, one figure a line: printed as a table, kept as JSON for the README and docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.report import RESULTS, machine, publish, table

COLUMNS = ["what", "target", "measured", "limit", "peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured.

    `limit` is what it cannot be better than, such as Celery's own cost; `peer` what others reach on the same pages in
    the same run. `is_met` is None where there is no target.
    """

    what: str
    measured: str
    target: str = ""
    is_met: bool | None = None
    limit: str = ""
    peer: str = ""

    def cells(self) -> list[str]:
        verdict = {True: "", False: " (missed)", None: ""}[self.is_met]
        return [self.what, self.target, self.measured + verdict, self.limit, self.peer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one benchmark found: its figures, the lines of its result file, and charts by their names, as SVG."""

    title: str
    figures: Sequence[Figure]
    lines: Sequence[str]
    charts: dict[str, str]


Benchmark = Callable[[bool], Measured]  # told whether to be short


def figure_table(figures: Sequence[Figure]) -> list[str]:
    return table(COLUMNS, [figure.cells() for figure in figures])


def keep(name: str, measured: Measured) -> None:
    """Print and write what a benchmark found: `results/{name}.md`, `results/{name}.json`, charts as `results/*.svg`."""
    publish(name, measured.title, [*figure_table(measured.figures), "", *measured.lines])
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "title": measured.title}
    content = about | {"figures": [asdict(figure) for figure in measured.figures], "lines": list(measured.lines)}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for chart, svg in measured.charts.items():
        (RESULTS / f"{chart}.svg").write_text(svg)


def kept(name: str) -> dict[str, Any]:
    """What `keep` wrote, with its figures as such."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content | {"figures": [Figure(**figure) for figure in content["figures"]]}

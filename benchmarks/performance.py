"""Write the small table of README's "Measured" from what benchmarks kept: python -m benchmarks.performance."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figure, figure_table, kept
from benchmarks.report import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- measured begin -->", "<!-- measured end -->"
SHOWN = ("peers", "profile", "queue", "mixed", "scale")  # of those that were kept


def write_table() -> list[str]:
    found = [kept(name) for name in SHOWN if (RESULTS / f"{name}.json").exists()]
    figures: list[Figure] = [figure for content in found for figure in content["figures"]]
    said = sorted({f"{content['machine']}, {content['date']}" for content in found})
    return [*figure_table(figures), "", f"On {'; '.join(said)}."]


def with_table(text: str) -> str:
    """The README with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return "\n".join([before + BEGIN, "", *write_table(), "", END + after])


def main() -> None:
    README.write_text(with_table(README.read_text()))


if __name__ == "__main__":
    main()

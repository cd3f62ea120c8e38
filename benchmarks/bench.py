"""All benchmarks in a short form, and one table of what they found.

    python -m benchmarks.bench [NAME …]        or    make bench ARGS="queue mixed"

It ends with 1 where a benchmark breaks, and not where a target is missed: that is said in the table. Each benchmark by
itself, `python -m benchmarks.NAME`, measures longer, and keeps what it found in benchmarks/results.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from benchmarks import mixed, peers, profile, queue, scale
from benchmarks.figures import Benchmark, Figure, figure_table
from benchmarks.report import machine

BENCHMARKS: dict[str, Benchmark] = {
    "queue": queue.measure,
    "mixed": mixed.measure,
    "scale": scale.measure,
    "profile": profile.measure,
    "peers": peers.measure,
}


def run(name: str) -> tuple[list[Figure], bool]:
    """The figures of a benchmark, and whether it ran to its end."""
    sys.stderr.write(f"{name} …\n")
    started = time.monotonic()
    try:
        found = list(BENCHMARKS[name](True).figures)
    except Exception as exc:
        traceback.print_exc()
        return [Figure(what=name, measured=f"broke: {type(exc).__name__}")], False
    sys.stderr.write(f"{name} took {time.monotonic() - started:.0f} s\n")
    return found, True


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    logging.disable(logging.INFO)
    outcomes = [run(name) for name in names]
    figures = [figure for found, _ in outcomes for figure in found]
    text = "\n".join([f"{machine()}, short runs", "", *figure_table(figures)])
    sys.stdout.write(f"{text}\n")
    sys.exit(0 if all(is_whole for _, is_whole in outcomes) else 1)


if __name__ == "__main__":
    main()

"""The terminal: text on standard output, bars and words on standard error."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pagefan.records import Job


def put(data: bytes) -> None:
    """Write to standard output now: above the bars of a terminal, as it is to a file or a pipe."""
    if sys.stdout.isatty():
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def progress_bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total} pages"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
    )


def show(progress: Progress, bar: TaskID, job: Job) -> None:
    pages = job["pages"]
    ended = sum(pages[state] for state in ("ok", "blank", "fallback", "failed", "cancelled"))
    progress.update(bar, total=pages["total"] or None, completed=ended, state=job["state"])

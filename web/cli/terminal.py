"""The terminal: text on standard output, bars and words on standard error."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pagefan.answers import ENDED
from pagefan.records import Job


def put(data: bytes) -> None:
    """Write to standard output now: above the bars of a terminal, as it is to a file or a pipe."""
    if sys.stdout.isatty():
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def say(console: Console, text: str, style: str = "") -> None:
    """A sentence for a person; a terminal wraps it, and a file gets it as one line."""
    console.print(text, style=style, markup=False, soft_wrap=True)


def progress_bars(console: Console) -> Progress:
    """A bar for each document, on a terminal only."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[pages]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    )


def add_bar(progress: Progress, name: str, state: str) -> TaskID:
    return progress.add_task(name, total=None, state=state, pages="")


def stop_bars(progress: Progress, state: str) -> None:
    """Say what became of those that are not over."""
    for task in progress.tasks:
        if task.fields["state"] not in ENDED:
            progress.update(task.id, state=state)
            progress.stop_task(task.id)


def show(progress: Progress, bar: TaskID, job: Job) -> None:
    pages = job["pages"]
    ended = sum(pages[state] for state in ("ok", "blank", "fallback", "failed", "cancelled"))
    words = f"{ended}/{pages['total']} pages" if pages["total"] else ""
    progress.update(bar, total=pages["total"] or None, completed=ended, state=job["state"], pages=words)

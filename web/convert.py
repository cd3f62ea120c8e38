"""What `pagefan convert` does: send documents, show a bar for each, write the texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from web.client import Client, ClientError, Format, JobFailed, Json, ServerAway, is_url
from workers.documents import FORMATS

PARTIAL, FAILED, CANCELLED, AWAY = 3, 4, 5, 6
GRAVITY = (0, PARTIAL, CANCELLED, FAILED, AWAY)  # of several documents the worst outcome is the exit code
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
AT_ONCE = 4


@dataclass
class Converter:
    """Converts documents through one server; results go to `folder`, or to `output` when that is None."""

    client: Client
    console: Console
    output: Console
    folder: Path | None
    format: Format
    options: dict[str, Any]
    submitted: dict[str, bool] = field(default_factory=dict)  # job id -> has ended
    names: set[str] = field(default_factory=set)

    def run(self, sources: Sequence[str]) -> int:
        """Convert all sources, a few at a time; returns the exit code. Ctrl-C cancels what is under way."""
        documents = list(find_documents(sources))
        if not documents:
            self.say("There is nothing to convert here.")
            return FAILED
        with self.bars() as progress:
            return self.each(lambda document: self.convert(document, progress), documents)

    def follow(self, jobs: Sequence[Json]) -> int:
        """Show the jobs until they have ended; returns the exit code."""
        with self.bars() as progress:
            return self.each(lambda job: self.wait(job, progress), jobs)

    def each(self, work: Callable[[Any], int], items: Sequence[Any]) -> int:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            codes = list(pool.map(work, items))
        except KeyboardInterrupt:
            self.cancel_all()
            return CANCELLED
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return max(codes, key=GRAVITY.index)

    def cancel_all(self) -> None:
        for job_id, has_ended in list(self.submitted.items()):
            if not has_ended:
                with contextlib.suppress(ClientError):
                    self.client.cancel(job_id)
        self.say("Cancelled.")

    def bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total} pages"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=self.console,
        )

    def convert(self, document: Path | str, progress: Progress) -> int:
        name = document if isinstance(document, str) else document.name
        options = {key: value for key, value in self.options.items() if value != ""}
        try:
            if isinstance(document, str):
                job = self.client.submit_url(document, **options)
            else:
                job = self.client.submit(document, **options)
        except ServerAway as exc:
            self.say(f"{name}: {exc}")
            return AWAY
        except (ClientError, OSError) as exc:
            self.say(f"{name}: {exc}")
            return FAILED
        return self.wait(job, progress, write=True)

    def wait(self, job: Json, progress: Progress, *, write: bool = False) -> int:
        """Follow one job to its end and write its text; returns its exit code."""
        self.submitted[job["id"]] = False
        bar = progress.add_task(job["name"], total=None, state=job["state"])
        try:
            job = self.client.wait(job["id"], on_change=lambda now: show(progress, bar, now))
            self.submitted[job["id"]] = True
            return self.finish(job, write=write)
        except ServerAway as exc:
            self.say(f"{job['name']}: {exc}")
            return AWAY
        except JobFailed as exc:
            self.say(f"{job['name']}: {exc}")
            return FAILED

    def finish(self, job: Json, *, write: bool) -> int:
        if job["state"] == "cancelled":
            self.say(f"{job['name']}: cancelled")
            return CANCELLED
        result = self.client.fetch(job, self.format)
        if write:
            self.write(job["name"], result.text)
        if result.is_complete:
            return 0
        numbers = ", ".join(map(str, result.missing_pages))
        self.say(f"{job['name']}: no text on page {numbers}; `pagefan retry {job['id']}` reads it again")
        return PARTIAL

    def write(self, name: str, text: str) -> None:
        if self.folder is None:
            self.output.out(text, end="" if text.endswith("\n") else "\n")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / self.free_name(Path(name).stem)
        path.write_text(text, encoding="utf-8")
        self.output.out(str(path))

    def free_name(self, stem: str) -> str:
        """`report.md`, or `report-2.md` when this run has written the first already."""
        number = 1
        while (name := f"{stem}{f'-{number}' if number > 1 else ''}.{self.format}") in self.names:
            number += 1
        self.names.add(name)
        return name

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)


def show(progress: Progress, bar: TaskID, job: Json) -> None:
    pages = job["pages"]
    ended = sum(pages[state] for state in ("ok", "blank", "fallback", "failed", "cancelled"))
    progress.update(bar, total=pages["total"] or None, completed=ended, state=job["state"])


def find_documents(sources: Iterable[str]) -> Iterator[Path | str]:
    """What `sources` name: files themselves, documents in folders and below, and URLs, which the server fetches."""
    for source in sources:
        if is_url(source):
            yield source
        elif Path(source).is_dir():
            yield from sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in SUFFIXES)
        else:
            yield Path(source)

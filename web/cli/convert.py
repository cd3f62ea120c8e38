"""What `pagefan convert` does: send documents, show a bar for each, write what was read."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.progress import Progress

from pagefan.answers import ENDED, ClientError, Format, Json, Options, ServerAway
from pagefan.client import Client, check_readable
from pagefan.records import Job, JobSummary
from web.cli.documents import STDIN, find_documents
from web.cli.faults import IS_IT_RUNNING, about, failure_facts, is_askers, job_facts
from web.cli.page_queue import PageQueue
from web.cli.places import Places
from web.cli.terminal import add_bar, progress_bars, put, say, show, stop_bars
from web.cli.written import remember
from workers.documents.selection import in_ranges
from workers.net.places import is_many
from workers.results.formats import FORMATS

USAGE, PARTIAL, FAILED, CANCELLED, AWAY = 2, 3, 4, 5, 6
GRAVITY = (0, PARTIAL, CANCELLED, USAGE, FAILED, AWAY)  # of several documents the worst outcome is the exit code
AT_ONCE = 4
BY_PAGE = frozenset({"txt"})  # formats whose pages can be written one by one; Markdown is of the whole document


@dataclass
class Converter:
    """Converts documents through one server; results go to `folder`, or to standard output when that is None."""

    client: Client
    console: Console
    folder: Path | None
    format: Format
    options: Options
    as_json: bool = False
    overwrite: bool = False  # files that are there, whoever wrote them
    name: str = ""  # of what comes from standard input
    submitted: dict[str, bool] = field(default_factory=dict)  # job id -> has ended
    sources: dict[str, str] = field(default_factory=dict)  # job id -> what was sent
    places: Places = field(default_factory=Places)
    turns: list[threading.Event] = field(default_factory=list)  # whose place on standard output has come

    def run(self, sources: Sequence[str]) -> int:
        """Convert all sources, a few at a time; returns the exit code. Ctrl-C cancels what is under way."""
        documents = list(find_documents(sources))
        if not documents:
            self.say("There is nothing to convert here.")
            return FAILED
        paths = [document for document in documents if isinstance(document, Path)]
        self.places = Places(paths, overwrite=self.overwrite)
        self.turns = [threading.Event() for _ in range(len(documents) + 1)]
        self.turns[0].set()
        with progress_bars(self.console) as progress:
            items = list(enumerate(documents))
            return self.each(lambda item: self.convert(item[0], item[1], progress), items, progress)

    def follow(self, jobs: Sequence[Job]) -> int:
        """Show the jobs until they have ended; returns the exit code."""
        with progress_bars(self.console) as progress:
            return self.each(lambda job: self.guard(job["name"], lambda: self.wait(job, progress)), jobs, progress)

    def each(self, work: Callable[[Any], int], items: Sequence[Any], progress: Progress) -> int:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            codes = list(pool.map(work, items))
        except KeyboardInterrupt:
            self.cancel_all()
            stop_bars(progress, "cancelled")
            return CANCELLED
        except BrokenPipeError:
            self.cancel_all()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return max(codes, key=GRAVITY.index)

    def cancel_all(self) -> None:
        for job_id, has_ended in list(self.submitted.items()):
            if not has_ended:
                with contextlib.suppress(ClientError):
                    self.client.cancel(job_id)
        self.say("Cancelled.")

    def convert(self, place: int, document: Path | str, progress: Progress) -> int:
        try:
            return self.guard(str(document), lambda: self.read(place, document, progress))
        finally:
            self.turns[place + 1].set()

    def guard(self, source: str, work: Callable[[], int]) -> int:
        """The exit code of `work`, or that of its failure, which is said."""
        try:
            return work()
        except BrokenPipeError:
            raise
        except ServerAway as exc:
            self.say(f"{about(source, exc)}\n{IS_IT_RUNNING}")
            self.report(source, {"reason": "unavailable", "error": str(exc)})
            return AWAY
        except (ClientError, OSError) as exc:
            self.say(about(source, exc))
            self.report(source, failure_facts(exc))
            return USAGE if is_askers(exc, source) else FAILED

    def read(self, place: int, document: Path | str, progress: Progress) -> int:
        """Send one document, or those of a folder far away, and write what was read; returns the exit code."""
        if isinstance(document, str) and is_many(document):
            sent = {job["source_url"]: job for job in self.client.submit_all(document, **self.options)}
        elif document == STDIN:
            sent = {STDIN: self.client.submit(sys.stdin.buffer, name=self.name or "document", **self.options)}
        else:
            sent = {str(document): self.client.send(document, **self.options)}
        codes = []
        for source, job in sent.items():
            stem = Path(job["name"] if isinstance(document, str) else document).stem
            codes += self.read_sent(place, source, job, progress, stem)
        return max(codes, key=GRAVITY.index)

    def read_sent(self, place: int, source: str, job: Job, progress: Progress, stem: str) -> list[int]:
        """Follow a job and those of what is attached to its document, write what was read; returns the exit codes."""
        self.sources[job["id"]] = source
        codes = [self.guard(source, lambda: self.read_job(place, job, progress, stem))]
        for attached in self.attached_to(job):
            name = f"{source}: {attached['name']}"
            self.sources[attached["id"]] = name
            work = partial(self.read_job, place, cast("Job", attached), progress, Path(attached["name"]).stem)
            codes.append(self.guard(name, work))
        return codes

    def attached_to(self, job: Job) -> list[JobSummary]:
        """The jobs of what is attached to a document that has been read."""
        if not self.options.get("attachments"):
            return []
        return [one for one in self.client.batch(job["batch_id"])["jobs"] if one["parent"] == job["id"]]

    def read_job(self, place: int, job: Job, progress: Progress, stem: str) -> int:
        """Follow one job and write what was read; returns its exit code."""
        if self.folder is not None:
            return self.wait(job, progress, save_as=stem)
        if self.format in BY_PAGE:
            self.turns[place].wait()
            return self.stream(job, progress)
        code = self.wait(job, progress)
        self.turns[place].wait()
        if code in (0, PARTIAL):
            put(self.client.content(job["id"], self.format))
        return code

    def wait(self, job: Job, progress: Progress, *, save_as: str = "") -> int:
        """Follow one job to its end and save its result; returns its exit code."""
        self.submitted[job["id"]] = False
        bar = add_bar(progress, job["name"], job["state"])
        job = self.client.wait(job["id"], on_change=lambda now: show(progress, bar, now))
        return self.finish(job, save_as=save_as)

    def stream(self, job: Job, progress: Progress) -> int:
        """Write the pages in page order, each as soon as all before it have ended; returns the exit code.

        Marks of pages without text are held back until a page with text comes, for a job without any writes nothing.
        """
        self.submitted[job["id"]] = False
        bar = add_bar(progress, job["name"], job["state"])
        queue = PageQueue()
        for event in self.client.events(job["id"]):
            if event.name == "job":
                job = cast("Job", event.data)
                show(progress, bar, job)
            elif event.name == "text":
                put(queue.add(event.data).encode())
        if job["state"] not in ENDED:
            job = self.client.status(job["id"])
        if job["state"] in ("succeeded", "partial"):
            put(queue.rest(lambda number: dict(self.client.page(job["id"], number))).encode())
        return self.finish(job)

    def finish(self, job: Job, *, save_as: str = "") -> int:
        self.submitted[job["id"]] = True
        source = self.sources.get(job["id"]) or str(job["name"])
        if job["state"] == "cancelled":
            self.say(f"{job['name']}: cancelled")
            self.report(source, job_facts(job))
            return CANCELLED
        check_readable(job)
        path = self.save(job, save_as) if save_as else None
        self.report(source, job_facts(job) | {"output": str(path) if path else None}, path)
        for warning in job["warnings"]:
            self.say(f"{job['name']}: {warning}")
        if look_at := in_ranges(job.get("pages_to_look_at", ())):
            self.say(f"{job['name']}: look at page {look_at}; `pagefan status {job['id']}` has more")
        if job["state"] == "succeeded":
            return 0
        numbers = in_ranges(job["missing_pages"])
        self.say(f"{job['name']}: no text on page {numbers}; `pagefan retry {job['id']}` reads it again")
        return PARTIAL

    def save(self, job: Job, stem: str) -> Path:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.places.find(self.folder, stem, FORMATS[self.format].suffix)
        self.client.download(job["id"], self.format, path)
        remember(path)
        return path

    def report(self, source: str, facts: Json, path: Path | None = None) -> None:
        """The line on standard output: the path that was written, or what became of the document as JSON."""
        if self.as_json:
            put(json.dumps({"source": source} | facts).encode() + b"\n")
        elif path:
            put(f"{path}\n".encode(errors="surrogateescape"))

    def say(self, text: str) -> None:
        say(self.console, text)

"""`pagefan watch`: converts what appears in a folder, and goes on where it was after a restart.

What is done can be seen from the files alone: a result, or a note of a failure, whose time is that of the source or
later. It gets the time at which the source was sent, so that a change made since is seen. Remove it to have the source
read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from pagefan.answers import ENDED, ClientError, Format, Options, Refused, ServerAway
from pagefan.client import Client, check_readable
from pagefan.connection import whole_file
from pagefan.records import Job
from pagefan.sources import open_file
from web.cli.inbox import Signature, find_files, reason_to_skip, sign
from web.cli.names import fitting
from web.cli.terminal import put, say
from workers.documents.selection import in_ranges
from workers.results.formats import FORMATS

SCAN_S = 1.0
SETTLE_S = 2.0  # a file that has not changed for so long has been written to its end
AT_ONCE = 8
ASIDE_S = 60.0  # a file that this machine has trouble with lets the others go first for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that the server has, or had for a moment; `at_ns` is the time its result will bear."""

    job_id: str = ""
    at_ns: int


@dataclass
class Watcher:
    """Converts the documents in `folder` and below; results and notes of failures lie in `output` in the same order."""

    client: Client
    console: Console
    folder: Path
    output: Path
    format: Format
    options: Options
    settle_s: float = SETTLE_S
    seen: dict[Path, tuple[Signature, float]] = field(default_factory=dict)  # and since when
    skipped: set[Path] = field(default_factory=set)
    under_way: dict[Path, Sent] = field(default_factory=dict)
    aside: dict[Path, tuple[float, str]] = field(default_factory=dict)  # until when, and why
    trouble: str = ""

    @property
    def suffix(self) -> str:
        """What its results end in."""
        return FORMATS[self.format].suffix

    def run(self) -> int:
        """Watch until Ctrl-C. What is under way then is fetched at the next start."""
        self.say(f"Watching {self.folder}; Ctrl-C ends it.")
        try:
            while True:
                self.step()
                time.sleep(SCAN_S)
        except KeyboardInterrupt:
            left = f"; {len(self.under_way)} under way, to be fetched at the next start" if self.under_way else ""
            self.say(f"Stopped{left}.")
        return 0

    def step(self) -> None:
        """Fetch what has been read and send what is new. Raises Refused where the server wants another key."""
        try:
            for path, sent in list(self.under_way.items()):
                with self.one_file(path):
                    self.follow(path, sent)
            for path in self.find_settled():
                if len(self.under_way) >= AT_ONCE:
                    return
                with self.one_file(path):
                    self.send(path)
        except Refused as exc:
            if exc.status not in (409, 429):  # the same file is being received, or there were too many requests
                raise
            self.note_trouble(f"{exc} Trying again.")
        except ServerAway as exc:
            self.note_trouble(f"{exc} Trying again.")

    @contextlib.contextmanager
    def one_file(self, path: Path) -> Iterator[None]:
        """What this machine refuses for one file, such as to write its result, keeps no other waiting."""
        try:
            yield
        except (OSError, ValueError) as exc:
            self.under_way.pop(path, None)
            words = f"{reason_of(exc)}. Trying again each minute."
            if self.aside.get(path, (0.0, ""))[1] != words:
                self.say(f"{self.name_of(path)}: {words}")
            self.aside[path] = time.monotonic() + ASIDE_S, words

    def find_settled(self) -> Iterator[Path]:
        """Files that no longer grow and have no result of their own yet."""
        found = set()
        for path in find_files(self.folder, self.output):
            found.add(path)
            with self.one_file(path):
                if self.is_settled(path):
                    yield path
        self.skipped &= found
        self.seen = {path: seen for path, seen in self.seen.items() if path in found}
        self.aside = {path: kept for path, kept in self.aside.items() if path in found}

    def is_settled(self, path: Path) -> bool:
        signature = sign(path)
        if path in self.under_way or path in self.skipped or signature is None:
            return False
        if reason := reason_to_skip(path):
            self.skipped.add(path)
            self.say(f"{self.name_of(path)}: skipped, {reason}")
            return False
        known, since = self.seen.get(path, (None, 0.0))
        if known != signature:
            self.seen[path] = signature, time.monotonic()
            return False
        rests = time.monotonic() - since >= self.settle_s and time.monotonic() >= self.aside.get(path, (0.0, ""))[0]
        return rests and not self.is_done(path, signature)

    def is_done(self, path: Path, signature: Signature) -> bool:
        """Whether a result or a note of a failure is as new as the file."""
        ours = (self.path_for(path, suffix) for suffix in (self.suffix, "error.txt"))
        made = (sign(one) for one in ours if one.is_file())
        return any(one and one[1] >= max(signature[1:]) for one in made)

    def send(self, path: Path) -> None:
        at_ns = max(time.time_ns(), *self.seen[path][0][1:])
        try:
            job = self.submit(path)
        except FileNotFoundError:
            return
        except Refused as exc:
            if exc.status in (401, 409, 429):
                raise
            self.fail(path, Sent(at_ns=at_ns), exc)
        except OSError as exc:
            self.fail(path, Sent(at_ns=at_ns), exc)
        else:
            self.trouble = ""
            self.under_way[path] = Sent(job_id=job["id"], at_ns=at_ns)

    def submit(self, path: Path) -> Job:
        """The file's job: the one it has where it was sent before, within a day, and not in vain."""
        try:
            job = self.client.submit(path, idempotency_key=self.key_of(path), follow_links=False, **self.options)
            if not job["replayed"] or job["state"] not in ("failed", "cancelled"):
                return job
        except Refused as exc:
            if exc.kind != "unknown-job":
                raise
        return self.client.submit(path, follow_links=False, **self.options)

    def key_of(self, path: Path) -> str:
        with open_file(path, follow_links=False) as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        rest = json.dumps([path.name, self.options], sort_keys=True)
        return f"watch-{content[:32]}-{hashlib.sha256(rest.encode()).hexdigest()[:16]}"

    def follow(self, path: Path, sent: Sent) -> None:
        """Fetch the result once there is one."""
        try:
            job = self.client.status(sent.job_id)
            self.trouble = ""
            if job["state"] not in ENDED:
                return
            if job["state"] == "cancelled":
                raise ClientError("The job was cancelled.")
            check_readable(job)
        except ServerAway:
            raise
        except ClientError as exc:
            if isinstance(exc, Refused) and exc.status in (401, 429):
                raise
            self.fail(path, sent, exc)
        else:
            self.save(path, sent, job)

    def save(self, path: Path, sent: Sent, job: Job) -> None:
        made = self.path_for(path, self.suffix)
        made.parent.mkdir(parents=True, exist_ok=True)
        self.client.download(job["id"], self.format, made)
        os.utime(made, ns=(sent.at_ns, sent.at_ns))
        self.path_for(path, "error.txt").unlink(missing_ok=True)
        del self.under_way[path]
        put(f"{made}\n".encode(errors="surrogateescape"))
        for warning in job["warnings"]:
            self.say(f"{self.name_of(path)}: {warning}")
        if job["missing_pages"]:
            numbers = in_ranges(job["missing_pages"])
            self.say(f"{self.name_of(path)}: no text on page {numbers}, of job {job['id']}")

    def fail(self, path: Path, sent: Sent, error: Exception) -> None:
        """Leave a note beside the results; the file is tried again once it changes or the note is removed."""
        made = self.path_for(path, "error.txt")
        made.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(made) as file:
            job = f"Job {sent.job_id}\n" if sent.job_id else ""
            file.write(f"{error}\n{job}".encode(errors="backslashreplace"))
        os.utime(made, ns=(sent.at_ns, sent.at_ns))
        self.under_way.pop(path, None)
        self.say(f"{self.name_of(path)}: {error}")

    def path_for(self, path: Path, suffix: str) -> Path:
        """`reports/a.pdf` gives `reports/a.pdf.md`, so that `a.pdf` and `a.png` keep apart."""
        relative = path.relative_to(self.folder)
        return self.output / relative.with_name(fitting(relative.name, suffix))

    def name_of(self, path: Path) -> str:
        return str(path.relative_to(self.folder)).encode(errors="replace").decode()

    def note_trouble(self, words: str) -> None:
        """Say it once, until something works again."""
        if words != self.trouble:
            self.say(words)
        self.trouble = words

    def say(self, text: str) -> None:
        say(self.console, text)


def reason_of(error: Exception) -> str:
    """What the operating system says, without a path, which the name before it is part of."""
    return getattr(error, "strerror", None) or str(error).encode(errors="backslashreplace").decode()

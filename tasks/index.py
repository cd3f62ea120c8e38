"""The full-text index: what was read in jobs that have ended, by page, in one SQLite file beside the blobs.

Written where a job's record is written, emptied of a job where the job goes, made anew by `pagefan reindex`. It only
helps to find: what is shown of a job comes from its own files. So a file that is away, busy or broken costs nothing but
hits. Blobs in a remote store have no such file, and there jobs are found by their names.

Each call has a connection of its own: processes fork, and threads come and go. A rollback journal rather than a WAL, so
that what was removed is in no second file.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tasks.services import get_blobs
from workers import private

logger = logging.getLogger(__name__)

FILE = "index/pages.sqlite3"  # below the root of the blobs
BUSY_S = 10.0  # longest wait for another process that writes
PAGE_BITS = 24  # of a row's number: the document's, then the page's, so that the rows of a job are one range
AT_ONCE = 500  # ids in one statement
WORDS_AROUND = 14  # of an excerpt
OPENED, CLOSED = "\x02", "\x03"  # around a hit in an excerpt; no text has them
UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
SPACED = re.compile(f"(?<={UNSPACED.pattern[1:-1]}) (?={UNSPACED.pattern[1:-1]})")
TERM = re.compile(r'"([^"]*)"|(\S+)')
SCHEMA = """
CREATE TABLE IF NOT EXISTS docs (
  number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS traces (since INTEGER PRIMARY KEY);
CREATE VIRTUAL TABLE IF NOT EXISTS pages USING fts5(
  name, text, tokenize = "unicode61 remove_diacritics 2", prefix = "1 2 3"
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job as the index has it; `record` is what `tasks.search` needs to choose by, as JSON."""

    id: str
    owner: str
    name: str
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Where words stand in a job: the first of `num_pages` pages, and a piece of it with the places of the words."""

    page_number: int
    num_pages: int
    text: str
    marks: tuple[tuple[int, int], ...]


class Index:
    """The file at `path`; safe to use from any thread and process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction, undone by whatever is raised in it. Makes the file where there is none."""
        if not self.path.exists():
            private.make_folder(self.path.parent)
            with open(self.path, "ab", opener=private.opener):  # before SQLite makes it for everybody
                pass
        with contextlib.closing(sqlite3.connect(self.path, timeout=BUSY_S)) as connection:
            connection.execute("PRAGMA secure_delete = ON")  # what goes is written over
            connection.executescript(SCHEMA)
            with connection:
                yield connection

    def enter(self, entry: Entry, pages: Iterable[tuple[int, str]]) -> None:
        """Put a job with its pages, by their numbers, in the place of what there was of it. Raises sqlite3.Error."""
        with self._open() as db:
            number = take_out(db, entry.id)
            row = (number, entry.id, entry.owner, entry.name.casefold(), entry.record)
            number = db.execute("INSERT INTO docs VALUES (?, ?, ?, ?, ?)", row).lastrowid or 0
            rows = ((number << PAGE_BITS | page, spaced(entry.name), spaced(text)) for page, text in pages)
            db.execute(
                "INSERT INTO pages (rowid, name, text) VALUES (?, ?, '')", (number << PAGE_BITS, spaced(entry.name))
            )
            db.executemany("INSERT INTO pages (rowid, name, text) VALUES (?, ?, ?)", rows)

    def remove(self, job_id: str) -> None:
        """Let nothing of a job be found any more. Raises sqlite3.Error."""
        if self.path.exists():
            with self._open() as db:
                take_out(db, job_id)

    def clear(self) -> None:
        """Empty the index; a file that SQLite cannot read is made anew."""
        try:
            with self._open() as db:
                for table in ("docs", "pages", "traces"):
                    db.execute(f"DROP TABLE {table}")
        except sqlite3.DatabaseError as exc:
            logger.warning("%s cannot be read and is made anew: %s", self.path, exc)
            self.path.unlink(missing_ok=True)

    def forget_traces(self) -> bool:
        """Write the words anew without those of jobs that are gone, if any went since; whether that was done."""
        if not self.path.exists():
            return False
        with self._open() as db:
            if not db.execute("DELETE FROM traces").rowcount:
                return False
            db.execute("INSERT INTO pages (pages) VALUES ('optimize')")
        return True

    def ids(self, owner: str, query: str) -> set[str]:
        """Ids of the owner's jobs with a page that has all words of the query, or a name, or both together."""
        joined = "pages JOIN docs d ON d.number = pages.rowid >> ?"
        asked = f"SELECT DISTINCT d.id FROM {joined} WHERE pages MATCH ? AND d.owner = ?"
        wanted = expression(query)
        if not wanted or not self.path.exists():
            return set()
        with self._open() as db:
            return {job_id for (job_id,) in db.execute(asked, (PAGE_BITS, wanted, owner))}

    def named(self, ids: Sequence[str], part: str) -> tuple[set[str], set[str]]:
        """Those of the ids that the index knows, and those of them whose name has this part."""
        found = self._of("SELECT id, instr(name, ?) FROM docs", ids, part.casefold())
        return {str(job_id) for job_id, _ in found}, {str(job_id) for job_id, place in found if place}

    def records(self, ids: Sequence[str]) -> dict[str, str]:
        """The records of those of these jobs that the index knows."""
        return {str(job_id): str(record) for job_id, record in self._of("SELECT id, record FROM docs", ids)}

    def _of(self, select: str, ids: Sequence[str], *values: str) -> list[tuple[object, object]]:
        if not self.path.exists():
            return []
        found: list[tuple[object, object]] = []
        with self._open() as db:
            for start in range(0, len(ids), AT_ONCE):
                part = ids[start : start + AT_ONCE]
                places = ", ".join("?" * len(part))
                found += db.execute(f"{select} WHERE id IN ({places})", (*values, *part)).fetchall()
        return found

    def match(self, job_id: str, query: str) -> Match | None:
        """Where the words stand in the text of a job; None where no page has them all."""
        wanted = expression(query)
        if not wanted or not self.path.exists():
            return None
        with self._open() as db:
            known = db.execute("SELECT number FROM docs WHERE id = ?", (job_id,)).fetchone()
            if known is None:
                return None
            pages = (f"text : ({wanted})", *rows_of(known[0]))
            chosen = "FROM pages WHERE pages MATCH ? AND rowid BETWEEN ? AND ?"
            first, num_pages = db.execute(f"SELECT min(rowid), count(*) {chosen}", pages).fetchone()
            if not num_pages:
                return None
            piece = f"SELECT snippet(pages, 1, '{OPENED}', '{CLOSED}', '…', {WORDS_AROUND}) {chosen}"
            (excerpt,) = db.execute(piece, (pages[0], first, first)).fetchone()
        text, marks = marked(excerpt)
        return Match(page_number=first & (1 << PAGE_BITS) - 1, num_pages=num_pages, text=text, marks=marks)


def take_out(db: sqlite3.Connection, job_id: str) -> int | None:
    """Remove a job's rows; returns the number that it had, None where it was not there."""
    known = db.execute("SELECT number FROM docs WHERE id = ?", (job_id,)).fetchone()
    if known is None:
        return None
    db.execute("DELETE FROM pages WHERE rowid BETWEEN ? AND ?", rows_of(known[0]))
    db.execute("DELETE FROM docs WHERE number = ?", known)
    db.execute("INSERT OR IGNORE INTO traces VALUES (1)")
    return int(known[0])


def rows_of(number: int) -> tuple[int, int]:
    return number << PAGE_BITS, (number + 1 << PAGE_BITS) - 1


def spaced(text: str) -> str:
    """The text with spaces between the signs of scripts that have none between words: each is a word to the index."""
    clean = text.replace("\0", "").replace(OPENED, "").replace(CLOSED, "")
    return UNSPACED.sub(r"\1 ", clean.encode(errors="replace").decode())


def expression(query: str) -> str:
    """The query for FTS5: all words or quoted phrases, each as a beginning; "" for one without letters or digits."""
    terms = (spaced(quoted or bare).replace('"', " ").strip() for quoted, bare in TERM.findall(query))
    return " AND ".join(f'"{term}" *' for term in terms if any(map(str.isalnum, term)))


def marked(excerpt: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The excerpt on one line, without its signs, and where they stood."""
    text, marks, opened = "", [], 0
    for part in re.split(f"([{OPENED}{CLOSED}])", SPACED.sub("", " ".join(excerpt.split()))):
        if part == OPENED:
            opened = len(text)
        elif part == CLOSED:
            marks.append((opened, len(text)))
        else:
            text += part
    return text, tuple(marks)


@cache
def get_index() -> Index | None:
    """The index of this server; None where the blobs are in a remote store."""
    blobs = get_blobs()
    return Index(Path(blobs.path(FILE))) if blobs.is_local else None

"""The full-text index: what it finds, what it forgets, and that no query and no other process breaks it."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.index import Entry, Index, expression

LAMPS = {1: "Lamps of the old harbour", 2: "Œuvres complètes, Straße", 3: "東京都の港で灯台を見た"}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index" / "pages.sqlite3")


def enter(index: Index, job_id: str, pages: dict[int, str], *, owner: str = "local", name: str = "report.pdf") -> None:
    index.enter(Entry(id=job_id, owner=owner, name=name, record="{}"), pages.items())


@pytest.mark.parametrize(
    "query",
    [
        "lamps",
        "LAMP",
        "harbour lamps",
        '"old harbour"',
        "completes",
        "灯台",
        "東京都",
        "report",
        "report lamps",
        "lamps!",
    ],
)
def test_words_are_found_by_their_beginnings(index: Index, query: str) -> None:
    enter(index, "a", LAMPS)
    enter(index, "b", {1: "nothing of that"}, name="other.pdf")
    assert index.ids("local", query) == {"a"}


@pytest.mark.parametrize("query", ["harbour straße", '"harbour old"', "amps", "京東", "lamps missing"])
def test_what_is_on_no_single_page_is_not_found(index: Index, query: str) -> None:
    enter(index, "a", LAMPS)
    assert index.ids("local", query) == set()


@pytest.mark.parametrize(
    "query",
    [
        "", " ", '"', '""', '"""', "'", "*", "a*b", "NEAR(a b)", "AND", "a OR", "NOT", "text:", "{name text}: a", "^a",
        "a + b", "(", ")", "-a", "\0", "a\0b", "\ud800", "\U0010ffff", "\U0001f600", "%_\\", "; DROP TABLE docs",
        "\u0301", "x" * 5000, "ภาษาไทย", "\x02\x03", "a" * 3 + '"' * 7, "\u0378", "٣", "½",
    ],
)  # fmt: skip
def test_no_query_is_an_error(index: Index, query: str) -> None:
    enter(index, "a", {1: "a plain page"})
    assert index.ids("local", query) <= {"a"}
    index.match("a", query)
    assert index.ids("local", "plain") == {"a"}


def test_an_owner_finds_nothing_of_others(index: Index) -> None:
    enter(index, "a", LAMPS, owner="ann")
    enter(index, "b", LAMPS, owner="bob")
    assert index.ids("ann", "lamps") == {"a"}
    assert index.ids("", "lamps") == set()


def test_a_match_has_its_page_and_its_marks(index: Index) -> None:
    enter(index, "a", {1: "a cover", 7: "  Many   lamps\n and a lamp ", 9: "lamplight", 12: "rain"})
    match = index.match("a", "lamp")
    assert match is not None
    assert (match.page_number, match.num_pages, match.text) == (7, 2, "Many lamps and a lamp")
    assert [match.text[start:end] for start, end in match.marks] == ["lamps", "lamp"]
    assert index.match("a", "report") is None


def test_a_job_that_is_entered_again_has_its_new_text_alone(index: Index) -> None:
    enter(index, "a", {1: "before", 2: "before"})
    enter(index, "a", {1: "after"})
    assert index.ids("local", "before") == set()
    assert index.ids("local", "after") == {"a"}


def test_nothing_of_a_removed_job_stays_in_the_file(index: Index) -> None:
    enter(index, "a", {number: f"zanzibar number {number} " + "filler " * 400 for number in range(1, 30)})
    enter(index, "b", {1: "something else"})
    assert b"zanzibar" in index.path.read_bytes()
    index.remove("a")
    assert index.forget_traces()
    assert not index.forget_traces()
    assert b"zanzibar" not in index.path.read_bytes()
    assert list(index.path.parent.iterdir()) == [index.path]
    assert index.ids("local", "something") == {"b"}


def test_the_file_is_its_owners_alone(index: Index) -> None:
    before = os.umask(0)
    try:
        enter(index, "a", LAMPS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(index.path.parent.stat().st_mode) == 0o700


def test_a_broken_file_is_made_anew(index: Index) -> None:
    index.path.parent.mkdir()
    index.path.write_bytes(b"no database at all" * 500)
    with pytest.raises(sqlite3.DatabaseError):
        enter(index, "a", LAMPS)
    index.clear()
    enter(index, "a", LAMPS)
    assert index.ids("local", "lamps") == {"a"}


def write_some(path: Path, first: int) -> None:
    for number in range(first, first + 8):
        enter(Index(path), f"{number:016x}", {1: f"lamp {number}", 2: "lamp"})


def test_many_write_at_the_same_time(index: Index) -> None:
    """Each call has a connection of its own, so threads wait for one another as processes do."""
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(write_some, [index.path] * 3, (0, 100, 200)))
    assert len(index.ids("local", "lamp")) == 24


def test_phrases_and_words_are_parted() -> None:
    assert expression('lamps "old harbour" -x *') == '"lamps" * AND "old harbour" * AND "-x" *'

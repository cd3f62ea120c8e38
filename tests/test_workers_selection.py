"""Page selections: what people may write, what they are told when it is wrong, and the compact form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.documents.selection import Selection, in_ranges, select_pages


@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (" , ", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("1", [0]),
        ("10", [9]),
        ("1-3,7,-1", [0, 1, 2, 6, 9]),
        ("7, 1 - 3 ,-1", [0, 1, 2, 6, 9]),
        ("8-", [7, 8, 9]),
        ("-3-", [7, 8, 9]),
        ("-3--2", [7, 8]),
        ("8--2", [7, 8]),
        ("-3-9", [7, 8]),
        ("2–4", [1, 2, 3]),
        ("3,3,2-4,4", [1, 2, 3]),
        ("1-10,5", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_pages_are_chosen_in_document_order_and_once(text: str, indexes: list[int]) -> None:
    assert list(select_pages(text, 10)) == indexes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "page 0"),
        ("0-3", "page 0"),
        ("11", "no page 11: the document has 10 pages"),
        ("5-12", "no page 12"),
        ("-11", "no page -11"),
        ("7-3", "write 3-7"),
        ("-1--3", "write -3--1"),
        ("-1-3", "is 10-3"),
        ("one", "'one' is not a page"),
        ("1;3", "'1;3' is not a page"),
        ("1-2-3", "'1-2-3' is not a page"),
        ("--1", "'--1' is not a page"),
        ("1.5", "'1.5' is not a page"),
        ("1234567890", "is not a page"),
        ("9" * 100_001, "100000 characters"),
    ],
)
def test_message_says_what_is_wrong_with_a_selection(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        select_pages(text, 10)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


def test_document_of_one_page_is_named_in_the_singular() -> None:
    with pytest.raises(ValueError, match=r"the document has 1 page\."):
        select_pages("2", 1)


def test_long_document_stays_compact() -> None:
    whole = select_pages("", 10_000)
    assert str(whole) == "1-10000"
    assert len(whole) == 10_000
    assert whole.nth(9_999) == 9_999
    assert len(select_pages(",".join(map(str, range(1, 10_000, 2))), 10_000)) == 5_000


@pytest.mark.parametrize("text", ["-1", "5-", "1-x", "3-1"])
def test_stored_form_does_not_depend_on_the_document(text: str) -> None:
    with pytest.raises(ValueError):
        Selection.parse(text)


def test_empty_stored_form_has_no_pages() -> None:
    nothing = Selection.parse("")
    assert len(nothing) == 0
    assert list(nothing) == []
    assert str(nothing) == ""
    with pytest.raises(IndexError):
        nothing.nth(0)


@given(st.sets(st.integers(0, 300)))
def test_selection_behaves_as_the_sorted_list_of_its_indexes(indexes: set[int]) -> None:
    selection, expected = Selection.of(indexes), sorted(indexes)
    assert list(selection) == expected
    assert len(selection) == len(expected)
    assert [selection.nth(position) for position in range(len(expected))] == expected
    assert [selection.position_of(index) for index in expected] == list(range(len(expected)))
    with pytest.raises(ValueError, match="not in the selection"):
        selection.position_of(10_000)
    assert [index for index in range(302) if index in selection] == expected
    assert -1 not in selection
    assert Selection.parse(str(selection)) == selection
    for position in (-1, len(expected)):
        with pytest.raises(IndexError):
            selection.nth(position)


@given(st.text(alphabet="0123456789-, ", max_size=12), st.integers(1, 30))
def test_any_text_gives_pages_of_the_document_or_a_message(text: str, num_pages: int) -> None:
    try:
        selection = select_pages(text, num_pages)
    except ValueError as exc:
        assert str(exc).endswith(".")
    else:
        assert len(selection) >= 1
        assert list(selection) == sorted(set(selection))
        assert all(0 <= index < num_pages for index in selection)
        assert select_pages(str(selection), num_pages) == selection


def test_many_pages_are_named_by_ranges() -> None:
    assert in_ranges(range(1, 300)) == "1-299"
    assert in_ranges([9, 1, 2, 3]) == "1-3, 9"
    assert in_ranges([]) == ""

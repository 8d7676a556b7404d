"""The work of a run, from the passages that are there and those that are wanted."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from preceptor.indexing.difference import difference
from preceptor.library.protocol import Written

Shelf = dict[str, Written]


def shelf(texts: Mapping[str, str]) -> Shelf:
    """Passages by id, each with its text (as fingerprint) and, after a `/`, something else of its payload."""
    return {point: Written(text.split("/")[0], text) for point, text in texts.items()}


def counts(there: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, int]:
    """The changes, without zeros."""
    found = difference(shelf(there), shelf(wanted))
    names = ("added", "changed", "moved", "unchanged", "removed")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


def test_another_text_at_the_same_place_is_a_change() -> None:
    assert counts({"1": "a", "2": "b"}, {"1": "a", "2": "B"}) == {"changed": 1, "unchanged": 1}


def test_a_passage_put_before_others_is_added_and_the_others_move() -> None:
    assert counts({"1": "a", "2": "b"}, {"1": "new", "2": "a", "3": "b"}) == {"added": 1, "moved": 2}


def test_a_passage_taken_from_before_others_is_removed_and_the_others_move() -> None:
    assert counts({"1": "a", "2": "b", "3": "c"}, {"1": "b", "2": "c"}) == {"removed": 1, "moved": 2}


def test_a_renamed_page_moves() -> None:
    assert counts({"old1": "a", "old2": "b"}, {"new1": "a", "new2": "b"}) == {"moved": 2}


def test_the_same_text_with_another_link_moves() -> None:
    assert counts({"1": "a/url"}, {"1": "a/other"}) == {"moved": 1}


def test_one_of_two_equal_passages_can_be_removed() -> None:
    assert counts({"1": "a", "2": "a"}, {"1": "a"}) == {"unchanged": 1, "removed": 1}


shelves = st.dictionaries(st.sampled_from("123456"), st.sampled_from(["a", "b", "c", "a/2", "b/2"]))


@given(shelves, shelves)
def test_every_passage_is_counted_once(there: dict[str, str], wanted: dict[str, str]) -> None:
    found = difference(shelf(there), shelf(wanted))
    stay = found.unchanged + found.moved + found.changed
    assert stay + found.added == len(wanted)
    assert stay + found.removed == len(there)
    assert min(found.added, found.changed, found.moved, found.removed) >= 0
    assert (found.to_write == set()) == (found.unchanged == len(wanted))

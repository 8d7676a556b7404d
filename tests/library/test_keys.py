"""The names of passages that a model writes, where several books are open together."""

from hypothesis import assume, given
from hypothesis import strategies as st

from preceptor.library.passage import is_key, key_beside

KEYS = st.from_regex(r"[a-hjkmnp-z][2-9][a-hjkmnp-z2-9]{2,3}", fullmatch=True)
PLACES = st.integers(0, 29)


@given(KEYS, KEYS, PLACES, PLACES)
def test_no_two_passages_of_books_that_are_open_together_have_one_key(
    one: str, other: str, place: int, beside: int
) -> None:
    assume((one, place) != (other, beside))
    assert key_beside(one, place) != key_beside(other, beside)


@given(KEYS, PLACES)
def test_a_key_beside_others_is_a_key(key: str, place: int) -> None:
    assert is_key(key_beside(key, place))
    assert key_beside(key, 0) == key

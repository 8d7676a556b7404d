"""The order and the score that two halves give together."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.library.embedding import ENGLISH, MULTILINGUAL
from preceptor.library.fusion import Scale, moved, rank, scale
from tests.retrieval.shelf import passages

MULTILINGUAL_SCALE = scale(MULTILINGUAL)
PASSAGES = {
    str(number): passage for number, passage in enumerate(passages("b", {f"p{i}": "" for i in range(30)}))
}
NAMES = {passage.id: name for name, passage in PASSAGES.items()}


def half(scores: dict[str, float]) -> dict[str, float]:
    ranked = sorted(scores.items(), key=lambda pair: (-pair[1], PASSAGES[pair[0]].id))
    return {PASSAGES[name].id: score for name, score in ranked}


def order(
    dense: dict[str, float], bm25: dict[str, float], *, tokens: int = 4, coverage: float = 1.0
) -> list[str]:
    hits = rank(half(dense), half(bm25), tokens=tokens, points=500, coverage=coverage)
    return [NAMES[hit.id] for hit in hits]


def test_what_both_halves_find_comes_before_what_one_finds() -> None:
    assert order({"1": 0.8, "2": 0.79, "4": 0.4}, {"2": 12.0, "3": 11.5})[0] == "2"


def test_a_half_whose_scores_hardly_differ_has_little_say() -> None:
    even = {"1": 0.605, "2": 0.604, "3": 0.603, "4": 0.602}
    assert order(even, {"4": 14.0, "3": 9.0, "2": 5.0}) == ["4", "3", "2", "1"]


def test_a_clear_cosine_wins_over_a_weak_match_of_words() -> None:
    assert order({"1": 0.85, "2": 0.55}, {"2": 3.0}, tokens=6)[0] == "1"


def test_cosines_say_nothing_where_the_model_can_only_spell() -> None:
    dense = {"1": 0.95, "2": 0.85, "3": 0.75}
    assert order(dense, {"3": 6.0}, coverage=1.0)[0] == "1"
    assert order(dense, {"3": 6.0}, coverage=0.0) == ["3", "1", "2"]


def test_a_match_of_the_only_word_asked_for_says_more_than_one_of_two() -> None:
    dense, bm25 = {"1": 0.75, "2": 0.67}, {"2": 6.0}
    assert order(dense, bm25, tokens=1) == ["2", "1"]
    assert order(dense, bm25, tokens=2) == ["1", "2"]


def test_one_empty_half_leaves_the_order_of_the_other() -> None:
    assert order({"1": 0.7, "2": 0.6, "3": 0.65}, {}) == ["1", "3", "2"]
    assert order({}, {"1": 3.0, "2": 5.0}) == ["2", "1"]
    assert order({}, {}) == []


def test_what_a_full_list_left_out_is_taken_for_as_good_as_its_last() -> None:
    """With three candidates from each half, `4` may have the same words as `3`, only a little less of them."""
    dense = {"4": 0.8, "3": 0.72, "2": 0.5}
    assert order(dense, {"1": 9.0, "2": 8.9, "3": 8.8}, tokens=3)[0] == "4"


def test_a_hit_keeps_the_scores_of_both_halves() -> None:
    hits = {
        NAMES[hit.id]: hit for hit in rank(half({"1": 0.7, "2": 0.6}), half({"2": 5.0}), tokens=2, points=500)
    }
    assert (hits["1"].dense, hits["1"].bm25) == (0.7, None)
    assert (hits["2"].dense, hits["2"].bm25) == (0.6, 5.0)


@pytest.mark.parametrize(
    ("cosine", "bm25", "coverage", "low", "high"),
    [
        (0.78, 16.0, 1.0, 0.8, 1.0),  # answers the question
        (0.65, 8.0, 1.0, 0.2, 0.6),  # has to do with it
        (0.50, 2.0, 1.0, 0.0, 0.1),  # shares a word with it
        (0.90, 16.0, 0.0, 0.5, 1.0),  # a match of words in a script that the model cannot read
        (0.90, 0.5, 0.0, 0.0, 0.15),
    ],
)
def test_the_best_score_says_whether_the_book_covers_the_question(
    cosine: float, bm25: float, coverage: float, low: float, high: float
) -> None:
    assert (
        low
        <= rank(half({"1": cosine}), half({"1": bm25}), tokens=4, points=500, coverage=coverage)[0].score
        <= high
    )


scores = st.dictionaries(st.sampled_from(sorted(PASSAGES)), st.floats(-1, 1), max_size=20)
matches = st.dictionaries(st.sampled_from(sorted(PASSAGES)), st.floats(0.01, 60), max_size=20)


@given(scores, matches, st.integers(0, 30), st.floats(0, 1))
def test_scores_are_between_zero_and_one_and_fall_with_the_rank(
    dense: dict[str, float], bm25: dict[str, float], tokens: int, coverage: float
) -> None:
    hits = rank(half(dense), half(bm25), tokens=tokens, points=500, coverage=coverage)
    found = [hit.score for hit in hits]
    assert {NAMES[hit.id] for hit in hits} == {*dense, *bm25}
    assert found == sorted(found, reverse=True)
    assert all(0 <= score <= 1 for score in found)


@given(scores, matches)
def test_the_order_does_not_depend_on_that_of_the_candidates(
    dense: dict[str, float], bm25: dict[str, float]
) -> None:
    there = rank(half(dense), half(bm25), tokens=3, points=500)
    back = rank(dict([*half(dense).items()][::-1]), dict([*half(bm25).items()][::-1]), tokens=3, points=500)
    assert there == back


def scored(
    dense: dict[str, float], bm25: dict[str, float], *, tokens: int, points: int, coverage: float = 1.0
) -> dict[str, float]:
    hits = rank(half(dense), half(bm25), tokens=tokens, points=points, coverage=coverage)
    return {NAMES[hit.id]: round(hit.score, 3) for hit in hits}


@pytest.mark.parametrize(
    ("tokens", "points", "coverage", "scores"),
    [
        (4, 500, 1.0, [0.767, 0.127, 0.037, 0.084]),
        (4, 500, 0.5, [0.782, 0.182, 0.102, 0.215]),
        (4, 500, 0.0, [0.797, 0.253, 0.253, 0.448]),
        (9, 50, 1.0, [0.665, 0.034, 0.009, 0.03]),
    ],
)
def test_the_weights_are_those_of_the_decision(
    tokens: int, points: int, coverage: float, scores: list[float]
) -> None:
    """Whoever changes one changes decision 0004, and measures again."""
    found = scored(
        {"1": 0.75, "2": 0.7, "3": 0.6},
        {"1": 14.0, "4": 5.0},
        tokens=tokens,
        points=points,
        coverage=coverage,
    )
    assert [found[name] for name in "1234"] == scores


@pytest.mark.parametrize("scale", [Scale(), MULTILINGUAL_SCALE])
def test_without_a_word_on_it_the_model_is_taken_to_read_a_question_in_the_books_language(
    scale: Scale,
) -> None:
    ranked = partial(rank, half({"1": 0.75, "2": 0.7}), half({"2": 14.0}), tokens=4, points=500, scale=scale)
    assert ranked() == ranked(coverage=1.0, is_foreign=False)


def test_feedback_tells_the_order_and_the_question_alone_what_the_score_means() -> None:
    dense, bm25, feedback = {"1": 0.75, "2": 0.7}, {"1": 6.0, "3": 5.0}, {"3": 0.95, "1": 0.8}
    hits = {NAMES[hit.id]: hit for hit in rank(half(dense), half(bm25), half(feedback), tokens=4, points=500)}
    # The second is not among the nearest any more, and no word of the question is in it.
    assert list(hits) == ["3", "1"]
    assert (hits["3"].dense, hits["1"].dense) == (None, 0.75)
    # The best hit was not among the nearest to the question itself: no nearer than the last of them.
    alone = rank(half({"2": 0.7}), half({"2": 5.0}), tokens=4, points=500)
    assert hits["3"].score == alone[0].score


def test_a_question_moves_a_part_of_the_way_towards_its_best_hits() -> None:
    assert moved((1.0, 0.0, 0.0), [(1.0, 0.0, 0.0)]) == (1.0, 0.0, 0.0)
    x, y, z = moved((1.0, 0.0, 0.0), [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
    assert (y / x, z / x) == pytest.approx((0.15, 0.15))
    assert x * x + y * y + z * z == pytest.approx(1.0)


def test_no_more_hits_than_asked_for() -> None:
    found = half({"1": 0.75, "2": 0.7, "3": 0.6})
    assert [NAMES[hit.id] for hit in rank(found, {}, tokens=1, points=9, limit=2)] == ["1", "2"]


def test_equal_evidence_is_ordered_by_the_cosine_and_then_by_the_id() -> None:
    """A cosine that counts for nothing still orders what the words leave equal."""
    assert order({"1": 0.5, "2": 0.6}, {"1": 3.0, "2": 3.0}, coverage=0.0) == ["2", "1"]
    names = sorted(["1", "2", "3"], key=lambda name: PASSAGES[name].id)
    assert order(dict.fromkeys(reversed(names), 0.5), {}) == names


def test_evidence_beyond_what_a_float_can_raise_is_no_error() -> None:
    assert scored({"1": -80.0}, {}, tokens=1, points=9) == {"1": 0.0}


def test_models_of_a_family_have_one_scale() -> None:
    assert scale("intfloat/multilingual-e5-large") is MULTILINGUAL_SCALE
    assert scale(ENGLISH) == scale("sentence-transformers/all-MiniLM-L6-v2") == Scale()
    assert scale(ENGLISH) != MULTILINGUAL_SCALE


@pytest.mark.parametrize(
    ("coverage", "is_foreign", "scores"),
    [
        (1.0, False, [0.864, 0.312, 0.312]),
        (1.0, True, [0.975, 0.733, 0.733]),
        (0.5, False, [0.826, 0.366, 0.366]),
        (0.0, False, [0.78, 0.423, 0.423]),
    ],
)
def test_the_weights_of_the_multilingual_model_are_its_own(
    coverage: float, is_foreign: bool, scores: list[float]
) -> None:
    hits = rank(
        half({"1": 0.87, "2": 0.85}),
        half({"1": 14.0, "3": 5.0}),
        tokens=4,
        points=500,
        coverage=coverage,
        scale=MULTILINGUAL_SCALE,
        is_foreign=is_foreign,
    )
    found = {NAMES[hit.id]: round(hit.score, 3) for hit in hits}
    assert [found[name] for name in "123"] == scores


def test_a_likeness_is_that_of_the_english_model() -> None:
    assert [Scale().likeness(cosine) for cosine in (0.0, 0.8)] == [0.0, 0.8]
    found = [MULTILINGUAL_SCALE.likeness(cosine) for cosine in (0.0, 0.8, 1.0)]
    assert found == pytest.approx([-1.62, 0.548, 1.09])


def test_a_question_or_an_index_of_nothing_counts_as_one() -> None:
    dense, bm25 = {"1": 0.75, "2": 0.7}, {"1": 6.0}
    assert scored(dense, bm25, tokens=0, points=500) == scored(dense, bm25, tokens=1, points=500)
    assert scored(dense, bm25, tokens=4, points=0) == scored(dense, bm25, tokens=4, points=1)


@pytest.mark.parametrize(
    ("dense", "bm25", "scores"),
    [
        # the shorter list of matches has brought all there are, so that the others match in nothing
        ({"1": 0.75, "2": 0.7}, {"3": 6.0}, {"1": 0.371, "2": 0.233, "3": 0.383}),
        ({"1": 0.75, "2": 0.7}, {"3": 6.0, "4": 5.0}, {"1": 0.526, "2": 0.363, "3": 0.391, "4": 0.363}),
        ({"1": 0.75}, {"3": 6.0, "4": 5.0}, {"1": 0.526, "3": 0.556, "4": 0.526}),
    ],
)
def test_what_a_half_did_not_bring_counts_as_its_last_or_as_nothing(
    dense: dict[str, float], bm25: dict[str, float], scores: dict[str, float]
) -> None:
    assert scored(dense, bm25, tokens=4, points=500) == scores

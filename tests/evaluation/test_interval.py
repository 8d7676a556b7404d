"""The interval of the share of good answers holds as often as it says, however good the judge is."""

from collections.abc import Iterator

import numpy as np
import pytest

from preceptor.errors import TooFewLabels
from preceptor.evaluation.interval import estimate, intervals, kappa

SAMPLES = 2000
"""Samples of each cell of the grid: the coverage is known within half a point (a standard error)."""
JUDGES = {"sharp": (0.95, 0.95), "usual": (0.9, 0.7), "lenient": (0.98, 0.3), "a coin": (0.5, 0.5)}
"""Judges by the share of good answers that they call good, and of bad ones that they call bad."""


def grid() -> Iterator[tuple[int, int, float, str]]:
    """Labels, answers, the true share of good ones, and the judge."""
    for labels in (60, 100, 200):
        for answers in (100, 300, 1000):
            for share in (0.5, 0.8, 0.95):
                if labels <= answers:
                    yield from ((labels, answers, share, judge) for judge in JUDGES)


def test_the_interval_holds_in_at_least_93_of_100_samples_whatever_the_judge_is_worth() -> None:
    chance = np.random.default_rng(20261129)
    drawn = {answers: chance.random((2, SAMPLES, answers), dtype=np.float32) for answers in (100, 300, 1000)}
    lines: list[str] = []
    covered: list[float] = []
    for labels, answers, share, judge in grid():
        finds_good, finds_bad = JUDGES[judge]
        good = drawn[answers][0] < share
        verdicts = (drawn[answers][1] < np.where(good, finds_good, 1 - finds_bad)).astype(np.float64)
        _, low, high = intervals(
            good[:, :labels].astype(np.float64), verdicts[:, :labels], verdicts[:, labels:]
        )
        covered.append(float(np.mean((low <= share) & (share <= high))))
        lines.append(
            f"{labels:6} {answers:7} {share:5} {judge:8} {covered[-1]:8.1%} {np.mean(high - low):6.3f}"
        )
    print("\nlabels answers share judge    coverage  width", *lines, sep="\n")  # noqa: T201 - shown with `-s`
    assert min(covered) >= 0.93


def test_the_normal_interval_of_the_labels_would_claim_too_much_where_almost_all_are_good() -> None:
    labels = (np.random.default_rng(7).random((SAMPLES, 60)) < 0.95).astype(np.float64)
    _, low, high = intervals(labels, labels * 0, labels[:, :0])
    off = abs(labels.mean(-1) - 0.95)

    assert np.mean(off <= 1.96 * labels.std(-1, ddof=1) / 60**0.5) < 0.9
    assert np.mean((low <= 0.95) & (high >= 0.95)) >= 0.93


def test_a_judge_that_agrees_makes_the_interval_narrower_and_one_that_guesses_does_not() -> None:
    labels = [number % 5 > 0 for number in range(100)]
    rest = [number % 5 > 0 for number in range(900)]
    guess = [number % 2 > 0 for number in range(900)]

    alone = estimate(labels, [0] * 100, [0] * 900)
    helped = estimate(labels, labels, rest)
    guessed = estimate(labels, guess[:100], guess)

    assert alone.share == helped.share == pytest.approx(0.8)
    assert helped.high - helped.low < 0.6 * (alone.high - alone.low)
    assert guessed.high - guessed.low == pytest.approx(alone.high - alone.low, rel=0.02)
    # Wilson's interval of 80 in 100, as any table has it.
    assert (alone.low, alone.high) == pytest.approx((0.7112, 0.8666), abs=1e-4)


def test_a_judge_that_flatters_is_corrected_by_the_labels() -> None:
    labels = [number % 2 > 0 for number in range(100)]
    found = estimate(labels, [1.0] * 100, [1.0] * 900)

    assert found.share == pytest.approx(0.5)
    assert found.high < 0.61


def test_less_than_sixty_labels_are_refused_with_the_number_that_is_wanting() -> None:
    with pytest.raises(TooFewLabels, match=r"59 of the 60 labels .* label 1 more"):
        estimate([True] * 59, [True] * 59, [])
    with pytest.raises(ValueError, match="60 labels, but 61 verdicts"):
        estimate([True] * 60, [True] * 61, [])


def test_kappa_is_agreement_beyond_chance_and_cannot_be_told_of_a_judge_that_always_says_the_same() -> None:
    # The example of Cohen's article in its usual form: 20 and 15 agreed, 5 and 10 not.
    labels = [True] * 25 + [False] * 25
    verdicts = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert kappa(labels, verdicts) == pytest.approx(0.4)
    assert kappa(labels, [True] * 50) is None

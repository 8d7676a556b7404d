"""Two reports side by side."""

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from preceptor.errors import ReportsNotComparable
from preceptor.evaluation.compare import chance, compare, render
from preceptor.evaluation.report import CaseResult, Rate, Report


def report(*held: bool, k: int = 5, first: str = "What is case 0?") -> Report:
    """A report whose cases c0, c1, … were found or not."""
    cases = tuple(
        CaseResult(
            name=f"c{number}",
            question=first if number == 0 else f"What is case {number}?",
            chapter=None,
            language="en",
            kind="fact",
            expected_in_book=True,
            expected_sections=("a#b",),
            assertions={"found": found},
        )
        for number, found in enumerate(held)
    )
    return Report(dataset="d", began=datetime.now(UTC), k=k, thresholds={"found": 0.9}, cases=cases)


def test_the_cases_that_changed_are_named() -> None:
    (found,) = compare(report(True, True, False, False), report(True, False, True, False)).changes

    assert (found.old, found.new) == (Rate(2, 4), Rate(2, 4))
    assert found.better == ("c2",)
    assert found.worse == ("c1",)
    assert found.p == 1


def test_a_few_cases_more_or_less_are_chance_and_many_are_not() -> None:
    good, bad = [True] * 20, [True] * 20
    bad[:5] = [False] * 5
    assert not compare(report(*good), report(*bad)).regressed

    bad[:6] = [False] * 6
    assert compare(report(*good), report(*bad)).regressed
    assert not compare(report(*bad), report(*good)).regressed


@pytest.mark.parametrize(
    ("better", "worse"), [(0, 0), (1, 0), (0, 6), (6, 0), (3, 9), (5, 5), (40, 60), (2, 17)]
)
def test_chance_is_the_exact_binomial_test(better: int, worse: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="checked against scipy, which is not installed")
    exact = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0

    assert chance(better, worse) == pytest.approx(exact)


def test_cases_that_are_new_gone_or_changed_are_left_out_and_named() -> None:
    comparison = compare(
        report(True, True, True), report(True, False, True, True, first="What is another thing?")
    )

    (found,) = comparison.changes
    assert found.old.judged == 2
    assert comparison.unpaired == ("c0", "c3")


@pytest.mark.parametrize(
    "change",
    [
        {"question": "What else?"},
        {"chapter": "one"},
        {"expected_in_book": False},
        {"expected_sections": ("a#c",)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_case_that_asks_for_something_else_is_not_paired(change: dict[str, Any]) -> None:
    old = report(True, True)
    first, second = old.cases
    new = old.model_copy(update={"cases": (first.model_copy(update=change), second)})
    assert compare(old, new).unpaired == ("c0",)


def test_an_assertion_that_one_report_lacks_is_left_out_and_named() -> None:
    old, new = report(True, True), report(True, False)
    old = old.model_copy(
        update={
            "cases": tuple(
                one.model_copy(update={"assertions": {"found": True, "short": True}}) for one in old.cases
            )
        }
    )
    for comparison in (compare(old, new), compare(new, old)):
        assert [change.name for change in comparison.changes] == ["found"]
        assert comparison.unjudged == ("short",)
    screen = StringIO()
    Console(width=120, file=screen).print(render(compare(old, new)))
    assert "judged in one report only: short" in screen.getvalue()
    assert json.loads(compare(old, new).to_json())["unjudged"] == ["short"]


def test_an_assertion_is_compared_over_the_cases_that_both_judged() -> None:
    old, new = report(True, True, True), report(True, False, False)
    cases = (old.cases[0].model_copy(update={"assertions": {"cited": True}}), *old.cases[1:])
    (found,) = compare(old.model_copy(update={"cases": cases}), new).changes
    assert (found.old, found.new) == (Rate(2, 2), Rate(0, 2))


def test_reports_that_count_differently_are_not_compared() -> None:
    with pytest.raises(ReportsNotComparable, match="first 5 passages"):
        compare(report(True), report(True, k=10))
    with pytest.raises(ReportsNotComparable, match="no case in common"):
        compare(report(True), report(True, first="What is another thing?"))


def test_the_comparison_is_printed_and_written_as_json() -> None:
    comparison = compare(report(True, True, False), report(True, False, True))
    screen = StringIO()
    Console(width=120, file=screen).print(render(comparison))

    assert "67% (2/3)" in screen.getvalue()
    assert "found worse: c1" in screen.getvalue()
    assert "found better: c2" in screen.getvalue()
    assert json.loads(comparison.to_json())["changes"][0]["worse"] == ["c1"]

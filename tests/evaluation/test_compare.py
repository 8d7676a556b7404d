"""Two reports side by side."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from preceptor.cli import main
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


def test_a_report_of_another_book_is_told() -> None:
    old = report(True, False).model_copy(update={"book": "Robots", "collection": "robots"})
    new = old.model_copy(update={"book": "Gardens", "collection": "gardens"})

    assert compare(old, new).differs == ("book: Robots → Gardens", "collection: robots → gardens")
    assert compare(old, old).differs == ()


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
    assert "`found` lost by: c1" in screen.getvalue()
    assert "`found` gained by: c2" in screen.getvalue()
    assert json.loads(comparison.to_json())["changes"][0]["worse"] == ["c1"]


# The verdict


def tagged(*held: bool, german: int = 0, repeat: int = 1) -> Report:
    """A report whose first cases are German."""
    plain = report(*held)
    cases = tuple(
        case.model_copy(
            update={"language": "de" if place < german else "en", "repeat": time, "found": ("a#b",)}
        )
        for place, case in enumerate(plain.cases)
        for time in range(1, repeat + 1)
    )
    return plain.model_copy(update={"cases": cases, "thresholds": {}})


def test_the_same_run_twice_makes_no_difference_and_says_what_would_show() -> None:
    same = compare(tagged(*[True] * 10), tagged(*[True] * 10))

    assert (same.verdict, same.passed) == ("no difference", True)
    assert same.sentence == (
        "No difference: 10 cases came out as before; with 10 cases only a change of 6 in one direction (60%) would "
        "show."
    )
    assert "with 5 cases no change would show" in compare(tagged(*[True] * 5), tagged(*[True] * 5)).sentence


def test_the_verdict_names_what_got_worse_or_better() -> None:
    good, bad = tagged(*[True] * 10), tagged(*[False] * 6, *[True] * 4)

    assert compare(good, bad).sentence == (
        "Worse: `found` fell from 100% to 40% (6 cases worse, 0 better; p=0.031)."
    )
    assert compare(bad, good).verdict == "better"
    assert compare(bad, good).sentence.startswith("Better: `found` rose from 40% to 100%")
    some = compare(good, tagged(False, *[True] * 9))
    assert some.sentence.startswith("No difference can be shown; with 10 cases only a change of 6")


def test_a_loss_in_one_tag_is_seen_though_the_whole_shows_none() -> None:
    # German loses 9 of 20, English wins 9 of 20: on the whole nothing changed.
    old = tagged(*[True] * 20, *[False] * 9, *[True] * 11, german=20)
    new = tagged(*[False] * 9, *[True] * 11, *[True] * 20, german=20)

    comparison = compare(old, new)
    assert not any(change.regressed for change in comparison.changes)
    assert [change.tag for change in comparison.tags if change.regressed] == ["language de"]
    assert comparison.verdict == "worse"
    assert "`found` for language de fell from 100% to 55%" in comparison.sentence
    assert "but `found` for language en rose" in comparison.sentence


def test_tags_are_held_to_more_than_chance_among_their_number() -> None:
    # Six of six would be p=0.031 alone; there are two tags.
    old = tagged(*[True] * 20, german=10)
    new = tagged(*[False] * 6, *[True] * 4, *[False] * 0, *[True] * 10, german=10)

    (german,) = [change for change in compare(old, new).tags if change.tag == "language de"]
    assert german.p == pytest.approx(2 * chance(0, 6))
    assert not german.regressed


def test_a_fall_beyond_the_accepted_one_does_not_pass_even_where_chance_could_explain_it() -> None:
    old, new = tagged(*[True] * 20, german=4), tagged(False, *[True] * 19, german=4)

    assert compare(old, new).passed
    assert compare(old, new, no_worse_than=0.25).passed
    refused = compare(old, new, no_worse_than=0.1)
    assert not refused.passed
    assert refused.missed == (
        "`found` for language de fell from 100% to 75% (1 case worse, 0 better; p=1): more than the 10.0% that are "
        "accepted.",
    )


def test_a_tag_may_fall_by_its_own_limit() -> None:
    old, new = tagged(*[True] * 20, german=4), tagged(False, *[True] * 19, german=4)

    assert not compare(old, new, tags_no_worse_than={"language de": 0.2}).passed
    assert compare(old, new, tags_no_worse_than={"language en": 0.0}).passed
    assert compare(old, new, no_worse_than=0.05, tags_no_worse_than={"language de": 0.25}).passed
    assert not compare(old, new, tags_no_worse_than={"kind fact": 0.0}).passed, "all cases are of this kind"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ([], 0, "No difference can be shown"),
        (["--no-worse-than", "0.1"], 1, "for language de fell from 100% to 75%"),
        (["--no-worse-than", "language de=0.1"], 1, "for language de fell from 100% to 75%"),
        (["--no-worse-than", "0.1", "--no-worse-than", "language de=0.3"], 0, "No difference can be shown"),
        (["--no-worse-than", "language fr=0.1"], 2, "there are: language de, kind fact, language en"),
        (["--no-worse-than", "a little"], 2, "`a little` should be like 0.02"),
        (["--no-worse-than", "2"], 2, "from 0 to 1"),
    ],
)
def test_the_exit_code_tells_of_a_fall_that_is_not_accepted(
    options: list[str],
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = tagged(*[True] * 20, german=4), tagged(False, *[True] * 19, german=4)
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, made in zip(files, (old, new), strict=True):
        file.write_text(made.to_json(), encoding="utf-8")
    words = ["preceptor", "evaluate", "--compare", *map(str, files), *options]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == code
    assert told in out + err


def test_a_newer_report_that_misses_a_threshold_does_not_pass() -> None:
    new = tagged(*[True] * 8, False, False).model_copy(update={"thresholds": {"found": 0.9}})
    missing = compare(tagged(*[True] * 10), new)

    assert missing.verdict == "no difference"
    assert not missing.passed
    assert missing.missed == ("`found` is 80% (8 of 10), below 90%.",)


def test_a_case_that_is_asked_often_counts_once_and_moves_with_its_share() -> None:
    old, new = tagged(True, True, repeat=3), tagged(True, True, repeat=3)
    (first, *others) = new.cases
    lost = first.model_copy(update={"assertions": {"found": False}})
    (found,) = compare(old, new.model_copy(update={"cases": (lost, *others)})).changes

    assert (found.better, found.worse) == ((), ("c0",))
    assert (found.old, found.new) == (Rate(6, 6), Rate(5, 6))


def test_conditions_and_tutors_that_differ_are_told() -> None:
    old, new = tagged(True), tagged(True)
    cases = (new.cases[0].model_copy(update={"in_book": True, "provider": "offline", "model": "offline"}),)

    (told,) = compare(old, new.model_copy(update={"cases": cases})).differs
    assert told == "tutor: answered by nobody → answered by offline ×1"

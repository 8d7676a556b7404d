"""Compares two saved reports: a verdict, the cases that improved or regressed, and whether that can be chance."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from preceptor.errors import ReportsNotComparable
from preceptor.evaluation.conditions import differences
from preceptor.evaluation.report import SHARES, CaseResult, Rate, Report, answered_by, grouped, ordered, rates
from preceptor.text.number import counted

_CHANCE = 0.05
"""Significance level: a change counts as real when chance alone is less likely than this."""

Verdict = Literal["better", "worse", "no difference"]

_Results: TypeAlias = Mapping[str, Sequence[CaseResult]]
"""Results by the name of their case; several where each case is asked more than once."""


@dataclass(frozen=True, slots=True)
class Change:
    """One assertion in both reports, over their common cases."""

    name: str
    old: Rate
    new: Rate
    better: tuple[str, ...]
    """Names of the cases where the assertion holds now and did not before, or holds more often."""
    worse: tuple[str, ...]
    p: float
    """Probability of at least so lopsided a change by chance alone; see `chance`. Within a tag it is corrected for
    the number of tags (Holm), or one of twenty would seem to change in every comparison.
    """
    tag: str = ""
    """Label of the cases, as `language en`; empty: all cases."""

    @property
    def regressed(self) -> bool:
        """Whether the assertion got worse by more than chance explains."""
        return len(self.worse) > len(self.better) and self.p < _CHANCE

    @property
    def improved(self) -> bool:
        """Whether the assertion got better by more than chance explains."""
        return len(self.better) > len(self.worse) and self.p < _CHANCE

    @property
    def fall(self) -> float:
        """Fall of the share, in [-1, 1]; below 0 if it rose."""
        return self.old.share - self.new.share

    @property
    def sentence(self) -> str:
        """The change in words."""
        where = f" for {self.tag}" if self.tag else ""
        verb = "fell" if self.fall > 0 else "rose" if self.fall < 0 else "stayed"
        return (
            f"`{self.name}`{where} {verb} from {self.old.share:.0%} to {self.new.share:.0%} "
            f"({counted(len(self.worse), 'cases')} worse, {len(self.better)} better; p={self.p:.2g})"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of comparing two reports."""

    changes: tuple[Change, ...]
    unpaired: tuple[str, ...]
    """Cases left out: they are in one report only, or their question or expectation was changed."""
    unjudged: tuple[str, ...] = ()
    """Assertions left out: one of the reports has them for none of these cases."""
    tags: tuple[Change, ...] = ()
    """The assertions by label."""
    differs: tuple[str, ...] = ()
    """Conditions that differ between the runs."""
    missed: tuple[str, ...] = ()
    """Reasons beside the test for which the newer report does not pass, one sentence each."""
    paired: int = 0
    """Number of cases in both reports."""

    @property
    def regressed(self) -> bool:
        """Whether any assertion got worse by more than chance explains, for all cases or for those of a tag."""
        return any(change.regressed for change in (*self.changes, *self.tags))

    @property
    def passed(self) -> bool:
        """Whether nothing got worse, and the newer report misses nothing else."""
        return not self.regressed and not self.missed

    @property
    def verdict(self) -> Verdict:
        """The outcome in a word: worse as soon as anything is."""
        if self.regressed:
            return "worse"
        improved = any(change.improved for change in (*self.changes, *self.tags))
        return "better" if improved else "no difference"

    @property
    def sentence(self) -> str:
        """The outcome in one sentence."""
        worse = _told([change for change in (*self.changes, *self.tags) if change.regressed])
        better = _told([change for change in (*self.changes, *self.tags) if change.improved])
        if worse or better:
            told = f"Worse: {_and(worse)}" if worse else f"Better: {_and(better)}"
            return f"{told}; but {_and(better)} is better." if worse and better else f"{told}."
        if not any(change.better or change.worse for change in self.changes):
            told = f"No difference: {counted(self.paired, 'cases')} came out as before"
        else:
            told = "No difference can be shown"
        return f"{told}; {seen(self.paired)}."

    def to_json(self) -> str:
        """Returns the comparison for machines."""
        told = {
            "regressed": self.regressed,
            "passed": self.passed,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "smallest": smallest(self.paired),
        }
        return json.dumps(told | asdict(self), ensure_ascii=False, indent=2)


def compare(
    old: Report,
    new: Report,
    *,
    no_worse_than: float | None = None,
    tags_no_worse_than: Mapping[str, float] | None = None,
) -> Comparison:
    """Pair the cases of two reports.

    Args:
        old: The earlier report.
        new: The later one.
        no_worse_than: Largest acceptable fall of a share, for all cases and for each tag; None: only the test counts.
        tags_no_worse_than: Another one for the cases of a tag, by tag, as `language en`.

    Raises:
        ReportsNotComparable: They count with another k, or have no case in common.
    """
    if old.k != new.k:
        raise ReportsNotComparable(f"the old one looks at the first {old.k} passages, the new one at {new.k}")
    before, after = grouped(old.cases), grouped(new.cases)
    paired = [name for name in before if name in after and _asked(before[name]) == _asked(after[name])]
    if not paired:
        raise ReportsNotComparable("they have no case in common")
    judged = {
        name: [case for case in paired if name in _names(before[case]) and name in _names(after[case])]
        for case in paired
        for name in {**_names(before[case]), **_names(after[case])}
    }
    judged = {name: judged[name] for name in ordered(judged)}
    changes = tuple(_change(name, before, after, both) for name, both in judged.items() if both)
    tags = _by_tag(judged, before, after)
    accepted = _accepted(no_worse_than, tags_no_worse_than or {}, [after[case][0] for case in paired])
    missed = list(new.problems)
    missed += [
        f"{change.sentence}: more than the {most:.1%} that are accepted."
        for change in (*changes, *tags)
        if (most := accepted(change.tag)) is not None and change.fall > most + 1e-9
    ]
    return Comparison(
        changes=changes,
        unpaired=tuple(name for name in {**before, **after} if name not in paired),
        unjudged=tuple(name for name, both in judged.items() if not both),
        tags=tags,
        differs=tuple(_differences(old, new)),
        missed=tuple(missed),
        paired=len(paired),
    )


def _accepted(
    overall: float | None, by_tag: Mapping[str, float], cases: Sequence[CaseResult]
) -> Callable[[str], float | None]:
    """Returns a function that gives the largest acceptable fall by tag; the empty tag stands for all cases."""
    # The changes within a tag that all cases have are those of all cases, and are not told twice.
    everywhere = [most for tag, most in by_tag.items() if all(tag in case.tags for case in cases)]
    limits = [*everywhere, *([] if overall is None else [overall])]

    def accepted(tag: str) -> float | None:
        return by_tag.get(tag, overall) if tag else min(limits, default=None)

    return accepted


def chance(better: int, worse: int) -> float:
    """Exact two-sided sign test on the cases that changed (McNemar's test on paired verdicts).

    Args:
        better: Cases that hold now and did not before.
        worse: Cases that held before and do not now.

    Returns:
        Probability, in (0, 1], of at least this imbalance if better and worse were equally likely.
    """
    changed = better + worse
    fewer = sum(math.comb(changed, count) for count in range(min(better, worse) + 1))
    return min(1.0, 2 * fewer / 2**changed)


def smallest(cases: int) -> int | None:
    """Returns the fewest cases that must change, all in one direction, to rule out chance; None: there are fewer."""
    return next((changed for changed in range(1, cases + 1) if chance(0, changed) < _CHANCE), None)


def seen(cases: int) -> str:
    """Returns in words which difference could be seen with this number of cases."""
    least = smallest(cases)
    if least is None:
        return f"with {counted(cases, 'cases')} no change would show"
    return f"with {counted(cases, 'cases')} only a change of {least} in one direction ({least / cases:.0%}) would show"


def render(comparison: Comparison) -> RenderableType:
    """Renders one line for each assertion, the cases that changed, and the verdict last."""
    shown = Table("", "old", "new", "better", "worse", "by chance", box=None, header_style="bold")
    for change in comparison.changes:
        _row(shown, change.name, change)
    marked = [change for change in comparison.tags if change.regressed or change.improved]
    for change in marked:
        _row(shown, f"{change.name}, {change.tag}", change)
    lines = [
        # Not "answered worse: …", which reads as if the answers were worse.
        Text(f"`{change.name}` {verdict}: {', '.join(cases)}", style)
        for change in comparison.changes
        for verdict, cases, style in (("lost by", change.worse, "red"), ("gained by", change.better, "green"))
        if cases
    ]
    if comparison.unpaired:
        lines.append(Text(f"not in both: {', '.join(comparison.unpaired)}", "dim"))
    if comparison.unjudged:
        lines.append(Text(f"judged in one report only: {', '.join(comparison.unjudged)}", "dim"))
    lines += [Text(f"differs: {difference}", "dim") for difference in comparison.differs]
    lines += [Text(problem, "red") for problem in comparison.missed]
    style = {"worse": "bold red", "better": "bold green", "no difference": "bold"}[comparison.verdict]
    return Group(shown, *lines, Text(comparison.sentence, style))


def _row(shown: Table, name: str, change: Change) -> None:
    shown.add_row(
        name,
        *(f"{rate.share:.0%} ({rate.count})" for rate in (change.old, change.new)),
        Text(str(len(change.better)), "green"),
        Text(str(len(change.worse)), "red"),
        Text(f"p={change.p:.2g}", "bold red" if change.regressed else "default"),
    )


def _told(changes: Sequence[Change]) -> list[str]:
    """Returns the sentences of changes; a tag is told where the change is not that of all cases."""
    overall = {change.name for change in changes if not change.tag}
    return [change.sentence for change in changes if not change.tag or change.name not in overall]


def _and(sentences: Sequence[str]) -> str:
    return " and ".join(sentences)


def _asked(results: Sequence[CaseResult]) -> tuple[object, ...]:
    case = results[0]
    facts = tuple((fact.text, fact.importance) for fact in case.facts)
    return case.question, case.chapter, case.turns, case.expected_in_book, case.expected_sections, facts


def _names(results: Sequence[CaseResult]) -> dict[str, None]:
    """Returns the names of all that every result of a case is judged by, in order."""
    return {name: None for name in results[0].shares if all(name in result.shares for result in results)}


def _share(results: Sequence[CaseResult], name: str) -> float:
    return sum(result.shares[name] for result in results) / len(results)


def _change(name: str, before: _Results, after: _Results, both: Sequence[str], *, tag: str = "") -> Change:
    moved = {case: _share(after[case], name) - _share(before[case], name) for case in both}
    better = tuple(case for case, by in moved.items() if by > 1e-9)
    worse = tuple(case for case, by in moved.items() if by < -1e-9)
    return Change(
        name=name,
        old=rates(_all(before, both))[name],
        new=rates(_all(after, both))[name],
        better=better,
        worse=worse,
        p=chance(len(better), len(worse)),
        tag=tag,
    )


def _all(results: _Results, cases: Iterable[str]) -> Iterable[CaseResult]:
    return (result for case in cases for result in results[case])


def _by_tag(judged: Mapping[str, Sequence[str]], before: _Results, after: _Results) -> tuple[Change, ...]:
    """Compares within each tag; the probabilities are corrected for their number, by Holm's method."""
    found = [
        _change(name, before, after, tagged, tag=tag)
        for name, both in judged.items()
        for tag in sorted({tag for case in both for tag in after[case][0].tags})
        if 0 < len(tagged := [case for case in both if tag in after[case][0].tags]) < len(both)
    ]
    # Shares apart from assertions: that they are judged, too, must not hide a loss of `cited` in a language.
    apart = [[one for one in found if (one.name in SHARES) is are_shares] for are_shares in (False, True)]
    return tuple(change for changes in apart for change in _corrected(changes))


def _corrected(changes: Sequence[Change]) -> Iterator[Change]:
    least = 0.0
    corrected: dict[int, float] = {}
    for place, number in enumerate(sorted(range(len(changes)), key=lambda number: changes[number].p)):
        least = max(least, min(1.0, changes[number].p * (len(changes) - place)))
        corrected[number] = least
    return (replace(change, p=corrected[number]) for number, change in enumerate(changes))


def _differences(old: Report, new: Report) -> Iterable[str]:
    for name in ("book", "collection"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name}: {before or 'unknown'} → {after or 'unknown'}"
    if old.conditions or new.conditions:
        yield from differences(old.conditions, new.conditions)
    if old.judge != new.judge:
        yield f"judge: {old.judge or 'none'} → {new.judge or 'none'}"
    before, after = ({(case.provider, case.model) for case in report.cases} for report in (old, new))
    if before != after:
        yield f"tutor: {answered_by(old)} → {answered_by(new)}"

"""Compares two saved reports: the cases that improved or regressed, and whether that can be chance."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from preceptor.errors import ReportsNotComparable
from preceptor.evaluation.report import CaseResult, Rate, Report, rates

_CHANCE = 0.05
"""Significance level: a change counts as real when chance alone is less likely than this."""


@dataclass(frozen=True, slots=True)
class Change:
    """One assertion in both reports, over their common cases."""

    name: str
    old: Rate
    new: Rate
    better: tuple[str, ...]
    """Names of the cases where the assertion holds now and did not before."""
    worse: tuple[str, ...]
    p: float
    """Probability of at least so lopsided a change by chance alone; see `chance`."""

    @property
    def regressed(self) -> bool:
        """Whether the assertion got worse by more than chance explains."""
        return len(self.worse) > len(self.better) and self.p < _CHANCE


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of comparing two reports."""

    changes: tuple[Change, ...]
    unpaired: tuple[str, ...]
    """Cases left out: they are in one report only, or their question or expectation was changed."""
    unjudged: tuple[str, ...] = ()
    """Assertions left out: one of the reports has them for none of these cases."""

    @property
    def regressed(self) -> bool:
        """Whether any assertion got worse by more than chance explains."""
        return any(change.regressed for change in self.changes)

    def to_json(self) -> str:
        """Returns the comparison for machines."""
        return json.dumps({"regressed": self.regressed} | asdict(self), ensure_ascii=False, indent=2)


def compare(old: Report, new: Report) -> Comparison:
    """Pair the cases of two reports.

    Raises:
        ReportsNotComparable: They count with another k, or have no case in common.
    """
    if old.k != new.k:
        raise ReportsNotComparable(f"the old one looks at the first {old.k} passages, the new one at {new.k}")
    before = {case.name: case for case in old.cases}
    after = {case.name: case for case in new.cases}
    paired = [name for name in before if name in after and _asked(before[name]) == _asked(after[name])]
    if not paired:
        raise ReportsNotComparable("they have no case in common")
    judged = {
        name: [case for case in paired if name in before[case].assertions and name in after[case].assertions]
        for case in paired
        for name in before[case].assertions | after[case].assertions
    }
    return Comparison(
        changes=tuple(_change(name, before, after, both) for name, both in judged.items() if both),
        unpaired=tuple(name for name in before | after if name not in paired),
        unjudged=tuple(name for name, both in judged.items() if not both),
    )


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


def render(comparison: Comparison) -> RenderableType:
    """Renders one line for each assertion, then the cases that changed."""
    shown = Table("", "old", "new", "better", "worse", "by chance", box=None, header_style="bold")
    for change in comparison.changes:
        shown.add_row(
            change.name,
            *(f"{rate.share:.0%} ({rate.held}/{rate.judged})" for rate in (change.old, change.new)),
            Text(str(len(change.better)), "green"),
            Text(str(len(change.worse)), "red"),
            Text(f"p={change.p:.2g}", "bold red" if change.regressed else "default"),
        )
    lines = [
        Text(f"{change.name} {verdict}: {', '.join(cases)}", style)
        for change in comparison.changes
        for verdict, cases, style in (("worse", change.worse, "red"), ("better", change.better, "green"))
        if cases
    ]
    if comparison.unpaired:
        lines.append(Text(f"not in both: {', '.join(comparison.unpaired)}", "dim"))
    if comparison.unjudged:
        lines.append(Text(f"judged in one report only: {', '.join(comparison.unjudged)}", "dim"))
    return Group(shown, *lines)


def _asked(case: CaseResult) -> tuple[object, ...]:
    return case.question, case.chapter, case.expected_in_book, case.expected_sections


def _change(
    name: str, before: Mapping[str, CaseResult], after: Mapping[str, CaseResult], both: list[str]
) -> Change:
    held = {case: (before[case].assertions[name], after[case].assertions[name]) for case in both}
    better = tuple(case for case, (then, now) in held.items() if now and not then)
    worse = tuple(case for case, (then, now) in held.items() if then and not now)
    return Change(
        name=name,
        old=rates(before[case] for case in both)[name],
        new=rates(after[case] for case in both)[name],
        better=better,
        worse=worse,
        p=chance(len(better), len(worse)),
    )

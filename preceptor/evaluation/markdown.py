"""A report as Markdown, for the summary of a CI run or a comment on a pull request."""

import re

from preceptor.evaluation.report import (
    Rate,
    Report,
    answered_by,
    came,
    every_time,
    explained,
    grouped,
    heading,
    judged,
    rates,
    unsupported_in,
)
from preceptor.text.number import counted

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#@])")
"""Characters that Markdown or GitHub (`@name`) would read as something else than text."""
_MOST = 20
"""Failing cases that are named: a comment is no report."""


def to_markdown(report: Report) -> str:
    """Returns the report as Markdown."""
    names = list(rates(report.cases))
    mark = "passed" if report.passed else "**did not pass**"
    lines = [
        f"### {_plain(report.dataset)}: {mark}",
        "",
        *(f"- {problem}" for problem in report.problems),
        *(f"- {note}" for note in report.notes),
        "",
        f"| | {' | '.join(heading(name, report.k) for name in names)} |",
        f"|---|{'---:|' * len(names)}",
        _row("all", rates(report.cases), names),
    ]
    if report.repeats > 1:
        lines.append(_row(f"pass^{report.repeats}", every_time(report.cases), names))
    for label in ("language", "kind"):
        for value, found in report.by(lambda case, label=label: str(getattr(case, label))).items():
            lines.append(_row(f"{label} {_plain(value)}", found, names))
    lines += ["", _plain(answered_by(report)), "", _plain(unsupported_in(report)), ""]
    lines += [*(f"- {_plain(line)}" for line in judged(report)), ""]
    failing = {name: results for name, results in grouped(report.cases).items() if explained(results)}
    if failing:
        lines += [f"<details><summary>{counted(len(failing), 'cases')} missed something</summary>", ""]
        for name, results in list(failing.items())[:_MOST]:
            first = next(result for result in results if result.missed)
            lines += [
                f"- **{_plain(name)}**: {_plain(explained(results))}",
                f"  <br>{_plain(first.question)}",
                f"  <br>{_plain(came(first))}",
            ]
        if len(failing) > _MOST:
            lines.append(f"- and {len(failing) - _MOST} more")
        lines += ["", "</details>", ""]
    return "\n".join(lines)


def _row(name: str, found: dict[str, Rate], names: list[str]) -> str:
    cells = (f"{rate.share:.0%} ({rate.count})" if (rate := found.get(name)) else "–" for name in names)
    return f"| {name} | {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))

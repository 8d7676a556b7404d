"""The gap report as HTML: one file that needs nothing else, or a page of the service; what readers wrote is escaped."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from html import escape

from preceptor.evaluation.gaps import Day, Gap, GapReport, Nearest
from preceptor.evaluation.page import document
from preceptor.evaluation.plot import Series, by_day
from preceptor.text.number import counted


def gaps_to_html(report: GapReport) -> str:
    """Returns the gap report as one file."""
    return document(report.title, gaps_body(report))


def gaps_body(report: GapReport) -> str:
    """Returns the content of the page, without styles and scripts; those of its plots are `plot.STYLE`."""
    told = f"{report.unanswered} not answered by the book, {report.weak} answered weakly"
    body = [
        f"<h1>{escape(report.title)}</h1>",
        f"<p>{counted(report.runs, 'runs')}: {told}.</p>",
        "<h2>Asked and not answered</h2>",
        *(_gap(gap) for gap in report.gaps),
        "" if report.gaps else "<p>Nothing that was asked more than once or twice.</p>",
        f"<p>Further questions of this kind, asked too seldom: {report.seldom}.</p>" if report.seldom else "",
        "<h2>Chapters that no answer cited</h2>",
        _list(f"<code>{escape(chapter)}</code>" for chapter in report.never_cited),
        "<h2>Sections cited in answers that readers disliked</h2>",
        _list(
            f"<code>{escape(one.section)}</code>: {one.disliked} disliked, {one.liked} liked"
            for one in report.disliked
        ),
        "<h2>Day by day</h2>",
        _plots(report.days),
        _days(report.days),
    ]
    return "\n".join(filter(None, body))


def _gap(gap: Gap) -> str:
    asked = f"asked {counted(gap.asked, 'times')}, {gap.unanswered} not answered, {gap.weak} answered weakly"
    questions = "".join(f'<li dir="auto">{escape(question)}</li>' for question in gap.questions)
    return (
        f'<section><details><summary><strong dir="auto">{escape(gap.question)}</strong>: {asked}</summary>'
        f"<ul>{questions}</ul><p>Nearest in the book:</p>{_list(map(_nearest, gap.nearest))}</details></section>"
    )


def _nearest(near: Nearest) -> str:
    name = escape(near.heading)
    # A path without a host leads nowhere from a file, and `javascript:` somewhere else.
    if not near.url.startswith(("https://", "http://")):
        return f"{name} (<code>{escape(near.section)}</code>)"
    return f'<a rel="noopener noreferrer" href="{escape(near.url)}">{name}</a>'


def _list(items: Iterable[str]) -> str:
    return (
        f"<ul>{listed}</ul>" if (listed := "".join(f"<li>{item}</li>" for item in items)) else "<p>None.</p>"
    )


def _plots(days: Sequence[Day]) -> str:
    if not days:
        return ""
    known = {date.fromisoformat(day.day): day for day in days}
    first, last = min(known), max(known)
    # A day without a run has a place, too, or two weeks would look like two days.
    every = [first + timedelta(place) for place in range((last - first).days + 1)]

    def plot(title: str, unit: str, **values: Callable[[Day], float | None]) -> str:
        series = [
            Series(name.replace("_", " "), [value(known[day]) if day in known else None for day in every])
            for name, value in values.items()
        ]
        return by_day([day.isoformat() for day in every], series, title=title, unit=unit)

    return (
        plot("Latency", "seconds", median=lambda day: day.median_seconds, p95=lambda day: day.p95_seconds)
        + plot("Cost", "US dollars", cost=lambda day: day.cost)
        + plot("Failovers", "runs", fell_over=lambda day: day.failovers)
        + plot("Runs", "runs", runs=lambda day: day.runs, not_answered=lambda day: day.unanswered)
    )


def _days(days: Sequence[Day]) -> str:
    if not days:
        return "<p>There were no runs.</p>"
    heads = ("day", "runs", "not answered", "median s", "p95 s", "failovers", "$")
    rows = "".join(
        f"<tr><td>{day.day}</td>"
        + "".join(
            f"<td>{'–' if value is None else f'{value:g}'}</td>"
            for value in (
                day.runs,
                day.unanswered,
                day.median_seconds,
                day.p95_seconds,
                day.failovers,
                day.cost,
            )
        )
        + "</tr>"
        for day in days
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

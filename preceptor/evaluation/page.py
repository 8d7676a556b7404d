"""A report as one HTML file that needs nothing else: rates, cost, and each case that failed with the reason."""

from collections.abc import Iterator, Sequence
from html import escape

from preceptor.evaluation.plot import STYLE as PLOTS
from preceptor.evaluation.plot import Point, scatter
from preceptor.evaluation.report import (
    CaseResult,
    Rate,
    Report,
    answered_by,
    called_bad,
    came,
    every_time,
    explained,
    grouped,
    heading,
    opinions,
    rates,
)
from preceptor.text.number import counted

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884 }
th:first-child, td:first-child { text-align: left }
.low { color: #c62828; font-weight: 600 } .ok { color: #2e7d32 }
@media (prefers-color-scheme: dark) { .low { color: #ff8a80 } .ok { color: #81c784 } }
details { border-bottom: 1px solid #8884; padding: .4rem 0 } summary { cursor: pointer }
blockquote { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 .5rem 1rem }
dt { font-weight: 600 } dd { overflow-wrap: anywhere }
"""


def to_html(report: Report, *, traces: str = "") -> str:
    """Returns the report as a page.

    Args:
        report: The report.
        traces: Address below which a run is shown by its trace id; empty: the id alone is told.
    """
    failing = [results for results in grouped(report.cases).values() if explained(results)]
    made = report.conditions
    body = [
        f"<h1>{escape(report.dataset)}: {'passed' if report.passed else 'did not pass'}</h1>",
        f"<p>{counted(len(grouped(report.cases)), 'cases')}, {report.began:%Y-%m-%d %H:%M} UTC"
        + (
            f", asked of {escape(report.book)} in <code>{escape(report.collection)}</code>"
            if report.book
            else ""
        )
        + f"; {escape(answered_by(report))}</p>",
        _list(report.problems, "low"),
        _list(report.notes, ""),
        _rates(report),
        "<h2>Score and cost</h2>",
        _plot(report),
        _tutors(report),
        f"<h2>{counted(len(failing), 'cases')} missed something</h2>",
        *(_failing(results, traces) for results in failing),
        *_citing(report.cases, traces),
        *_judged(report, traces),
    ]
    if made is not None:
        told = made.model_dump(mode="json")
        told |= told.pop("packages")
        rows = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in told.items()
        )
        body.append(f"<h2>Conditions</h2><dl>{rows}</dl>")
    return document(report.dataset, "\n".join(filter(None, body)))


def document(title: str, body: str) -> str:
    """Returns a page that loads nothing and runs nothing.

    Args:
        title: Its title, as text.
        body: Its content, as HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}{PLOTS}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )  # fmt: skip


def _list(sentences: Sequence[str], style: str) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="{style}">{items}</ul>' if items else ""


def _rates(report: Report) -> str:
    overall = rates(report.cases)
    head = "".join(f"<th>{escape(heading(name, report.k))}</th>" for name in overall)
    rows = [("all", overall)]
    if report.repeats > 1:
        rows.append((f"pass^{report.repeats}", every_time(report.cases)))
    rows += [(f"language {value}", found) for value, found in report.by(lambda case: case.language).items()]
    rows += [(f"kind {value}", found) for value, found in report.by(lambda case: case.kind).items()]
    lines = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(_cell(found.get(column), limits.get(column)) for column in overall)
        + "</tr>"
        for name, found in rows
        for limits in [report.thresholds | report.limits(name)]
    )
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(rate: Rate | None, least: float | None) -> str:
    if rate is None:
        return "<td>–</td>"
    style = "" if least is None else ' class="low"' if rate.share < least else ' class="ok"'
    return f"<td{style}>{rate.share:.0%} ({rate.count})</td>"


def _plot(report: Report) -> str:
    """Returns the plot of score against cost, as far as prices are known."""
    found = [(*one, False) for one in _by_tutor(report)] + [(*one, True) for one in _by_tag(report)]
    points = [
        Point(name, price, _score(cases), minor)
        for name, cases, minor in found
        if (price := _price(cases)) is not None
    ]
    if not points:
        return "<p>No price is known, so that score and cost cannot be plotted.</p>"
    told = "Each tutor, and in grey the cases of each language and kind: point at one to read its name."
    plot = scatter(points, title="Score against cost", x=_DOLLARS, y="of the answers hold in all")
    return f"{plot}<p><small>{told}</small></p>"


_DOLLARS = "$ per 100 answers"


def _tutors(report: Report) -> str:
    """Returns a row for each tutor that answered, and for each tag: its score beside its price and its time."""
    found = [*_by_tutor(report), *_by_tag(report)]
    rows = "".join(_row(name, cases) for name, cases in found)
    head = "".join(f"<th>{name}</th>" for name in ("", "answers", "all held", _DOLLARS, "seconds"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _by_tutor(report: Report) -> list[tuple[str, list[CaseResult]]]:
    found: dict[str, list[CaseResult]] = {}
    for case in _answered(report):
        name = " ".join(filter(None, dict.fromkeys([case.provider, case.model]))) or "not told"
        found.setdefault(name, []).append(case)
    return list(found.items())


def _by_tag(report: Report) -> list[tuple[str, list[CaseResult]]]:
    found: dict[str, list[CaseResult]] = {}
    for case in _answered(report):
        for tag in case.tags:
            found.setdefault(tag, []).append(case)
    return sorted(found.items())


def _answered(report: Report) -> list[CaseResult]:
    return [case for case in report.cases if case.in_book is not None]


def _price(cases: Sequence[CaseResult]) -> float | None:
    """Returns the US dollars of a hundred answers; None where one of these has no known price."""
    costs = [case.cost for case in cases if case.cost is not None]
    return 100 * sum(costs) / len(costs) if len(costs) == len(cases) else None


def _score(cases: Sequence[CaseResult]) -> float:
    """Returns the share of the answers for which every assertion holds."""
    return sum(not case.missed for case in cases) / len(cases)


def _row(name: str, cases: Sequence[CaseResult]) -> str:
    price = _price(cases)
    seconds = sorted(case.seconds for case in cases if case.seconds is not None)
    cost = "not known" if price is None else f"{price:.3f}"
    median = f"{seconds[len(seconds) // 2]:.1f}" if seconds else "–"
    return (
        f"<tr><td>{escape(name)}</td><td>{len(cases)}</td><td>{_score(cases):.0%}</td><td>{cost}</td>"
        f"<td>{median}</td></tr>"
    )


def _failing(results: Sequence[CaseResult], traces: str) -> str:
    missed = [result for result in results if result.missed]
    parts = [
        f"<p>{escape(came(result))}</p>"
        + (f'<blockquote dir="auto">{escape(result.answer)}</blockquote>' if result.answer else "")
        + _trace(result.trace_id, traces)
        for result in missed
    ]
    first = missed[0]
    return (
        f"<details><summary><strong>{escape(first.name)}</strong>: {escape(explained(results))}</summary>"
        f'<p dir="auto">{escape(first.question)}</p>{"".join(parts)}</details>'
    )


def _citing(cases: Sequence[CaseResult], traces: str) -> Iterator[str]:
    """Yields the answers whose citations are not all that they should be."""
    wanting = [case for case in cases if case.unsupported or case.needless]
    if wanting:
        yield f"<h2>{counted(len(wanting), 'answers')} with statements unsupported, or citations not needed</h2>"
    for case in wanting:
        statements = "".join(f'<li dir="auto">not supported: {escape(one)}</li>' for one in case.unsupported)
        citations = "".join(f'<li dir="auto">not needed: {escape(one)}</li>' for one in case.needless)
        yield (
            f"<details><summary><strong>{escape(case.name)}</strong>: {len(case.unsupported)} unsupported, "
            f'{len(case.needless)} not needed</summary><p dir="auto">{escape(case.question)}</p>'
            f"<ul>{statements}{citations}</ul>{_trace(case.trace_id, traces)}</details>"
        )


def _judged(report: Report, traces: str) -> Iterator[str]:
    """Yields what a judge and a person say, and the answers that the judge calls bad."""
    lines = opinions(report)
    if not lines:
        return
    yield f"<h2>Judged by a person and by a model</h2>{_list([*lines, 'Neither fails a run.'], '')}"
    for case, reason in called_bad(report):
        yield (
            f"<details><summary><strong>{escape(case.name)}</strong>: bad: {escape(reason)}</summary>"
            f'<p dir="auto">{escape(case.question)}</p><blockquote dir="auto">{escape(case.answer or "")}</blockquote>'
            f"{_trace(case.trace_id, traces)}</details>"
        )


def _trace(trace_id: str | None, traces: str) -> str:
    if not trace_id:
        return ""
    if not traces:
        return f"<p><code>preceptor traces {escape(trace_id)}</code></p>"
    return f'<p><a href="{escape(traces)}/{escape(trace_id)}">{escape(trace_id)}</a></p>'

"""A report as one HTML file that needs nothing else: rates, cost, and each case that failed with the reason."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from preceptor.evaluation.report import (
    CaseResult,
    Rate,
    Report,
    answered_by,
    came,
    every_time,
    explained,
    grouped,
    heading,
    rates,
)
from preceptor.text.number import counted

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884 }
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
        f"<p>{len(grouped(report.cases))} cases, {report.began:%Y-%m-%d %H:%M} UTC"
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
        _tutors(report.cases),
        f"<h2>{len(failing)} cases missed something</h2>",
        *(_failing(results, traces) for results in failing),
        *_citing(report.cases, traces),
    ]
    if made is not None:
        told = made.model_dump(mode="json")
        told |= told.pop("packages")
        rows = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in told.items()
        )
        body.append(f"<h2>Conditions</h2><dl>{rows}</dl>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(report.dataset)}</title><style>{_STYLE}</style></head><body><main>\n"
        + "\n".join(filter(None, body))
        + "\n</main></body></html>\n"
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


def _tutors(cases: Iterable[CaseResult]) -> str:
    """Returns a row for each tutor that answered: its score beside its price and its time."""
    tutors: dict[str, list[CaseResult]] = {}
    for case in cases:
        if case.in_book is not None:
            tutors.setdefault(" ".join(filter(None, dict.fromkeys([case.provider, case.model]))), []).append(
                case
            )
    rows = "".join(_tutor(name or "not told", answered) for name, answered in tutors.items())
    head = "".join(f"<th>{name}</th>" for name in ("", "answers", "all held", "$ per 100 answers", "seconds"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _tutor(name: str, cases: Sequence[CaseResult]) -> str:
    costs = [case.cost for case in cases if case.cost is not None]
    seconds = sorted(case.seconds for case in cases if case.seconds is not None)
    held = sum(not case.missed for case in cases)
    price = f"{100 * sum(costs) / len(costs):.3f}" if len(costs) == len(cases) else "not known"
    median = f"{seconds[len(seconds) // 2]:.1f}" if seconds else "–"
    return (
        f"<tr><td>{escape(name)}</td><td>{len(cases)}</td><td>{held / len(cases):.0%}</td><td>{price}</td>"
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


def _trace(trace_id: str | None, traces: str) -> str:
    if not trace_id:
        return ""
    if not traces:
        return f"<p><code>preceptor traces {escape(trace_id)}</code></p>"
    return f'<p><a href="{escape(traces)}/{escape(trace_id)}">{escape(trace_id)}</a></p>'

"""The page on which a person labels answers, one by one; what others wrote is escaped, and no script is inline.

The judge's verdict is not on the page before the label is given: a person who has read it agrees with it too often.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from preceptor.evaluation.interval import LEAST_LABELS
from preceptor.evaluation.labels import Labels
from preceptor.evaluation.report import CaseResult, Report, judged

STYLE = Path(__file__).parent / "label.css"
SCRIPT = Path(__file__).parent / "label.js"
LONGEST_REASON = 2000
"""Characters of a person's reason."""


def to_label(
    report: Report, sample: Sequence[CaseResult], labels: Labels, case: CaseResult, after: str
) -> str:
    """Returns the page of an answer.

    Args:
        report: The report with the answer.
        sample: All answers, in the order in which they are labelled.
        labels: Labels so far.
        case: The answer.
        after: Name of the case that was labelled just now; empty: none.
    """
    done = sum(labels.of(one) is not None for one in sample)
    label = labels.of(case)
    earlier = "".join(f'<li dir="auto">{escape(turn)}</li>' for turn in case.turns)
    body = [
        _revealed(sample, labels, after),
        f"<p>{_told(done, len(sample))}</p><progress value={done} max={len(sample)}></progress>",
        f"<ol class=turns>{earlier}</ol>" if earlier else "",
        f'<h1 dir="auto">{escape(case.question)}</h1>',
        f'<div class=text dir="auto">{escape(case.answer or "")}</div>',
        _form(case, labels),
        f"<p class=now>Your label: {label.verdict}. {_by_judge(case)}</p>" if label else "",
        _expected(case),
        _passages(case),
    ]
    return _document(report, "".join(body))


def all_labelled(report: Report, sample: Sequence[CaseResult], labels: Labels, after: str) -> str:
    """Returns the page that is shown when every answer has a label: what the labels say."""
    told = "".join(f"<li>{escape(line)}</li>" for line in judged(labels.written_into(report)))
    return _document(
        report, f"{_revealed(sample, labels, after)}<h1>Every answer has a label</h1><ul>{told}</ul>"
    )


def _told(done: int, of: int) -> str:
    if done < min(LEAST_LABELS, of):
        return f"{done} of {of} answers have a label; an interval needs {LEAST_LABELS}."
    return f"{done} of {of} answers have a label: stop when you like."


def _form(case: CaseResult, labels: Labels) -> str:
    label = labels.of(case)
    why = escape(label.why) if label else ""
    return (
        f'<form method=post action="/label"><input type=hidden name=case value="{escape(case.name)}">'
        "<button name=verdict value=good aria-keyshortcuts=g>Good <kbd>g</kbd></button>"
        "<button name=verdict value=bad aria-keyshortcuts=b>Bad <kbd>b</kbd></button>"
        "<label>Why, if you like <kbd>w</kbd> "
        f"<textarea id=why name=why rows=2 maxlength={LONGEST_REASON} dir=auto>{why}</textarea></label></form>"
    )


def _revealed(sample: Sequence[CaseResult], labels: Labels, after: str) -> str:
    """Returns what the person and the judge said of the answer before."""
    case = next((case for case in sample if case.name == after), None)
    label = case and labels.of(case)
    if case is None or label is None:
        return ""
    return (
        f"<p class=before role=status><b dir=auto>{escape(case.name)}</b>: you said {label.verdict}. {_by_judge(case)} "
        f'<a rel=prev href="/?case={escape(quote(case.name, safe=""))}">Back to it <kbd>u</kbd></a></p>'
    )


def _by_judge(case: CaseResult) -> str:
    if case.judge is None:
        return ""
    if case.judge.good is None:
        return f"The judge did not judge it ({escape(case.judge.reason)})."
    return f"The judge says {'good' if case.judge.good else 'bad'}: <span dir=auto>{escape(case.judge.reason)}</span>"


def _expected(case: CaseResult) -> str:
    if not case.expected_in_book:
        told = "<p>The case says that the book does not cover this: a good answer declines.</p>"
    else:
        sections = ", ".join(f"<code>{escape(section)}</code>" for section in case.expected_sections)
        told = f"<p>The case says that the book answers this, in {sections}.</p>"
    facts = "".join(
        f'<li dir="auto">{escape(fact.text)}{"" if fact.importance == "vital" else " (may be left out)"}</li>'
        for fact in case.facts
    )
    return f"<section><h2>What the case expects</h2>{told}{f'<ul>{facts}</ul>' if facts else ''}</section>"


def _passages(case: CaseResult) -> str:
    passages = "".join(
        f"<li value={source.number}><code>{escape(source.section)}</code>"
        f'<div class=text dir="auto">{escape(source.text)}</div></li>'
        for source in case.sources
    )
    return f"<section><h2>What it cites</h2><ol>{passages}</ol></section>" if passages else ""


def _document(report: Report, body: str) -> str:
    return (
        '<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, '
        f'initial-scale=1"><title>Label {escape(report.dataset)}</title><link rel=stylesheet href="/label.css">'
        f'<script defer src="/label.js"></script></head><body><main>{body}</main></body></html>\n'
    )

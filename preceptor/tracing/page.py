"""Runs as HTML: the list, one run as a waterfall, two runs side by side; on the server's pages and in a shared file.

Everything that a reader, the book or a model wrote is escaped here, in `_text`, and nowhere else. There is no inline
style and no script, so that a strict Content-Security-Policy holds; bars are SVG.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from preceptor.tracing.diff import Difference, first_difference, step_line
from preceptor.tracing.filters import Filters
from preceptor.tracing.run import RecordedRun, RunSummary, Span, span_tokens, state
from preceptor.tracing.tape import Shown, Step, Tape

STYLE = Path(__file__).parent / "page.css"
_LARGEST_FILE = 300_000
"""Largest shared file, in bytes."""
_LONGEST_TEXT = 20_000
"""Characters of one text on a page."""
_RATINGS = {1: "👍", -1: "👎"}
_KINDS = {"generation": "model", "response": "model", "function": "tool", "custom": "event"}


@dataclass(frozen=True, slots=True)
class Page:
    """How runs are rendered."""

    base: str = ""
    """Path of the pages; empty in a file, which has no links to other runs."""
    redact: Callable[[str], str] = str
    """Removes secrets from text once more: those of today's settings."""
    longest: int = _LONGEST_TEXT
    most: int = 1_000_000
    """Largest number of steps, and of messages or passages in one of them."""
    longest_run: float = 0.0
    """Longest time that a run may take, in seconds; one that has taken longer without an end is lost."""

    def list(self, runs: Sequence[RunSummary], filters: Filters, form: Mapping[str, str], limit: int) -> str:
        """Renders the list of runs with its filters."""
        rows = (
            "".join(self._row(run) for run in runs)
            or '<tr><td colspan="7">No run meets these conditions.</td></tr>'
        )
        older = ""
        if len(runs) == limit:
            query = urlencode({**form, "before": runs[-1].trace_id})
            older = f'<p><a rel="next" href="?{escape(query)}">Older runs</a></p>'
        return (
            f"{self._filters(form)}<table class=runs{self._again(runs)}><thead><tr><th>When<th>Took<th>Tutor<th>Tokens"
            f"<th>Cost<th>Question<th>Marks</thead><tbody>{rows}</tbody></table>{older}"
        )

    def run(self, run: RecordedRun, tape: Tape | None) -> str:
        """Renders one run."""
        known = run.summary
        total = max([(known.seconds or 0) * 1000, *(span.at + (span.ms or 0) for span in run.spans), 1.0])
        shown = _Steps(tape)
        text = self._text(run.facts.get("answer") or "–")
        answer = (tape.answer if tape else None) or {}
        return "".join(
            [
                self._head(run),
                self._unfinished(known),
                f"<section class=answer><h2>Answer</h2><div dir=auto class=text>{text}</div>"
                f"{self._sources(answer.get('sources', ()))}</section>",
                self._actions(known) if self.base else "",
                "<section><h2>Steps</h2><ol class=steps>",
                *(self._span(span, total, known.first_token, shown) for span in _first(run.spans, self.most)),
                "</ol></section>",
                f"<section><details><summary>Tape</summary>{self._tape(tape, None)}</details></section>"
                if tape
                else "",
                f"<section><h2>All facts</h2>{self._json(run.facts)}</section>",
            ]
        )

    def compare(self, runs: Sequence[RecordedRun], tapes: Sequence[Tape | None]) -> str:
        """Renders two runs side by side, the first difference on top."""
        before, after = tapes
        if before and after:
            found = first_difference(before, after)
            told = self._difference(found)
        else:
            found, told = (
                None,
                "<p class=difference>One of them has no tape, so that steps cannot be compared.</p>",
            )
        columns = "".join(
            f"<div>{self._head(run)}<div dir=auto class=text>{self._text(run.facts.get('answer') or '–')}</div>"
            f"{self._tape(tape, found.step if found else None)}</div>"
            for run, tape in zip(runs, tapes, strict=True)
        )
        return f"{told}<div class=columns>{columns}</div>"

    def follows(self, runs: Sequence[RunSummary]) -> bool:
        """Whether one of the runs goes on, so that the page has to be loaded again."""
        return any(state(run, self.longest_run) == "running" for run in runs)

    def _again(self, runs: Sequence[RunSummary]) -> str:
        return " data-again" if self.follows(runs) else ""

    def _unfinished(self, known: RunSummary) -> str:
        now = state(known, self.longest_run)
        return f"<p class={now}{self._again([known])}>{_UNFINISHED[now]}</p>" if now in _UNFINISHED else ""

    def _took(self, run: RunSummary) -> str:
        now = state(run, self.longest_run)
        return f"<span class={now}>{now}</span>" if now in _UNFINISHED else took(_ms(run))

    def _difference(self, found: Difference | None) -> str:
        if found is None:
            return "<p class=difference>The runs are the same in all steps.</p>"
        where = f"step {found.step}" if found.step else "what was asked"
        return (
            f"<p class=difference>The first difference is at {where}: <strong>{escape(found.what)}</strong></p>"
            f"<table class=pair><tr><td><del>{self._text(found.before)}</del>"
            f"<td><ins>{self._text(found.after)}</ins></table>"
        )

    # Parts of the list.

    def _row(self, run: RunSummary) -> str:
        bad = [run.error] if run.error else []
        if run.in_book is False:
            bad.append("not answered")
        told = "".join(
            self._mark("warn", f"{left.get('from')}: {left.get('reason')}") for left in run.failover
        )
        told += "".join(self._mark("bad", text) for text in bad) + _RATINGS.get(run.rating or 0, "")
        told += self._mark(run.verdict, run.verdict) if run.verdict else ""
        return (
            f"<tr><td><time datetime={run.started.isoformat()}>{run.started.astimezone():%m-%d %H:%M:%S}</time>"
            f"<td class=n>{self._took(run)}<td>{self._text(run.provider or '–')}"
            f"<td class=n>{run.tokens.input + run.tokens.output or '–'}<td class=n>{_usd(run.cost)}"
            f'<td dir=auto><a href="{self._address(run.trace_id)}">{self._text(run.question or run.trace_id, 160)}</a>'
            f"<td>{told}</tr>"
        )

    def _mark(self, kind: str, text: str) -> str:
        return f'<span class="{escape(kind)}">{self._text(text)}</span> '

    def _filters(self, form: Mapping[str, str]) -> str:
        boxes = "".join(
            f"<label><input type=checkbox name={name} value=1{' checked' if form.get(name) else ''}> {label}</label>"
            for name, label in _BOXES
        )
        fields = "".join(
            f'<label>{label} <input name={name} value="{escape(form.get(name, ""))}" {more}></label>'
            for name, label, more in _FIELDS
        )
        return (
            f"<form class=filters method=get role=search><input type=search name=search id=search accesskey=s "
            f'aria-label="Search questions, answers and passages" placeholder="Search questions, answers and passages" '
            f'value="{escape(form.get("search", ""))}">'
            f"<fieldset><legend>Only runs that</legend>{boxes}</fieldset><fieldset>{fields}</fieldset>"
            f'<button>Show</button> <a href="{self.base}">All runs</a></form>'
        )

    # Parts of a run.

    def _head(self, run: RecordedRun) -> str:
        known = run.summary
        cost = _usd(known.cost) + (f" ({self._text(known.prices)})" if known.prices else "")
        facts: list[tuple[str, str]] = [
            ("Run", self._link(known.trace_id)),
            ("Asked", f"{known.started.astimezone():%Y-%m-%d %H:%M:%S %Z}"),
            ("Took", self._took(known)),
            ("First token", took(known.first_token) if known.first_token else "–"),
            ("Tutor", self._text(f"{known.provider or 'nobody'} {known.model or ''}")),
            ("From the book", {True: "yes", False: "no", None: "–"}[known.in_book]),
            ("Confidence", "–" if known.confidence is None else f"{known.confidence:.2f}"),
            ("Tokens", f"{known.tokens.input} in, {known.tokens.output} out"),
            ("Cost", cost),
        ]
        facts.extend(
            ("Left", self._mark("warn", f"{left.get('from')}: {left.get('reason')}"))
            for left in known.failover
        )
        if known.error:
            facts.append(("Error", self._mark("bad", known.error)))
        if known.rating:
            facts.append(("Reader", f"{_RATINGS[known.rating]} {self._text(known.comment or '')}"))
        if known.verdict:
            mark = self._mark(known.verdict, known.verdict)
            facts.append(("Marked", f"{mark} {self._text(known.why or '')}"))
        if known.session_id and self.base:
            href = f"{self.base}?{urlencode({'session': known.session_id})}"
            facts.append(("Conversation", f'<a href="{escape(href)}">{self._text(known.session_id)}</a>'))
        listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
        return (
            f"<h1 dir=auto>{self._text(known.question or known.trace_id)}</h1><dl class=facts>{listed}</dl>"
        )

    def _actions(self, known: RunSummary) -> str:
        place, run = self._address(known.trace_id), escape(known.trace_id)
        chosen = {mark: " checked" if known.verdict == mark else "" for mark in ("good", "bad")}
        return (
            f'<section class=actions><form method=post action="{place}/note">'
            f"<label><input type=radio name=verdict value=good accesskey=g{chosen['good']}> good</label>"
            f"<label><input type=radio name=verdict value=bad accesskey=b{chosen['bad']}> bad</label>"
            f'<input name=why maxlength=1000 placeholder="Why" aria-label="Why" value="{escape(known.why or "")}">'
            f"<button>Mark</button></form>"
            f'<a download="{run}.html" href="{place}/export.html">Share as a file</a>'
            f'<a download="{run}.jsonl" href="{place}/export.jsonl">JSON</a>'
            f'<a download="case-{run[6:14]}.yaml" href="{place}/case.yaml">Make it an evaluation case</a>'
            f'<form method=get action="{self.base}/compare"><input type=hidden name=a value="{run}">'
            f'<input name=b required placeholder="trace_…" aria-label="Another run">'
            f"<button>Compare</button></form></section>"
        )

    def _span(self, span: Span, total: float, first_token: float | None, shown: "_Steps") -> str:
        tokens = span_tokens(span.data)
        counted = f" <small>{tokens.input} in, {tokens.output} out</small>" if tokens and tokens.input else ""
        kind = _KINDS.get(span.type, span.type)
        line = (
            f"<span class=name><small>{escape(kind)}</small> {self._text(span.name or '', 80)}{counted}</span>"
            f"{_bar(span, total, first_token)}<span class=took>{took(span.ms)}</span>"
        )
        inside = "".join(self._details(span, shown))
        children = "".join(self._span(child, total, first_token, shown) for child in span.children)
        failed = " class=failed" if span.error else ""
        body = (
            f"<details><summary>{line}</summary>{inside}</details>"
            if inside
            else f"<div class=line>{line}</div>"
        )
        return f"<li{failed}>{body}{f'<ol>{children}</ol>' if children else ''}</li>"

    def _details(self, span: Span, shown: "_Steps") -> Iterator[str]:
        if span.error:
            yield f"<div class=bad>{self._text(_flat(span.error))}</div>"
        if span.type == "function":
            yield self._block("Arguments", span.data.get("input"))
            step = shown.of(span)
            if step and step.get("passages"):
                yield self._passages(step["passages"])  # pyright: ignore[reportTypedDictNotRequiredAccess]
            yield self._block("Result", span.data.get("output"))
        elif span.type in ("generation", "response"):
            yield self._messages("Sent to the model", span.data.get("input"))
            yield self._messages("Said", span.data.get("output"))
        elif data := {name: value for name, value in span.data.items() if value}:
            yield self._block("Data", data)

    def _messages(self, title: str, messages: Any) -> str:
        if not messages:
            return ""
        if isinstance(messages, str):
            messages = [{"content": messages}]
        items = "".join(
            f"<li><small>{self._text(_role(message))}</small><pre dir=auto>{self._text(_said(message))}</pre></li>"
            for message in messages[-self.most :]
        )
        return f"<h3>{title}</h3><ol class=messages>{items}</ol>"

    def _passages(self, passages: Iterable[Shown]) -> str:
        rows = "".join(self._passage(one) for one in islice(passages, self.most))
        heads = "<tr><th>Key<th>Score<th>Cosine<th>BM25<th>Section</tr>"
        return f"<h3>Passages</h3><table class=passages>{heads}{rows}</table>"

    def _passage(self, one: Shown) -> str:
        passage = one["passage"]
        scores = "".join(
            f"<td class=n>{_number(score)}" for score in (one["score"], one["dense"], one["bm25"])
        )
        text = f"<details><summary>Text</summary><pre dir=auto>{self._text(str(passage.get('text')))}</pre></details>"
        return (
            f"<tr><td><code>{self._text(str(passage.get('key')))}</code>{scores}"
            f"<td dir=auto>{self._source(passage)}{text}</tr>"
        )

    def _sources(self, sources: Iterable[Mapping[str, Any]]) -> str:
        items = "".join(
            f"<li value={int(one['number'])} dir=auto>{self._source(one)} <small>{_number(one.get('support'))}</small>"
            f"<q>{self._text(str(one.get('quote', '')))}</q></li>"
            for one in sources
        )
        return f"<ol class=sources>{items}</ol>" if items else ""

    def _source(self, passage: Mapping[str, Any]) -> str:
        name = self._text(" › ".join(passage.get("breadcrumb", ())) or str(passage.get("title", "")))
        url = str(passage.get("url", ""))
        # The book's own addresses; anything else, such as `javascript:`, is no link.
        if not url.startswith(("https://", "http://", "/") if self.base else ("https://", "http://")):
            return name
        return f'<a rel="noopener noreferrer" target=_blank href="{self._text(url)}">{name}</a>'

    def _tape(self, tape: Tape | None, marked: int | None) -> str:
        items = "".join(
            f"<li{' class=marked' if number == marked else ''}>{self._step(step)}</li>"
            for number, step in enumerate(tape.steps[: self.most] if tape else (), start=1)
        )
        return f"<h2>Steps of the replay</h2><ol class=tape>{items}</ol>"

    def _step(self, step: Step) -> str:
        return self._text(step_line(step), 400)

    def _block(self, title: str, value: Any) -> str:
        return f"<h3>{title}</h3><pre dir=auto>{self._text(_flat(value))}</pre>" if value else ""

    def _json(self, value: Any) -> str:
        return f"<details><summary>JSON</summary><pre dir=auto>{self._text(_flat(value))}</pre></details>"

    def _link(self, trace_id: str) -> str:
        name = f"<code>{escape(trace_id)}</code>"
        return f'<a href="{self._address(trace_id)}">{name}</a>' if self.base else name

    def _address(self, trace_id: str) -> str:
        return f"{self.base}/{quote(trace_id, safe='')}"

    def _text(self, text: str, longest: int | None = None) -> str:
        """Returns text for HTML: without secrets, cut, escaped."""
        longest = min(longest or self.longest, self.longest)
        text = self.redact(text)
        cut = text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
        # Half a pair of surrogates cannot be sent.
        return escape(cut.encode(errors="replace").decode())


@dataclass(slots=True)
class _Steps:
    """Finds the step of the tape that belongs to a tool's span; each belongs to one."""

    tape: Tape | None
    taken: set[int] = field(default_factory=set[int])

    def of(self, span: Span) -> Step | None:
        """Returns the step, or None."""
        for number, step in enumerate(self.tape.steps if self.tape else ()):
            called = (step.get("kind"), step.get("name"), step.get("arguments"))
            if number not in self.taken and called == ("tool", span.name, span.data.get("input")):
                self.taken.add(number)
                return step
        return None


def shared_file(run: RecordedRun, tape: Tape | None, *, redact: Callable[[str], str] = str) -> str:
    """Returns one run as a file of HTML that needs nothing beside it, of at most 300 kB; it says what was cut."""
    style = f"<style>{STYLE.read_text(encoding='utf-8')}</style>"
    title = run.summary.question or run.summary.trace_id
    count = max(_count(run.spans), len(tape.steps) if tape else 0)
    longest, most = _LONGEST_TEXT, _MOST
    while True:
        page = Page(redact=redact, longest=longest, most=most)
        told = f"Cut to fit a small file: texts after {longest} characters" if longest < _LONGEST_TEXT else ""
        if most < count:
            told += f", and all but the first {most} of {count} steps"
        if told:
            command = f"preceptor traces export {escape(run.summary.trace_id)} --json"
            told = f"<p class=cut>{told}. All of it: <code>{command}</code></p>"
        file = document(title, told + page.run(run, tape), style=style, redact=redact)
        if len(file.encode()) <= _LARGEST_FILE or (longest <= _SHORTEST_CUT and most <= 1):
            return file
        # Shorter texts first: what happened matters more than all words of it.
        if longest > _SHORT_CUT or most <= 1:
            longest //= 2
        else:
            most = min(most, count) // 2


def _count(spans: Sequence[Span]) -> int:
    return sum(1 + _count(span.children) for span in spans)


def _first(spans: Sequence[Span], most: int) -> tuple[Span, ...]:
    """Returns the tree of the first `most` spans, in the order in which they are shown."""
    kept: list[Span] = []
    for span in spans:
        if most <= 0:
            break
        kept.append(replace(span, children=_first(span.children, most - 1)))
        most -= _count(kept[-1:])
    return tuple(kept)


def shared_lines(run: RecordedRun, tape: Tape | None, *, redact: Callable[[str], str] = str) -> str:
    """Returns one run as JSON lines: its entry in the list, its facts, its spans in order, the steps of its tape."""
    lines: list[Any] = [{"run": asdict(run.summary)}, {"facts": run.facts}]
    lines += ({"span": asdict(span)} for span in run.spans)
    lines += ({"step": step} for step in (tape.steps if tape else ()))
    return "".join(f"{redact(json.dumps(line, ensure_ascii=False, default=str))}\n" for line in lines)


_SHORT_CUT = 600
_SHORTEST_CUT = 40
_MOST = 1_000_000


def document(title: str, body: str, *, style: str, head: str = "", redact: Callable[[str], str] = str) -> str:
    """Returns a page around `body`."""
    return (
        '<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, '
        f'initial-scale=1"><title>{escape(redact(title)[:100].encode(errors="replace").decode())}</title>'
        f"{style}</head><body>{head}<main>{body}</main></body></html>\n"
    )


def report_form(days: int, least: int, book: str) -> str:
    """Returns the form of the gap report."""
    of_book = f'<input type=hidden name=book value="{escape(book)}">' if book else ""
    return (
        f"<form class=actions>{of_book}<label>of the last <input name=days inputmode=numeric size=4 value={days}> days"
        f"</label><label>asked at least <input name=least inputmode=numeric size=3 value={least}> times</label>"
        "<button>Show</button></form>"
    )


def report_shelf(titles: Mapping[str, str]) -> str:
    """Returns the choice of a book, by id and title, where there are several."""
    books = "".join(
        f'<li><a href="?book={escape(quote(book, safe=""))}">{escape(title)}</a></li>'
        for book, title in titles.items()
    )
    return f"<h1>What readers did not get: of which book?</h1><ul>{books}</ul>"


def took(ms: float | None) -> str:
    """Returns a duration as people read it."""
    if ms is None:
        return "not ended"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


_UNFINISHED = {
    "running": "The run goes on; this page follows it. Steps of a run in another process are shown when it has ended.",
    "lost": "The run has no end: its process was killed, or could not write any more.",
}
_BOXES = (
    ("unanswered", "were not answered"),
    ("weak", "are weakly supported"),
    ("fell_over", "fell over"),
    ("degraded", "the offline tutor stood in"),
    ("disliked", "a reader disliked"),
    ("failed", "ended with an error"),
)
_FIELDS = (
    ("from", "left tutor", "size=8"),
    ("reason", "reason", "size=12"),
    ("provider", "answered by", "size=8"),
    ("tool", "tool", "size=14"),
    ("slower", "slower than (s)", "inputmode=decimal size=4"),
    ("dearer", "dearer than ($)", "inputmode=decimal size=6"),
    ("session", "conversation", "size=10"),
    ("noted", "marked", 'size=5 placeholder="good, bad, any"'),
)


def _bar(span: Span, total: float, first_token: float | None) -> str:
    start, width = span.at / total * 100, max((span.ms or 0) / total * 100, 0.4)
    mark = ""
    if first_token and first_token <= total:
        at = first_token / total * 100
        mark = f'<line class=first x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="100%"/>'
    kind = escape(_KINDS.get(span.type, span.type))
    return (
        f'<svg class=bar aria-hidden=true><rect class="{kind}" x="{min(start, 99.6):.2f}%" '
        f'width="{min(width, 100):.2f}%" y="20%" height="60%"/>{mark}</svg>'
    )


def _ms(run: RunSummary) -> float | None:
    return None if run.seconds is None else run.seconds * 1000


def _usd(cost: float | None) -> str:
    if cost is None:
        return "–"
    return f"${cost:.4f}" if cost else "$0"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _role(message: Any) -> str:
    if not isinstance(message, Mapping):
        return ""
    return str(message.get("role") or message.get("type") or "")  # pyright: ignore[reportUnknownArgumentType]


def _said(message: Any) -> str:
    """Returns the text of a message, a call or a result, without the wire format around it."""
    match message:
        case {"tool_calls": [_, *_] as calls}:
            return "\n".join(_said(call) for call in calls)
        case {"function": call} if call:
            return _said(call)
        case {"name": str(name), "arguments": str(arguments)}:
            return f"{name}({arguments})"
        case {"output": str(text)} | {"content": str(text)} | {"text": str(text)}:
            return text
        case {"content": list(parts)}:
            return "\n".join(_said(part) for part in parts)
        case _:
            return _flat(message)


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)

"""Runs for the terminal: the list as a table, one run as a tree."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from preceptor.tracing.diff import step_line
from preceptor.tracing.run import RecordedRun, RunSummary, Span, Tokens, span_tokens
from preceptor.tracing.tape import Tape

_LINE = 100
"""Number of characters shown of an input or output."""
_SHORT_ID = 14
"""Number of characters of a trace id in the table: enough for `preceptor traces ID`."""
_RATINGS = {1: "👍", -1: "👎"}


def runs_table(runs: Sequence[RunSummary]) -> Table:
    """Renders the list of runs."""
    shown = Table(box=None, header_style="bold", expand=True)
    for title in ("trace", "when", "took", "tutor", "tools"):
        shown.add_column(title, no_wrap=True)
    shown.add_column("question", no_wrap=True, ratio=1)
    for run in runs:
        shown.add_row(
            Text(run.trace_id[:_SHORT_ID], style="cyan"),
            Text(f"{run.started.astimezone():%m-%d %H:%M:%S}"),
            Text(_took(_ms(run))),
            Text(run.provider or (run.agents[-1] if run.agents else "–")),
            Text(str(len(run.tools))),
            Text("\n").join(part for part in (Text(line(run.question or "")), _outcome(run)) if part),
        )
    return shown


def run_tree(run: RecordedRun, tape: Tape | None = None) -> Tree:
    """Renders one run: its facts, its steps with durations, tokens, errors, inputs and outputs, and its tape."""
    known = run.summary
    title = Text(known.trace_id, style="bold cyan")
    title.append(f"  {known.started.astimezone():%Y-%m-%d %H:%M:%S}", style="default")
    title.append(f"  {_took(_ms(known))}", style="green")
    title.append(_tokens(known.tokens), style="dim")
    if known.prices:
        title.append("  no price" if known.cost is None else f"  ${known.cost:.4f}", style="dim")
        title.append(f" ({line(known.prices)})", style="dim")
    shown = Tree(title)
    for name, value in run.facts.items():
        shown.add(_named(name, value))
    for span in run.spans:
        _add(shown, span)
    if tape is not None:
        branch = shown.add(Text("tape", style="dim"))
        for number, step in enumerate(tape.steps, start=1):
            branch.add(Text(f"{number} ", style="cyan").append(line(step_line(step)), style="default"))
    return shown


def line(value: object, width: int = _LINE) -> str:
    """Renders a value on one line of `width` characters, without control sequences."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * width])
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _add(parent: Tree, span: Span) -> None:
    label = Text(f"{span.type} ", style="dim")
    label.append(line(span.name), style="bold" if span.type in ("agent", "function") else "default")
    label.append(f"  {_took(span.ms)}", style="green")
    label.append(_tokens(span_tokens(span.data)), style="dim")
    branch = parent.add(label)
    if span.error:
        detail = span.error.get("data")
        said = f"{span.error.get('message')} {line(detail) if detail else ''}"
        branch.add(Text(line(said, 2 * _LINE), style="red"))
    for name, value in _shown(span.data).items():
        branch.add(_named(name, value))
    for child in span.children:
        _add(branch, child)


def _shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a span's data beside its name and tokens; for a conversation, only the last part."""
    said = {name: data[name] for name in ("input", "output", "data") if data.get(name)}
    if isinstance(said.get("input"), list):
        said["input"] = said["input"][-1]
    return {name: _gist(value) for name, value in said.items()}


def _gist(said: Any) -> Any:
    """Returns the text of a message, a tool call or a list of them, without the wire format around it."""
    match said:
        case list():
            parts: list[Any] = [_gist(part) for part in said]
            return "; ".join(part if isinstance(part, str) else line(part) for part in parts)
        case {"name": str(name), "arguments": arguments}:
            return f"{name}({_gist(arguments)})"
        case {"function": call} | {"tool_calls": [_, *_] as call} | {"content": call} if call:
            return _gist(call)
        case {"text": text} | {"output": text}:
            return _gist(text)
        case str() if "\\u" in said:  # JSON, whose writer escaped every letter that is not Latin
            return _unescaped(said)
        case _:
            return said


def _unescaped(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text


def _named(name: str, value: object) -> Text:
    return Text(f"{name}: ", style="dim").append(line(value), style="not dim")


def _outcome(run: RunSummary) -> Text:
    marks = Text()
    for left in run.failover:
        marks.append(f"{line(left.get('from'), 20)}: {line(left.get('reason'), 30)}  ", style="yellow")
    if run.error:
        marks.append(f"{line(run.error, 40)}  ", style="red")
    if run.rating in _RATINGS:
        marks.append(f"{_RATINGS[run.rating]}  ")
    return marks


def _ms(run: RunSummary) -> float | None:
    return None if run.seconds is None else run.seconds * 1000


def _took(ms: float | None) -> str:
    if ms is None:
        return "not ended"
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _tokens(tokens: Tokens | None) -> str:
    return f"  {tokens.input} in, {tokens.output} out" if tokens and tokens != Tokens() else ""

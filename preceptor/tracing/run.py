"""The records of a run: its spans as they are written, and the run as it is read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict


class SpanRecord(TypedDict):
    """One span as it is stored; a run stores a JSON list of these, in order of their start."""

    parent: int | None
    """Position of the parent span in the list; None at the top."""
    type: str
    name: str
    at: float
    """Milliseconds from the start of the run."""
    ms: float | None
    """Duration in milliseconds; None if the span was open when the run ended."""
    data: dict[str, Any]
    """Data of this kind of span: model, usage, input, output, …

    A model call's input lacks its first `repeats` items, which are the previous call's.
    """
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run on its way to the file, or one that goes on as far as it has come."""

    started: float
    """Seconds since 1970."""
    seconds: float | None
    """Duration; None while the run goes on."""
    session_id: str | None
    metadata: Mapping[str, Any] | None
    spans: Sequence[SpanRecord]
    cost: Mapping[str, Any] | None = None
    """Cost of the model calls, as `cost_of` returns it."""


class Facts(TypedDict, total=False):
    """Facts of a run that its spans do not hold. `question` and `answer` are readers' text."""

    question: str
    answer: str
    provider: str
    model: str
    in_book: bool
    degraded: bool
    truncated: bool
    left_out: int
    """Sentences of the tutor's that rest on nothing and were not shown; absent: there were none."""
    confidence: float | None
    sources: Sequence[str]
    """Keys of the passages that the answer cites."""
    failover: Sequence[Mapping[str, str]]
    """Tutors that failed or were passed over: `{"from": …, "reason": …}`."""
    usage: Mapping[str, int]
    timings: Mapping[str, float]
    """Milliseconds by name, such as `first_token`."""
    response_id: str
    session_id: str
    book: str
    """Id of the book that was asked; absent: there was no choice."""
    error: str
    """Code of the error that ended the run."""


READERS_TEXT = frozenset({"question", "answer", "metadata"})
"""Facts that are not kept when `traces.include_text` is off."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a model call, or of all calls of a run."""

    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One entry in the list of runs."""

    trace_id: str
    started: datetime
    seconds: float | None
    """Duration until the reader had all of the answer; None if the run has not ended, or its process was killed."""
    session_id: str | None
    response_id: str | None
    question: str | None
    """The question; None when text is not kept."""
    provider: str | None
    agents: tuple[str, ...]
    """Agents in the order in which they took over."""
    tools: tuple[str, ...]
    """Names of all tool calls, in order."""
    failover: tuple[Mapping[str, str], ...]
    error: str | None
    """Reason why there was no answer; errors that an answered run recovered from are only in its spans."""
    tokens: Tokens
    rating: int | None
    """Reader's rating, 1 or -1."""
    comment: str | None
    model: str | None = None
    in_book: bool | None = None
    """Whether the answer rests on the book; None if there is none."""
    confidence: float | None = None
    degraded: bool | None = None
    """Whether the offline tutor stood in for a provider."""
    cost: float | None = None
    """Cost in US dollars; None if it is unknown."""
    prices: str | None = None
    """Table and day of the prices; or the models that have none."""
    first_token: float | None = None
    """Time to the first visible text, in milliseconds."""
    verdict: str | None = None
    """An operator's mark, `good` or `bad`."""
    why: str | None = None
    """Reason for the mark."""
    book: str | None = None
    """Id of the book that was asked; None if there was no choice."""


def state(run: RunSummary, longest: float) -> Literal["ended", "running", "lost"]:
    """Returns whether a run has ended, goes on, or was lost with its process.

    Args:
        run: The run.
        longest: Longest time that a run may take, in seconds.
    """
    if run.seconds is not None:
        return "ended"
    age = (datetime.now(UTC) - run.started).total_seconds()
    return "running" if age <= longest + _GRACE else "lost"


_GRACE = 10.0
"""Time that a run's end may take to reach the file, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One step of a run, and the steps inside it in the order in which they started."""

    type: str
    name: str
    at: float
    """Milliseconds from the start of the run."""
    ms: float | None
    data: Mapping[str, Any]
    error: Mapping[str, Any] | None
    children: tuple["Span", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run with all its spans."""

    summary: RunSummary
    facts: Mapping[str, Any]
    """All facts beside the spans (see `Facts`)."""
    spans: tuple[Span, ...]


def outline(spans: Sequence[SpanRecord]) -> dict[str, Any]:
    """Summarises a run's spans for the list of runs, so that listing need not read them."""
    tokens = [span_tokens(span["data"]) for span in spans]
    errors = [span["error"] for span in spans if span["error"]]
    return {
        "agents": list(dict.fromkeys(span["name"] for span in spans if span["type"] == "agent")),
        "tools": [span["name"] for span in spans if span["type"] == "function"],
        "input_tokens": sum(count.input for count in tokens if count),
        "output_tokens": sum(count.output for count in tokens if count),
        "error": errors[0].get("message") if errors else None,
    }


def span_tokens(data: Mapping[str, Any]) -> Tokens | None:
    """Returns the tokens of a model call; None for other spans, which only sum up their calls."""
    usage: Mapping[str, Any] | None = data.get("usage")
    if not usage or "model" not in data:
        return None
    return Tokens(usage.get("input_tokens") or 0, usage.get("output_tokens") or 0)


def summary(row: Mapping[str, Any], facts: Mapping[str, Any], known: Mapping[str, Any]) -> RunSummary:
    """Builds a run's entry in the list.

    Args:
        row: Columns of the run's row.
        facts: Its facts.
        known: Its outline; empty while the run has not ended.
    """
    feedback: Mapping[str, Any] = facts.get("feedback", {})
    note: Mapping[str, Any] = facts.get("note", {})
    cost: Mapping[str, Any] = known.get("cost") or {}
    timings: Mapping[str, float] = facts.get("timings", {})
    seconds: float | None = row["seconds"]
    if seconds is not None:
        # The models' part may end before the answer is checked and its first word shown.
        seconds = max(seconds, timings.get("total", 0.0) / 1000)
    return RunSummary(
        trace_id=row["trace_id"],
        started=datetime.fromtimestamp(row["started"], UTC),
        seconds=seconds,
        session_id=row["session_id"],
        response_id=row["response_id"],
        question=facts.get("question"),
        provider=facts.get("provider"),
        agents=tuple(known.get("agents", ())),
        tools=tuple(known.get("tools", ())),
        failover=tuple(facts.get("failover", ())),
        error=facts.get("error") or (None if "provider" in facts else known.get("error")),
        tokens=Tokens(known.get("input_tokens", 0), known.get("output_tokens", 0)),
        rating=feedback.get("rating"),
        comment=feedback.get("comment"),
        model=facts.get("model"),
        in_book=facts.get("in_book"),
        confidence=facts.get("confidence"),
        degraded=facts.get("degraded"),
        cost=cost.get("usd"),
        prices=_prices(cost),
        first_token=timings.get("first_token"),
        verdict=note.get("verdict"),
        why=note.get("why"),
        book=facts.get("book"),
    )


def _prices(cost: Mapping[str, Any]) -> str | None:
    if unknown := cost.get("unknown"):
        return f"no price is known for {', '.join(unknown)}"
    return f"{cost['prices']}, prices of {cost['on']}" if "prices" in cost else None


def tree(records: Sequence[SpanRecord]) -> tuple[Span, ...]:
    """Builds the tree of spans, each with its whole input."""
    _complete(records)
    children: dict[int | None, list[int]] = {}
    for number, record in enumerate(records):
        children.setdefault(record["parent"], []).append(number)

    def inside(parent: int | None) -> tuple[Span, ...]:
        return tuple(_span(records[number], inside(number)) for number in children.get(parent, ()))

    return inside(None)


def _complete(records: Sequence[SpanRecord]) -> None:
    """Restores the part of a model call's input that repeats the previous call's and is stored once."""
    before: list[Any] = []
    for record in records:
        data = record["data"]
        if "repeats" in data:
            data["input"] = before = before[: data.pop("repeats")] + data["input"]


def _span(record: SpanRecord, children: tuple[Span, ...]) -> Span:
    return Span(
        type=record["type"],
        name=record["name"],
        at=record["at"],
        ms=record["ms"],
        data=record["data"],
        error=record["error"],
        children=children,
    )


def trace_id() -> str:
    """Trace id of the current run, or `none`."""
    # Not above: the rest of this module is read by the command line, which starts without the SDK.
    from agents import get_current_trace

    trace = get_current_trace()
    return trace.trace_id if trace else "none"

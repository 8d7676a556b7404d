"""Receives runs from the SDK and hands them to the store; the SDK's own upload is off unless asked for.

The SDK calls a processor on the event loop, so this one only remembers each span object. The spans are read
when the run has ended, on the store's thread.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.tracing import (
    Span,
    SpanData,
    SpanError,
    Trace,
    TracingProcessor,
    set_trace_processors,
    set_trace_provider,
    setup,
)
from agents.tracing.processors import default_exporter, default_processor

from preceptor.errors import ExtraMissing
from preceptor.settings import TracesSettings
from preceptor.tracing.cost import ModelCall, cost_of
from preceptor.tracing.run import RunRecord, SpanRecord
from preceptor.tracing.spans import CheapSpan, Provider
from preceptor.tracing.store import TraceStore

_MOST_OPEN = 1000
"""Largest number of unfinished runs; a run that never ends must not stay in memory for ever."""
_WITHHELD = "withheld, because traces.include_text is off"


@dataclass(slots=True)
class _Open:
    """A run that has not ended."""

    trace: Trace
    started: float
    clock: float
    spans: list[Span[Any]] = field(default_factory=list[Span[Any]])


class LocalProcessor(TracingProcessor):
    """Collects a run's spans in the order in which they start, and hands the run over when it ends."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._open: dict[str, _Open] = {}

    def on_trace_start(self, trace: Trace) -> None:
        """Begin to record a run."""
        if len(self._open) >= _MOST_OPEN:
            oldest = next(iter(self._open))
            self._open.pop(oldest, None)
            self._store.forget(oldest)
        self._open[trace.trace_id] = run = _Open(trace, time.time(), time.perf_counter())
        self._store.begin(trace.trace_id, lambda: self._recorded(run))

    def on_span_start(self, span: Span[Any]) -> None:
        """Remember a span; it fills up until the run ends."""
        run = self._open.get(span.trace_id)
        if run is not None:
            run.spans.append(span)

    def on_span_end(self, span: Span[Any]) -> None:
        """Do nothing: the span records its own end."""

    def on_trace_end(self, trace: Trace) -> None:
        """Hand the run to the store."""
        run = self._open.pop(trace.trace_id, None)
        if run is not None:
            seconds = time.perf_counter() - run.clock
            self._store.add(trace.trace_id, lambda: self._recorded(run, seconds))

    def _recorded(self, run: _Open, seconds: float | None = None) -> RunRecord:
        """Returns a run as it is kept; without a duration as far as it has come."""
        return _record(run, seconds=seconds, text=self._store.include_text)

    def force_flush(self) -> None:
        """Wait until all ended runs are written."""
        self._store.flush()

    def shutdown(self, timeout: float | None = None) -> None:
        """Write pending runs and close the store; the SDK calls it at exit."""
        self._store.close(10.0 if timeout is None else timeout)


def install(
    settings: TracesSettings, redact: Collection[str] = (), *, openai_key: str | None = None
) -> TraceStore:
    """Keep every run of this process in the file of `[traces]`, and send none of them anywhere else.

    Args:
        settings: `[traces]`.
        redact: Secrets in plain text, which must not reach the file.
        openai_key: Key for the SDK's own upload, which happens only with `upload_to_openai`.

    Returns:
        The open store; whoever installs it closes it.
    """
    store = TraceStore.from_settings(settings, redact)
    processors: list[TracingProcessor] = [LocalProcessor(store)]
    if settings.upload_to_openai:
        if openai_key:
            default_exporter().set_api_key(openai_key)
        processors.append(default_processor())
    if settings.otlp is not None:
        processors.append(_sent_to(settings.otlp, store))
    send_nothing()
    set_trace_processors(processors)
    return store


def _sent_to(collector: str, store: TraceStore) -> TracingProcessor:
    try:
        # Here and not above: an extra, and 0.3 s for what nobody has switched on.
        from preceptor.tracing.otlp import processor
    except ImportError as error:
        raise ExtraMissing("otlp", "for `traces.otlp`") from error
    return processor(collector, store.redacted, include_text=store.include_text)


def send_nothing() -> None:
    """Prevent the SDK's own upload, which is on by default.

    The default exporter also opens an HTTP client, which takes 50 ms.
    """
    # One that a host has made is the host's.
    if setup.GLOBAL_TRACE_PROVIDER is None:
        set_trace_provider(Provider())


# What is kept of each kind of span, by the names of its attributes. A table and no `isinstance`: the SDK's
# span classes are abstract base classes, which are slow at it.
_OUTCOME: dict[str, tuple[str, ...]] = {
    "agent": ("tools", "handoffs"),
    "task": ("usage",),
    "turn": ("usage",),
    "generation": ("model", "usage"),
    "guardrail": ("triggered",),
}
"""Span data that describes the outcome; contains no word of the reader, the book or the model."""
_TEXT: dict[str, tuple[str, ...]] = {
    "generation": ("input", "output"),
    "function": ("input", "output"),
    "custom": ("data",),
}
_ALL = {kind: _OUTCOME.get(kind, ()) + _TEXT.get(kind, ()) for kind in _OUTCOME | _TEXT}
_FAILOVER = frozenset({"provider", "reason", "after_text", "to", "breaker"})
"""Data of failover spans, all of it in Preceptor's own words."""
_NAME = {"generation": "model", "turn": "turn"}
"""Field that names the span, for kinds where it is not `name`."""


def _record(run: _Open, *, seconds: float | None, text: bool) -> RunRecord:
    exported: dict[str, Any] = run.trace.export() or {}
    spans = list(run.spans)  # a run that goes on begins further ones meanwhile
    places = {span.span_id: place for place, span in enumerate(spans)}
    shown: list[Any] = []
    records: list[SpanRecord] = []
    for span in spans:
        of = span.span_data
        kind = of.type
        data = _data(of, kind, text=text)
        if isinstance(data.get("input"), list):
            # Every call repeats the conversation so far: keep what is new since the call before.
            data["repeats"] = repeats = _common(shown, data["input"])
            shown, data["input"] = data["input"], data["input"][repeats:]
        began, ended = _times(span)
        at = 0.0 if began is None else began - run.started
        records.append(
            {
                "parent": places.get(span.parent_id or ""),
                "type": kind,
                "name": _name(of, kind),
                "at": round(at * 1000, 3),
                "ms": None if ended is None else round((ended - run.started - at) * 1000, 3),
                "data": data,
                "error": None if span.error is None else _error(span.error, text=text),
            }
        )
    return RunRecord(
        started=run.started,
        seconds=seconds,
        session_id=exported.get("group_id"),
        metadata=exported.get("metadata"),
        spans=records,
        cost=cost_of(_calls(spans), started=run.started),
    )


def _calls(spans: Sequence[Span[Any]]) -> Iterator[ModelCall]:
    for span in spans:
        data = span.span_data
        if data.type in ("generation", "response") and (usage := getattr(data, "usage", None)):
            configured = getattr(data, "model_config", None) or {}
            yield ModelCall(_model(data) or "unnamed", configured.get("base_url"), usage)


def _model(data: SpanData) -> str | None:
    return getattr(data, "model", None) or getattr(getattr(data, "response", None), "model", None)


def _name(data: SpanData, kind: str) -> str:
    if kind == "handoff":
        return f"{getattr(data, 'from_agent', None)} → {getattr(data, 'to_agent', None)}"
    if kind == "response":
        return getattr(getattr(data, "response", None), "model", "")
    return str(getattr(data, _NAME.get(kind, "name"), None) or "")


def _data(data: SpanData, kind: str, *, text: bool) -> dict[str, Any]:
    if kind == "response":
        return _response(data, text=text)
    kept = {name: getattr(data, name) for name in (_ALL if text else _OUTCOME).get(kind, ())}
    if kind == "custom" and _name(data, kind) == "failover":
        kept["data"] = {name: value for name, value in getattr(data, "data", {}).items() if name in _FAILOVER}
    if kind == "generation" and text:
        match kept["output"]:
            case [
                {"object": "response", "output": said}
            ]:  # a streamed call keeps the whole response, echo included
                kept["output"] = said
            case _:
                pass
    return kept


def _response(data: SpanData, *, text: bool) -> dict[str, Any]:
    """Reads a response span like a generation; its export holds only an id."""
    response = getattr(data, "response", None)
    kept = {"model": getattr(response, "model", None), "usage": getattr(data, "usage", None)}
    if text:
        kept |= {"input": getattr(data, "input", None), "output": getattr(response, "output", None)}
    return kept


def _error(error: SpanError, *, text: bool) -> dict[str, Any]:
    # An exception's text often quotes what it choked on.
    return {"message": error["message"], "data": error["data"]} if text else {"message": _WITHHELD}


def _common(before: Sequence[Any], now: Sequence[Any]) -> int:
    """Returns the number of leading items that both lists share."""
    for number, (old, new) in enumerate(zip(before, now, strict=False)):
        if old != new:
            return number
    return min(len(before), len(now))


def _times(span: Span[Any]) -> tuple[float | None, float | None]:
    """Returns start and end of a span, in seconds since 1970, as far as they are there."""
    if isinstance(span, CheapSpan):
        return span.began, span.ended
    began, ended = (
        None if moment is None else datetime.fromisoformat(moment).timestamp()
        for moment in (span.started_at, span.ended_at)
    )
    return began, ended

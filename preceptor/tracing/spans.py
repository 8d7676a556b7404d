"""Spans at a third of their price: those of the SDK take as long as all else that a trace does while its run goes on.

A run has a dozen of them. These note the time as a number, make an id when somebody asks for it, and look up the run
and the span around them without the SDK's questions.
"""

import random
import time
from datetime import UTC, datetime
from typing import Any

from agents.tracing import Span, Trace, TracingProcessor
from agents.tracing.provider import DefaultTraceProvider
from agents.tracing.scope import Scope
from agents.tracing.spans import SpanImpl, TSpanData
from agents.tracing.traces import TraceImpl


class Provider(DefaultTraceProvider):
    """The SDK's provider of spans, with cheaper ones."""

    def gen_span_id(self) -> str:
        """Returns the id of a span."""
        return _new_id()

    def create_span(
        self,
        span_data: TSpanData,
        span_id: str | None = None,
        parent: Trace | Span[Any] | None = None,
        disabled: bool = False,
    ) -> Span[TSpanData]:
        """Returns a cheap span inside the current one, or whatever the SDK gives if more is wanted."""
        trace, around = Scope.get_current_trace(), Scope.get_current_span()
        plain = span_id is None and parent is None and not disabled and not self._disabled
        # By the class itself: the SDK's are abstract, and `isinstance` is slow on those.
        if plain and type(trace) is TraceImpl and (around is None or type(around) is CheapSpan):
            return CheapSpan(trace, around, span_data, self._multi_processor)
        return super().create_span(span_data, span_id, parent, disabled)


class CheapSpan(SpanImpl[TSpanData]):
    """A span of the SDK that makes its id and the text of its times when they are asked for."""

    __slots__ = ("_around", "began", "ended")

    def __init__(
        self, trace: TraceImpl, around: Span[Any] | None, data: TSpanData, processor: TracingProcessor
    ) -> None:
        """Make a span that has not begun; all that the SDK's own sets is set here."""
        self._trace_id = trace.trace_id
        self._span_id = ""
        self._error = None
        self._prev_span_token = None
        self._processor = processor
        self._span_data = data
        self._tracing_api_key = trace.tracing_api_key
        self._trace_metadata = trace.metadata
        self._around = around
        self.began: float | None = None
        """Start in seconds since 1970."""
        self.ended: float | None = None

    @property
    def span_id(self) -> str:
        """The id, in the SDK's form."""
        if not self._span_id:
            self._span_id = _new_id()
        return self._span_id

    @property
    def parent_id(self) -> str | None:
        """Id of the span around this one."""
        return None if self._around is None else self._around.span_id

    def start(self, mark_as_current: bool = False) -> None:
        """Begin."""
        if self.began is not None:
            return
        self.began = time.time()
        self._processor.on_span_start(self)
        if mark_as_current:
            self._prev_span_token = Scope.set_current_span(self)

    def finish(self, reset_current: bool = False) -> None:
        """End."""
        if self.ended is not None:
            return
        self.ended = time.time()
        self._processor.on_span_end(self)
        if reset_current and self._prev_span_token is not None:
            Scope.reset_current_span(self._prev_span_token)
            self._prev_span_token = None

    @property
    def started_at(self) -> str | None:
        """Start in the form of ISO 8601."""
        return _iso(self.began)

    @property
    def ended_at(self) -> str | None:
        """End in the form of ISO 8601."""
        return _iso(self.ended)

    def export(self) -> dict[str, Any] | None:
        """Returns the span as the SDK uploads it."""
        self._parent_id = self.parent_id
        self._started_at, self._ended_at = self.started_at, self.ended_at
        return super().export()


def _new_id() -> str:
    """Returns an id in the SDK's form; uuid4 would ask the kernel each time."""
    return f"span_{random.getrandbits(96):024x}"


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()

"""Sends runs to an OpenTelemetry collector as well (OTLP over HTTP), with `preceptor[otlp]` and `traces.otlp`.

The names of the attributes are OpenInference's, made by its package for the SDK. They and OpenTelemetry's own for
generative models still change, so the extra pins the package, and nothing here promises a name. This module is imported
only where `traces.otlp` names a collector.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agents.tracing import TracingProcessor
from openinference.instrumentation import OITracer, TraceConfig

# Not by its instrumentor: that also wraps functions of the SDK, for realtime sessions and schemas of tools.
from openinference.instrumentation.openai_agents._processor import OpenInferenceTracingProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

_TIMEOUT = 5.0
"""Longest time of one request to the collector, in seconds; it is made on a thread of its own."""
_OUTCOME = (
    "openinference.span.kind",
    "llm.model_name",
    "llm.provider",
    "llm.token_count.",
    "tool.name",
    "graph.node.",
)
"""Beginnings of the attributes that hold no word of the reader, the book or the model."""


def processor(address: str, redact: Callable[[str], str], *, include_text: bool) -> TracingProcessor:
    """Returns a processor that sends every run to a collector; one that does not answer holds nothing up.

    Args:
        address: The collector's address for traces, such as `http://127.0.0.1:4318/v1/traces`.
        redact: Removes secrets from text.
        include_text: Whether texts are sent, or only times and outcomes.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": "preceptor"}))
    exporter = _Redacted(
        OTLPSpanExporter(endpoint=address, timeout=_TIMEOUT), redact, include_text=include_text
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer: Any = OITracer(provider.get_tracer("preceptor"), config=TraceConfig())
    return _Closing(tracer, provider)


class _Closing(OpenInferenceTracingProcessor):
    """Sends what is waiting when the SDK ends."""

    def __init__(self, tracer: Any, provider: TracerProvider) -> None:
        super().__init__(tracer)
        self._provider = provider

    def force_flush(self) -> None:
        """Send the runs that have ended."""
        self._provider.force_flush()

    def shutdown(self) -> None:
        """Send the runs that have ended, and stop."""
        self._provider.shutdown()


class _Redacted(SpanExporter):
    """Takes secrets out of spans, or all texts, before they leave."""

    def __init__(self, inner: SpanExporter, redact: Callable[[str], str], *, include_text: bool) -> None:
        self._inner = inner
        self._redact = redact
        self._include_text = include_text

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        return self._inner.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        """Close the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for the exporter."""
        return self._inner.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        described = span.status.description
        if described is not None:
            described = self._redact(described) if self._include_text else None
        # Events would repeat the error's text.
        return ReadableSpan(
            name=self._redact(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes or {}),
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code, described),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._value(value)
            for name, value in attributes.items()
            if self._include_text or name.startswith(_OUTCOME)
        }

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        return tuple(map(self._value, value)) if isinstance(value, tuple | list) else value

"""Preceptor's spans are the SDK's to whoever reads them: to an upload, to a collector, to the tree of a run."""

import re
from collections.abc import Callable, Generator
from typing import Any

import pytest
from agents.tracing import (
    Span,
    Trace,
    TracingProcessor,
    agent_span,
    custom_span,
    function_span,
    get_trace_provider,
    set_trace_provider,
    trace,
)
from agents.tracing.provider import DefaultTraceProvider

from preceptor.tracing.spans import CheapSpan, Provider


class Seen(TracingProcessor):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_trace_start(self, trace: Trace) -> None:
        """Remember it."""
        self.told.append(("run begins", trace))

    def on_trace_end(self, trace: Trace) -> None:
        """Remember it."""
        self.told.append(("run ends", trace))

    def on_span_start(self, span: Span[Any]) -> None:
        """Remember it."""
        self.told.append(("begins", span))

    def on_span_end(self, span: Span[Any]) -> None:
        """Remember it."""
        self.told.append(("ends", span))

    def force_flush(self) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing."""


def run() -> None:
    """A run with spans inside others and beside others; one has an error, one is begun twice."""
    with (
        trace("preceptor", metadata={"agent_harness_id": "h", "other": 1}),
        agent_span("Tutor", tools=["search"]),
    ):
        with function_span("search", input="{}") as span:
            span.set_error({"message": "lost", "data": None})
        beside = custom_span("failover", {"reason": "timeout"})
        beside.start()
        beside.start()
        with custom_span("inside", {}):
            pass
        beside.finish()
        beside.finish()


@pytest.fixture
def told() -> Generator[Callable[[DefaultTraceProvider], list[tuple[str, dict[str, Any]]]]]:
    """Gives what a processor is told of a run, with ids and times numbered in their order."""
    before = get_trace_provider()

    def tell(provider: DefaultTraceProvider) -> list[tuple[str, dict[str, Any]]]:
        seen = Seen()
        provider.register_processor(seen)
        set_trace_provider(provider)
        run()
        ids: dict[str, str] = {}

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(inner) for key, inner in value.items()}
            if isinstance(value, str) and re.fullmatch(r"span_[0-9a-f]{24}|trace_[0-9a-f]{32}", value):
                return ids.setdefault(value, f"id {len(ids)}")
            if isinstance(value, str) and re.fullmatch(
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00", value
            ):
                return "a time"
            return value

        return [(what, plain(of.export())) for what, of in seen.told]

    yield tell
    set_trace_provider(before)


def test_a_processor_is_told_the_same_as_by_the_sdk(
    told: Callable[[DefaultTraceProvider], list[tuple[str, dict[str, Any]]]],
) -> None:
    ours = told(Provider())

    assert ours == told(DefaultTraceProvider())
    assert [what for what, _ in ours].count("ends") == 4


def test_the_sdks_own_spans_are_made_where_more_is_asked_for() -> None:
    provider = Provider()

    def kind(**more: Any) -> str:
        return type(provider.create_span(custom_span("x", {}).span_data, **more)).__name__

    assert kind() == "NoOpSpan"  # outside of a run
    with provider.create_trace("run") as begun:
        assert kind() == CheapSpan.__name__
        assert kind(disabled=True) == "NoOpSpan"
        assert kind(span_id="span_of_mine") == kind(parent=begun) == "SpanImpl"
        with provider.create_span(custom_span("x", {}).span_data, parent=begun):
            assert kind() == "SpanImpl"
        provider.set_disabled(True)
        assert kind() == "NoOpSpan"


def test_a_span_ends_when_its_generator_is_given_up() -> None:
    provider = Provider()

    def inside() -> Generator[CheapSpan[Any]]:
        with provider.create_span(custom_span("x", {}).span_data) as span:
            assert isinstance(span, CheapSpan)
            yield span

    with provider.create_trace("run"):
        steps = inside()
        span = next(steps)
        steps.close()

    assert span.began is not None
    assert span.ended is not None
    assert span.ended >= span.began

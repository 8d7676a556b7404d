"""Metrics of this process: `/metrics` for Prometheus, `/api/v1/metrics` as JSON, from the same counts.

Each application counts in a registry of its own. Percentiles in the JSON are exact, over the last 1,000 answers;
Prometheus computes its own from the histograms. With several workers each answers with its own numbers, so let
one process be one target (docs/deploy.md).
"""

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor import __version__
from preceptor.agents.answer import Answer
from preceptor.agents.sessions import Sessions
from preceptor.errors import PreceptorError
from preceptor.providers.failure import FailureNote, Usage
from preceptor.providers.models import ProviderModels
from preceptor.server.contract import MetricsResponse
from preceptor.server.openapi import Operation, operation
from preceptor.server.shelf import Shelf
from preceptor.server.slots import Slots

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60)
_REMEMBERED = 1000
_STATES = ("closed", "open", "half_open")


class Metrics:
    """Counts requests, answers and failures."""

    def __init__(self) -> None:
        """Initialise all counts with zero."""
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "preceptor"}
        self._began = time.monotonic()
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self.requests = Counter("http_requests", "Requests by outcome.", ["method", "route", "status"], **own)
        self.request_seconds = Histogram(
            "http_request_seconds", "Until a response was sent.", ["route"], buckets=_SECONDS, **own
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests that are being answered.", **own)
        self._answers = Counter("answers", "Answers by who gave them.", ["provider", "degraded"], **own)
        self._errors = Counter("answer_errors", "Questions without an answer.", ["error"], **own)
        self._seconds = Histogram(
            "answer_seconds", "From a question to its whole answer.", ["provider"], buckets=_SECONDS, **own
        )
        self._first_token = Histogram(
            "first_token_seconds", "From a question to the first text.", ["provider"], buckets=_SECONDS, **own
        )
        self._phases = Histogram(
            "phase_seconds", "Seconds that an answer spent starting, searching, reading, answering.", ["phase"],
            buckets=_SECONDS, **own,
        )  # fmt: skip
        self._provider_failures = Counter(
            "provider_failures", "Tutors that were left, by reason.", ["provider", "reason"], **own
        )
        self._tokens = Counter(
            "tokens", "Tokens of model calls, by who answered in the end.", ["provider", "direction"], **own
        )
        self._dropped = Counter("dropped_markers", "Citations that named no shown passage.", **own)
        self.index_passages = Gauge("index_passages", "Passages of a book.", ["book"], **own)

    def answered(self, answer: Answer) -> None:
        """Count an answer."""
        self._answers.labels(answer.provider, str(answer.degraded).lower()).inc()
        self._seconds.labels(answer.provider).observe(answer.seconds)
        self._latencies.append(answer.seconds)
        if answer.timings.first_token is not None:
            self._first_token.labels(answer.provider).observe(answer.timings.first_token)
        for phase, seconds in answer.timings.phases.items():
            self._phases.labels(phase).observe(seconds)
        self._tokens.labels(answer.provider, "input").inc(answer.usage.input_tokens)
        self._tokens.labels(answer.provider, "output").inc(answer.usage.output_tokens)
        self._dropped.inc(answer.unknown_keys)
        self._left(answer.failures)

    def failed(self, error: BaseException, failures: Sequence[FailureNote], usage: Usage) -> None:
        """Count a question without an answer; a disconnected reader is not a failure."""
        name = type(error).__name__ if isinstance(error, Exception) else "Cancelled"
        self._errors.labels(name).inc()
        self._tokens.labels("unanswered", "input").inc(usage.input_tokens)
        self._tokens.labels("unanswered", "output").inc(usage.output_tokens)
        self._left(failures)

    def _left(self, failures: Sequence[FailureNote]) -> None:
        for note in failures:
            self._provider_failures.labels(note.tutor, note.reason).inc()

    def observe(self, models: ProviderModels, sessions: Sessions, slots: Slots) -> None:
        """Add gauges that read the state of the breakers, sessions and slots at each request."""
        self.registry.register(_States(models, sessions, slots))

    def summary(self) -> dict[str, Any]:
        """Returns the contract's JSON.

        `error_rate` is the share of questions since the start that ended with an error; questions of
        disconnected readers are not counted.
        """
        read = self.registry.get_sample_value
        answered, by_error = self._sums("answers", "provider"), self._sums("answer_errors", "error")
        cancelled = by_error.pop("Cancelled", 0)
        errors = sum(by_error.values())
        total = sum(answered.values()) + errors
        return {
            "query_latency_p50_ms": self._percentile(0.5),
            "query_latency_p95_ms": self._percentile(0.95),
            "query_latency_p99_ms": self._percentile(0.99),
            "latency_window": len(self._latencies),
            "error_rate": round(errors / total, 4) if total else 0.0,
            "total_queries": total,
            "cancelled_queries": cancelled,
            "uptime_seconds": round(time.monotonic() - self._began, 1),
            "in_flight": int(read("preceptor_answers_in_flight") or 0),
            "answers": answered,
            "errors": by_error,
            "provider_failures": self._sums("provider_failures", "provider"),
            "tokens": self._sums("tokens", "direction"),
            "dropped_markers": int(read("preceptor_dropped_markers_total") or 0),
        }

    def _sums(self, counter: str, label: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for family in self.registry.collect():
            for sample in family.samples:
                if sample.name == f"preceptor_{counter}_total":
                    key = sample.labels[label]
                    found[key] = found.get(key, 0) + int(sample.value)
        return found

    def _percentile(self, share: float) -> float | None:
        """Returns a percentile of the latest answers in milliseconds, by nearest rank; None before the first one."""
        if not self._latencies:
            return None
        rank = max(1, math.ceil(share * len(self._latencies)))
        return round(sorted(self._latencies)[rank - 1] * 1000, 1)


class _States(Collector):
    """Gauges that are read on request instead of counted."""

    def __init__(self, models: ProviderModels, sessions: Sessions, slots: Slots) -> None:
        self._models = models
        self._sessions = sessions
        self._slots = slots

    def collect(self) -> Iterable[Metric]:
        """Yields the gauges."""
        breakers = GaugeMetricFamily(
            "preceptor_breaker_state", "1 for the state that a breaker is in.", labels=["provider", "state"]
        )
        for entry in self._models:
            for state in _STATES:
                breakers.add_metric([entry.provider, state], float(entry.breaker.state == state))
        yield breakers
        yield GaugeMetricFamily(
            "preceptor_answers_in_flight", "Answers that are being made.", value=self._slots.taken
        )
        yield CounterMetricFamily(
            "preceptor_lost_turns", "Turns that no session keeps.", value=self._sessions.lost
        )
        info = GaugeMetricFamily("preceptor_info", "The version that runs.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


async def prometheus(request: Request) -> Response:
    """`GET /metrics`."""
    metrics: Metrics = request.state.metrics
    for book, passages in (await _index_size(request)).items():
        metrics.index_passages.labels(book).set(passages)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(metrics.registry), headers={"Content-Type": content_type})


@operation(
    Operation(
        name="metrics",
        summary="The numbers of the process",
        description="For the operator: with the operator's key or, where there is none, from the same machine.",
        returns=MetricsResponse,
        errors=(401, 403),
    )
)
async def as_json(request: Request) -> Response:
    """`GET /api/v1/metrics`."""
    metrics: Metrics = request.state.metrics
    return JSONResponse({**metrics.summary(), "index_passages": await _index_size(request)})


async def _index_size(request: Request) -> dict[str, int]:
    shelf: Shelf | None = request.state.shelf
    books = [request.state.preceptor] if shelf is None else list(shelf.open_books.values())
    try:
        return {info.book: info.points for one in books for info in await one.library.books()}
    # The other numbers are wanted most when the index cannot be reached.
    except PreceptorError:
        return {}

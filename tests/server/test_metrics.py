"""The numbers: `/metrics` and `/api/v1/metrics` say the same, and what happened."""

import asyncio
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from preceptor.agents.answer import Answer, Timings
from preceptor.errors import NoTutorLeft
from preceptor.providers.failure import FailureNote, Usage
from preceptor.server.metrics import Metrics
from preceptor.settings import Settings
from tests.conftest import ROOT
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.standins.provider import Provider, fails, says

QUESTION = {"content": "What is a node in ROS 2?"}


@pytest.fixture
def gemini() -> Generator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def settings(sample_index: Path, tmp_path: Path, gemini: Provider) -> Settings:
    return sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini",), "book_only": False},
        gemini={"base_url": gemini.base_url, "api_key": "a-key", "attempts": 1},
        breaker={"failures": 1},
    )


async def numbers(client: AsyncClient) -> dict[str, float]:
    """The samples of `/metrics`, by name and labels."""
    response = await client.get("/metrics")
    assert response.status_code == 200
    return {
        sample.name
        + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_an_answer_shows_in_both_forms_of_the_metrics(settings: Settings, gemini: Provider) -> None:
    gemini.will(says("A node ", "is a process [k7qd]."))
    async with asking(settings) as client:
        answered = (await client.post("/api/v1/chat", json=QUESTION)).json()
        seen, told = await numbers(client), (await client.get("/api/v1/metrics")).json()
    assert seen["preceptor_answers_total degraded=false provider=gemini"] == 1
    assert seen["preceptor_answer_seconds_count provider=gemini"] == 1
    assert seen["preceptor_answer_seconds_sum provider=gemini"] == pytest.approx(
        answered["processing_time_ms"] / 1000, abs=0.001
    )
    assert 0 < seen["preceptor_first_token_seconds_sum provider=gemini"] < 30
    assert seen["preceptor_phase_seconds_count phase=answering"] == 1
    assert seen["preceptor_tokens_total direction=input provider=gemini"] == 10
    assert seen["preceptor_tokens_total direction=output provider=gemini"] == 5
    assert seen["preceptor_dropped_markers_total"] == 1
    assert seen["preceptor_lost_turns_total"] == 0
    assert seen["preceptor_index_passages book=physical-ai"] > 100
    assert seen["preceptor_http_requests_total method=POST route=/api/v1/chat status=200"] == 1
    assert seen["preceptor_breaker_state provider=gemini state=closed"] == 1
    assert told["total_queries"] == 1
    assert told["error_rate"] == 0
    assert told["tokens"] == {"input": 10, "output": 5}
    assert told["dropped_markers"] == 1
    assert told["query_latency_p50_ms"] == pytest.approx(answered["processing_time_ms"], abs=0.1)
    assert told["uptime_seconds"] >= 0


async def test_every_number_is_explained_and_no_other(settings: Settings) -> None:
    async with asking(settings) as client:
        families = list(text_string_to_metric_families((await client.get("/metrics")).text))
    served = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if not family.name.endswith("_created")  # the client's own
    }
    explained = re.findall(r"`(preceptor_\w+)`", (ROOT / "docs/serve.md").read_text(encoding="utf-8"))
    assert sorted(explained) == sorted(served)


async def test_failures_of_a_provider_show_with_their_class_and_the_breaker(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(fails(503, {}))
    async with asking(settings) as client:
        answered = (await client.post("/api/v1/chat", json=QUESTION)).json()
        seen, told = await numbers(client), (await client.get("/api/v1/metrics")).json()
    assert answered["degraded"] is True
    assert seen["preceptor_answers_total degraded=true provider=offline"] == 1
    assert seen["preceptor_provider_failures_total provider=gemini reason=server_error"] == 1
    assert seen["preceptor_breaker_state provider=gemini state=open"] == 1
    assert seen["preceptor_breaker_state provider=gemini state=closed"] == 0
    assert told["provider_failures"] == {"gemini": 1}
    assert told["error_rate"] == 0


async def test_a_question_without_an_answer_is_an_error(
    settings: Settings, gemini: Provider, tmp_path: Path, sample_index: Path
) -> None:
    gemini.will(fails(503, {}))
    strict = settings.model_copy(
        update={"tutor": settings.tutor.model_copy(update={"offline_fallback": False})}
    )
    async with asking(strict) as client:
        assert (await client.post("/api/v1/chat", json=QUESTION)).status_code == 503
        seen, told = await numbers(client), (await client.get("/api/v1/metrics")).json()
    assert sum(value for name, value in seen.items() if name.startswith("preceptor_answer_errors_total")) == 1
    assert (told["error_rate"], told["total_queries"]) == (1, 1)
    assert told["query_latency_p50_ms"] is None


async def test_addresses_that_nobody_serves_do_not_multiply_the_numbers(settings: Settings) -> None:
    async with asking(settings) as client:
        for name in ("/nowhere", "/wp-admin", "/api/v1/chapters/none-such"):
            await client.get(name)
        await client.request("BREW", "/coffee")
        seen = await numbers(client)
    routes = {match[1] for name in seen if (match := re.search(r"http_requests_total .*route=(\S+)", name))}
    assert routes == {"other", "/{path:path}", "/api/v1/chapters/{id:path}"}
    assert not any("BREW" in name for name in seen)


async def test_each_application_counts_for_itself(settings: Settings) -> None:
    async with asking(settings) as one, asking(settings) as other:
        await asyncio.gather(*(one.get("/livez") for _ in range(3)))
        seen, unseen = await numbers(one), await numbers(other)
    assert seen["preceptor_http_requests_total method=GET route=/livez status=200"] == 3
    assert "preceptor_http_requests_total method=GET route=/livez status=200" not in unseen


def answer(seconds: float) -> Answer:
    return Answer(
        text="",
        sources=(),
        also_relevant=(),
        in_book=False,
        truncated=False,
        confidence=None,
        provider="gemini",
        model="",
        degraded=False,
        failures=(),
        unknown_keys=0,
        usage=Usage(),
        seconds=seconds,
        timings=Timings(None, {}),
        session_id="",
        response_id="",
        trace_id="",
    )


def test_percentiles_are_those_of_the_latest_thousand_answers() -> None:
    metrics = Metrics()
    for _ in range(500):
        metrics.answered(answer(99.0))
    for milliseconds in range(1000, 0, -1):
        metrics.answered(answer(milliseconds / 1000))
    told = metrics.summary()
    assert (told["query_latency_p50_ms"], told["query_latency_p95_ms"], told["query_latency_p99_ms"]) == (
        500,
        950,
        990,
    )
    assert told["total_queries"] == 1500


def test_a_reader_who_went_away_is_no_error() -> None:
    metrics = Metrics()
    metrics.answered(answer(1.0))
    metrics.failed(asyncio.CancelledError(), (), Usage())
    metrics.failed(GeneratorExit(), (), Usage())
    metrics.failed(NoTutorLeft([], retry_after=1), [FailureNote("gemini", "too_slow")], Usage(70, 3, 1))
    told = metrics.summary()
    assert told["cancelled_queries"] == 2
    assert told["errors"] == {"NoTutorLeft": 1}
    assert told["error_rate"] == 0.5
    assert told["provider_failures"] == {"gemini": 1}

"""Health: what is looked at, what it costs, and when it says that questions cannot be answered."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from preceptor.settings import Settings
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.standins.provider import Answer, Provider, fails

CARD = {"id": "gemini-2.5-flash", "object": "model", "created": 0, "owned_by": "google"}


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


async def test_a_service_that_can_answer_is_healthy(settings: Settings, gemini: Provider) -> None:
    async with asking(settings) as client:
        response = await client.get("/api/v1/health")
    told = response.json()
    assert response.status_code == 200
    assert told["status"] == "healthy"
    assert {name: check["status"] for name, check in told["checks"].items()} == {
        "qdrant": "healthy",
        "llm": "healthy",
        "embeddings": "healthy",
        "sessions": "healthy",
    }
    assert told["checks"]["llm"]["providers"]["gemini"]["breaker"] == "closed"
    assert all(check["detail"] for check in told["checks"].values())
    assert gemini.requests == []


async def test_a_probe_asks_each_provider_for_the_models_card_once(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(fails(200, CARD))
    async with asking(settings) as client:
        told = await asyncio.gather(*(client.get("/api/v1/health?probe=1") for _ in range(5)))
    assert [each.json()["checks"]["llm"]["providers"]["gemini"]["probe"] for each in told] == ["ok"] * 5
    assert [request.path for request in gemini.requests] == ["/v1beta/openai/models/gemini-2.5-flash"]


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (fails(200, {"object": "list", "data": [CARD]}), "ok"),
        (fails(200, {"object": "list", "data": [CARD | {"id": "another"}]}), "unknown_model"),
        (fails(200, {"object": "list"}), "unknown_model"),
        (fails(200, {"data": [1]}), "unknown_model"),
        (fails(200, "<p>Sign in</p>"), "unknown_model"),
        (fails(404, {}), "unknown_model"),
    ],
)
async def test_a_server_without_cards_is_asked_for_its_list_of_models(
    settings: Settings, gemini: Provider, listed: Answer, told: str
) -> None:
    gemini.will(fails(404, {"detail": "Not Found"}), listed)
    async with asking(settings) as client:
        response = await client.get("/api/v1/health?probe=1")
    assert response.json()["checks"]["llm"]["providers"]["gemini"]["probe"] == told
    assert gemini.requests[-1].path == "/v1beta/openai/models"


async def test_a_probe_that_fails_says_why_and_the_offline_tutor_is_left(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(fails(401, {"error": {"message": "no such key"}}))
    async with asking(settings) as client:
        response = await client.get("/api/v1/health?probe=1")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["checks"]["llm"]["providers"]["gemini"]["probe"] == "bad_key"


async def test_an_open_breaker_degrades_and_without_an_offline_tutor_nothing_can_be_answered(
    settings: Settings, gemini: Provider
) -> None:
    strict = settings.model_copy(
        update={"tutor": settings.tutor.model_copy(update={"offline_fallback": False})}
    )
    for each, status, code in ((settings, "degraded", 200), (strict, "unhealthy", 503)):
        gemini.will(fails(503, {}))
        async with asking(each) as client:
            await client.post("/api/v1/chat", json={"content": "What is a node?"})
            response = await client.get("/api/v1/health")
        assert (response.status_code, response.json()["status"]) == (code, status)
        assert response.json()["checks"]["llm"]["providers"]["gemini"] == {
            "configured": True,
            "model": "gemini-2.5-flash",
            "breaker": "open",
            "last_error": "server_error",
        }

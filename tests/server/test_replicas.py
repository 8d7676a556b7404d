"""Two replicas with a real Redis: one dies in the middle of many streams, and its readers go on with the other."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Limits, TransportError

from tests.server.serving import PATIENCE, QUESTION, Service, serving
from tests.standins.provider import Answer, Provider, chunk, fails, stream
from tests.standins.servers import redis_server

STREAMS = 200
AT_ONCE = 20


def _sharing(redis: str) -> dict[str, str]:
    return {
        "PRECEPTOR_SESSION__URL": redis,
        "PRECEPTOR_LIMITS__STORAGE": redis.replace("/0", "/1"),
        "PRECEPTOR_LIMITS__RATE": "",
        "PRECEPTOR_LIMITS__CLIENT_BUDGET": "0",
        "PRECEPTOR_LIMITS__BUDGET": "100000",
        "PRECEPTOR_LIMITS__QUEUE": str(STREAMS),
        "PRECEPTOR_TUTOR__DEADLINE": "600",
        "PRECEPTOR_TUTOR__OFFLINE_FALLBACK": "false",
        "PRECEPTOR_PROVIDERS__GEMINI__FIRST_TOKEN": "300",
        "PRECEPTOR_PROVIDERS__GEMINI__TIMEOUT": "600",
        "PRECEPTOR_PROVIDERS__GEMINI__ATTEMPTS": "1",
        "PRECEPTOR_BREAKER__FAILURES": "3",
        "PRECEPTOR_BREAKER__COOL_DOWN": "600",
    }


def _said(text: str) -> Answer:
    return stream(chunk({"content": text}), chunk({}, "stop"))


@pytest.mark.long
async def test_when_a_replica_dies_its_readers_go_on_in_their_sessions_with_another(
    sample_index: Path, tmp_path: Path
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with redis_server(tmp_path) as redis, Provider() as provider:
        provider.will_only(_said("A node is a process."))
        shared = _sharing(redis)
        with (
            serving(sample_index, tmp_path / "one", provider=provider, workers=1, **shared) as one,
            serving(sample_index, tmp_path / "other", provider=provider, workers=1, **shared) as other,
        ):
            limits = Limits(max_connections=2 * STREAMS)
            async with AsyncClient(timeout=PATIENCE, limits=limits) as client:
                places = [(one, other)[number % 2] for number in range(STREAMS)]
                gate = asyncio.Semaphore(AT_ONCE)
                first = await asyncio.gather(*(_ask(client, place, QUESTION, gate) for place in places))
                sessions = [answer["session_id"] for answer in first]
                assert len(set(sessions)) == STREAMS

                # Long enough that all of them are in the middle when the replica dies.
                slow = stream(
                    chunk({"content": "It computes."}), chunk({"content": " Always."}), chunk({}, "stop")
                )
                provider.will_only(Answer(slow.pieces, pause=40.0))
                begun = [asyncio.Event() for _ in places]
                streams = [
                    asyncio.create_task(_stream(client, place, session, event))
                    for place, session, event in zip(places, sessions, begun, strict=True)
                ]
                await asyncio.gather(*(event.wait() for event in begun))
                one.process.kill()
                ended = await asyncio.gather(*streams)
                assert [each == "done" for each in ended] == [place is other for place in places]

                # Who was cut off asks again, and the proxy has only the other replica left.
                provider.will_only(_said("It is a process, as I said."))
                cut = [session for session, place in zip(sessions, places, strict=True) if place is one]
                asked = [{**QUESTION, "session_id": session} for session in cut]
                again = await asyncio.gather(*(_ask(client, other, body, gate) for body in asked))
                assert [answer["session_id"] for answer in again] == cut
                turns = [
                    len((await client.get(f"{other.url}/api/v1/sessions/{session}")).json()["turns"])
                    for session in sessions
                ]
                assert turns == [2] * STREAMS
            assert await _spent(redis.replace("/0", "/1")) == 2 * STREAMS + len(cut)
            assert other.wrong() == []


@pytest.mark.long
async def test_a_provider_that_is_down_is_noticed_by_one_replica_for_all(
    sample_index: Path, tmp_path: Path
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with redis_server(tmp_path) as redis, Provider() as provider:
        provider.will_only(fails(503, "down"))
        shared = _sharing(redis)
        with (
            serving(sample_index, tmp_path / "one", provider=provider, workers=1, **shared) as one,
            serving(sample_index, tmp_path / "other", provider=provider, workers=1, **shared) as other,
        ):
            for _ in range(3):
                assert one.ask().status_code == 503
            other.logged("as another process says")
            provider.requests.clear()
            assert other.ask().status_code == 503
            assert provider.requests == []


async def _ask(
    client: AsyncClient, place: Service, body: Mapping[str, Any], gate: asyncio.Semaphore
) -> dict[str, Any]:
    async with gate:
        response = await client.post(f"{place.url}/api/v1/chat", json=dict(body))
    assert response.status_code == 200, response.text
    return response.json()


async def _stream(client: AsyncClient, place: Service, session: str, begun: asyncio.Event) -> str:
    """The name of the last event that came, once the stream has ended or was cut."""
    last = ""
    body = {**QUESTION, "session_id": session, "stream": True}
    try:
        async with client.stream("POST", f"{place.url}/api/v1/chat", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    last = line.removeprefix("event: ")
                if last == "token":
                    begun.set()
                if line.startswith("data: ") and last == "error":
                    pytest.fail(json.loads(line.removeprefix("data: "))["error"])
    except TransportError:
        pass
    finally:
        begun.set()
    return last


async def _spent(redis: str) -> int:
    """Questions that were counted for the day's budget of all clients."""
    from redis.asyncio import Redis  # an extra

    async with Redis.from_url(redis) as client:
        keys = [key async for key in client.scan_iter("*")]
        counts = [await client.get(key) for key in keys if b"all" in key]
    return sum(int(count or 0) for count in counts)

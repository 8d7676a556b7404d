"""Two replicas behind a proxy, with a real Redis or PostgreSQL: one dies in the middle of many streams, and its readers
go on with the other.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Limits, TransportError

from tests.server.serving import PATIENCE, QUESTION, serving
from tests.standins.provider import Answer, Provider, chunk, fails, stream
from tests.standins.servers import postgres_server, proxy, redis_server

AT_ONCE = 20


def _sharing(redis: str) -> dict[str, str]:
    return {
        "PRECEPTOR_SESSION__URL": redis,
        "PRECEPTOR_LIMITS__STORAGE": redis.replace("/0", "/1"),
        "PRECEPTOR_LIMITS__RATE": "",
        "PRECEPTOR_LIMITS__CLIENT_BUDGET": "0",
        "PRECEPTOR_LIMITS__BUDGET": "100000",
        "PRECEPTOR_LIMITS__QUEUE": "200",
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
@pytest.mark.parametrize(("store", "streams"), [("redis", 200), ("postgres", 80)])
async def test_when_a_replica_dies_its_readers_go_on_in_their_sessions_with_another(
    sample_index: Path, tmp_path: Path, store: str, streams: int
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path))
        shared = _sharing(redis)
        if store == "postgres":
            pytest.importorskip("asyncpg", reason="needs the extra `postgres`")
            shared["PRECEPTOR_SESSION__URL"] = stack.enter_context(postgres_server())
        provider = stack.enter_context(Provider())
        one, other = (
            stack.enter_context(
                serving(sample_index, tmp_path / name, provider=provider, workers=1, **shared)
            )
            for name in ("one", "other")
        )
        url = stack.enter_context(proxy(tmp_path, one.url, other.url))
        provider.will_only(_said("A node is a process."))
        async with AsyncClient(timeout=PATIENCE, limits=Limits(max_connections=2 * streams)) as client:
            gate = asyncio.Semaphore(AT_ONCE)
            first = await asyncio.gather(*(_ask(client, url, QUESTION, gate) for _ in range(streams)))
            sessions = [answer["session_id"] for answer in first]
            assert len(set(sessions)) == streams

            # All of them are in the middle when the replica dies.
            slow = stream(
                chunk({"content": "It computes."}), chunk({"content": " Always."}), chunk({}, "stop")
            )
            provider.will_only(replace(slow, is_held=True))
            begun = [asyncio.Event() for _ in sessions]
            asked = [
                asyncio.create_task(_stream(client, url, session, event))
                for session, event in zip(sessions, begun, strict=True)
            ]
            await asyncio.gather(*(event.wait() for event in begun))
            one.process.kill()
            one.process.wait()
            provider.go_on()
            ended = await asyncio.gather(*asked)
            cut = [session for session, last in zip(sessions, ended, strict=True) if last != "done"]
            assert len(cut) == streams // 2

            # Who was cut off asks again, and the proxy has only the other replica left.
            provider.will_only(_said("It is a process, as I said."))
            bodies = [{**QUESTION, "session_id": session} for session in cut]
            again = await asyncio.gather(*(_ask(client, url, body, gate) for body in bodies))
            assert [answer["session_id"] for answer in again] == cut
            turns = [
                len((await client.get(f"{url}/api/v1/sessions/{session}")).json()["turns"])
                for session in sessions
            ]
            assert turns == [2] * streams
        # On a busy machine Redis may have taken longer than a replica waits for it, which then counts by itself.
        alone = any("limits.storage does not answer" in line for line in [*one.log, *other.log])
        spent, asked_in_all = await _spent(redis.replace("/0", "/1")), 2 * streams + len(cut)
        assert spent <= asked_in_all if alone else spent == asked_in_all
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
    client: AsyncClient, url: str, body: Mapping[str, Any], gate: asyncio.Semaphore
) -> dict[str, Any]:
    async with gate:
        response = await client.post(f"{url}/api/v1/chat", json=dict(body))
    assert response.status_code == 200, response.text
    return response.json()


async def _stream(client: AsyncClient, url: str, session: str, begun: asyncio.Event) -> str:
    """The name of the last event that came, once the stream has ended or was cut."""
    last = ""
    body = {**QUESTION, "session_id": session, "stream": True}
    try:
        async with client.stream("POST", f"{url}/api/v1/chat", json=body) as response:
            assert response.status_code == 200, await response.aread()
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

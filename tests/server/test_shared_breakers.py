"""Breakers of several processes, in step through a real Redis."""

import asyncio
import logging
from collections.abc import Callable, Generator

import pytest

from preceptor.errors import AnswerUnusable
from preceptor.providers.breaker import Breaker
from preceptor.server.shared_breakers import SharedBreakers
from tests.standins.servers import free_port, redis_server

redis = pytest.importorskip("redis.asyncio", reason="needs the extra `redis`")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A running Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def _breaker(clock: Callable[[], float]) -> Breaker:
    return Breaker("gemini", failures=1, cool_down=30.0, clock=clock)


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not seen():  # noqa: ASYNC110 - what Redis delivers sets no event here
            await asyncio.sleep(0.005)


def _fail(breaker: Breaker) -> None:
    with pytest.raises(AnswerUnusable), breaker.guard():
        raise AnswerUnusable("stream_cut", "it ended in the middle")


async def test_a_provider_that_is_down_is_left_alone_by_every_process(url: str) -> None:
    now = [100.0]
    one, other, late = (_breaker(lambda: now[0]) for _ in range(3))
    # Shorter than any pause between two messages: silence is no failure.
    client = redis.Redis.from_url(url, socket_timeout=0.05)
    async with SharedBreakers([one], client).running(), SharedBreakers([other], client).running():
        for odd in (b"\xff", b"soon gemini"):
            await client.publish("preceptor:breakers", odd)
        _fail(one)
        await _until(lambda: other.state == "open")
        assert 29 < other.retry_after <= 30
        with pytest.raises(AnswerUnusable), other.guard():
            pass
        # A process that starts meanwhile knows it, too.
        async with SharedBreakers([late], client).running():
            assert late.state == "open"
            now[0] += 31
            with one.guard():
                pass
            assert one.state == "closed"
            await _until(lambda: other.state == late.state == "closed")
    await client.aclose()


async def test_without_redis_each_process_has_its_own_breakers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    breaker = _breaker(lambda: 0.0)
    client = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0", socket_connect_timeout=1)
    async with SharedBreakers([breaker], client).running():
        _fail(breaker)
        assert breaker.state == "open"
        await _until(lambda: "do not hear of gemini" in caplog.text)
    await client.aclose()

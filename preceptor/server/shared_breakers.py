"""Breakers that several processes share through Redis: a provider that is down is noticed by one and left alone by all.

A breaker that opens here is told to the others and kept in Redis for as long as it is open, so that a process that
starts meanwhile knows it, too. Each process probes the provider by itself when the time is over; the first whose probe
is answered tells the others. Without Redis, or while it does not answer, each process has its own breakers.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from preceptor.providers.breaker import Breaker

logger = logging.getLogger(__name__)

_CHANNEL = "preceptor:breakers"
_SECONDS = 1.0
"""Longest wait for Redis when a process starts, in seconds."""
_SILENCE = 30.0
"""Wait for a message, in seconds; then it is waited for again."""
_REST = 5.0
"""Pause after a failure of Redis, in seconds."""


class SharedBreakers:
    """Keeps the breakers of this process in step with those of others."""

    def __init__(self, breakers: Iterable[Breaker], redis: Redis) -> None:
        """Take part.

        Args:
            breakers: Those of this process; the others' have the same names.
            redis: The client, which somebody else closes.
        """
        self._breakers = {one.name: one for one in breakers}
        self._redis = redis
        self._telling: set[asyncio.Task[None]] = set()
        self.listens = asyncio.Event()
        """Set while it hears of the others."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Tell the others of each breaker that opens or closes here, and hear of theirs."""
        loop = asyncio.get_running_loop()
        for one in self._breakers.values():
            one.told = self._tell
        listening = loop.create_task(self._listen())
        try:
            async with asyncio.timeout(_SECONDS):
                await self.listens.wait()
        except TimeoutError:
            pass  # it starts all the same, and hears of them when Redis answers
        try:
            yield
        finally:
            for one in self._breakers.values():
                one.told = None
            for task in (listening, *self._telling):
                task.cancel()
            await asyncio.gather(listening, *self._telling, return_exceptions=True)

    def _tell(self, name: str, seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(self._told(name, seconds))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, name: str, seconds: float) -> None:
        key = f"{_CHANNEL}:{name}"
        try:
            async with self._redis.pipeline(transaction=True) as both:
                if seconds:
                    both.set(key, "open", px=max(1, round(seconds * 1000)))
                else:
                    both.delete(key)
                both.publish(_CHANNEL, f"{seconds:.3f} {name}")
                await both.execute()
        except (RedisError, OSError) as error:
            logger.warning("other processes do not hear of %s: %s", name, type(error).__name__)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as heard:
                    await heard.subscribe(_CHANNEL)
                    # After the subscription: what is said in between is heard twice, and not missed.
                    for name in self._breakers:
                        left = await self._redis.pttl(f"{_CHANNEL}:{name}")
                        if left > 0:
                            self._adopt(name, left / 1000)
                    self.listens.set()
                    while True:
                        # Not `listen`, which takes silence of the connection's timeout for a failure.
                        message = await heard.get_message(timeout=_SILENCE)
                        if message is not None:
                            self._hear(message)
            except (RedisError, OSError) as error:
                if self.listens.is_set():
                    logger.warning("breakers are not shared until Redis answers: %s", type(error).__name__)
                self.listens.clear()
            await asyncio.sleep(_REST)

    def _hear(self, message: Any) -> None:
        if message["type"] != "message":
            return
        seconds, _, name = bytes(message["data"]).decode(errors="replace").partition(" ")
        # Who else writes to this channel is not ours to say, and it must not end the listening.
        with suppress(ValueError):
            self._adopt(name, float(seconds))

    def _adopt(self, name: str, seconds: float) -> None:
        breaker = self._breakers.get(name)
        if breaker is not None:
            breaker.adopt(seconds)

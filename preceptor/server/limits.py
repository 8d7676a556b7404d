"""How much is answered: a rate and a daily budget for each client, a budget for all, and places for answers.

Both are ASGI middleware of the routes that they guard; what they count with is opened by the lifespan. Places
(and, with `memory://`, the counts) are those of one process. While Redis does not answer, each process counts
by itself.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, RateLimitItemPerDay, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from starlette.types import ASGIApp, Receive, Scope, Send

from preceptor.errors import BudgetSpent, Overloaded, RateLimited, SettingsError, Stopping
from preceptor.server.access import client_of
from preceptor.settings import LimitsSettings

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

logger = logging.getLogger(__name__)

_REDIS_SECONDS = 1.0
_CUT_SECONDS = 2.0
"""For an answer that was cut to say so to its reader."""


class Limits:
    """Counts what clients ask."""

    def __init__(self, settings: LimitsSettings, *, env: str) -> None:
        """Open the storage; Redis is asked when the first question comes.

        Raises:
            SettingsError: `limits.storage` is Redis, whose client is not installed.
        """
        self._settings = settings
        self._rate = parse(settings.rate) if settings.rate else None
        self._client_budget = RateLimitItemPerDay(settings.client_budget) if settings.client_budget else None
        self._budget = RateLimitItemPerDay(settings.budget) if settings.budget else None
        url = settings.storage.get_secret_value()
        self._pool = None if url.startswith("memory:") else _pool(url, env=env)
        # In the order in which they are tried.
        self._storages: list[Storage] = [MemoryStorage()]
        if self._pool is not None:
            self._storages.insert(0, _redis(url, self._pool))
        self._redis_failed = False

    async def ask(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: The client has made too many of them.
        """
        wait = await self._spend(SlidingWindowCounterRateLimiter, self._rate, "rate", client)
        if wait is not None:
            raise RateLimited(self._settings.rate.replace("/", " per "), retry_after=wait)

    async def spend(self, client: str) -> None:
        """Count one question that may cost money.

        Raises:
            BudgetSpent: There were too many today, of this client or of all.
        """
        wait = await self._spend(FixedWindowRateLimiter, self._client_budget, "client", client)
        if wait is not None:
            raise BudgetSpent(whose="Your questions", retry_after=wait)
        wait = await self._spend(FixedWindowRateLimiter, self._budget, "all")
        if wait is not None:
            raise BudgetSpent(whose="The questions that this service answers", retry_after=wait)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _spend(
        self, strategy: type[RateLimiter], limit: RateLimitItem | None, *who: str
    ) -> float | None:
        """Count one; the seconds to wait if that was too many."""
        if limit is None:
            return None
        for storage in self._storages:
            limiter = strategy(storage)
            try:
                if await limiter.hit(limit, *who):
                    self._redis_is(failing=storage is not self._storages[0])
                    return None
                reset = (await limiter.get_window_stats(limit, *who)).reset_time
                return max(1.0, reset - time.time())
            except StorageError:
                self._redis_is(failing=True)
        raise AssertionError("the memory of this process does not fail")

    def _redis_is(self, *, failing: bool) -> None:
        if failing and not self._redis_failed:
            logger.warning("limits.storage does not answer: each process counts by itself until it does")
        elif self._redis_failed and not failing:
            logger.info("limits.storage answers again")
        self._redis_failed = failing


class Places:
    """Bounds the answers that are made at a time; when the service is to stop, lets them run out."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Open as many places as the settings say."""
        self._settings = settings
        self._free = asyncio.Semaphore(settings.concurrent)
        self._waiting = 0
        self._running: set[asyncio.Task[Any]] = set()
        self._none_taken = asyncio.Event()
        self._none_taken.set()
        self._over = False
        self.taken = 0
        self.stopping = False

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Hold a place.

        Raises:
            Overloaded: The queue is full, or no place came free in time.
            Stopping: The service takes no more questions.
        """
        await self._wait()
        try:
            if self.stopping:
                raise Stopping
            self.taken += 1
            self._none_taken.clear()
            try:
                yield
            finally:
                self.taken -= 1
                if not self.taken:
                    self._none_taken.set()
        finally:
            self._free.release()

    async def _wait(self) -> None:
        if self.stopping:
            raise Stopping
        seconds = self._settings.queue_seconds
        if self._free.locked() and self._waiting >= self._settings.queue:
            raise Overloaded(retry_after=seconds)
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=seconds) from None
        finally:
            self._waiting -= 1

    @contextmanager
    def cut_in_the_end(self) -> Generator[None]:
        """What runs inside is ended with an error when the time to stop is over.

        Raises:
            Stopping: It was ended.
        """
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._over:
                raise
            task.uncancel()
            raise Stopping from None
        finally:
            self._running.discard(task)

    async def stop(self, seconds: float) -> None:
        """Take no more questions; return when the last answer has ended, at the latest after `seconds`."""
        self.stopping = True
        try:
            async with asyncio.timeout(seconds):
                await self._none_taken.wait()
        except TimeoutError:
            self.cut()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CUT_SECONDS):
                    await self._none_taken.wait()

    def cut(self) -> None:
        """End the running answers now, each with an error."""
        logger.warning("%d answers are cut, because the service stops", self.taken)
        self._over = True
        for task in self._running:
            task.cancel()


class RateLimit:
    """ASGI middleware: no more requests of one client than `limits.rate`."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        limits: Limits = scope["state"]["limits"]
        await limits.ask(client_of(scope))
        await self._app(scope, receive, send)


class Admission:
    """ASGI middleware: questions within the budgets, each with a place until its answer is sent."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        places: Places = scope["state"]["places"]
        limits: Limits = scope["state"]["limits"]
        async with places.take():
            await limits.spend(client_of(scope))
            await self._app(scope, receive, send)


def _pool(url: str, *, env: str) -> "ConnectionPool":
    try:
        from redis.asyncio import ConnectionPool  # an extra
    except ImportError:
        raise SettingsError(
            ["`limits.storage` is Redis, whose client is not installed: `pip install 'preceptor[redis]'`."],
            env=env,
        ) from None
    return ConnectionPool.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)


def _redis(url: str, pool: Any) -> RedisStorage:
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="preceptor",
        connection_pool=pool,
    )

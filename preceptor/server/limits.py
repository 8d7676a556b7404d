"""How much is answered: a rate and a daily budget for each client, and a budget for all.

`RateLimit` and `Admission` are ASGI middleware of the routes that they guard; what they count with is opened by
the lifespan. With `memory://`, and while Redis does not answer, each process counts by itself.
"""

import logging
import time
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, RateLimitItemPerDay, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from starlette.types import ASGIApp, Receive, Scope, Send

from preceptor.errors import BudgetSpent, RateLimited, SettingsError
from preceptor.server.access import client_of
from preceptor.server.places import Places
from preceptor.settings import LimitsSettings

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

logger = logging.getLogger(__name__)

_REDIS_SECONDS = 1.0


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

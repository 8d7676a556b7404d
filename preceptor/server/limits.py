"""Limits: a rate and a daily budget for each client, and a budget for all clients.

`RateLimit` and `Admission` are ASGI middleware of the routes that they guard; the lifespan opens their
storage. With `memory://`, and while Redis does not answer, each process counts by itself.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, RateLimitItemPerDay, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.errors import BudgetSpent, RateLimited, SettingsError
from preceptor.providers.models import ProviderModels
from preceptor.server.access import client_of
from preceptor.server.slots import Slots
from preceptor.server.write_deadline import sent_behind
from preceptor.settings import LimitsSettings

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

logger = logging.getLogger(__name__)

_REDIS_SECONDS = 1.0
"""Longest wait for Redis, in seconds."""
_REDIS_REST = 10.0
"""Pause after a failure of Redis, in seconds."""
_ASIDE = 5
"""Requests that a front end may make by itself for each one that its reader may make."""


class Limits:
    """Counts the requests and questions of clients."""

    def __init__(
        self, settings: LimitsSettings, *, env: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Opens the storage; Redis is first contacted with the first question.

        Args:
            settings: The limits.
            env: Environment of the settings, for messages.
            clock: Seconds.

        Raises:
            SettingsError: `limits.storage` is Redis, whose client is not installed.
        """
        self._settings = settings
        self._rate = parse(settings.rate) if settings.rate else None
        self._aside = self._rate and type(self._rate)(self._rate.amount * _ASIDE, self._rate.multiples)
        self._client_budget = RateLimitItemPerDay(settings.client_budget) if settings.client_budget else None
        self._budget = RateLimitItemPerDay(settings.budget) if settings.budget else None
        url = settings.storage.get_secret_value()
        self._pool = None if url.startswith("memory:") else _pool(url, env=env)
        self._memory = MemoryStorage()
        self._redis = None if self._pool is None else _redis(self._pool)
        self._clock = clock
        self._failed_at: float | None = None
        """Time at which Redis last failed, if its last call failed."""
        self._env = env
        self._whose: tuple[str, ...] = ()
        """Begins the names of the counts of a book that has its own."""
        self._books: dict[str, Limits] = {}

    def of_book(self, book: str, settings: LimitsSettings) -> "Limits":
        """Returns limits in the same storage that are counted for one book alone.

        Args:
            book: Its id.
            settings: Its limits; the storage in it is not looked at.
        """
        if book not in self._books:
            made = Limits(settings.model_copy(update={"storage": SecretStr("memory://")}), env=self._env)
            made._memory, made._redis, made._clock = self._memory, self._redis, self._clock
            made._whose = ("book", book)
            self._books[book] = made
        return self._books[book]

    async def ask(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimited: The client has made too many of them.
        """
        wait = await self._spend(SlidingWindowCounterRateLimiter, self._rate, "rate", client)
        if wait is not None:
            raise RateLimited(self._settings.rate.replace("/", " per "), retry_after=wait)

    async def ask_aside(self, client: str) -> None:
        """Count one request, which was counted as the reader's, as one that a front end made by itself.

        Raises:
            RateLimited: The front end has made too many of them.
        """
        await self._spend(SlidingWindowCounterRateLimiter, self._rate, "rate", client, cost=-1)
        wait = await self._spend(SlidingWindowCounterRateLimiter, self._aside, "aside", client)
        if wait is not None:
            raise RateLimited(f"{_ASIDE} times {self._settings.rate.replace('/', ' per ')}", retry_after=wait)

    async def spend(self, client: str) -> None:
        """Count one question that may cost money.

        Raises:
            BudgetSpent: There were too many today, of this client or of all.
        """
        # A budget ends with its day, as readers are told; the rate slides, for two windows in a row allow double.
        wait = await self._spend(FixedWindowRateLimiter, self._client_budget, "client", client)
        if wait is not None:
            raise BudgetSpent(whose="Your questions", retry_after=wait)
        wait = await self._spend(FixedWindowRateLimiter, self._budget, "all")
        if wait is not None:
            raise BudgetSpent(whose="The questions that this service answers", retry_after=wait)

    def share(self, models: ProviderModels) -> AbstractAsyncContextManager[None]:
        """Returns a context in which the breakers of providers are those of all processes with this Redis, if any."""
        if self._pool is None:
            return nullcontext()
        from redis.asyncio import Redis  # an extra

        from preceptor.server.shared_breakers import SharedBreakers

        return SharedBreakers(
            (entry.breaker for entry in models), Redis(connection_pool=self._pool)
        ).running()

    async def close(self) -> None:
        """Closes the connections to Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _spend(
        self, strategy: type[RateLimiter], limit: RateLimitItem | None, *who: str, cost: int = 1
    ) -> float | None:
        """Counts one request, or gives one back (`cost=-1`); returns the seconds to wait if that was too many."""
        if limit is None:
            return None
        who = (*self._whose, *who)
        # Without the pause every question would wait for Redis' timeout while it is down.
        resting = self._failed_at is not None and self._clock() - self._failed_at < _REDIS_REST
        if self._redis is None or resting:
            return await _hit(strategy(self._memory), limit, *who, cost=cost)
        try:
            wait = await _hit(strategy(self._redis), limit, *who, cost=cost)
        except StorageError:
            if self._failed_at is None:
                logger.warning("limits.storage does not answer: each process counts by itself until it does")
            self._failed_at = self._clock()
            # Counting by process is less strict, but neither refuses everybody nor lets everybody through.
            return await _hit(strategy(self._memory), limit, *who, cost=cost)
        if self._failed_at is not None:
            logger.info("limits.storage answers again")
        self._failed_at = None
        return wait


class RateLimit:
    """ASGI middleware that enforces `limits.rate` for each client."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        limits: Limits = scope["state"]["limits"]
        await limits.ask(client_of(scope))
        await self._app(scope, receive, send)


class Admission:
    """ASGI middleware: a slot for each question, from when all of it is there until its answer is made.

    How long it takes to be read is the reader's affair.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        slots: Slots = scope["state"]["slots"]
        # Before it takes a place: whoever sends slowly keeps nobody else out.
        unread: list[Message] = [{"type": "http.request", "body": await Request(scope, receive).body()}]

        async def replayed() -> Message:
            return unread.pop() if unread else await receive()

        async with sent_behind(send) as put, slots.take():
            await self._app(scope, replayed, put)


async def _hit(limiter: RateLimiter, limit: RateLimitItem, *who: str, cost: int) -> float | None:
    """Counts one request; returns the seconds to wait if that was too many.

    Raises:
        StorageError: The storage does not answer.
    """
    if await limiter.hit(limit, *who, cost=cost):
        return None
    reset = (await limiter.get_window_stats(limit, *who)).reset_time
    # A window that ends while it is looked at would give a wait of 0, which clients take for "at once".
    return max(1.0, reset - time.time())


def _pool(url: str, *, env: str) -> "ConnectionPool":
    try:
        from redis.asyncio import ConnectionPool  # an extra
    except ImportError:
        raise SettingsError(
            ["`limits.storage` is Redis, whose client is not installed: `pip install 'preceptor[redis]'`."],
            env=env,
        ) from None
    try:
        pool = ConnectionPool.from_url(
            url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
        )
        pool.make_connection()  # checks its options; nothing is connected
    except (ValueError, TypeError) as error:
        problem = f"`limits.storage` is not an address that Redis' client can read ({type(error).__name__})."
        raise SettingsError([f"{problem} Look at what follows the host."], env=env) from None
    return pool


def _redis(pool: Any) -> RedisStorage:
    return RedisStorage(
        "async+redis://localhost:6379",  # looked at, and not used: the pool has the address
        implementation="redispy",
        wrap_exceptions=True,
        key_prefix="preceptor",
        connection_pool=pool,
    )

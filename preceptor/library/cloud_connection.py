"""Sends requests to Qdrant Cloud: each with a deadline, retries, a log line and named errors."""

import asyncio
import logging
import math
import re
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import stamina
from qdrant_client import AsyncQdrantClient

from preceptor.errors import ClientUnusable, IndexNotFound, IndexUnreachable, VectorIndexError
from preceptor.library import cloud_errors

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

_WRITERS_PATIENCE = 120.0
_READERS_PATIENCE = 2.0
"""Longest wait, in seconds, that the server may ask for before another try. A reader waits for an answer (and a load
balancer for health), and whatever is longer than this is better told to them, as with the providers."""


def is_version(name: str, *, of: str) -> bool:
    """Whether a real collection's name is a version of the collection `of`."""
    return re.fullmatch(re.escape(of) + r"__v\d{4,}", name) is not None


class Connection:
    """One client for one event loop."""

    def __init__(self, endpoint: str, *, api_key: str | None, timeout: float, attempts: int) -> None:
        parts = urlsplit(endpoint)
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.timeout = timeout
        self._attempts = attempts
        if api_key and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            logger.warning("the key goes to %s unencrypted: use https", self.where)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the same warning, for loopback as well
                self.client = AsyncQdrantClient(
                    url=endpoint,
                    api_key=api_key,
                    # The client takes whole seconds; `_try` keeps the true ones.
                    timeout=math.ceil(timeout),
                    check_compatibility=False,  # it would ask from a thread of its own
                    limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
                )
        except (OSError, ImportError) as error:
            raise ClientUnusable(self.where, error) from None
        except ValueError as error:
            raise IndexUnreachable(self.where, f"it is not an address ({error})") from error

    async def read(self, action: str, call: Callable[[], Awaitable[_T]], *, collection: str = "") -> _T:
        """Run a read-only request with retries, see `write`."""
        patience = _READERS_PATIENCE
        return await self._ask(action, call, collection=collection, patience=patience, level=logging.DEBUG)

    async def write(self, action: str, call: Callable[[], Awaitable[_T]], *, collection: str = "") -> _T:
        """Run a mutating request; it is retried, so it must be idempotent.

        Args:
            action: Name of the action, for the log and for messages such as "the key may not …".
            call: A method of `client`, bound to its arguments.
            collection: Its name; empty when it is about the cluster.

        Raises:
            VectorIndexError: The last try failed.
        """
        patience = _WRITERS_PATIENCE
        return await self._ask(action, call, collection=collection, patience=patience, level=logging.INFO)

    async def aliases(self) -> dict[str, str]:
        """Returns the real names by alias."""
        found = await self.read("list aliases", self.client.get_aliases)
        return {one.alias_name: one.collection_name for one in found.aliases}

    async def collections(self) -> list[str]:
        """Returns the names of the books' collections, sorted: aliases of a version."""
        aliases = await self.aliases()
        return sorted(alias for alias, name in aliases.items() if is_version(name, of=alias))

    async def close(self) -> None:
        """Close the client."""
        await self.client.close()

    async def _ask(
        self,
        action: str,
        call: Callable[[], Awaitable[_T]],
        *,
        collection: str,
        patience: float,
        level: int,
    ) -> _T:
        started = time.perf_counter()
        try:
            answer = await self._try(call, patience=patience)
        except cloud_errors.RAISED as error:
            problem = cloud_errors.named(
                error, where=self.where, action=action, collection=collection, timeout=self.timeout
            )
            logger.warning("%s %s: %s, %.0f ms", action, collection, type(problem).__name__, _since(started))
            if isinstance(problem, IndexNotFound):
                with suppress(VectorIndexError):  # then it is told without the others' names
                    problem = IndexNotFound(collection, self.where, await self.collections())
            raise problem from error
        logger.log(level, "%s %s: %.0f ms", action, collection, _since(started))
        return answer

    async def _try(self, call: Callable[[], Awaitable[_T]], *, patience: float) -> _T:
        async for attempt in stamina.retry_context(
            on=partial(cloud_errors.pause, patience=patience),
            attempts=self._attempts,
            timeout=None,
            wait_initial=0.2,
            wait_max=5.0,
            wait_jitter=0.3,
        ):
            with attempt:
                # The client's own timeout is for each read and does not count the wait for a connection.
                async with asyncio.timeout(self.timeout):
                    return await call()
        raise AssertionError("a try either returns or raises")


def _since(started: float) -> float:
    """Milliseconds since `started`."""
    return (time.perf_counter() - started) * 1000

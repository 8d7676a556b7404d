"""A lock that lets one process at a time write a collection in Qdrant Cloud.

The cluster has no locks, but it grants only one of several requests to create a collection of one name. So
the lock is an empty collection, `NAME__lock`, whose metadata names the holder. A holder that died cannot
remove it: on the same host its death is visible at once, from another host it counts as dead after ten
minutes without a sign of life.
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from preceptor.errors import IndexLocked, IndexNotFound, VectorIndexError
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_errors import CollectionExists
from preceptor.library.lock import Holder

logger = logging.getLogger(__name__)

_METADATA = "preceptor_lock"
_EXPIRES = 600.0
"""Seconds without a sign of life after which the lock is free."""
_RENEWS = 60.0
"""Seconds between two signs of life."""


class CloudLock:
    """The lock of one collection."""

    def __init__(self, connection: Connection, collection: str) -> None:
        self._connection = connection
        self._client = connection.client
        self._collection = collection
        self._name = f"{collection}__lock"
        self._me = Holder()
        self._renewed = 0.0
        self._held = False

    async def acquire(self) -> None:
        """Take the lock.

        Raises:
            IndexLocked: Another writer has it.
            IndexForbidden: The key may not write.
        """
        # A second round, for a lock that was released or taken over in between; after that somebody else won.
        for _ in range(2):
            self._held = await self._make()
            if self._held:
                return
            found = await self._read()
            if found is None:
                continue  # let go of in between
            holder, age = found
            if holder.token == self._me.token:
                self._held = True  # made by a try whose answer was lost
                return
            # On this host a dead process is seen at once; of another host only its silence is known.
            if not holder.is_dead() and age < _EXPIRES:
                left = f"{holder} (free in {_EXPIRES - age:.0f} s if that is gone)"
                raise IndexLocked(self._collection, left)
            logger.warning("%s: the lock of %s is taken over", self._collection, holder)
            await self._remove()
        raise IndexLocked(self._collection, "another process")

    async def keep(self, *, surely: bool = False) -> None:
        """Renew the lock if it is due; with `surely`, also verify that it is still held.

        Raises:
            IndexLocked: It went to another writer.
        """
        if not surely and time.time() - self._renewed < _RENEWS:
            return
        found = await self._read()
        if found is None or found[0].token != self._me.token:
            raise IndexLocked(self._collection, str(found[0]) if found else "another process")
        update = partial(self._client.update_collection, self._name, metadata=self._sign())
        await self._connection.write("keep", update, collection=self._name)

    async def release(self) -> None:
        """Release the lock; may be called twice."""
        if not self._held:
            return
        self._held = False
        try:
            # It may have run out and be another writer's by now.
            found = await self._read()
            if found is not None and found[0].token == self._me.token:
                await self._remove()
        except VectorIndexError as error:  # it must not hide why a run ended
            logger.warning("%s: the lock stays until it runs out: %s", self._collection, error)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Hold the lock for a block."""
        await self.acquire()
        try:
            yield
        finally:
            await self.release()

    async def _make(self) -> bool:
        """Whether this process created the lock's collection; only one of several gets it."""
        create = partial(self._client.create_collection, self._name, vectors_config={}, metadata=self._sign())
        try:
            await self._connection.write("create the collection", create, collection=self._name)
        except CollectionExists:
            return False
        return True

    async def _read(self) -> tuple[Holder, float] | None:
        """Returns the holder and the age of its last sign of life in seconds; None if the lock is free."""
        get = partial(self._client.get_collection, self._name)
        try:
            found = await self._connection.read("describe", get, collection=self._name)
            said = (found.config.metadata or {})[_METADATA]
            return Holder(**said["holder"]), time.time() - said["renewed"]
        except IndexNotFound:
            return None
        except (KeyError, TypeError) as error:
            maker = f"whoever made the collection `{self._name}`, which is not Preceptor,"
            raise IndexLocked(self._collection, maker) from error

    async def _remove(self) -> None:
        delete = partial(self._client.delete_collection, self._name)
        await self._connection.write("delete", delete, collection=self._name)

    def _sign(self) -> dict[str, Any]:
        self._renewed = time.time()
        return {_METADATA: {"holder": self._me.as_json(), "renewed": self._renewed}}

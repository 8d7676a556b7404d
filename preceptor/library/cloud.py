"""The engine of production: Qdrant Cloud over HTTPS, one alias for each book, or one collection for all of them.

Readers create, change and delete nothing, so a server runs with a read-only key. `cloud_versions` describes
the versions behind an alias, `cloud_shared` the books in one collection.
"""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from preceptor.errors import IndexHasNoPrevious, IndexNotFound
from preceptor.library import schema
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_lock import CloudLock
from preceptor.library.cloud_reader import CloudIndex
from preceptor.library.cloud_shared import SharedIndex, SharedVersions, books
from preceptor.library.cloud_versions import CloudVersions, Version
from preceptor.library.cloud_writer import CloudWriter
from preceptor.library.protocol import Engine, IndexInfo


class QdrantCloud(Engine):
    """The collections in one cluster. Used in one event loop, and closed in it."""

    def __init__(
        self,
        endpoint: str,
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        attempts: int = 3,
        shared: str = "",
    ) -> None:
        """Create the client; nothing is requested yet.

        Args:
            endpoint: `https://….cloud.qdrant.io:6333`.
            api_key: A read-only one is enough to read.
            timeout: Deadline of one try of a request, in seconds.
            attempts: Tries of a request, where another one is worth it.
            shared: Name of the collection that all books share; empty: each version has one of its own.

        Raises:
            IndexUnreachable: The endpoint is not an address.
        """
        self._connection = Connection(endpoint, api_key=api_key, timeout=timeout, attempts=attempts)
        self._shared = shared
        self.where = self._connection.where

    async def verify_connection(self) -> None:
        """Return if the cluster answers and accepts the key; raise the named error otherwise."""
        await self._connection.read("list collections", self._connection.client.get_collections)

    async def verify_writable(self, collection: str) -> None:
        """Return if the key may write and nobody else is writing, see `Engine.verify_writable`.

        Raises:
            IndexForbidden: The key may only read.
            IndexLocked: Another process is writing it.
            IndexIncompatible: A collection that Preceptor did not make has this very name.
        """
        versions = await self._versions(collection)
        await versions.all()  # refuses a foreign collection
        async with CloudLock(self._connection, collection).held():
            pass

    async def collections(self) -> Sequence[str]:
        """Names of the books' collections, sorted."""
        if self._shared:
            return await books(self._connection, self._shared)
        return await self._connection.collections()

    async def open(self, collection: str) -> CloudIndex:
        """Open a collection for reading.

        Raises:
            IndexNotFound: There is no such collection.
            IndexIncompatible: It was not made by Preceptor, or is of another schema.
        """
        versions = await self._versions(collection)
        index = (
            SharedIndex(self._connection, versions)
            if isinstance(versions, SharedVersions)
            else CloudIndex(self._connection, versions)
        )
        await index.info()
        return index

    async def published(self, collection: str) -> Version:
        """Returns the version of a book that readers see.

        Raises:
            IndexNotFound: There is no such book.
        """
        return await (await self._versions(collection)).current()

    async def points(self, version: Version) -> AsyncGenerator[list[models.Record]]:
        """Yields the points of a version with their vectors, page by page."""
        offset: Any = None
        while True:
            scroll = partial(
                self._connection.client.scroll,
                version.place.collection,
                scroll_filter=version.place.where(),
                limit=schema.BATCH,
                offset=offset,
                with_payload=True,
                with_vectors=True,
            )
            page, offset = await self._connection.read("read", scroll, collection=version.name)
            yield page
            if offset is None:
                return

    async def write(self, collection: str, info: IndexInfo, *, rebuild: bool = False) -> CloudWriter:
        """Open a collection for writing, see `Engine.write`.

        Raises:
            IndexLocked: Another process is writing it.
            IndexIncompatible: A collection that Preceptor did not make has this very name.
            IndexForbidden: The key may not write.
        """
        versions = await self._versions(collection)
        return await CloudWriter.begin(self._connection, versions, info, rebuild=rebuild)

    async def rollback(self, collection: str) -> IndexInfo:
        """Make the previous version the published one, see `Engine.rollback`."""
        versions = await self._versions(collection)
        await versions.current()
        async with CloudLock(self._connection, collection).held():
            known, shown = await versions.all(), await versions.published()
            previous = known.get(known[shown].previous or "") if shown in known else None
            if shown is None or previous is None:
                raise IndexHasNoPrevious(collection)
            # So that rolling back twice changes nothing.
            await versions.note(previous, previous=shown)
            await versions.show(previous.name)
        return previous.info()

    async def delete(self, collection: str) -> None:
        """Remove a collection and all its versions, or a foreign collection of exactly this name."""
        client, versions = self._connection.client, await self._versions(collection)
        found = await self._connection.read("list collections", client.get_collections)
        if not self._shared and collection in [one.name for one in found.collections]:
            await versions.drop(collection)
            return
        known = await versions.all()
        if not known:
            raise IndexNotFound(collection, self.where, await self.collections())
        async with CloudLock(self._connection, collection).held():
            # The alias first: readers find no collection then, and never half of one.
            if await versions.published() is not None:
                await versions.hide()
            for name in known:
                await versions.drop(name)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def _versions(self, collection: str) -> CloudVersions:
        if not schema.is_collection_name(collection):
            raise IndexNotFound(collection, self.where, await self.collections())
        if self._shared:
            return SharedVersions(self._connection, collection, shared=self._shared)
        return CloudVersions(self._connection, collection)

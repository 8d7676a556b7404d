"""The engine of production: Qdrant Cloud over HTTPS, one alias for each collection.

Readers create, change and delete nothing, so a server runs with a read-only key. `cloud_versions` describes
the versions behind an alias.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from preceptor.errors import IndexHasNoPrevious, IndexNotFound
from preceptor.library import schema
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_lock import CloudLock
from preceptor.library.cloud_versions import CloudVersions
from preceptor.library.cloud_writer import CloudWriter
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import Choose, Engine, IndexInfo, Vectors
from preceptor.library.schema import BM25, CHAPTER, ORDINAL, OUTLINE_FIELDS

_PASSAGES = 1000
"""Number of points with text in one response."""
_SECTIONS = 10_000
"""Number of points with headings only in one response, so that an outline comes from one version."""


class QdrantCloud(Engine):
    """The collections in one cluster. Used in one event loop, and closed in it."""

    def __init__(
        self, endpoint: str, *, api_key: str | None = None, timeout: float = 10.0, attempts: int = 3
    ) -> None:
        """Create the client; nothing is requested yet.

        Args:
            endpoint: `https://….cloud.qdrant.io:6333`.
            api_key: A read-only one is enough to read.
            timeout: Deadline of one try of a request, in seconds.
            attempts: Tries of a request, where another one is worth it.

        Raises:
            IndexUnreachable: The endpoint is not an address.
        """
        self._connection = Connection(endpoint, api_key=api_key, timeout=timeout, attempts=attempts)
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
        return await self._connection.collections()

    async def open(self, collection: str) -> "CloudIndex":
        """Open a collection for reading.

        Raises:
            IndexNotFound: There is no such collection.
            IndexIncompatible: It was not made by Preceptor, or is of another schema.
        """
        index = CloudIndex(self._connection, await self._versions(collection))
        await index.info()
        return index

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
        if collection in [one.name for one in found.collections]:
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
        return CloudVersions(self._connection, collection)


class CloudIndex:
    """Reads through an alias, so that the next search sees a new version."""

    def __init__(self, connection: Connection, versions: CloudVersions) -> None:
        self.collection = versions.collection
        self.where = connection.where
        self._connection = connection
        self._client = connection.client
        self._versions = versions
        self._sizes: Mapping[str, int] = {}

    async def info(self) -> IndexInfo:
        """Returns the index's description, read again."""
        info = (await self._versions.current()).info()
        self._sizes = schema.dense_sizes(info)
        return info

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int
    ) -> Sequence[Passage]:
        """Returns the candidates that are chosen, see `Index.chosen`.

        All of them come with the answer: a second request costs more, and may meet the next version.
        """
        halves, payloads = await self._halves(vectors, chapter=chapter, limit=limit)
        return [Passage.from_payload(one, payloads[one]) for one in choose(*map(dict, halves))]

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """Returns all passages of a chapter in reading order; empty if there is no such chapter."""
        found = await self._scroll(_where(CHAPTER, chapter), limit=_PASSAGES, fields=None)
        return schema.in_order((str(point.id), point.payload or {}) for point in found)

    async def chapters(self) -> Sequence[Chapter]:
        """Returns the book's outline in reading order."""
        found = await self._scroll(_where(ORDINAL, 0), limit=_SECTIONS, fields=OUTLINE_FIELDS)
        return schema.outline(point.payload or {} for point in found)

    async def close(self) -> None:
        """Do nothing; the engine closes the connections."""

    async def _halves(
        self, vectors: Vectors, *, chapter: str | None, limit: int
    ) -> tuple[list[list[tuple[str, float]]], dict[str, dict[str, Any]]]:
        """Returns ids and scores of both halves, and the payload behind each id."""
        dense_name, dense = schema.asked(vectors, collection=self.collection, sizes=self._sizes)
        asked: list[tuple[str, Any]] = [(dense_name, [*dense])]
        if vectors.bm25.indices:
            bm25 = models.SparseVector(indices=[*vectors.bm25.indices], values=[*vectors.bm25.values])
            asked.append((BM25, bm25))
        requests = [
            models.QueryRequest(
                query=vector,
                using=name,
                filter=_where(CHAPTER, chapter) if chapter is not None else None,
                limit=limit + schema.TIES,
                with_payload=True,
            )
            for name, vector in asked
        ]
        search = partial(self._client.query_batch_points, self.collection, requests)
        found = await self._connection.read("search", search, collection=self.collection)
        points = [half.points for half in found]
        halves = [
            schema.best_first(((str(one.id), one.score) for one in half), limit=limit) for half in points
        ]
        return [*halves, *[[]] * (2 - len(halves))], {
            str(one.id): one.payload or {} for half in points for one in half
        }

    async def _scroll(
        self, where: models.Filter, *, limit: int, fields: list[str] | None
    ) -> list[models.Record]:
        points: list[models.Record] = []
        offset: Any = None
        while True:
            scroll = partial(
                self._client.scroll,
                self.collection,
                scroll_filter=where,
                limit=limit,
                offset=offset,
                with_payload=fields or True,
            )
            page, offset = await self._connection.read("read", scroll, collection=self.collection)
            points += page
            if offset is None:
                return points


def _where(field: str, value: str | int) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key=field, match=models.MatchValue(value=value))])

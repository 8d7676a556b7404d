"""Writing a collection in Qdrant Cloud: the next version is filled beside the one that readers see."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

from qdrant_client import models

from preceptor.errors import IndexAnswerInvalid
from preceptor.library import schema
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_lock import CloudLock
from preceptor.library.cloud_place import Place
from preceptor.library.cloud_versions import CloudVersions, Version, next_name
from preceptor.library.passage import Passage
from preceptor.library.protocol import IndexInfo, Vectors, Written
from preceptor.library.schema import BM25, DENSE, MULTILINGUAL, WRITTEN_FIELDS
from preceptor.text.tokens import SparseVector

logger = logging.getLogger(__name__)
_T = TypeVar("_T")

_AT_ONCE = 4
"""Number of batches in flight."""
_PAGE = 1000
"""Number of points in one page when `written` reads two small fields."""


class CloudWriter:
    """Writes a collection; see `IndexWriter`. Use `begin` to create it."""

    def __init__(
        self, connection: Connection, versions: CloudVersions, info: IndexInfo, *, rebuild: bool
    ) -> None:
        self._connection = connection
        self._client = connection.client
        self._versions = versions
        self._lock = CloudLock(connection, versions.collection)
        self._info = info
        self._rebuild = rebuild
        self._known: dict[str, Version] = {}
        self._shown: Version | None = None
        """The published version."""
        self._base: Version | None = None
        """The published version, if new passages are interchangeable with its own."""
        self._next: Version | None = None
        """The version that is being filled; created with the first passage."""
        self._draft = schema.Draft({}, {})

    @classmethod
    async def begin(
        cls, connection: Connection, versions: CloudVersions, info: IndexInfo, *, rebuild: bool
    ) -> Self:
        """Take the lock and find passages that can be reused.

        Raises:
            IndexLocked: Another writer has it.
            IndexIncompatible: A collection that Preceptor did not make has this very name.
        """
        writer = cls(connection, versions, info, rebuild=rebuild)
        await versions.all()  # refuses a foreign collection before anything is made
        await writer._lock.acquire()
        try:
            await writer._look_around()
        except BaseException:
            await writer.close()
            raise
        return writer

    async def written(self) -> Mapping[str, Written]:
        """Hashes by passage id: published passages, and those that an interrupted run left."""
        return self._draft.written()

    async def vectors(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Vectors]]:
        """Returns stored vectors for passages that only moved; unknown ids are left out."""
        for batch in schema.batches(ids):
            for version, part in zip((self._next, self._base), self._draft.split(batch), strict=True):
                for point in await self._points(version, part):
                    assert version is not None, "it has a point"
                    yield version.place.passage(point), vectors_of(point.vector)

    async def put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        """Store new or changed passages; durable when it returns.

        Raises:
            VectorInvalid: A vector is of the wrong length, or holds what is not a number.
            IndexLocked: The lock went to another writer.
        """
        schema.check_passages(passages, vectors, sizes=schema.dense_sizes(self._info))
        await self._lock.keep()
        place = (await self._being_filled()).place
        points = [_point(*both, place=place) for both in zip(passages, vectors, strict=True)]
        await _each(schema.batches(points), partial(self._upsert, place))
        self._draft.put(passages)

    async def publish(self, info: IndexInfo, ids: Collection[str]) -> None:
        """Make the index hold exactly the passages with these ids, and let readers see it.

        Raises:
            ValueError: One of them was never put, or `info` is not what was to be written.
            IndexLocked: The lock went to another writer.
        """
        if not schema.same_vectors(info, self._info):
            raise ValueError("what is published is not what the collection was opened for")
        started = time.perf_counter()
        wanted = dict.fromkeys(ids)
        info = replace(info, points=len(wanted))
        if self._draft.changes(wanted) or self._base is None:
            await self._fill(list(wanted))
            await self._show(info)
        else:
            # Another writer takes over a lock that was silent for ten minutes.
            await self._lock.keep(surely=True)
            if not schema.same_index(info, self._base.info()):
                await self._versions.note(self._base, info=schema.as_metadata(info))
            if self._next is not None:
                await self._versions.drop(self._next.name)
        seconds = time.perf_counter() - started
        logger.info("published %s: %d passages, %.1f s", self._versions.collection, len(wanted), seconds)

    async def close(self) -> None:
        """Release the lock; may be called twice."""
        await self._lock.release()

    async def _look_around(self) -> None:
        self._known = await self._versions.all()
        shown = await self._versions.published()
        if shown is not None:
            # An alias that leads elsewhere is somebody else's, and refused as such.
            self._shown = self._known.get(shown) or await self._versions.described(shown)
        if self._shown is not None and not self._rebuild and self._shown.is_like(self._info):
            self._base = self._shown
        for version in self._known.values():
            if self._can_go_on_with(version):
                self._next = version
                await self._versions.index_payload(version.name)
        await self._tidy()
        self._draft = schema.Draft(await self._written(self._base), await self._written(self._next))
        logger.info(
            "writing %s: %d passages published, %d staged",
            self._versions.collection,
            len(self._draft.published),
            len(self._draft.staged),
        )

    def _can_go_on_with(self, version: Version) -> bool:
        """Whether an interrupted run left this version: made in the same way, and by a rebuild if this is one."""
        shown = self._shown
        is_left = shown is None or (version.number > shown.number and version.name != shown.previous)
        return is_left and version.is_like(self._info) and (version.note["rebuild"] or not self._rebuild)

    async def _tidy(self) -> None:
        """Remove versions that are neither published, filled nor kept for rollback."""
        keep = {version.name for version in (self._shown, self._next) if version is not None}
        keep |= {self._shown.previous} if self._shown else set()
        for name in [one for one in self._known if one not in keep]:
            await self._versions.drop(name)
            del self._known[name]

    async def _being_filled(self) -> Version:
        if self._next is None:
            name = next_name(self._versions.collection, self._known.values())
            self._next = self._known[name] = await self._versions.create(
                name, self._info, rebuild=self._rebuild
            )
        return self._next

    async def _fill(self, ids: Sequence[str]) -> None:
        """Make the next version hold exactly these passages."""
        filled = await self._being_filled()
        name, place = filled.name, filled.place
        _, unchanged = self._draft.split(ids)
        await _each(schema.batches(unchanged), partial(self._copy, place))
        await _each(schema.batches(self._draft.staged.keys() - set(ids)), partial(self._remove, place))
        # Counted by the server: a version that lost a batch must not be published.
        count = partial(self._client.count, place.collection, count_filter=place.where(), exact=True)
        found = (await self._connection.read("count", count, collection=name)).count
        if found != len(ids):
            raise IndexAnswerInvalid(self._connection.where, f"`{name}` holds {found} passages of {len(ids)}")

    async def _show(self, info: IndexInfo) -> None:
        following = await self._being_filled()
        previous = {"previous": self._shown.name} if self._shown else {}
        await self._versions.finish(following)
        await self._lock.keep(surely=True)
        # Before it is shown: readers take the description from the version that they are led to.
        await self._versions.note(following, info=schema.as_metadata(info), **previous)
        await self._versions.show(following.name)
        self._shown, self._next = await self._versions.described(following.name), None
        await self._tidy()

    async def _written(self, version: Version | None) -> dict[str, Written]:
        """Reads the hashes of all points of a version."""
        found: dict[str, Written] = {}
        offset: Any = None
        while version is not None:
            scroll = partial(
                self._client.scroll,
                version.place.collection,
                scroll_filter=version.place.where(),
                limit=_PAGE,
                offset=offset,
                with_payload=[*WRITTEN_FIELDS, *version.place.fields],
            )
            page, offset = await self._connection.read("list", scroll, collection=version.name)
            found |= {version.place.passage(point): schema.written(point.payload or {}) for point in page}
            if offset is None:
                break
        return found

    async def _points(self, version: Version | None, ids: Sequence[str]) -> list[models.Record]:
        if version is None or not ids:
            return []
        place = version.place
        points = [place.point(one) for one in ids]
        get = partial(self._client.retrieve, place.collection, points, with_payload=True, with_vectors=True)
        return await self._connection.read(f"read {len(ids)} passages of", get, collection=version.name)

    async def _copy(self, place: Place, ids: Sequence[str]) -> None:
        await self._lock.keep()
        assert self._base is not None, "what is not staged is published"
        base = self._base.place
        found = await self._points(self._base, ids)
        await self._upsert(place, [_again(point, base.passage(point), place) for point in found])

    async def _upsert(self, place: Place, points: Sequence[models.PointStruct]) -> None:
        # Waited for: `put` promises that the passages are durable, and without it the server answers before they are.
        name = place.collection
        upsert = partial(self._client.upsert, name, [*points], wait=True)
        await self._connection.write(f"write {len(points)} passages into", upsert, collection=name)

    async def _remove(self, place: Place, ids: Sequence[str]) -> None:
        name = place.collection
        points = models.PointIdsList(points=[place.point(one) for one in ids])
        delete = partial(self._client.delete, name, points, wait=True)
        await self._connection.write(f"remove {len(ids)} passages from", delete, collection=name)


async def _each(items: Iterable[list[_T]], do: Callable[[list[_T]], Awaitable[None]]) -> None:
    """Process batches, a few at a time; the first failure cancels the others."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(batch: list[_T]) -> None:
        try:
            await do(batch)
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as group:
            for batch in items:
                # Before the task is made: else every batch of a large book would wait in memory.
                await places.acquire()
                group.create_task(one(batch))
    except ExceptionGroup as failed:
        # Callers expect one named error, not a group.
        raise failed.exceptions[0] from None


def _point(passage: Passage, vectors: Vectors, *, place: Place) -> models.PointStruct:
    bm25 = models.SparseVector(indices=[*vectors.bm25.indices], values=[*vectors.bm25.values])
    dense = {name: [*vector] for name, vector in schema.dense_vectors(vectors).items()}
    named: dict[str, Any] = {**dense, BM25: bm25}
    payload = place.payload(passage.id, schema.stored(passage))
    return models.PointStruct(id=place.point(passage.id), vector=named, payload=payload)


def _again(point: models.Record, passage: str, place: Place) -> models.PointStruct:
    stored: Any = point.vector
    payload = place.payload(passage, point.payload or {})
    return models.PointStruct(id=place.point(passage), vector=stored, payload=payload)


def vectors_of(stored: Any) -> Vectors:
    """Reads the vectors of a point, by name."""
    bm25 = SparseVector(tuple(stored[BM25].indices), tuple(stored[BM25].values))
    return Vectors(tuple(stored[DENSE]), bm25, tuple(stored.get(MULTILINGUAL, ())))

"""The embedded engine: Qdrant Edge in this process, one folder for each collection.

Readers open published versions, which have no write-ahead log, take no lock and never change; so any number
of processes read while one writes. The writer stages in a shard with a log, where what `put` acknowledged
outlives `kill -9`, and publishes a new version beside the old one.

The engine holds the interpreter's lock while it works. A search takes about a millisecond, so one thread for
all of them is enough; a writer belongs into a process of its own.
"""

import asyncio
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge

from preceptor.errors import (
    IndexDamaged,
    IndexFolderUnusable,
    IndexIncompatible,
    IndexNotFound,
    PreceptorError,
)
from preceptor.library import schema
from preceptor.library.lock import FolderLock
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import Candidates, IndexInfo, SparseVector, Vectors, Written
from preceptor.library.schema import BM25, CHAPTER, DENSE, ORDINAL, OUTLINE_FIELDS, WRITTEN_FIELDS
from preceptor.library.versions import Stamp, Versions, collections, remember, remembered

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_INDEXES = {CHAPTER: edge.PayloadSchemaType.Keyword, ORDINAL: edge.PayloadSchemaType.Integer}
_PAGE = 1000
"""Points that the engine gives at once."""
_SYSTEM_REFUSES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE}
_system_error = re.compile(r"\(os error (\d+)\)").search


class Embedded:
    """The collections in one folder."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._reading = _Thread(path)

    async def verify_connection(self) -> None:
        """Return when the folder can be used, or is not there yet.

        Raises:
            IndexFolderUnusable: It is a file, or may not be read or written.
        """
        await self._reading.run(self._verify)

    async def collections(self) -> Sequence[str]:
        """Names of the books' collections, sorted."""
        return await self._reading.run(partial(collections, self._path))

    async def open(self, collection: str) -> "EmbeddedIndex":
        """Open a collection for reading.

        Raises:
            IndexNotFound: There is no such collection.
            IndexIncompatible: It is of another schema.
            IndexDamaged: Its files are not as they were written.
            IndexFolderUnusable: The operating system refuses them.
        """
        index = EmbeddedIndex(self._versions(collection), self._reading)
        await self._reading.run(index.reopen)
        return index

    async def write(self, collection: str, info: IndexInfo, *, rebuild: bool = False) -> "EmbeddedWriter":
        """Open a collection for writing, see `Engine.write`."""
        versions = self._versions(collection)
        lock = self._lock(collection)
        thread = _Thread(versions.folder)
        try:
            await thread.run(lock.acquire)
            return await thread.run(
                partial(EmbeddedWriter, versions, info, lock=lock, thread=thread, rebuild=rebuild)
            )
        except BaseException:
            thread.close()  # before the lock: it may still be at work when the caller was cancelled
            lock.release()
            raise

    async def rollback(self, collection: str) -> IndexInfo:
        """Let readers see the previous version, see `Engine.rollback`."""
        return await self._reading.run(partial(self._rollback, self._versions(collection)))

    async def delete(self, collection: str) -> None:
        """Remove a collection and all its versions, see `Engine.delete`."""
        await self._reading.run(partial(self._delete, self._versions(collection)))

    async def close(self) -> None:
        """Let the reading thread go, after what it has begun."""
        self._reading.close()

    def _versions(self, collection: str) -> Versions:
        if not schema.is_collection_name(collection):  # it must not lead out of the folder
            raise IndexNotFound(collection, self.where, collections(self._path))
        return Versions(self._path / collection)

    def _lock(self, collection: str) -> FolderLock:
        # Beside the collection, not in it: a lock that is deleted with the folder would lock nothing.
        return FolderLock(self._path / f"{collection}.lock", collection=collection)

    def _verify(self) -> None:
        path = self._path
        if path.exists() and not (path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)):
            raise IndexFolderUnusable(path, "it is not a folder that may be read and written")

    def _rollback(self, versions: Versions) -> IndexInfo:
        versions.stamp()
        with self._lock(versions.collection).held():
            version = versions.swap()
        _log.info("rolled %s back to %s", versions.collection, version)
        return versions.info(version)

    def _delete(self, versions: Versions) -> None:
        if not versions.folder.is_dir():
            versions.stamp()  # says what there is
        with self._lock(versions.collection).held():
            versions.remove()
        _log.info("deleted %s", versions.collection)


class EmbeddedIndex:
    """A published version, exchanged for the next one as soon as that is published."""

    def __init__(self, versions: Versions, thread: "_Thread") -> None:
        self.collection = versions.collection
        self.where = str(versions.folder)
        self._versions = versions
        self._thread = thread
        self._shard: edge.EdgeShard | None = None
        self._stamp: Stamp | None = None
        self._dimensions = 0

    async def info(self) -> IndexInfo:
        """What the index says of itself, read anew."""
        return await self._thread.run(lambda: self._versions.info(self._versions.published().current))

    async def candidates(self, vectors: Vectors, *, chapter: str | None, limit: int) -> Candidates:
        """The nearest passages by either vector, see `Index.candidates`.

        Raises:
            IndexIncompatible: The dense vector is not as long as those of the index.
            VectorInvalid: It holds what is not a number.
        """
        return await self._thread.run(partial(self._candidates, vectors, chapter=chapter, limit=limit))

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """All passages of a chapter in reading order; empty when there is no such chapter."""
        return await self._thread.run(partial(self._passages, chapter))

    async def chapters(self) -> Sequence[Chapter]:
        """The book's outline in reading order."""
        return await self._thread.run(self._chapters)

    async def close(self) -> None:
        """Let go of the files; may be called twice."""
        if self._shard is not None:
            await self._thread.run(self._close)

    def reopen(self) -> edge.EdgeShard:
        """The shard of the version that is published now. For the reading thread alone."""
        while self._shard is None or self._stamp != self._versions.stamp():
            stamp = self._versions.stamp()
            started = time.perf_counter()
            try:
                version = self._versions.published().current
                folder, info = self._versions.verified(version)
                shard = _load(folder)
            except (IndexDamaged, FileNotFoundError):
                if stamp == self._versions.stamp():
                    raise
                continue  # removed while it was opened: two versions were published in that time
            self._close()
            self._shard, self._stamp, self._dimensions = shard, stamp, info.dimensions
            _log.info(
                "opened %s %s: %d passages, %.0f ms", self.collection, version, info.points, _since(started)
            )
        return self._shard

    def _candidates(self, vectors: Vectors, *, chapter: str | None, limit: int) -> Candidates:
        started = time.perf_counter()
        shard = self.reopen()
        schema.check_question(vectors, collection=self.collection, dimensions=self._dimensions)
        within = _where(CHAPTER, chapter) if chapter is not None else None
        dense, bm25 = shard.query_batch(
            edge.QueryBatchRequest(
                [
                    edge.QueryRequest(
                        query=nearest, filter=within, limit=limit + schema.TIES, with_payload=True
                    )
                    for nearest in (
                        edge.Query.Nearest(list(vectors.dense), using=DENSE),
                        edge.Query.Nearest(_edge_sparse(vectors.bm25), using=BM25),
                    )
                ]
            )
        )
        _log.debug("searched %s: %.1f ms", self.collection, _since(started))
        return Candidates(_best_first(dense, limit=limit), _best_first(bm25, limit=limit))

    def _passages(self, chapter: str) -> list[Passage]:
        found = _points(self.reopen(), where=_where(CHAPTER, chapter))
        return schema.in_order((str(point.id), point.payload or {}) for point in found)

    def _chapters(self) -> list[Chapter]:
        found = _points(self.reopen(), where=_where(ORDINAL, 0), fields=OUTLINE_FIELDS)
        return schema.outline(point.payload or {} for point in found)

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


class EmbeddedWriter:
    """The one writer of a collection; see `IndexWriter`. Made on its own thread, which does all its work.

    One thread, so that a writer that is closed while it works lets go of the lock only when the work is done.
    """

    def __init__(
        self, versions: Versions, info: IndexInfo, *, lock: FolderLock, thread: "_Thread", rebuild: bool
    ) -> None:
        self._versions = versions
        self._info = info
        self._lock = lock
        self._thread = thread
        self._closed = False
        versions.tidy()
        self._base_version = None if rebuild else _version_to_go_on_from(versions, info)
        self._base = _load(versions.verified(self._base_version)[0]) if self._base_version else None
        self._rebuild = rebuild
        self._staging = _left_over(versions.staging, info, rebuild=rebuild)
        self._draft = schema.Draft(published=_written(self._base), staged=_written(self._staging))
        _log.info(
            "writing %s: %d passages published, %d staged",
            versions.collection,
            len(self._draft.published),
            len(self._draft.staged),
        )

    async def written(self) -> Mapping[str, Written]:
        """By passage id: the published passages and those that an interrupted run left."""
        return self._draft.written()

    async def vectors(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Vectors]]:
        """Stored vectors, for passages that only moved; ids that are not there are left out."""
        for batch in schema.batches(ids):
            for point in await self._thread.run(partial(self._stored, batch)):
                yield str(point.id), _vectors(point.vector)

    async def put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        """Store new or changed passages; durable when it returns.

        Raises:
            VectorInvalid: A vector is of the wrong length, or holds what is not a number.
        """
        schema.check_passages(passages, vectors, dimensions=self._info.dimensions)
        await self._thread.run(partial(self._put, passages, vectors))

    async def publish(self, info: IndexInfo, ids: Collection[str]) -> None:
        """Make the index hold exactly the passages with these ids, and let readers see it.

        Raises:
            ValueError: One of them was never put, or `info` is not what was to be written.
        """
        if not schema.same_vectors(info, self._info):
            raise ValueError("what is published is not what the collection was opened for")
        await self._thread.run(partial(self._publish, info, list(dict.fromkeys(ids))))

    async def close(self) -> None:
        """Let go of the lock; may be called twice."""
        if not self._closed:
            self._closed = True
            await self._thread.run(self._close)
            self._thread.close()

    def _stored(self, ids: Sequence[str]) -> list[edge.Record]:
        """Of each id the staged point, else the published one."""
        staged, published = self._draft.split(ids)
        points: list[edge.Record] = []
        for shard, part in ((self._staging, staged), (self._base, published)):
            points += shard.retrieve([*part], True, True) if shard else []
        return points

    def _put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        started = time.perf_counter()
        if self._staging is None:
            self._staging = _new_staging(self._versions.staging, self._info, rebuild=self._rebuild)
        _upsert(self._staging, [_point(*both) for both in zip(passages, vectors, strict=True)])
        self._staging.flush()  # the log outlives the process; this outlives a power cut
        self._draft.put(passages)
        _log.debug(
            "put %d passages into %s: %.0f ms", len(passages), self._versions.collection, _since(started)
        )

    def _publish(self, info: IndexInfo, ids: list[str]) -> None:
        started = time.perf_counter()
        info = replace(info, points=len(ids))
        changes, version = self._draft.changes(ids), self._base_version
        if version is None or changes:
            version = self._versions.publish(self._build(ids), info)
        elif not schema.same_index(info, self._versions.info(version)):
            self._versions.describe(version, info)
        if self._staging is not None:
            self._staging.close()
            shutil.rmtree(self._versions.staging)
        self._versions.tidy()
        _log.info(
            "published %s %s: %d passages, %.0f ms",
            self._versions.collection,
            version,
            len(ids),
            _since(started),
        )

    def _build(self, ids: list[str]) -> Path:
        """A shard without a log that holds these points, a batch in memory at a time."""
        folder = self._versions.begin()
        shard = _create(folder, dimensions=self._info.dimensions, log=False)
        for field, kind in _INDEXES.items():
            shard.update(edge.UpdateOperation.create_field_index(field, kind))
        for batch in schema.batches(ids):
            _upsert(shard, [edge.Point(one.id, one.vector or {}, one.payload) for one in self._stored(batch)])
        found = shard.info().points_count
        shard.flush()
        shard.close()
        if found != len(ids):
            raise IndexDamaged(folder, f"it holds {found} passages of {len(ids)}")
        _load(folder).close()  # the first to open a shard still writes to its files, later ones do not
        return folder

    def _close(self) -> None:
        try:
            for shard in (self._staging, self._base):
                if shard is not None:
                    shard.close()
        finally:
            self._lock.release()


class _Thread:
    """Runs the engine's calls one after another, away from the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="index")

    async def run(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, call)

    def close(self) -> None:
        self._pool.shutdown()

    def _call(self, call: Callable[[], _T]) -> _T:
        with _named(self._path):
            return call()


@contextmanager
def _named(path: Path) -> Generator[None]:
    """Give what the engine and the system raise its name."""
    try:
        yield
    except PreceptorError:
        raise
    except OSError as error:
        raise IndexFolderUnusable(path, error.strerror or str(error)) from error
    except BaseException as error:
        # The engine raises bare Exceptions, and its panics are not even those; all else is not the engine's.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        number = _system_error(str(error))
        if number and int(number[1]) in _SYSTEM_REFUSES:
            raise IndexFolderUnusable(path, os.strerror(int(number[1]))) from error
        raise IndexDamaged(path, str(error).removeprefix("Service runtime error: ")[:200]) from error


def _version_to_go_on_from(versions: Versions, info: IndexInfo) -> str | None:
    """The published version, when new passages can stand beside its own."""
    try:
        version = versions.published().current
        return version if schema.same_vectors(versions.info(version), info) else None
    except (IndexNotFound, IndexIncompatible):
        return None


def _left_over(folder: Path, info: IndexInfo, *, rebuild: bool) -> edge.EdgeShard | None:
    """What an interrupted run of the same kind staged."""
    if _is_for(folder, info, rebuild=rebuild):
        try:
            return _load(folder / "shard")
        except IndexDamaged as error:
            _log.warning("what an interrupted run left is lost: %s", error)
    return None


def _new_staging(folder: Path, info: IndexInfo, *, rebuild: bool) -> edge.EdgeShard:
    if folder.exists():
        shutil.rmtree(folder)
    staging = _create(folder / "shard", dimensions=info.dimensions, log=True)
    remember(folder, {"rebuild": rebuild, "info": schema.as_metadata(info)})
    return staging


def _is_for(staging: Path, info: IndexInfo, *, rebuild: bool) -> bool:
    """Whether what was staged can be used: made in the same way, and for a rebuild by a rebuild."""
    note = remembered(staging)
    try:
        return (
            note is not None
            and schema.same_vectors(schema.from_metadata(staging.parent.name, note["info"]), info)
            and (note["rebuild"] or not rebuild)
        )
    except (IndexIncompatible, KeyError, TypeError, ValueError):
        return False


def _create(folder: Path, *, dimensions: int, log: bool) -> edge.EdgeShard:
    with _named(folder):
        return edge.EdgeShard.create(
            str(folder),
            edge.EdgeConfig(
                vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
                sparse_vectors={BM25: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
                wal_enabled=log,
            ),
        )


def _load(folder: Path) -> edge.EdgeShard:
    with _named(folder):
        return edge.EdgeShard.load(str(folder))


def _upsert(shard: edge.EdgeShard, points: list[edge.Point]) -> None:
    shard.update(edge.UpdateOperation.upsert_points(points))


def _points(
    shard: edge.EdgeShard, *, where: edge.Filter | None = None, fields: list[str] | None = None
) -> Iterator[edge.Record]:
    """All points that fit, with these fields of their payload (all of them when not given)."""
    offset = None
    while True:
        page, offset = shard.scroll(
            edge.ScrollRequest(offset=offset, limit=_PAGE, filter=where, with_payload=fields or True)
        )
        yield from page
        if offset is None:
            return


def _written(shard: edge.EdgeShard | None) -> dict[str, Written]:
    points = _points(shard, fields=WRITTEN_FIELDS) if shard else ()
    return {str(point.id): schema.written(point.payload or {}) for point in points}


def _where(field: str, value: str | int) -> edge.Filter:
    return edge.Filter(must=[edge.FieldCondition(key=field, match=edge.MatchValue(value))])


def _best_first(found: Iterable[edge.ScoredPoint], *, limit: int) -> list[tuple[Passage, float]]:
    return schema.best_first(((str(one.id), one.score, one.payload or {}) for one in found), limit=limit)


def _point(passage: Passage, vectors: Vectors) -> edge.Point:
    both: dict[str, Any] = {DENSE: list(vectors.dense), BM25: _edge_sparse(vectors.bm25)}
    return edge.Point(passage.id, both, schema.stored(passage))


def _edge_sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(list(vector.indices), list(vector.values))


def _vectors(stored: Any) -> Vectors:
    bm25 = stored[BM25]
    return Vectors(tuple(stored[DENSE]), SparseVector(tuple(bm25.indices), tuple(bm25.values)))


def _since(started: float) -> float:
    """Milliseconds."""
    return (time.perf_counter() - started) * 1000

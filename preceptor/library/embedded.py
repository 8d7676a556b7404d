"""The embedded engine: Qdrant Edge in this process, one folder for each collection.

Readers open published versions, which have no write-ahead log, take no lock and never change, so any number
of processes can read while one writes. A search holds the interpreter until it ends, so one thread serves them all:
a second gains nothing (decision 0024). Another one reads outlines, which take long. A writer holds the interpreter,
too, so it should run in a process of its own.
"""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from qdrant_edge import EdgeShard, Query, QueryBatchRequest

from preceptor.errors import IndexDamaged, IndexFolderUnusable, IndexNotFound
from preceptor.library import edge, fusion, schema
from preceptor.library.embedded_writer import EmbeddedWriter
from preceptor.library.lock import FolderLock
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import Choose, Engine, IndexInfo, Vectors
from preceptor.library.schema import BM25, CHAPTER, ORDINAL, OUTLINE_FIELDS
from preceptor.library.versions import Stamp, Versions, collections

logger = logging.getLogger(__name__)


class Embedded(Engine):
    """The collections in one folder."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._reading = edge.EdgeThread(path)
        self._aside = edge.EdgeThread(path)

    async def verify_connection(self) -> None:
        """Return if the folder can be used or does not exist yet.

        Raises:
            IndexFolderUnusable: It is a file, or may not be read or written.
        """
        await self._reading.run(self._verify)

    async def verify_writable(self, collection: str) -> None:
        """Return if nobody else is writing the collection, see `Engine.verify_writable`."""
        await self._reading.run(partial(self._verify_writable, self._versions(collection)))

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
        index = EmbeddedIndex(self._versions(collection), self._reading, aside=self._aside)
        await self._reading.run(index.reopen)
        return index

    async def write(self, collection: str, info: IndexInfo, *, rebuild: bool = False) -> EmbeddedWriter:
        """Open a collection for writing, see `Engine.write`."""
        versions = self._versions(collection)
        lock = self._lock(collection)
        thread = edge.EdgeThread(versions.folder)
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
        """Make the previous version the published one, see `Engine.rollback`."""
        return await self._reading.run(partial(self._rollback, self._versions(collection)))

    async def delete(self, collection: str) -> None:
        """Remove a collection and all its versions, see `Engine.delete`."""
        await self._reading.run(partial(self._delete, self._versions(collection)))

    async def close(self) -> None:
        """Stop the reading threads after their current calls."""
        self._reading.close()
        self._aside.close()

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

    def _verify_writable(self, versions: Versions) -> None:
        with self._lock(versions.collection).held():
            pass

    def _rollback(self, versions: Versions) -> IndexInfo:
        versions.stamp()
        with self._lock(versions.collection).held():
            version = versions.swap()
        logger.info("rolled %s back to %s", versions.collection, version)
        return versions.info(version)

    def _delete(self, versions: Versions) -> None:
        if not versions.folder.is_dir():
            versions.stamp()  # says what there is
        with self._lock(versions.collection).held():
            versions.remove()
        logger.info("deleted %s", versions.collection)


class EmbeddedIndex:
    """Reads a published version, and switches to the next one as soon as it is published."""

    def __init__(self, versions: Versions, thread: edge.EdgeThread, *, aside: edge.EdgeThread) -> None:
        self.collection = versions.collection
        self.where = str(versions.folder)
        self._versions = versions
        self._thread = thread
        self._aside = aside
        self._shard: EdgeShard | None = None
        self._stamp: Stamp | None = None
        self._sizes: Mapping[str, int] = {}
        self._outline: tuple[Stamp, Sequence[Chapter]] | None = None
        """The outline and its version, which never changes."""

    async def info(self) -> IndexInfo:
        """Returns the index's description, read again."""
        return await self._thread.run(lambda: self._versions.info(self._versions.published().current))

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool = False
    ) -> Sequence[Passage]:
        """Returns the candidates that are chosen, see `Index.chosen`."""
        call = partial(self._chosen, vectors, choose, chapter=chapter, limit=limit, feedback=feedback)
        return await self._thread.run(call)

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """Returns all passages of a chapter in reading order; empty if there is no such chapter."""
        return await self._thread.run(partial(self._passages, chapter))

    async def chapters(self) -> Sequence[Chapter]:
        """Returns the book's outline in reading order."""
        found = await self._aside.run(self._kept_outline)
        return found if found is not None else await self._thread.run(self._made_outline)

    async def close(self) -> None:
        """Close the files; may be called twice."""
        if self._shard is not None:
            await self._thread.run(self._close)

    def reopen(self) -> EdgeShard:
        """Returns the shard of the published version; only the reading thread may call it."""
        while self._shard is None or self._stamp != self._versions.stamp():
            stamp = self._versions.stamp()
            started = time.perf_counter()
            try:
                version = self._versions.published().current
                folder, info = self._versions.verified(version)
                shard = edge.load(folder)
            except (IndexDamaged, FileNotFoundError):
                if stamp == self._versions.stamp():
                    raise
                continue  # removed while it was opened: two versions were published in that time
            # Only now: as long as the new version cannot be opened, the old one is there.
            self._close()
            self._shard, self._stamp, self._sizes = shard, stamp, schema.dense_sizes(info)
            logger.info(
                "opened %s %s: %d passages, %.0f ms",
                self.collection,
                version,
                info.points,
                edge.since(started),
            )
        return self._shard

    def _chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool
    ) -> Sequence[Passage]:
        started = time.perf_counter()
        shard = self.reopen()
        name, dense = schema.asked(vectors, collection=self.collection, sizes=self._sizes)
        within = edge.matching(CHAPTER, chapter) if chapter is not None else None

        def nearest(*queries: Query) -> list[dict[str, float]]:
            asked = [edge.nearest(one, within=within, limit=limit + schema.TIES) for one in queries]
            halves = shard.query_batch(QueryBatchRequest(asked))
            found = ([(str(one.id), one.score) for one in half] for half in halves)
            return [dict(schema.best_first(half, limit=limit)) for half in found]

        near, worded = nearest(
            Query.Nearest([*dense], using=name), Query.Nearest(edge.as_sparse(vectors.bm25), using=BM25)
        )
        wanted = choose(near, worded, None)
        if feedback and wanted:
            best = edge.vectors_of(shard, wanted[: fusion.BEST], name)
            (again,) = nearest(Query.Nearest([*fusion.moved(dense, best)], using=name))
            wanted = choose(near, worded, again)
        found = {one.id: one for one in _read(shard, wanted)}
        logger.debug("searched %s: %.1f ms", self.collection, edge.since(started))
        return [found[one] for one in wanted]

    def _passages(self, chapter: str) -> list[Passage]:
        found = edge.scroll(self.reopen(), where=edge.matching(CHAPTER, chapter))
        return schema.in_order((str(point.id), point.payload or {}) for point in found)

    def _kept_outline(self) -> Sequence[Chapter] | None:
        """The outline that was published with the version; None if there is none."""
        while self._outline is None or self._outline[0] != self._versions.stamp():
            stamp = self._versions.stamp()
            try:
                found = self._versions.outline(self._versions.published().current)
            except IndexDamaged:
                if stamp == self._versions.stamp():
                    raise
                continue  # removed while it was read: two versions were published in that time
            if found is None:
                return None
            self._outline = stamp, found
        return self._outline[1]

    def _made_outline(self) -> Sequence[Chapter]:
        """The outline of a version that was published without one, from its passages."""
        shard, stamp = self.reopen(), self._stamp
        found = edge.scroll(shard, where=edge.matching(ORDINAL, 0), fields=OUTLINE_FIELDS)
        outline = schema.outline(point.payload or {} for point in found)
        if stamp is not None:
            self._outline = stamp, outline
        return outline

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None


def _read(shard: EdgeShard, ids: Iterable[str]) -> list[Passage]:
    """Returns the passages with these ids, in no order."""
    found = shard.retrieve([*ids], True, False)
    return [Passage.from_payload(str(point.id), point.payload or {}) for point in found]

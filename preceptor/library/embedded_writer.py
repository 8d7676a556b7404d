"""Writing an embedded collection: new passages are staged, then a new version is built beside the old one.

Staged passages lie in a shard with a write-ahead log, so passages that `put` acknowledged outlive `kill -9`.
(After a power cut some of them may have to be made again; published versions are synced to the disk.)
"""

import logging
import shutil
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qdrant_edge import EdgeShard, Point, Record

from preceptor.errors import IndexDamaged, IndexIncompatible, IndexNotFound
from preceptor.library import edge, schema
from preceptor.library.lock import FolderLock
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import IndexInfo, Vectors, Written
from preceptor.library.schema import WRITTEN_FIELDS
from preceptor.library.versions import Versions, remember, remembered

logger = logging.getLogger(__name__)


class EmbeddedWriter:
    """Writes a collection; see `IndexWriter`.

    It is created on its own thread, which does all its work, so that a writer closed in the middle of an
    operation releases the lock only when the operation has ended.
    """

    def __init__(
        self, versions: Versions, info: IndexInfo, *, lock: FolderLock, thread: edge.EdgeThread, rebuild: bool
    ) -> None:
        self._versions = versions
        self._info = info
        self._lock = lock
        self._thread = thread
        self._closed = False
        versions.tidy()
        self._base_version = None if rebuild else _version_to_go_on_from(versions, info)
        self._base = edge.load(versions.verified(self._base_version)[0]) if self._base_version else None
        self._rebuild = rebuild
        self._staging = _left_over(versions.staging, info, rebuild=rebuild)
        self._draft = schema.Draft(published=_written(self._base), staged=_written(self._staging))
        logger.info(
            "writing %s: %d passages published, %d staged",
            versions.collection,
            len(self._draft.published),
            len(self._draft.staged),
        )

    async def written(self) -> Mapping[str, Written]:
        """Hashes by passage id: published passages, and those that an interrupted run left."""
        return self._draft.written()

    async def vectors(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Vectors]]:
        """Returns stored vectors for passages that only moved; unknown ids are left out."""
        for batch in schema.batches(ids):
            for point in await self._thread.run(partial(self._stored, batch)):
                yield str(point.id), edge.as_vectors(point.vector)

    async def put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        """Store new or changed passages; durable when it returns.

        Raises:
            VectorInvalid: A vector is of the wrong length, or holds what is not a number.
        """
        schema.check_passages(passages, vectors, sizes=schema.dense_sizes(self._info))
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
        """Release the lock; may be called twice."""
        if not self._closed:
            self._closed = True
            await self._thread.run(self._close)
            self._thread.close()

    def _stored(self, ids: Sequence[str]) -> list[Record]:
        """Returns for each id the staged point, otherwise the published one."""
        staged, published = self._draft.split(ids)
        points: list[Record] = []
        for shard, part in ((self._staging, staged), (self._base, published)):
            points += shard.retrieve([*part], True, True) if shard else []
        return points

    def _put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        started = time.perf_counter()
        if self._staging is None:
            self._staging = _new_staging(self._versions.staging, self._info, rebuild=self._rebuild)
        edge.upsert(self._staging, [edge.as_point(*both) for both in zip(passages, vectors, strict=True)])
        self._draft.put(passages)
        logger.debug(
            "put %d passages into %s: %.0f ms", len(passages), self._versions.collection, edge.since(started)
        )

    def _publish(self, info: IndexInfo, ids: list[str]) -> None:
        started = time.perf_counter()
        info = replace(info, points=len(ids))
        changes, version = self._draft.changes(ids), self._base_version
        if version is None or changes:
            version = self._versions.publish(*self._build(ids, info))
        elif not schema.same_index(info, self._versions.info(version)):
            self._versions.describe(version, info)
        if self._staging is not None:
            self._staging.close()
            shutil.rmtree(self._versions.staging)
        self._versions.tidy()
        logger.info(
            "published %s %s: %d passages, %.0f ms",
            self._versions.collection,
            version,
            len(ids),
            edge.since(started),
        )

    def _build(self, ids: list[str], info: IndexInfo) -> tuple[Path, IndexInfo, Sequence[Chapter]]:
        """Builds a shard without a log from these points, a batch in memory at a time; and the book's outline."""
        folder = self._versions.begin()
        compressed = len(ids) >= edge.LARGE
        shard = edge.create(folder, sizes=schema.dense_sizes(self._info), log=False, compressed=compressed)
        edge.index_payload(shard)
        firsts: list[dict[str, Any]] = []
        for batch in schema.batches(ids):
            stored = self._stored(batch)
            edge.upsert(shard, [Point(one.id, one.vector or {}, one.payload) for one in stored])
            payloads = (one.payload or {} for one in stored)
            firsts += [
                {name: payload[name] for name in schema.OUTLINE_FIELDS}
                for payload in payloads
                if payload[schema.ORDINAL] == 0
            ]
        if compressed:
            edge.compress(shard)
        found = shard.info().points_count
        shard.flush()
        shard.close()
        if found != len(ids):
            raise IndexDamaged(folder, f"it holds {found} passages of {len(ids)}")
        edge.load(folder).close()  # the first to open a shard still writes to its files, later ones do not
        return folder, info, schema.outline(firsts)

    def _close(self) -> None:
        try:
            for shard in (self._staging, self._base):
                if shard is not None:
                    shard.close()
        finally:
            self._lock.release()


def _version_to_go_on_from(versions: Versions, info: IndexInfo) -> str | None:
    """Returns the published version if new passages are interchangeable with its own."""
    try:
        version = versions.published().current
        return version if schema.same_vectors(versions.info(version), info) else None
    except (IndexNotFound, IndexIncompatible):
        return None


def _left_over(folder: Path, info: IndexInfo, *, rebuild: bool) -> EdgeShard | None:
    """Returns the shard that an interrupted run of the same kind staged, if there is one."""
    if _is_for(folder, info, rebuild=rebuild):
        try:
            return edge.load(folder / "shard")
        except IndexDamaged as error:
            logger.warning("what an interrupted run left is lost: %s", error)
    return None


def _new_staging(folder: Path, info: IndexInfo, *, rebuild: bool) -> EdgeShard:
    if folder.exists():
        shutil.rmtree(folder)
    staging = edge.create(folder / "shard", sizes=schema.dense_sizes(info), log=True)
    remember(folder, {"rebuild": rebuild, "info": schema.as_metadata(info)})
    return staging


def _is_for(staging: Path, info: IndexInfo, *, rebuild: bool) -> bool:
    """Whether the staged passages can be used: made in the same way, and by a rebuild if this is one."""
    note = remembered(staging)
    try:
        return (
            note is not None
            and schema.same_vectors(schema.from_metadata(staging.parent.name, note["info"]), info)
            and (note["rebuild"] or not rebuild)
        )
    except (IndexIncompatible, KeyError, TypeError, ValueError):
        return False


def _written(shard: EdgeShard | None) -> dict[str, Written]:
    points = edge.scroll(shard, fields=WRITTEN_FIELDS) if shard else ()
    return {str(point.id): schema.written(point.payload or {}) for point in points}

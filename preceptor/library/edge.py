"""A thin layer over Qdrant Edge: shards, points, a worker thread and named errors.

The engine holds the interpreter's lock while it searches, writes and optimizes, and raises bare Exceptions.
"""

import asyncio
import errno
import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    FieldCondition,
    Filter,
    HnswIndexConfig,
    KeywordIndexParams,
    MatchValue,
    Memory,
    Modifier,
    Point,
    QuantizationSearchParams,
    Query,
    QueryRequest,
    Record,
    ScrollRequest,
    SearchParams,
    TurboQuantBitSize,
    TurboQuantQuantizationConfig,
    UpdateOperation,
)
from qdrant_edge import SparseVector as EdgeSparseVector

from preceptor.errors import IndexDamaged, IndexFolderUnusable, PreceptorError
from preceptor.library import schema
from preceptor.library.passage import Passage
from preceptor.library.protocol import Vectors
from preceptor.library.schema import BM25, CHAPTER, DENSE, MULTILINGUAL
from preceptor.text.tokens import SparseVector

_T = TypeVar("_T")

_PAGE = 1000
"""Number of points that the engine returns at once."""
LARGE = 5_000
"""Passages from which a version is compressed: a search then reads a sixth of the bytes, see decision 0024."""
_COMPRESSED = SearchParams(quantization=QuantizationSearchParams(rescore=True, oversampling=3.0))
"""How compressed vectors are searched: of three times as many candidates as are wanted, the true ones decide."""
_SYSTEM_REFUSES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE}
_system_error = re.compile(r"\(os error (\d+)\)").search


class EdgeThread:
    """Runs calls of the engine one after another, away from the event loop.

    Args:
        path: The folder that they are about, for messages.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="index")

    async def run(self, call: Callable[[], _T]) -> _T:
        """Returns the result of the call or raises its error, see `named`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._call, call)

    def close(self) -> None:
        """Wait for running calls and end the thread."""
        self._pool.shutdown()

    def _call(self, call: Callable[[], _T]) -> _T:
        with named(self._path):
            return call()


@contextmanager
def named(path: Path) -> Generator[None]:
    """Translates exceptions of the engine and the operating system into named errors.

    Raises:
        IndexFolderUnusable: The system refused a file, or there is no room left.
        IndexDamaged: The engine cannot make sense of its files.
    """
    try:
        yield
    except PreceptorError:
        raise
    except OSError as error:
        raise IndexFolderUnusable(path, error.strerror or str(error)) from error
    except BaseException as error:
        # The engine's panics are not even Exceptions. Whatever else is raised here is a mistake of ours.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        number = _system_error(str(error))
        if number and int(number[1]) in _SYSTEM_REFUSES:
            raise IndexFolderUnusable(path, os.strerror(int(number[1]))) from error
        raise IndexDamaged(path, str(error).removeprefix("Service runtime error: ")[:200]) from error


def create(folder: Path, *, sizes: Mapping[str, int], log: bool, compressed: bool = False) -> EdgeShard:
    """Creates an empty shard.

    Args:
        folder: Folder for its files.
        sizes: Lengths of the dense vectors by name.
        log: Whether it has a write-ahead log: then every update outlives the process, and only one process
            can open it.
        compressed: Whether `compress` will be called.
    """
    vectors = {
        name: EdgeVectorParams(
            size=size,
            distance=Distance.Cosine,
            # Else the engine reads whole files of 32 MiB into memory, however few vectors are in them.
            memory=Memory.Cold,
            # No graph: compressed vectors are searched one after the other, and hardly one of the nearest is missed.
            hnsw_config=HnswIndexConfig(m=0, payload_m=0, ef_construct=16, full_scan_threshold=0)
            if compressed
            else None,
            quantization_config=TurboQuantQuantizationConfig(
                bits=TurboQuantBitSize.Bits4, memory=Memory.Cached
            )
            if compressed
            else None,
        )
        for name, size in sizes.items()
    }
    with named(folder):
        return EdgeShard.create(
            str(folder),
            EdgeConfig(
                vectors=vectors,
                # Pages of its file, as for the compressed vectors: nothing is copied when a shard is opened.
                sparse_vectors={BM25: EdgeSparseVectorParams(modifier=Modifier.Idf, memory=Memory.Cached)},
                id_tracker_memory=Memory.Cold,
                optimizers=EdgeOptimizersConfig(default_segment_number=2, indexing_threshold=1)
                if compressed
                else None,
                wal_enabled=log,
                # The engine would have eight, which one query wakes for nothing: see decision 0024.
                max_search_threads=1,
            ),
        )


def compress(shard: EdgeShard) -> None:
    """Compresses the vectors of a shard that was created for it; holds the interpreter's lock, 27 µs a passage."""
    shard.optimize()


def nearest(query: Query, *, within: Filter | None, limit: int) -> QueryRequest:
    """Request for the nearest points; where the vectors are compressed, by the true ones."""
    return QueryRequest(query=query, filter=within, limit=limit, params=_COMPRESSED)


def load(folder: Path) -> EdgeShard:
    """Loads an existing shard."""
    with named(folder):
        return EdgeShard.load(str(folder))


def index_payload(shard: EdgeShard) -> None:
    """Creates the index of the only payload field that is filtered on, read from its file."""
    chapters = KeywordIndexParams(memory=Memory.Cold)
    shard.update(UpdateOperation.create_field_index(CHAPTER, chapters))


def upsert(shard: EdgeShard, points: list[Point]) -> None:
    """Stores points; points with the same id are replaced."""
    shard.update(UpdateOperation.upsert_points(points))


def scroll(
    shard: EdgeShard, *, where: Filter | None = None, fields: list[str] | None = None
) -> Iterator[Record]:
    """Returns all matching points with these payload fields, or all fields if none are named."""
    offset = None
    while True:
        page, offset = shard.scroll(
            ScrollRequest(offset=offset, limit=_PAGE, filter=where, with_payload=fields or True)
        )
        yield from page
        if offset is None:
            return


def matching(field: str, value: str | int) -> Filter:
    """Filter for points whose payload has this value."""
    return Filter(must=[FieldCondition(key=field, match=MatchValue(value))])


def as_point(passage: Passage, vectors: Vectors) -> Point:
    """Converts a passage to a point of the engine."""
    dense = {name: [*vector] for name, vector in schema.dense_vectors(vectors).items()}
    named: dict[str, Any] = {**dense, BM25: as_sparse(vectors.bm25)}
    return Point(passage.id, named, schema.stored(passage))


def as_sparse(vector: SparseVector) -> EdgeSparseVector:
    """Converts a BM25 vector to the engine's form."""
    return EdgeSparseVector([*vector.indices], [*vector.values])


def as_vectors(stored: Any) -> Vectors:
    """Returns the vectors of a point."""
    bm25 = SparseVector(tuple(stored[BM25].indices), tuple(stored[BM25].values))
    return Vectors(tuple(stored[DENSE]), bm25, tuple(stored.get(MULTILINGUAL, ())))


def vectors_of(shard: EdgeShard, ids: Sequence[str], name: str) -> list[list[float]]:
    """Returns the dense vectors of this name of points, in no order."""
    found: list[Any] = shard.retrieve([*ids], False, [name])
    return [one.vector[name] for one in found]


def since(started: float) -> float:
    """Milliseconds since `started`, a time of `time.perf_counter()`."""
    return (time.perf_counter() - started) * 1000

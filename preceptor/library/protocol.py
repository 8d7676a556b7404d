"""What an index is, whichever engine holds it: read by the server, written by the indexer alone."""

import hashlib
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from preceptor.library.passage import Chapter, Passage

SCHEMA_VERSION = 1
"""Of the payload and the vectors; an index of another version is refused."""

DIMENSIONS = 384
"""Of the dense vector, named `dense`, cosine."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A BM25 vector, named `bm25`: token ids and their weights, of the same length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Both vectors of one passage or question."""

    dense: tuple[float, ...]
    bm25: SparseVector


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index says of itself (the collection's metadata), so that a mismatch can be refused."""

    book: str
    title: str
    subject: str
    language: str
    embedding_model: str
    dimensions: int
    schema_version: int
    chunk_size: int
    chunk_overlap: int
    bm25_avg_len: float
    """Mean number of BM25 tokens of a passage, measured on the book."""
    built_at: datetime
    points: int
    """Passages in it now."""
    digest: str = ""
    """Of the files and settings that it was made from: with the same ones there is nothing to do. Its first
    half is hyphens when a page could not be read: there is something to do next time."""
    told: str = ""
    """What the run that made it had to tell of the book, as JSON: a run that has nothing to do tells it again."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the two halves of a hybrid search found: (passage, raw score), best first, ties by id."""

    dense: Sequence[tuple[Passage, float]]
    """Cosine similarity, in [-1, 1]."""
    bm25: Sequence[tuple[Passage, float]]
    """BM25 score, unbounded, above 0."""


class Index(Protocol):
    """One collection, open for reading. Every method may raise an `IndexError_`.

    An embedded index that was published again while it is open shows the new passages by itself.
    """

    collection: str
    where: str
    """For messages: a folder or an address, without a key."""

    async def info(self) -> IndexInfo:
        """What the index says of itself, read anew."""
        ...

    async def candidates(self, vectors: Vectors, *, chapter: str | None, limit: int) -> Candidates:
        """The nearest passages by either vector, in one request.

        Args:
            vectors: Of the question.
            chapter: Only passages of the chapter with this id.
            limit: Passages from each half.
        """
        ...

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """All passages of a chapter in reading order; empty when there is no such chapter."""
        ...

    async def chapters(self) -> Sequence[Chapter]:
        """The book's outline in reading order."""
        ...

    async def close(self) -> None:
        """Let go of files and connections; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What an index holds of one passage, as the indexer compares it."""

    fingerprint: str
    """Of what its vectors were made of."""
    payload_hash: str
    """Of its whole payload."""

    @classmethod
    def of(cls, passage: Passage) -> "Written":
        """What an index that holds `passage` says of it."""
        payload = json.dumps(passage.payload(), sort_keys=True)
        return cls(passage.fingerprint, hashlib.blake2b(payload.encode(), digest_size=12).hexdigest())


class IndexWriter(Protocol):
    """One collection, open for writing by the one process that holds its lock.

    The order of calls: `written`, then any number of `vectors` and `put`, then `publish`. Until `publish`
    returns, readers see a whole index. A run that is interrupted loses nothing that `put` acknowledged: the
    next run finds it in `written`.
    """

    async def written(self) -> Mapping[str, Written]:
        """By passage id: the published passages and those that an interrupted run left."""
        ...

    def vectors(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Vectors]]:
        """Stored vectors, for passages that only moved; ids that are not there are left out."""
        ...

    async def put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        """Store new or changed passages; durable when it returns."""
        ...

    async def publish(self, info: IndexInfo, ids: Collection[str]) -> None:
        """Make the index hold exactly the passages with these ids, and let readers see it.

        When they are the published ones already, no new version is made.

        Args:
            info: As it was given to `Engine.write`; `points` is counted here.
            ids: Of passages that `written` told or `put` stored.
        """
        ...

    async def close(self) -> None:
        """Let go of the lock."""
        ...


class Engine(Protocol):
    """Where collections live: `Embedded` (a folder) or `QdrantCloud` (a cluster)."""

    where: str

    async def verify_connection(self) -> None:
        """Return when it answers and the key is good; raise the named error else."""
        ...

    async def verify_writable(self, collection: str) -> None:
        """Return when the key may write and nobody else is writing the collection.

        Raises:
            IndexForbidden: The key may only read.
            IndexLocked: Another process is writing it.
        """
        ...

    async def collections(self) -> Sequence[str]:
        """Names of the books' collections, sorted."""
        ...

    async def open(self, collection: str) -> Index:
        """Open a collection for reading.

        Raises:
            IndexNotFound: There is no such collection.
        """
        ...

    async def write(self, collection: str, info: IndexInfo, *, rebuild: bool = False) -> IndexWriter:
        """Open a collection for writing; make it if there is none, with its payload indexes first.

        Args:
            collection: Its name; readers find it under this name.
            info: What will be written. Where model, dimensions, schema, chunk size, overlap, language
                (which chooses BM25's stemmer) or `bm25_avg_len` differ from what is there, nothing of it is
                used again. The new version takes its place with `publish`; the old one stays for `rollback`.
            rebuild: Use nothing of what is there in any case.

        Raises:
            IndexLocked: Another process is writing it.
        """
        ...

    async def rollback(self, collection: str) -> IndexInfo:
        """Let readers see the version before the last `publish` of a new version; twice: the new one again.

        Raises:
            IndexHasNoPrevious: There is none.
            IndexLocked: Another process is writing it.
        """
        ...

    async def delete(self, collection: str) -> None:
        """Remove a collection and all its versions.

        Raises:
            IndexNotFound: There is no such collection.
            IndexLocked: Another process is writing it.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...

"""The interface of an index, for every engine: the server reads it, only the indexer writes it."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from preceptor.library.passage import Chapter, Passage
from preceptor.text.tokens import SparseVector

SCHEMA_VERSION = 1
"""Version of the payload and the vectors; an index of another version is refused."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of one passage or question."""

    dense: tuple[float, ...]
    """Dense vector by the index's embedding model; empty for a question that is put to the multilingual one."""
    bm25: SparseVector
    multilingual: tuple[float, ...] = ()
    """Dense vector by the second embedding model, where the index has one."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """Description of an index (its collection's metadata), by which a mismatch is refused."""

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
    """Number of passages in the index."""
    digest: str = ""
    """Digest of the source files and settings: an equal digest means that nothing has changed. Its first half
    is hyphens if a page could not be read, so that the next run tries again.
    """
    told: str = ""
    """Report of the run that made the index, as JSON, so that a run that has nothing to do can repeat it."""
    multilingual_model: str = ""
    """Second embedding model, for readers of languages that the first does not read; empty: there is none."""
    multilingual_dimensions: int = 0


Scores = Mapping[str, float]
"""Raw scores of one half of a hybrid search by passage id, best first, ties by id: of the dense half cosines, in
[-1, 1], of the other half BM25 scores, unbounded, above 0."""

Choose = Callable[[Scores, Scores, Scores | None], Sequence[str]]
"""Chooses the ids of the passages that are wanted, best first, from the scores of both halves, dense and BM25, and from
the cosines that were found by feedback; None: there was none yet."""


class Index(Protocol):
    """One collection, open for reading. Every method may raise an `VectorIndexError`.

    An embedded index that was published again while it is open shows the new passages by itself.
    """

    collection: str
    where: str
    """A folder or an address without a key, for messages."""

    async def info(self) -> IndexInfo:
        """Returns the index's description, read again."""
        ...

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool = False
    ) -> Sequence[Passage]:
        """Returns those of the nearest passages by either half that are chosen, from one version.

        Reading passages takes longer than finding them, and of 200 candidates a reader gets 6.

        Args:
            vectors: Vectors of the question, of which only one dense one is looked at.
            choose: Chooses from the candidates; it may be called on another thread.
            chapter: Only passages of the chapter with this id.
            limit: Candidates from each half.
            feedback: Whether the dense half is asked once more, with the vector moved towards those of the passages
                that are chosen first (`fusion.moved`), and the choice made again.

        Raises:
            IndexIncompatible: The dense vector is not as long as those of the index.
            VectorInvalid: It holds something that is not a number.
        """
        ...

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """Returns all passages of a chapter in reading order; empty if there is no such chapter."""
        ...

    async def chapters(self) -> Sequence[Chapter]:
        """Returns the book's outline in reading order."""
        ...

    async def close(self) -> None:
        """Close files and connections; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Hashes of a stored passage, which the indexer compares."""

    fingerprint: str
    """Fingerprint of the text behind its vectors."""
    payload_hash: str
    """Hash of its whole payload."""

    @classmethod
    def of(cls, passage: Passage) -> "Written":
        """Returns the hashes that an index stores for `passage`."""
        payload = json.dumps(passage.payload(), sort_keys=True)
        return cls(passage.fingerprint, hashlib.blake2b(payload.encode(), digest_size=12).hexdigest())


class IndexWriter(Protocol):
    """One collection, open for writing by the one process that holds its lock.

    The order of calls: `written`, then any number of `vectors` and `put`, then `publish`. Until `publish`
    returns, readers see a whole index. A run that is interrupted loses nothing that `put` acknowledged: the
    next run finds it in `written`.
    """

    async def written(self) -> Mapping[str, Written]:
        """Hashes by passage id: published passages, and those that an interrupted run left."""
        ...

    def vectors(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, Vectors]]:
        """Returns stored vectors for passages that only moved; unknown ids are left out."""
        ...

    async def put(self, passages: Sequence[Passage], vectors: Sequence[Vectors]) -> None:
        """Store new or changed passages; durable when it returns."""
        ...

    async def publish(self, info: IndexInfo, ids: Collection[str]) -> None:
        """Make the index hold exactly the passages with these ids, and let readers see it.

        If these passages are already published, no new version is made.

        Args:
            info: The description given to `Engine.write`; `points` is counted here.
            ids: Ids of passages that `written` returned or `put` stored.
        """
        ...

    async def close(self) -> None:
        """Release the lock."""
        ...


class Engine(Protocol):
    """Opens and manages collections in a folder (`Embedded`) or a cluster (`QdrantCloud`); closes as a context."""

    where: str

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def verify_connection(self) -> None:
        """Return if the engine can be reached and accepts the key; raise the named error otherwise."""
        ...

    async def verify_writable(self, collection: str) -> None:
        """Return if the key may write and nobody else is writing the collection.

        Raises:
            IndexForbidden: The key may only read.
            IndexLocked: Another process is writing it.
        """
        ...

    async def collections(self) -> Sequence[str]:
        """Returns the names of the books' collections, sorted."""
        ...

    async def open(self, collection: str) -> Index:
        """Open a collection for reading.

        Raises:
            IndexNotFound: There is no such collection.
        """
        ...

    async def write(self, collection: str, info: IndexInfo, *, rebuild: bool = False) -> IndexWriter:
        """Open a collection for writing; create it if necessary, with its payload indexes first.

        Args:
            collection: Its name; readers find it under this name.
            info: Description of the new version. Where models, dimensions, schema, chunk size, overlap, language
                (which chooses BM25's stemmer) or `bm25_avg_len` differ from what is there, nothing of it is
                used again. The new version takes its place with `publish`; the old one stays for `rollback`.
            rebuild: Use nothing of what is there in any case.

        Raises:
            IndexLocked: Another process is writing it.
        """
        ...

    async def rollback(self, collection: str) -> IndexInfo:
        """Publish the version before the last one; a second call returns to the newer one.

        Raises:
            IndexHasNoPrevious: There is no previous version.
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
        """Close all files and connections."""
        ...

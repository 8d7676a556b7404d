"""Many books in one collection of Qdrant Cloud, which allows a thousand collections and advises against one per book.

The points of all versions of all books are in `NAME__384` (for vectors of that length), each with its book as the
tenant and its version. What each book is stands in the collection `NAME`, which has no vectors: a point for each
version with its description, one with the words of its passages, and one for each book that names the version that
readers see. That last point is written in one request, so that readers see either the old version or the new one.

Readers ask for that point together with each search. Where it names another version than the one that was searched,
the answer is thrown away and the search made again: no answer is of a version that was gone when it was asked.

Qdrant counts how rare a word is over a whole collection. Here that would be over all books, so that the same question
would get other scores whenever another book comes; the counts of the book itself are kept with its version instead.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from qdrant_client import models

from preceptor.errors import IndexNotFound
from preceptor.library import schema
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_errors import CollectionExists
from preceptor.library.cloud_place import TENANT, VERSION, matching, point_id
from preceptor.library.cloud_reader import CloudIndex
from preceptor.library.cloud_versions import INDEXES, CloudVersions, Version
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import Choose, IndexInfo, Vectors
from preceptor.library.schema import BM25
from preceptor.text.tokens import SparseVector

_T = TypeVar("_T")

_KIND = "kind"
_BOOK, _VERSION, _WORDS = "book", "version", "words"
_PAGE = 1000
_AGAIN = 5
"""Number of publications during one search after which it gives up following them."""


class SharedVersions(CloudVersions):
    """Versions of one book in a shared collection."""

    def __init__(self, connection: Connection, collection: str, *, shared: str) -> None:
        """Name a book.

        Args:
            connection: The cluster.
            collection: Name under which the book is read.
            shared: Name of the collection that says what each book is.
        """
        super().__init__(connection, collection)
        self._shared = shared
        self._book = point_id(_BOOK, collection)

    async def current(self) -> Version:
        """Returns the published version; a reader's key is enough.

        Raises:
            IndexNotFound: There is no such book.
        """
        found = (await self._notes([self._book])).get(self._book)
        if found is None:
            where = self._connection.where
            raise IndexNotFound(
                self.collection, f"{where} (layout `shared`)", await books(self._connection, self._shared)
            )
        return Version(found["name"], json.loads(found["note"]))

    async def published(self) -> str | None:
        """Name of the published version."""
        found = (await self._notes([self._book])).get(self._book)
        return found["name"] if found else None

    async def all(self) -> dict[str, Version]:
        """Returns every version by name, unfinished ones included."""
        found = await _listed(self._connection, self._shared, {_KIND: _VERSION, TENANT: self.collection})
        return {one["name"]: Version(one["name"], json.loads(one["note"])) for one in found}

    async def described(self, name: str) -> Version:
        """Returns the description of a version.

        Raises:
            IndexNotFound: There is none of this name.
        """
        point = point_id(_VERSION, name)
        found = (await self._notes([point])).get(point)
        if found is None:
            raise IndexNotFound(name, self._connection.where, [])
        return Version(name, json.loads(found["note"]))

    async def create(self, name: str, info: IndexInfo, *, rebuild: bool) -> Version:
        """Note an empty version, unpublished and ready for points."""
        sizes = schema.dense_sizes(info)
        place = f"{self._shared}__{'_'.join(map(str, sizes.values()))}"
        await self._create(self._shared, {}, {}, (_KIND, TENANT))
        await self._create(
            place,
            {
                name: models.VectorParams(size=size, distance=models.Distance.COSINE)
                for name, size in sizes.items()
            },
            {BM25: models.SparseVectorParams()},  # the counts of the book itself are used, see above
            (TENANT, VERSION),
        )
        await self._index_fields(place, INDEXES)
        note = {"of": self.collection, "rebuild": rebuild, "info": schema.as_metadata(info), "place": place}
        version = Version(name, note)
        await self._write(version)
        return version

    async def index_payload(self, name: str) -> None:
        """Do nothing: the fields are indexed before the version is noted."""

    async def note(self, version: Version, **changes: Any) -> None:
        """Change fields of a version's description."""
        changed = Version(version.name, {**version.note, **changes})
        await self._write(changed)
        if await self.published() == version.name:
            await self._show(changed)

    async def finish(self, version: Version) -> None:
        """Count in how many passages of a version each word is, before readers see it."""
        counts: Counter[int] = Counter()
        place, offset = version.place, None
        while True:
            scroll = partial(
                self._client.scroll,
                place.collection,
                scroll_filter=place.where(),
                limit=_PAGE,
                offset=offset,
                with_payload=False,
                with_vectors=[BM25],
            )
            page, offset = await self._connection.read("count the words of", scroll, collection=version.name)
            for point in page:
                vectors: Any = point.vector or {}
                if BM25 in vectors:
                    counts.update(vectors[BM25].indices)
            if offset is None:
                break
        words = json.dumps({str(word): count for word, count in sorted(counts.items())})
        await self._put(point_id(_WORDS, version.name), {_KIND: _WORDS, "name": version.name, "words": words})

    async def words(self, name: str) -> Mapping[int, int]:
        """Returns the number of passages of a version that each word is in."""
        point = point_id(_WORDS, name)
        found = (await self._notes([point])).get(point)
        return {int(word): count for word, count in json.loads(found["words"]).items()} if found else {}

    async def show(self, name: str) -> None:
        """Publish this version in one request."""
        await self._show(await self.described(name))

    async def hide(self) -> None:
        """Remove the point that readers follow."""
        await self._remove(self._shared, models.PointIdsList(points=[self._book]))

    async def drop(self, name: str) -> None:
        """Remove a version and its points."""
        with suppress(IndexNotFound):
            place = (await self.described(name)).place
            where = place.where()
            assert where is not None, "a shared collection holds other books"
            await self._remove(place.collection, models.FilterSelector(filter=where))
        gone = [point_id(kind, name) for kind in (_VERSION, _WORDS)]
        await self._remove(self._shared, models.PointIdsList(points=[*gone]))

    async def _create(self, name: str, dense: Any, sparse: Any, tenant_and_more: Sequence[str]) -> None:
        found = await self._connection.read("list collections", self._client.get_collections)
        create = partial(
            self._client.create_collection,
            name,
            vectors_config=dense,
            sparse_vectors_config=sparse or None,
            # A graph for each book, and none over all of them, which no search would use.
            hnsw_config=models.HnswConfigDiff(m=0, payload_m=16) if dense else None,
        )
        if name not in {one.name for one in found.collections}:
            with suppress(CollectionExists):  # another book's writer made it just now
                await self._connection.write("create the collection", create, collection=name)
        # Each time: the writer that made it may have been killed before it came to this.
        await self._index_fields(
            name,
            {
                field: models.KeywordIndexParams(
                    type=models.KeywordIndexType.KEYWORD, is_tenant=field == TENANT
                )
                for field in tenant_and_more
            },
        )

    async def _write(self, version: Version) -> None:
        await self._put(point_id(_VERSION, version.name), self._payload(_VERSION, version))

    async def _show(self, version: Version) -> None:
        await self._put(self._book, self._payload(_BOOK, version))

    def _payload(self, kind: str, version: Version) -> dict[str, Any]:
        # As text: the fields of a description are not searched, and a payload is indexed by none of them.
        note = json.dumps(version.note)
        return {_KIND: kind, TENANT: self.collection, "name": version.name, "note": note}

    async def _put(self, point: str, payload: dict[str, Any]) -> None:
        made = models.PointStruct(id=point, vector={}, payload=payload)
        upsert = partial(self._client.upsert, self._shared, [made], wait=True)
        await self._connection.write("note in", upsert, collection=self._shared)

    async def _remove(self, collection: str, points: models.PointsSelector) -> None:
        delete = partial(self._client.delete, collection, points, wait=True)
        await self._connection.write("remove points of", delete, collection=collection)

    async def _notes(self, points: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Returns the payloads of points that say what a book is, by id; of those that there are."""
        get = partial(self._client.retrieve, self._shared, [*points], with_payload=True)
        try:
            found = await self._connection.read("look up", get, collection=self._shared)
        except IndexNotFound:  # nothing was ever published here
            return {}
        return {str(one.id): one.payload or {} for one in found}


class SharedIndex(CloudIndex):
    """Reads one book of a shared collection."""

    def __init__(self, connection: Connection, versions: SharedVersions) -> None:
        super().__init__(connection, versions)
        self._books = versions
        self._version: Version | None = None
        self._words: tuple[str, Mapping[int, int]] = ("", {})

    async def info(self) -> IndexInfo:
        """Returns the index's description, read again."""
        self._version = await self._books.current()
        info = self._version.info()
        self._sizes = schema.dense_sizes(info)
        return info

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool = False
    ) -> Sequence[Passage]:
        """Returns the candidates that are chosen, see `Index.chosen`."""

        async def ask(version: Version) -> Sequence[Passage]:
            self._sizes = schema.dense_sizes(version.info())
            schema.asked(
                vectors, collection=self.collection, sizes=self._sizes
            )  # before its words are weighed
            weighed = replace(vectors, bm25=await self._weighed(vectors.bm25, version))
            return await self._chosen(
                version.place, weighed, choose, chapter=chapter, limit=limit, feedback=feedback
            )

        return await self._followed(ask)

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """Returns all passages of a chapter in reading order; empty if there is no such chapter."""
        return await self._followed(lambda version: self._passages(version.place, chapter))

    async def chapters(self) -> Sequence[Chapter]:
        """Returns the book's outline in reading order."""
        return await self._followed(lambda version: self._outline(version.place))

    async def _followed(self, ask: Callable[[Version], Awaitable[_T]]) -> _T:
        """Returns an answer of the version that is published now."""
        version = self._version or await self._books.current()
        for again in range(_AGAIN, -1, -1):
            answer, now = await asyncio.gather(ask(version), self._books.current())
            if now.name == version.name or not again:
                self._version = now
                return answer
            version = now
        raise AssertionError("the last answer is returned")

    async def _weighed(self, bm25: SparseVector, version: Version) -> SparseVector:
        """Weighs the words of a question by how rare they are in this book, by the formula of Qdrant's IDF."""
        if self._words[0] != version.name:
            self._words = version.name, await self._books.words(version.name)
        counts, points = self._words[1], version.info().points
        return SparseVector(
            bm25.indices,
            tuple(
                value * math.log1p((points - counts.get(word, 0) + 0.5) / (counts.get(word, 0) + 0.5))
                for word, value in zip(bm25.indices, bm25.values, strict=True)
            ),
        )


async def books(connection: Connection, shared: str) -> list[str]:
    """Returns the names under which books are read, sorted."""
    return sorted(one[TENANT] for one in await _listed(connection, shared, {_KIND: _BOOK}))


async def _listed(connection: Connection, shared: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    offset: Any = None
    while True:
        scroll = partial(
            connection.client.scroll, shared, scroll_filter=matching(fields), limit=_PAGE, offset=offset
        )
        try:
            page, offset = await connection.read("list", scroll, collection=shared)
        except IndexNotFound:  # nothing was ever published here
            return found
        found += [one.payload or {} for one in page]
        if offset is None:
            return found

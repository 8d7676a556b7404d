"""Reading one book in Qdrant Cloud."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from qdrant_client import models

from preceptor.library import fusion, schema
from preceptor.library.cloud_connection import Connection
from preceptor.library.cloud_place import Place
from preceptor.library.cloud_versions import CloudVersions
from preceptor.library.passage import Chapter, Passage
from preceptor.library.protocol import Choose, IndexInfo, Vectors
from preceptor.library.schema import BM25, CHAPTER, ORDINAL, OUTLINE_FIELDS

_PASSAGES = 1000
"""Number of points with text in one response."""
_SECTIONS = 10_000
"""Number of points with headings only in one response, so that an outline comes from one version."""


class CloudIndex:
    """Reads through an alias, so that the next search sees a new version."""

    def __init__(self, connection: Connection, versions: CloudVersions) -> None:
        self.collection = versions.collection
        self.where = connection.where
        self._connection = connection
        self._client = connection.client
        self._versions = versions
        self._place = Place(versions.collection)
        self._sizes: Mapping[str, int] = {}

    async def info(self) -> IndexInfo:
        """Returns the index's description, read again."""
        info = (await self._versions.current()).info()
        self._sizes = schema.dense_sizes(info)
        return info

    async def chosen(
        self, vectors: Vectors, choose: Choose, *, chapter: str | None, limit: int, feedback: bool = False
    ) -> Sequence[Passage]:
        """Returns the candidates that are chosen, see `Index.chosen`.

        With feedback it takes three requests, and what is published between them may answer the last.
        """
        return await self._chosen(
            self._place, vectors, choose, chapter=chapter, limit=limit, feedback=feedback
        )

    async def passages(self, chapter: str) -> Sequence[Passage]:
        """Returns all passages of a chapter in reading order; empty if there is no such chapter."""
        return await self._passages(self._place, chapter)

    async def chapters(self) -> Sequence[Chapter]:
        """Returns the book's outline in reading order."""
        return await self._outline(self._place)

    async def close(self) -> None:
        """Do nothing; the engine closes the connections."""

    async def _passages(self, place: Place, chapter: str) -> Sequence[Passage]:
        found = await self._scroll(place, {CHAPTER: chapter}, limit=_PASSAGES, fields=None)
        return schema.in_order((place.passage(point), point.payload or {}) for point in found)

    async def _outline(self, place: Place) -> Sequence[Chapter]:
        found = await self._scroll(place, {ORDINAL: 0}, limit=_SECTIONS, fields=OUTLINE_FIELDS)
        return schema.outline(point.payload or {} for point in found)

    async def _chosen(
        self,
        place: Place,
        vectors: Vectors,
        choose: Choose,
        *,
        chapter: str | None,
        limit: int,
        feedback: bool,
    ) -> Sequence[Passage]:
        """Returns the candidates that are chosen; they come with the answers, since another request costs more."""
        name, dense = schema.asked(vectors, collection=self.collection, sizes=self._sizes)
        asked: list[tuple[str, Any]] = [(name, [*dense])]
        if vectors.bm25.indices:
            bm25 = models.SparseVector(indices=[*vectors.bm25.indices], values=[*vectors.bm25.values])
            asked.append((BM25, bm25))
        halves, payloads = await self._nearest(place, asked, chapter=chapter, limit=limit)
        both = [*halves, *[{}] * (2 - len(halves))]
        wanted = choose(both[0], both[1], None)
        # None are found where the next version has taken the place of this one: then the first choice stands.
        if feedback and (best := await self._vectors(place, name, wanted[: fusion.BEST])):
            moved = [(name, [*fusion.moved(dense, best)])]
            (again,), more = await self._nearest(place, moved, chapter=chapter, limit=limit)
            payloads |= more
            wanted = choose(both[0], both[1], again)
        return [Passage.from_payload(one, payloads[one]) for one in wanted]

    async def _vectors(self, place: Place, name: str, passages: Sequence[str]) -> list[list[float]]:
        """Returns the dense vectors of those passages that there are."""
        ids = [place.point(one) for one in passages]
        get = partial(self._client.retrieve, place.collection, ids, with_payload=False, with_vectors=[name])
        found = await self._connection.read("read", get, collection=self.collection) if ids else []
        return [cast("dict[str, list[float]]", one.vector)[name] for one in found]

    async def _nearest(
        self, place: Place, asked: Sequence[tuple[str, Any]], *, chapter: str | None, limit: int
    ) -> tuple[list[dict[str, float]], dict[str, dict[str, Any]]]:
        """Returns the scores of what is nearest to each vector by id, and the payload behind each id."""
        requests = [
            models.QueryRequest(
                query=vector,
                using=name,
                filter=place.where(**{CHAPTER: chapter}),
                limit=limit + schema.TIES,
                with_payload=True,
            )
            for name, vector in asked
        ]
        search = partial(self._client.query_batch_points, place.collection, requests)
        found = await self._connection.read("search", search, collection=self.collection)
        points = [half.points for half in found]
        halves = [
            dict(schema.best_first(((place.passage(one), one.score) for one in half), limit=limit))
            for half in points
        ]
        return halves, {place.passage(one): one.payload or {} for half in points for one in half}

    async def _scroll(
        self, place: Place, where: Mapping[str, str | int], *, limit: int, fields: list[str] | None
    ) -> list[models.Record]:
        points: list[models.Record] = []
        offset: Any = None
        while True:
            scroll = partial(
                self._client.scroll,
                place.collection,
                scroll_filter=place.where(**where),
                limit=limit,
                offset=offset,
                with_payload=[*fields, *place.fields] if fields else True,
            )
            page, offset = await self._connection.read("read", scroll, collection=self.collection)
            points += page
            if offset is None:
                return points

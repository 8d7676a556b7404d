"""The open index: search it, read a chapter, list the chapters, of one book or of several at once."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from operator import attrgetter
from typing import Self

from preceptor.errors import (
    EmptyQuery,
    IndexEmpty,
    IndexIncompatible,
    UnknownBook,
    UnknownChapter,
    VectorIndexError,
)
from preceptor.library.bm25 import Bm25
from preceptor.library.embedding import DenseEmbedder, Vector, cleaned
from preceptor.library.fusion import Ranked, rank
from preceptor.library.passage import Chapter, Hit, Passage, key_beside
from preceptor.library.protocol import SCHEMA_VERSION, Engine, Index, IndexInfo, Scores, Vectors
from preceptor.settings import SearchSettings, Settings

_OUTLINE_SECONDS = 30.0
"""Lifetime of a cached outline in seconds: it changes when the book is published again."""
_READABLE = 0.5
"""Vocabulary coverage from which a cosine is meaningful by itself."""


class Library:
    """One or more books, open for reading. Use `open_library` to create it; leaving the context closes it."""

    def __init__(
        self, indexes: Sequence[Index], embedder: DenseEmbedder, *, settings: SearchSettings
    ) -> None:
        self._books = [_Book(index, embedder, place=place) for place, index in enumerate(indexes)]
        self._embedder = embedder
        self._settings = settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def search(
        self, query: str, *, chapter: str | None = None, book: str | None = None, limit: int | None = None
    ) -> list[Hit]:
        """Returns the best passages for a question, best first.

        Args:
            query: The reader's question, in any language.
            chapter: Only in the chapter with this id, of every book that has one; `book:chapter` is that of one.
            book: Only in the book with this id.
            limit: Passages at most; default: `search.limit`.

        Raises:
            EmptyQuery: It holds no letter and no digit.
            UnknownChapter: No book has such a chapter.
            UnknownBook: No such book is open.
            IndexIncompatible: A book was published again with another embedding model.
            IndexEmpty: A book was published again without a passage.
        """
        if not any(map(str.isalnum, query)):
            raise EmptyQuery
        if chapter is None:
            within = [(one, None) for one in await self._chosen(book)]
        else:
            within = [(one, found.id) for one, found in await self._holders(chapter, book)]
        dense = await self._embedder.question(query)
        coverage = self._embedder.vocabulary_coverage(query)
        limit = limit or self._settings.limit
        prefetch = self._settings.prefetch
        found = await asyncio.gather(
            *(
                one.search(query, dense, coverage, chapter=there, prefetch=prefetch, limit=limit)
                for one, there in within
            )
        )
        return sorted(chain.from_iterable(found), key=attrgetter("score"), reverse=True)[:limit]

    async def check(self, *, chapter: str | None = None, book: str | None = None) -> None:
        """Return if the chapter and book of a question exist.

        Raises:
            UnknownChapter: There is no such chapter (in that book).
            UnknownBook: No such book is open.
        """
        if chapter is not None:
            await self._holders(chapter, book)
        else:
            await self._chosen(book)

    async def chapter(self, chapter: str, *, book: str | None = None) -> tuple[Chapter, Sequence[Passage]]:
        """Returns a chapter and its passages in reading order.

        Args:
            chapter: Its id; where several books have it, that of the first, and `book:chapter` that of another.
            book: Only from the book with this id.

        Raises:
            UnknownChapter: There is no such chapter (in that book).
            UnknownBook: No such book is open.
        """
        holder, found = (await self._holders(chapter, book))[0]
        return found, await holder.passages(found.id)

    async def chapters(self) -> list[Chapter]:
        """Returns the outline, book after book, in reading order; cached for half a minute."""
        outlines = await asyncio.gather(*(one.chapters() for one in self._books))
        return [chapter for outline in outlines for chapter in outline]

    async def info(self) -> IndexInfo:
        """Returns the description of the (first) index."""
        return await self._books[0].info()

    async def books(self) -> list[IndexInfo]:
        """Returns the descriptions of all open indexes; cached for half a minute."""
        return await asyncio.gather(*(one.info() for one in self._books))

    async def verify(self) -> list[IndexInfo]:
        """Returns the descriptions of all open indexes, read again.

        Raises:
            VectorIndexError: One does not answer, is empty, or was rebuilt with other settings.
        """
        books = await asyncio.gather(*(one.index.info() for one in self._books))
        for one, info in zip(self._books, books, strict=True):
            _check(info, one.index, self._embedder)
        return books

    def tokens(self, text: str) -> int:
        """Returns the length of a text in tokens of the embedding model."""
        return len(self._embedder.tokenizer.encode(cleaned(text), add_special_tokens=False))

    async def likeness(self, question: str, texts: Sequence[str]) -> list[float]:
        """Returns the cosines of texts and a question; about 5 ms of CPU for a sentence.

        Returns:
            A cosine for each text; nothing at all where the model cannot read the question's script.
        """
        if self._embedder.vocabulary_coverage(question) < _READABLE:
            return []
        asked, *vectors = await asyncio.gather(
            self._embedder.question(question), *map(self._embedder.text, texts)
        )
        return [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]

    async def close(self) -> None:
        """Close the indexes and the embedding model."""
        for one in self._books:
            await one.index.close()
        self._embedder.close()

    async def _chosen(self, book: str | None) -> list["_Book"]:
        if book is None:
            return self._books
        by_id = {(await one.info()).book: one for one in self._books}
        if book not in by_id:
            raise UnknownBook(book, list(by_id))
        return [by_id[book]]

    async def _holders(self, chapter: str, book: str | None) -> list[tuple["_Book", Chapter]]:
        """Returns the books that have such a chapter, each with the chapter; at least one."""
        books = await self._chosen(book)
        outlines: list[Sequence[Chapter]] = []
        for fresh in (False, True):  # the chapter may be new
            outlines = [await one.chapters(fresh=fresh) for one in books]
            holders = [
                (one, found)
                for one, outline in zip(books, outlines, strict=True)
                for found in outline
                if chapter in (found.id, f"{found.book}:{found.id}")
            ]
            if holders:
                return holders
        raise UnknownChapter(chapter, _closest(chapter, list(chain.from_iterable(outlines))))


class _Book:
    """One index with short-lived caches."""

    def __init__(self, index: Index, embedder: DenseEmbedder, *, place: int) -> None:
        self.index = index
        self._embedder = embedder
        self._place = place
        self._outline: tuple[float, Sequence[Chapter]] | None = None
        self._info: tuple[float, IndexInfo] | None = None

    async def search(
        self, query: str, dense: Vector, coverage: float, *, chapter: str | None, prefetch: int, limit: int
    ) -> list[Hit]:
        info = await self.info()
        try:
            _check(info, self.index, self._embedder)
        except VectorIndexError:
            self._info = None  # the next search may find it repaired
            raise
        bm25 = Bm25(info.language, info.bm25_avg_len).question(query)
        ranked: list[Ranked] = []

        def choose(dense: Scores, sparse: Scores) -> list[str]:
            tokens = len(bm25.indices)
            ranked[:] = rank(dense, sparse, tokens=tokens, points=info.points, coverage=coverage, limit=limit)
            return [one.id for one in ranked]

        vectors = Vectors(dense, bm25)
        passages = await self.index.chosen(vectors, choose, chapter=chapter, limit=prefetch)
        return [
            Hit(self._named(passage), score=one.score, dense=one.dense, bm25=one.bm25)
            for passage, one in zip(passages, ranked, strict=True)
        ]

    async def passages(self, chapter: str) -> Sequence[Passage]:
        return [self._named(passage) for passage in await self.index.passages(chapter)]

    async def chapters(self, *, fresh: bool = False) -> Sequence[Chapter]:
        if fresh or self._outline is None or time.monotonic() - self._outline[0] > _OUTLINE_SECONDS:
            self._outline = time.monotonic(), await self.index.chapters()
        return self._outline[1]

    async def info(self) -> IndexInfo:
        if self._info is None or time.monotonic() - self._info[0] > _OUTLINE_SECONDS:
            self._info = time.monotonic(), await self.index.info()
        return self._info[1]

    def _named(self, passage: Passage) -> Passage:
        """Gives a passage a key that no other open book has."""
        return replace(passage, key=key_beside(passage.key, self._place)) if self._place else passage


def _closest(chapter: str, outline: Sequence[Chapter]) -> list[str]:
    """Returns the ids of the chapters whose id or title is most similar."""
    by_name = {one.title.casefold(): one.id for one in outline} | {
        one.id.casefold(): one.id for one in outline
    }
    names = get_close_matches(chapter.casefold(), by_name, n=3, cutoff=0.3)
    return list(dict.fromkeys(by_name[name] for name in names))


async def open_library(engine: Engine, settings: Settings) -> Library:
    """Open the collections that the settings name, with the embedding model that made them.

    Raises:
        IndexNotFound: A collection does not exist.
        IndexEmpty: One holds no passage.
        IndexIncompatible: One was built with another embedding model, dimension or schema.
        EmbeddingError: The embedding model cannot be loaded.
    """
    names = dict.fromkeys([settings.index.collection, *settings.index.also])
    indexes: list[Index] = []
    embedder = DenseEmbedder(settings.embedding)
    try:
        for name in names:
            index = await engine.open(name)
            indexes.append(index)
        await asyncio.to_thread(embedder.load)
        for index in indexes:
            _check(await index.info(), index, embedder)
    except BaseException:
        for index in indexes:
            await index.close()
        embedder.close()
        raise
    return Library(indexes, embedder, settings=settings.search)


def _check(info: IndexInfo, index: Index, embedder: DenseEmbedder) -> None:
    for what, found, wanted in (
        ("schema version", info.schema_version, SCHEMA_VERSION),
        ("the embedding model", info.embedding_model, embedder.model),
        ("vectors of dimension", info.dimensions, embedder.dimensions),
    ):
        if found != wanted:
            raise IndexIncompatible(index.collection, what, found=found, wanted=wanted)
    if info.points == 0:
        raise IndexEmpty(index.collection, index.where)

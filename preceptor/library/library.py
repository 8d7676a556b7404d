"""The open index: search it, read a chapter, list the chapters, of one book or of several at once."""

import asyncio
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain
from operator import attrgetter, mul
from typing import Self

from preceptor.errors import (
    EmptyQuery,
    IndexEmpty,
    IndexIncompatible,
    UnknownBook,
    UnknownChapter,
    VectorIndexError,
)
from preceptor.library.counterparts import Alike, counterparts
from preceptor.library.embedding import AUTO, ENGLISH, MULTILINGUAL, DenseEmbedder, Vector, cleaned
from preceptor.library.fusion import BEST, Ranked, rank, scale
from preceptor.library.passage import Chapter, Hit, Passage, key_beside
from preceptor.library.protocol import SCHEMA_VERSION, Engine, Index, IndexInfo, Scores, Vectors
from preceptor.settings import EmbeddingSettings, SearchSettings, Settings
from preceptor.text.languages import language, language_of
from preceptor.text.tokens import Bm25

_OUTLINE_SECONDS = 30.0
"""Lifetime of a cached outline in seconds: it changes when the book is published again."""
_NOT_LATIN = re.compile(r"[^\u0000-\u024f\u1e00-\u1eff]+")
_MOST_FOR_FEEDBACK = 5_000
"""Passages of a book up to which the dense half is asked twice: of a million that takes as long as all the rest."""
_READABLE = 0.5
"""Vocabulary coverage from which a cosine is meaningful by itself."""


class Library:
    """One or more books, open for reading. Use `open_library` to create it; leaving the context closes it."""

    def __init__(self, indexes: Sequence[Index], embedders: "Embedders", *, settings: SearchSettings) -> None:
        self._books = [_Book(index, embedders, place=place) for place, index in enumerate(indexes)]
        self._embedders = embedders
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
        limit = limit or self._settings.limit
        prefetch = self._settings.prefetch
        readings = [await one.reading(query) for one, _ in within]
        # One vector for each model, however many books it reads.
        vectors = {one.model: await self._embedders.of(one.model).question(query) for one in readings}
        found = await asyncio.gather(
            *(
                one.search(
                    query, vectors[reading.model], reading, chapter=there, prefetch=prefetch, limit=limit
                )
                for (one, there), reading in zip(within, readings, strict=True)
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
            await self._embedders.open_for(info, one.index)
        return books

    @property
    def models(self) -> list[str]:
        """Names of the embedding models that are loaded, that of the first book first."""
        return self._embedders.models

    def tokens(self, text: str) -> int:
        """Returns the length of a text in tokens of the (first book's) embedding model."""
        tokenizer = self._embedders.of(self.models[0]).tokenizer
        return len(tokenizer.encode(cleaned(text), add_special_tokens=False))

    async def likeness(self, question: str, texts: Sequence[str]) -> list[Alike]:
        """Returns how near texts are to a question; about 5 ms of CPU for a sentence.

        Returns:
            One for each text; nothing at all where no model reads the question's script.
        """
        opened = [self._embedders.of(name) for name in self.models]
        embedder = next((one for one in opened if one.reads(question)), opened[0])
        if embedder.vocabulary_coverage(question) < _READABLE:
            return []
        asked, *read = await asyncio.gather(
            embedder.read(question, is_question=True), *map(embedder.read, texts)
        )
        meaning = scale(embedder.model)
        missing = meaning.foreign if embedder is not opened[0] else 0.0
        return [
            Alike(
                # Vectors have length 1, so that this is the cosine.
                meaning.likeness(sum(map(mul, asked.vector, one.vector)) + missing),
                counterparts(asked, one),
            )
            for one in read
        ]

    async def close(self) -> None:
        """Close the indexes and the embedding model."""
        for one in self._books:
            await one.index.close()
        self._embedders.close()

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


class Embedders:
    """The embedding models that the open indexes need, each loaded once."""

    def __init__(
        self,
        settings: EmbeddingSettings,
        loaded: Iterable[DenseEmbedder] = (),
        *,
        owner: "Embedders | None" = None,
    ) -> None:
        """Initialise without loading anything.

        Args:
            settings: The settings of the models.
            loaded: Models that are loaded already.
            owner: Loads and closes the models in place of this object, for several libraries: a model takes as much
                memory as thousands of books' outlines.
        """
        self._settings = settings
        self._owner = owner
        self._loaded = {one.model: one for one in loaded}
        self._lock = asyncio.Lock()

    @property
    def models(self) -> list[str]:
        """Names of the loaded models, in the order in which they were loaded."""
        return list(self._loaded)

    def of(self, model: str) -> DenseEmbedder:
        """Returns a loaded model."""
        return self._loaded[model]

    async def open_for(self, info: IndexInfo, index: Index) -> None:
        """Load the models that made an index, unless they are loaded.

        Raises:
            IndexIncompatible: It was built with another model than the settings name, or with another schema.
            IndexEmpty: It holds no passage.
            EmbeddingError: A model cannot be loaded.
        """
        chosen = self._settings.model
        if chosen == AUTO:
            fits = info.embedding_model in (ENGLISH, MULTILINGUAL)
            wanted = f"`{ENGLISH}` or `{MULTILINGUAL}` (`embedding.model` is `{AUTO}`)"
        else:
            fits, wanted = info.embedding_model == chosen, chosen
        for what, is_right, found, this in (
            ("schema version", info.schema_version == SCHEMA_VERSION, info.schema_version, SCHEMA_VERSION),
            ("the embedding model", fits, info.embedding_model, wanted),
        ):
            if not is_right:
                raise IndexIncompatible(index.collection, what, found=found, wanted=this)
        for name, size in (
            (info.embedding_model, info.dimensions),
            (info.multilingual_model, info.multilingual_dimensions),
        ):
            dimensions = (await self._load(name, info.language)).dimensions if name else 0
            if dimensions != size:
                raise IndexIncompatible(
                    index.collection, "vectors of dimension", found=size, wanted=dimensions
                )
        if info.points == 0:
            raise IndexEmpty(index.collection, index.where)

    def close(self) -> None:
        """Close all models, unless they are another's."""
        if self._owner is None:
            for one in self._loaded.values():
                one.close()

    async def _load(self, model: str, tag: str) -> DenseEmbedder:
        # Two books that are read for the first time at once would load it twice.
        async with self._lock:
            if model not in self._loaded and self._owner is not None:
                self._loaded[model] = await self._owner._load(model, tag)
            elif model not in self._loaded:
                embedder = DenseEmbedder(self._settings, model=model, tag=tag)
                try:
                    await asyncio.to_thread(embedder.load)
                except BaseException:
                    embedder.close()
                    raise
                self._loaded[model] = embedder
        return self._loaded[model]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a question is read for one book."""

    info: IndexInfo
    model: str
    """Embedding model that makes the question's vector."""
    coverage: float
    """How well it reads the question, in [0, 1]."""

    @property
    def is_second(self) -> bool:
        """Whether it is the second model of the index."""
        return self.model != self.info.embedding_model

    def is_foreign(self, query: str) -> bool:
        """Whether a question is in another language than the book, as far as that can be told."""
        found = language_of(query)
        return self.is_second or found not in (None, language(self.info.language).tag)


class _Book:
    """One index with short-lived caches."""

    def __init__(self, index: Index, embedders: Embedders, *, place: int) -> None:
        self.index = index
        self._embedders = embedders
        self._place = place
        self._outline: tuple[float, Sequence[Chapter]] | None = None
        self._info: tuple[float, IndexInfo] | None = None

    async def reading(self, query: str) -> _Reading:
        """Returns the embedding model by which the book is searched for a question."""
        info = await self.info()
        try:
            await self._embedders.open_for(info, self.index)
        except VectorIndexError:
            self._info = None  # the next search may find it repaired
            raise
        first = self._embedders.of(info.embedding_model)
        if info.multilingual_model and not first.reads(query):
            second = self._embedders.of(info.multilingual_model)
            return _Reading(info, second.model, second.vocabulary_coverage(query))
        return _Reading(info, first.model, first.vocabulary_coverage(query))

    async def search(
        self,
        query: str,
        dense: Vector,
        reading: _Reading,
        *,
        chapter: str | None,
        prefetch: int,
        limit: int,
    ) -> list[Hit]:
        info, meaning = reading.info, scale(reading.model)
        # Of a question in another language only names and figures can be words of the book.
        shared = _NOT_LATIN.sub(" ", query) if reading.is_second else query
        bm25 = Bm25(info.language, info.bm25_avg_len).question(shared)
        ranked: list[Ranked] = []
        halves: list[Scores] = []

        def put_in_order(dense: Scores, sparse: Scores, again: Scores | None = None) -> list[str]:
            ranked[:] = rank(
                dense,
                sparse,
                again,
                tokens=len(bm25.indices),
                points=info.points,
                coverage=reading.coverage,
                scale=meaning,
                is_foreign=reading.is_foreign(query),
                limit=max(limit, BEST),
            )
            return [one.id for one in ranked]

        def keep(dense: Scores, sparse: Scores, _: Scores | None) -> list[str]:
            halves[:] = dense, sparse
            return list({**dense, **sparse})

        # The second model's cosines depend on the passages' languages, which only the passages tell: all candidates
        # are read.
        vectors = Vectors((), bm25, dense) if reading.is_second else Vectors(dense, bm25)
        choose = keep if reading.is_second else put_in_order
        found = await self.index.chosen(
            vectors,
            choose,
            chapter=chapter,
            limit=prefetch,
            feedback=meaning.feedback and info.points < _MOST_FOR_FEEDBACK,
        )
        passages = {one.id: one for one in found}
        if reading.is_second:
            # Passages in the reader's own language look nearer than those that answer in the book's.
            own = language_of(query)
            nearest = {
                one: cosine - meaning.foreign * (language(passages[one].language).tag == own)
                for one, cosine in halves[0].items()
            }
            put_in_order(nearest, halves[1])
        return [
            Hit(
                self._named(passages[one.id]),
                score=one.score,
                dense=halves[0].get(one.id) if halves else one.dense,
                bm25=one.bm25,
            )
            for one in ranked[:limit]
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


def _check_book(info: IndexInfo, settings: Settings) -> None:
    """Refuse the index of another book of a library, whose passages would be cited as this one's.

    Raises:
        IndexIncompatible: It is another's.
    """
    if info.book != settings.book.id:
        remedy = f"Name its table `[books.{info.book}]`, or index the book again with `preceptor index --library FILE`."
        collection = settings.index.collection
        raise IndexIncompatible(
            collection, "the book", found=info.book, wanted=settings.book.id, remedy=remedy
        )


async def open_library(engine: Engine, settings: Settings, *, models: Embedders | None = None) -> Library:
    """Open the collections that the settings name, with the embedding model that made them.

    Args:
        engine: Opens them.
        settings: Name them.
        models: Loads the models, for several libraries; None: this library has its own.

    Raises:
        IndexNotFound: A collection does not exist.
        IndexEmpty: One holds no passage.
        IndexIncompatible: One was built with another embedding model, dimension or schema.
        EmbeddingError: The embedding model cannot be loaded.
    """
    names = dict.fromkeys([settings.index.collection, *settings.index.also])
    indexes: list[Index] = []
    embedders = Embedders(settings.embedding, owner=models)
    try:
        for name in names:
            index = await engine.open(name)
            indexes.append(index)
        for index in indexes:
            info = await index.info()
            if settings.library.file is not None:
                _check_book(info, settings)
            await embedders.open_for(info, index)
    # Also where the start is cancelled: an open index holds files, or connections.
    except BaseException:
        for index in indexes:
            await index.close()
        embedders.close()
        raise
    return Library(indexes, embedders, settings=settings.search)

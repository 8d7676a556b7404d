"""One indexing run: check, plan, embed, write, publish, and say what happened.

The plan reads every page and keeps of each passage only what tells whether it changed. A second reading takes up
just the pages that have something to write, so that memory does not grow with the text of the book.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from preceptor.errors import BookEmpty, PageUnreadable
from preceptor.indexing.discover import Book, PageFile, discover
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.indexing.split import passages
from preceptor.library.bm25 import Bm25
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.passage import Passage
from preceptor.library.protocol import SCHEMA_VERSION, Engine, IndexInfo, IndexWriter, Vectors, Written
from preceptor.settings import Settings

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the stage (`reading`, `embedding`), how much of it is done, and how much there is."""

_WINDOW = 512
"""Passages that are embedded together: enough that texts of like length meet in one batch."""
_AVG_LEN_DRIFT = 0.25
"""How far the mean length may move before BM25's weights are made anew with a new version of the index."""


@dataclass(slots=True)
class Summary:
    """What a run did."""

    collection: str
    pages: int = 0
    """Pages read and published."""
    skipped: int = 0
    """Drafts, unlisted pages and partials."""
    passages: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    """Of the added and changed ones, those whose vectors were there already."""
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(page, reason)."""
    seconds: float = 0.0

    @property
    def pages_per_minute(self) -> float:
        """Speed of the whole run."""
        return round(self.pages / self.seconds * 60, 1) if self.seconds else 0.0

    @property
    def passages_per_second(self) -> float:
        """Speed of the whole run."""
        return round(self.passages / self.seconds, 1) if self.seconds else 0.0


@dataclass(slots=True)
class _Plan:
    """The book as it is now: of every passage what tells whether it changed."""

    book: Book
    wanted: dict[str, Written] = field(default_factory=dict)
    page_of: dict[str, int] = field(default_factory=dict)
    """By passage id, the place of its page in the book."""
    keys: dict[str, str] = field(default_factory=dict)
    """By passage id: a key depends on those given before it."""
    bm25_tokens: int = 0

    @property
    def avg_len(self) -> float:
        return self.bm25_tokens / len(self.wanted) if self.wanted else 1.0


class Indexing:
    """One run over one book into one collection."""

    def __init__(self, source: Path, settings: Settings, *, progress: Progress | None = None) -> None:
        """Prepare a run.

        Args:
            source: Folder of the book.
            settings: What the passages shall be and where they go.
            progress: Told as the run goes on.
        """
        self._settings = settings
        self._progress = progress or _unwatched
        self._embedder = DenseEmbedder(settings.embedding)
        self._bm25 = Bm25(settings.book.language, 1.0)
        self._source = source

    def pages(self) -> Iterator[tuple[Page, list[Passage]]]:
        """Every page with its passages, in reading order, as it would be indexed; writes nothing.

        A page that cannot be read comes with the status `failed`, the reason, and no passage.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page.
        """
        book = self._discover()
        taken: set[str] = set()
        for file in book.files:
            try:
                yield self._read(book, file, taken)
            except PageUnreadable as error:
                yield _failed(file, error.reason), []

    async def into(self, engine: Engine, *, rebuild: bool = False) -> Summary:
        """Bring the collection up to date with the book.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page to publish.
            EmbeddingError: The embedding model cannot be loaded.
            IndexError_: The index cannot be written; what was written so far is kept for the next run.
        """
        began = time.perf_counter()
        await engine.verify_connection()
        collection = self._settings.index.collection
        book = self._discover()
        summary = Summary(collection)
        plan = await asyncio.to_thread(self._plan, book, summary)
        info = await self._info(engine, plan, rebuild=rebuild)
        self._bm25 = Bm25(info.language, info.bm25_avg_len)
        writer = await engine.write(collection, info, rebuild=rebuild)
        try:
            await self._write(writer, plan, summary)
            await writer.publish(info, plan.wanted.keys())
        finally:
            await writer.close()
            self._embedder.close()
        summary.seconds = time.perf_counter() - began
        logger.info(
            "indexed %s: %d pages, %d passages, %d added, %d changed, %d removed, %d failed, %.1f s",
            collection,
            summary.pages,
            summary.passages,
            summary.added,
            summary.changed,
            summary.removed,
            len(summary.failed),
            summary.seconds,
        )
        return summary

    async def prepare(self, engine: Engine) -> None:
        """Make the collection with its vectors and payload indexes, if there is none, without a page."""
        info = self._info_of(
            self._settings.book.id,
            self._settings.book.title,
            self._settings.book.language,
            avg_len=1.0,
            points=0,
        )
        writer = await engine.write(self._settings.index.collection, info)
        await writer.close()
        self._embedder.close()

    def _discover(self) -> Book:
        return discover(self._source, self._settings.site, self._settings.book)

    def _read(self, book: Book, file: PageFile, taken: set[str]) -> tuple[Page, list[Passage]]:
        page = read_page(book, file)
        index = self._settings.index
        made = passages(
            page,
            book=book.id,
            book_title=book.title,
            tokenizer=self._embedder.tokenizer,
            chunk_size=index.chunk_size,
            chunk_overlap=index.chunk_overlap,
            taken=taken,
        )
        return page, made

    def _plan(self, book: Book, summary: Summary) -> _Plan:
        plan = _Plan(book)
        taken: set[str] = set()
        for place, file in enumerate(book.files):
            try:
                page, made = self._read(book, file, taken)
            except PageUnreadable as error:
                logger.warning("%s", error)
                summary.failed.append((error.source, error.reason))
                continue
            if page.status != "published":
                summary.skipped += 1
                continue
            summary.pages += 1
            for passage in made:
                plan.wanted[passage.id] = Written.of(passage)
                plan.page_of[passage.id] = place
                plan.keys[passage.id] = passage.key
                plan.bm25_tokens += self._bm25.length(passage.embedded_text)
            self._progress("reading", place + 1, len(book.files))
        if not plan.wanted:
            raise BookEmpty(self._source, skipped=summary.skipped)
        summary.passages = len(plan.wanted)
        return plan

    async def _info(self, engine: Engine, plan: _Plan, *, rebuild: bool) -> IndexInfo:
        """What the index will say of itself; BM25's mean length stays while it is still about right."""
        settings = self._settings
        avg_len = plan.avg_len
        if not rebuild and settings.index.collection in await engine.collections():
            index = await engine.open(settings.index.collection)
            try:
                known = (await index.info()).bm25_avg_len
            finally:
                await index.close()
            avg_len = known if abs(avg_len - known) <= _AVG_LEN_DRIFT * known else avg_len
        book = plan.book
        return self._info_of(book.id, book.title, book.language, avg_len=avg_len, points=len(plan.wanted))

    def _info_of(self, book: str, title: str, language: str, *, avg_len: float, points: int) -> IndexInfo:
        settings = self._settings
        return IndexInfo(
            book=book,
            title=title,
            subject=settings.book.subject,
            language=language,
            embedding_model=settings.embedding.model,
            dimensions=self._embedder.dimensions,
            schema_version=SCHEMA_VERSION,
            chunk_size=settings.index.chunk_size,
            chunk_overlap=settings.index.chunk_overlap,
            bm25_avg_len=round(avg_len, 3),
            built_at=datetime.now(UTC),
            points=points,
        )

    async def _write(self, writer: IndexWriter, plan: _Plan, summary: Summary) -> None:
        """Bring the writer's passages to what the plan wants; what is there already is left alone."""
        there = await writer.written()
        to_write = {point for point, wanted in plan.wanted.items() if there.get(point) != wanted}
        summary.added = sum(point not in there for point in to_write)
        summary.changed = len(to_write) - summary.added
        summary.unchanged = len(plan.wanted) - len(to_write)
        summary.removed = len(there.keys() - plan.wanted.keys())
        known = {written.fingerprint: point for point, written in there.items()}
        done = 0
        for window in _windows(self._again(plan, to_write), _WINDOW):
            vectors = await self._vectors(writer, window, known, summary)
            size = self._settings.index.batch_size
            for start in range(0, len(window), size):
                batch = window[start : start + size]
                await writer.put(batch, [vectors[passage.id] for passage in batch])
                done += len(batch)
                self._progress("embedding", done, len(to_write))

    def _again(self, plan: _Plan, points: Collection[str]) -> Iterator[Passage]:
        """The passages with these ids, read again page by page."""
        for place in sorted({plan.page_of[point] for point in points}):
            _, made = self._read(plan.book, plan.book.files[place], set())
            for passage in made:
                if passage.id in points:
                    yield replace(passage, key=plan.keys[passage.id])

    async def _vectors(
        self, writer: IndexWriter, window: Sequence[Passage], known: Mapping[str, str], summary: Summary
    ) -> dict[str, Vectors]:
        """The vectors of passages by id: those that the index has under any id, and new ones for the rest."""
        from_point = {
            passage.id: known[passage.fingerprint] for passage in window if passage.fingerprint in known
        }
        stored = {point: vectors async for point, vectors in writer.vectors(list(set(from_point.values())))}
        found = {passage: stored[point] for passage, point in from_point.items() if point in stored}
        new = [passage for passage in window if passage.id not in found]
        dense = await asyncio.to_thread(self._embedded, [passage.embedded_text for passage in new])
        summary.moved += len(found)
        summary.embedded += len(new)
        for passage, vector in zip(new, dense, strict=True):
            found[passage.id] = Vectors(vector, self._bm25.passage(passage.embedded_text))
        return found

    def _embedded(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        return list(self._embedder.passages(texts)) if texts else []


def _windows(passages: Iterator[Passage], size: int) -> Iterator[list[Passage]]:
    while window := list(islice(passages, size)):
        yield window


def _failed(file: PageFile, reason: str) -> Page:
    """The page that a file would be, had it been read."""
    return Page(
        source=file.source,
        status="failed",
        reason=reason,
        chapter=file.chapter,
        title=file.place.stem,
        url="",
        breadcrumb=file.breadcrumb,
        position=file.position,
        headings=(),
        sections=(),
        language="",
    )


def _unwatched(stage: str, done: int, total: int) -> None:
    """Nobody watches the progress."""

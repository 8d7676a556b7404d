"""One indexing run: check, read, compare, embed, write, publish, and say what happened.

Reading comes first and keeps of the book only what tells which passages changed; the passages themselves wait
on disk. Then they are embedded and written batch by batch, so that memory does not grow with the book, and an
interrupted run loses no more than the batches that were under way.
"""

import asyncio
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from preceptor.errors import BookEmpty, IndexError_, IndexNotFound, PageUnreadable, PassagesTooLong
from preceptor.indexing import formats
from preceptor.indexing.difference import Difference, difference
from preceptor.indexing.digest import digest_of
from preceptor.indexing.discover import Book, PageFile, discover
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.indexing.plan import Plan
from preceptor.indexing.split import passages
from preceptor.library.bm25 import Bm25
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.passage import Passage
from preceptor.library.protocol import SCHEMA_VERSION, Engine, IndexInfo, IndexWriter, Vectors, Written
from preceptor.settings import Settings

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the stage (`reading`, `embedding`, `publishing`), how many pages are done, and how many there are."""

_WINDOW = 512
"""Passages that are sorted by length together: enough that texts of like length meet in one batch."""
_UNDER_WAY = 48 * (os.cpu_count() or 1)
"""Passages that are being embedded while others are written: enough for every core, and no more to lose."""
_AVG_LEN_DRIFT = 2.0
"""By which factor the mean length may be off before BM25's weights are made anew, and all passages with them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A page that could not be read."""

    source: str
    reason: str


@dataclass(slots=True)
class Summary:
    """What a run did. Of the passages, `unchanged + moved + changed + added` are those of the book."""

    collection: str
    pages: int = 0
    """Pages read and published."""
    passages: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    """The same text at another place; its vectors were used again."""
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    """Passages whose vectors had to be made."""
    failed: list[Failure] = field(default_factory=list[Failure])
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Pages that are not to be published, by the reason why."""
    replaced: str = ""
    """Id of the book that the collection held before, if it was another one."""
    duration: float = 0.0
    """Seconds."""

    @property
    def pages_per_minute(self) -> float:
        """Speed of the whole run."""
        return round(self.pages / self.duration * 60, 1) if self.duration else 0.0

    @property
    def passages_per_second(self) -> float:
        """Speed of the whole run."""
        return round(self.passages / self.duration, 1) if self.duration else 0.0

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            **asdict(self),
            "duration": round(self.duration, 3),
            "pages_per_minute": self.pages_per_minute,
            "passages_per_second": self.passages_per_second,
        }


class Indexing:
    """One run over one book into one collection."""

    def __init__(self, source: Path, settings: Settings, *, progress: Progress | None = None) -> None:
        """Prepare a run.

        Args:
            source: Folder of the book.
            settings: What the passages shall be and where they go.
            progress: Told as the run goes on.
        """
        self._source = source
        self._settings = settings
        self._progress = progress or _unwatched
        self._embedder = DenseEmbedder(settings.embedding)
        self._stopped = threading.Event()

    def pages(self) -> Iterator[tuple[Page, list[Passage]]]:
        """Every page with its passages, in reading order, as it would be indexed; writes nothing.

        A page that cannot be read comes with the status `failed`, the reason, and no passage.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page.
            EmbeddingError: The embedding model cannot be loaded.
            PassagesTooLong: The embedding model would not read a passage of `index.chunk_size` to its end.
        """
        book = self._discover()
        if self._settings.index.chunk_size > self._embedder.limit:
            raise PassagesTooLong(
                self._settings.index.chunk_size, self._embedder.model, self._embedder.limit
            )
        taken: set[str] = set()
        for file in book.files:
            try:
                yield self._read(book, file, taken)
            except PageUnreadable as error:
                yield _failed(file, error.reason), []

    async def into(self, engine: Engine, *, rebuild: bool = False) -> Summary:
        """Bring the collection up to date with the book.

        Args:
            engine: Where the collection is.
            rebuild: Use nothing of what is there.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page to publish, or none that can be read.
            EmbeddingError: The embedding model cannot be loaded.
            PassagesTooLong: It would not read a passage of `index.chunk_size` to its end.
            IndexError_: The index cannot be written; what was written so far is kept for the next run.
        """
        began = time.perf_counter()
        await engine.verify_connection()
        summary = Summary(self._settings.index.collection)
        known = None if rebuild else await _info(engine, summary.collection)
        book = await asyncio.to_thread(self._discover)
        digest = await asyncio.to_thread(digest_of, book, self._settings)
        if known is not None and known.book != book.id and known.points:
            summary.replaced = known.book
        for file in book.files:
            if file.status != "published":
                summary.left_out.setdefault(file.reason, []).append(file.source)
        try:
            if known is not None and digest and known.digest == digest:
                summary.pages = book.published
                summary.passages = summary.unchanged = known.points
            else:
                await engine.verify_writable(summary.collection)
                with closing(Plan()) as plan:
                    await asyncio.to_thread(self._plan, book, plan, summary)
                    info = self._info(book, plan, known, digest="" if summary.failed else digest)
                    await self._bring_up_to_date(engine, plan, info, summary, rebuild=rebuild)
        finally:
            self._stopped.set()
            self._embedder.close()
        summary.duration = time.perf_counter() - began
        logger.info("indexed: %s", summary.as_json())
        return summary

    def _discover(self) -> Book:
        return discover(self._source, self._settings.site, self._settings.book)

    def _read(self, book: Book, file: PageFile, taken: set[str]) -> tuple[Page, list[Passage]]:
        page = formats.read_page(book, file) if formats.reads(file.path) else read_page(book, file)
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

"""One indexing run: checks, reads, compares, embeds, writes, publishes and reports.

The run reads the whole book first and keeps only hashes in memory; the passages wait on disk. Then it embeds
and writes them batch by batch, so that memory does not grow with the book, and an interrupted run loses only
the batches in flight.
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preceptor.errors import BookEmpty, PageUnreadable, PassagesTooLong, VectorIndexError
from preceptor.indexing import converted
from preceptor.indexing.difference import difference
from preceptor.indexing.digest import digest_of, incomplete, is_unchanged, same_model
from preceptor.indexing.discover import Book, PageFile, discover
from preceptor.indexing.formats import FORMATS
from preceptor.indexing.missing import Kind, Missing, by_kind
from preceptor.indexing.models import Models
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.indexing.plan import Plan, Repeated
from preceptor.indexing.split import passages
from preceptor.indexing.write import Embedding, write
from preceptor.library.embedding import AUTO, ENGLISH, MULTILINGUAL, DenseEmbedder
from preceptor.library.passage import Passage
from preceptor.library.protocol import SCHEMA_VERSION, Engine, IndexInfo, IndexWriter
from preceptor.library.schema import same_vectors
from preceptor.settings import Settings
from preceptor.text.languages import language, language_of
from preceptor.text.tokens import Bm25

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is: pages while `reading`, passages while
`embedding` and `publishing`."""

_NO_WORDS = re.compile(r"`+[^`]*`+|\$+[^$]*\$+|https?://\S+|[\d_]+")
_SAMPLE = 4000
_ENOUGH_WORDS = 20
_ENOUGH_LETTERS = 80
"""Fewest words of prose, or letters beyond a to z, from which the language of a page is judged: not every script has
spaces.
"""
_SAMPLED = 24
"""Number of pages, evenly spread over the book, by which its embedding model is chosen."""
_UNREAD_SHARE = 0.25
"""Share of the sampled pages that the English model may fail to read: each is found by its words alone."""
_AVG_LEN_DRIFT = 2.0
_GROWTH = 4
"""BM25's mean length is measured when all vectors are made. They are made again for it if it is off by
`_AVG_LEN_DRIFT` in a book that has grown by `_GROWTH`.
"""


@dataclass(frozen=True, slots=True)
class PageFailure:
    """A page that could not be read."""

    source: str
    reason: str


@dataclass(slots=True)
class Summary:
    """Result of a run. The passages of the book are `unchanged + moved + changed + added`."""

    collection: str
    pages: int = 0
    """Pages read and published."""
    passages: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    """Number of passages with the same text at another place; their vectors were reused."""
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    """Number of passages whose vectors had to be computed."""
    failed: list[PageFailure] = field(default_factory=list[PageFailure])
    left_out: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Pages that are not published, by the reason."""
    notes: tuple[str, ...] = ()
    """Remarks for the author about the book's folder, on which the links depend."""
    site: str = ""
    """Kind of site for which the folder was taken, in one sentence."""
    missing: list[Kind] = field(default_factory=list[Kind])
    """Parts of the pages that the index lacks, by kind."""
    repeated: list[Repeated] = field(default_factory=list[Repeated])
    """Texts that are kept once because too many pages repeat them."""
    replaced: str = ""
    """Id of the book that the collection held before, if it was another one."""
    duration: float = 0.0
    """Duration of the run in seconds."""

    @property
    def pages_per_minute(self) -> float:
        """Pages per minute of the whole run."""
        return round(self.pages / self.duration * 60, 1) if self.duration else 0.0

    @property
    def passages_per_second(self) -> float:
        """Passages per second of the whole run."""
        return round(self.passages / self.duration, 1) if self.duration else 0.0

    def as_json(self) -> dict[str, Any]:
        """Returns the summary for machines."""
        return {
            **asdict(self),
            "duration": round(self.duration, 3),
            "pages_per_minute": self.pages_per_minute,
            "passages_per_second": self.passages_per_second,
        }


class Indexing:
    """One run that brings one book into one collection."""

    def __init__(
        self,
        source: Path,
        settings: Settings,
        *,
        progress: Progress | None = None,
        tell: Callable[[str], None] | None = None,
        models: Models | None = None,
    ) -> None:
        """Initialise a run.

        Args:
            source: Folder of the book.
            settings: Settings of passages and index.
            progress: Told as the run goes on.
            tell: Told at the beginning for which site the folder was taken.
            models: Embedding models that stay open behind this run; None: it opens and closes its own.
        """
        self._source = source
        self._settings = settings
        self._progress = progress or _unwatched
        self._tell = tell or logger.info
        self._owns_models = models is None
        self._models = models or Models()
        self._embedder = self._models.get(settings.embedding)
        self._multilingual: DenseEmbedder | None = None
        self._stopped = threading.Event()
        self._missing: dict[Missing, None] = {}
        self._notes: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Hints for the author, on which the links may depend; empty until the first page is read."""
        return self._notes

    @property
    def embedders(self) -> list[DenseEmbedder]:
        """The book's embedding models; known when the first page is read."""
        return [one for one in (self._embedder, self._multilingual) if one]

    @property
    def missing(self) -> list[Kind]:
        """Parts that the index lacks of the pages read so far, by kind."""
        return by_kind(self._missing)

    def pages(self) -> Iterator[tuple[Page, list[Passage]]]:
        """Yields every page with its passages, in reading order, as it would be indexed; writes nothing.

        A page that cannot be read comes with the status `failed`, the reason, and no passage.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page.
            EmbeddingError: The embedding model cannot be loaded, or reads no passage as long as `index.chunk_size`.
        """
        book = self._discover()
        yield from self._pages(book, book.files)

    async def into(self, engine: Engine, *, rebuild: bool = False) -> Summary:
        """Bring the collection up to date with the book.

        Args:
            engine: Engine of the collection.
            rebuild: Reuse nothing of the existing index.

        Raises:
            BookNotFound: There is no such folder.
            BookEmpty: It holds no page to publish, or none that can be read.
            EmbeddingError: The embedding model cannot be loaded, or reads no passage as long as `index.chunk_size`.
            VectorIndexError: The index cannot be written; what was written so far is kept for the next run.
        """
        began = time.perf_counter()
        # First: a wrong key should not take a whole book's reading to show.
        await engine.verify_connection()
        logger.info("connected to %s: %.0f ms", engine.where, (time.perf_counter() - began) * 1000)
        summary = Summary(self._settings.index.collection)
        known = None if rebuild else await _known(engine, summary.collection)
        book = await asyncio.to_thread(self._discover)
        summary.site, summary.notes = book.line, book.notes
        digest = await asyncio.to_thread(digest_of, book, self._settings)
        if known is not None and known.points and known.book != book.id:
            summary.replaced = known.book
        if known is not None and not same_model(known.digest, digest):
            # No vector of another model can be reused.
            known, rebuild = None, True
        for file in book.files:
            if file.status != "published":
                summary.left_out.setdefault(file.reason, []).append(file.source)
        try:
            if known is not None and is_unchanged(known.digest, digest):
                summary.pages = book.published
                summary.passages = summary.unchanged = known.points
                summary.missing, summary.repeated = _as_told(known.told)
            else:
                # So should another writer.
                await engine.verify_writable(summary.collection)
                with closing(Plan()) as plan:
                    await asyncio.to_thread(self._plan, book, plan, summary)
                    info = self._info(
                        book, plan, known, digest=incomplete(digest) if summary.failed else digest
                    )
                    info = replace(info, told=_told(summary))
                    await self._bring_up_to_date(engine, plan, info, summary, rebuild=rebuild)
        finally:
            self._stopped.set()
            if self._owns_models:
                self._models.close()
        summary.duration = time.perf_counter() - began
        logger.info("indexed: %s", summary.as_json())
        return summary

    def _discover(self) -> Book:
        book = discover(self._source, self._settings.site, self._settings.book)
        book = replace(book, line="; ".join(filter(None, (book.line, self._choose_models(book)))))
        self._tell(book.line)
        self._notes = book.notes
        return book

    def _choose_models(self, book: Book) -> str:
        """Chooses the embedding models of the book, and returns the words that say which.

        With `auto` that is the English one, unless it fails to read a good part of the sampled pages.
        """
        embedding = self._settings.embedding
        embedder = self._models.get(embedding, tag=book.language)
        texts = _sampled(book)
        judged, sampled = _telling(texts), len(texts)
        why = ""
        if embedding.model == AUTO and embedding.path is None:
            unread = sum(not embedder.reads(text) for text in judged)
            if unread > _UNREAD_SHARE * sampled or (not sampled and language(book.language).tag != "en"):
                embedder = self._models.get(embedding, model=MULTILINGUAL)
                why = (
                    f", since `{ENGLISH}` does not read {unread} of {sampled} sampled pages"
                    if sampled
                    else ""
                )
        self._embedder = embedder
        self._multilingual = _for_other_readers(self._settings, embedder, self._models)
        if self._multilingual:
            others = others_than_english(self._settings.book.readers)
            why = f", and with `{MULTILINGUAL}` for readers of {' and '.join(language(one).name for one in others)}"
        return f"embedded with `{embedder.model}`{why}{_other_language(book, judged)}"

    def _pages(self, book: Book, files: Iterable[PageFile]) -> Iterator[tuple[Page, list[Passage]]]:
        index, embedder = self._settings.index, self._embedder
        if index.chunk_size > embedder.limit:
            raise PassagesTooLong(index.chunk_size, embedder.model, limit=embedder.limit)
        taken: set[str] = set()
        self._missing = dict.fromkeys(book.missing)
        for file in files:
            try:
                page = _read(book, file)
            except PageUnreadable as error:
                yield _unread(file, error.reason), []
                continue
            made = passages(
                page,
                book=book.id,
                book_title=book.title,
                tokenizer=embedder.tokenizer,
                chunk_size=index.chunk_size,
                chunk_overlap=index.chunk_overlap,
                taken=taken,
            )
            if page.status == "published":
                self._missing |= dict.fromkeys((*page.missing, *self._unread(page)))
            yield page, made

    def _plan(self, book: Book, plan: Plan, summary: Summary) -> None:
        """Reads the book; stops early after cancellation, because a thread cannot be cancelled."""
        bm25 = Bm25(book.language, 1.0)
        files = (file for file in book.files if file.status == "published")
        for done, (page, made) in enumerate(self._pages(book, files), start=1):
            if self._stopped.is_set():
                return
            if page.status == "failed":
                logger.info("the page `%s` is left out: %s", page.source, page.reason)
                summary.failed.append(PageFailure(page.source, page.reason))
            else:
                summary.pages += 1
            for passage in made:
                plan.add(passage, bm25_tokens=bm25.length(passage.embedded_text))
            self._progress("reading", done, book.published)
        summary.missing = self.missing
        summary.repeated = plan.without_repeats()
        summary.passages = len(plan.wanted)
        if not plan.wanted:
            raise BookEmpty(
                self._source,
                skipped=len(book.files) - book.published,
                without_text=summary.pages,
                failed=[(failure.source, failure.reason) for failure in summary.failed],
            )

    def _unread(self, page: Page) -> Iterator[Missing]:
        """Yields an entry if no embedding model reads the page's language."""
        text = _prose(page)
        if self._multilingual is None and _is_enough(text) and not self._embedder.reads(text):
            kind = f"pages in a language that the embedding model `{self._embedder.model}` does not read"
            yield Missing(kind, page.source, page.language)

    def _info(self, book: Book, plan: Plan, known: IndexInfo | None, *, digest: str) -> IndexInfo:
        """Describes the index that the run will publish."""
        # In whole tokens: a run that goes on after a small change of the book must come to the same number.
        avg_len = float(max(round(plan.avg_len), 1))
        info = _info_of(
            self._settings,
            self._embedder,
            self._multilingual,
            book=book.id,
            title=book.title,
            language=book.language,
            bm25_avg_len=avg_len,
            points=len(plan.wanted),
            digest=digest,
        )
        if known is None or not known.points or known.book != book.id:
            return info
        kept = replace(info, bm25_avg_len=known.bm25_avg_len)
        is_near = 1 / _AVG_LEN_DRIFT <= avg_len / known.bm25_avg_len <= _AVG_LEN_DRIFT
        is_small = len(plan.wanted) < _GROWTH * known.points
        return kept if same_vectors(known, kept) and (is_near or is_small) else info

    async def _bring_up_to_date(
        self, engine: Engine, plan: Plan, info: IndexInfo, summary: Summary, *, rebuild: bool
    ) -> None:
        writer = await engine.write(summary.collection, info, rebuild=rebuild)
        try:
            await self._write(writer, plan, info, summary)
            self._progress("publishing", 0, summary.passages)
            await writer.publish(info, plan.wanted.keys())
            self._progress("publishing", summary.passages, summary.passages)
        except VectorIndexError as error:
            if summary.embedded:
                error.add_note(f"{summary.embedded} passages are embedded and kept: run it again to go on.")
            raise
        finally:
            await writer.close()

    async def _write(self, writer: IndexWriter, plan: Plan, info: IndexInfo, summary: Summary) -> None:
        there = await writer.written()
        found = difference(there, plan.wanted)
        summary.added, summary.changed, summary.moved = found.added, found.changed, found.moved
        summary.unchanged, summary.removed = found.unchanged, found.removed
        done = 0
        batches = write(
            writer,
            plan,
            found.to_write,
            there,
            embedding=Embedding(
                self._embedder, Bm25(info.language, info.bm25_avg_len), multilingual=self._multilingual
            ),
            batch_size=self._settings.index.batch_size,
        )
        async with aclosing(batches):
            async for batch in batches:
                summary.embedded += batch.embedded
                done += len(batch.passages)
                self._progress("embedding", done, len(found.to_write))


async def prepare(engine: Engine, settings: Settings) -> bool:
    """Creates the collection with its vectors and payload indexes, without pages.

    Returns:
        Whether it was made: one that is there is left as it is.

    Raises:
        VectorIndexError: It cannot be made.
    """
    collection = settings.index.collection
    await engine.verify_connection()
    if await _known(engine, collection) is not None:
        return False
    book = settings.book
    is_unread = settings.embedding.model == AUTO and language(book.language).tag != "en"
    with Models() as models:
        embedder = models.get(settings.embedding, model=MULTILINGUAL if is_unread else None)
        info = _info_of(
            settings,
            embedder,
            _for_other_readers(settings, embedder, models),
            book=book.id,
            title=book.title,
            language=book.language,
            bm25_avg_len=1.0,
        )
    writer = await engine.write(collection, info)
    try:
        await writer.publish(info, [])
    finally:
        await writer.close()
    return True


async def _known(engine: Engine, collection: str) -> IndexInfo | None:
    """Returns the collection's description; None if there is no collection."""
    if collection not in await engine.collections():
        return None
    index = await engine.open(collection)
    try:
        return await index.info()
    finally:
        await index.close()


def _info_of(
    settings: Settings,
    embedder: DenseEmbedder,
    multilingual: DenseEmbedder | None,
    *,
    book: str,
    title: str,
    language: str,
    bm25_avg_len: float,
    points: int = 0,
    digest: str = "",
) -> IndexInfo:
    return IndexInfo(
        book=book,
        title=title,
        subject=settings.book.subject,
        language=language,
        embedding_model=embedder.model,
        dimensions=embedder.dimensions,
        schema_version=SCHEMA_VERSION,
        chunk_size=settings.index.chunk_size,
        chunk_overlap=settings.index.chunk_overlap,
        bm25_avg_len=bm25_avg_len,
        built_at=datetime.now(UTC),
        points=points,
        digest=digest,
        multilingual_model=multilingual.model if multilingual else "",
        multilingual_dimensions=multilingual.dimensions if multilingual else 0,
    )


def others_than_english(tags: Iterable[str]) -> list[str]:
    """Returns the tags of languages that an English model does not read."""
    return [tag for tag in tags if language(tag).tag != "en"]


def _for_other_readers(settings: Settings, first: DenseEmbedder, models: Models) -> DenseEmbedder | None:
    """Returns the second model of an English book that has readers of other languages; None if it needs none."""
    if first.is_english and others_than_english(settings.book.readers):
        return models.get(settings.embedding, model=MULTILINGUAL)
    return None


def _sampled(book: Book) -> list[str]:
    """Returns the beginnings of some published pages that have prose."""
    files = [file for file in book.files if file.status == "published"]
    if len(files) > _SAMPLED:
        files = [files[place * len(files) // _SAMPLED] for place in range(_SAMPLED)]
    texts: list[str] = []
    for file in files:
        with suppress(PageUnreadable):  # it is reported when all pages are read
            texts += filter(None, [_prose(_read(book, file))])
    return texts


def _telling(texts: Sequence[str]) -> list[str]:
    """Returns the texts that are long enough to tell their language."""
    # Pages that are too short one by one may tell it together.
    return [*filter(_is_enough, texts)] or [*filter(_is_enough, [" ".join(texts)])]


def _other_language(book: Book, texts: Sequence[str]) -> str:
    """Returns words that name the language of most texts, where the settings name another; empty where they agree."""
    own = language(book.language).tag
    for tag, count in Counter(language_of(text, default=own) for text in texts).most_common(1):
        if tag != own and count * 2 > len(texts):
            return (
                f"; most pages seem to be in {language(tag).name} and the book is indexed as {language(own).name}: "
                f'set `book.language = "{tag}"`'
            )
    return ""


def _read(book: Book, file: PageFile) -> Page:
    read = converted.read_page if file.path.suffix in FORMATS else read_page
    return read(book, file)


def _prose(page: Page) -> str:
    """Returns the beginning of a page's prose without code, formulas, links and figures."""
    prose = " ".join(
        block.text for section in page.sections for block in section.blocks if block.kind == "prose"
    )
    return _NO_WORDS.sub(" ", prose)[:_SAMPLE].strip()


def _is_enough(text: str) -> bool:
    """Whether a text is long enough to tell its language."""
    return len(text.split()) >= _ENOUGH_WORDS or sum(not one.isascii() for one in text) >= _ENOUGH_LETTERS


def _told(summary: Summary) -> str:
    told = {
        "missing": [asdict(kind) for kind in summary.missing],
        "repeated": [asdict(text) for text in summary.repeated],
    }
    return json.dumps(told, ensure_ascii=False) if any(told.values()) else ""


def _as_told(told: str) -> tuple[list[Kind], list[Repeated]]:
    """Parses the result of `_told`; empty for an index of an older version."""
    if not told:
        return [], []
    found = json.loads(told)
    return [Kind(**kind) for kind in found["missing"]], [Repeated(**text) for text in found["repeated"]]


def _unread(file: PageFile, reason: str) -> Page:
    """Returns a page for a file that could not be read."""
    return Page(
        source=file.source,
        status="failed" if file.status == "published" else file.status,
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
    """Ignores progress when the caller wants no reports."""

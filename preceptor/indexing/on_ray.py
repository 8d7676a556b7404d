"""Indexing a library on Ray: a task for each book, and for a large new book one for each part of it beforehand.

Ray places the tasks, moves what they return, and runs them again when a node is lost. A worker process of Ray serves
many tasks, so that its embedding models stay open between them (decision 0028).
"""

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from preceptor.books import Book
from preceptor.errors import BookWithoutSource, IndexLocked, PreceptorError, RayUnavailable
from preceptor.indexing.discover import PAGES
from preceptor.indexing.library import BookRun, LibrarySummary, Told, index_one
from preceptor.indexing.models import Models
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.library.embedding import DenseEmbedder, Vector
from preceptor.settings import EmbeddingSettings

_ANY = "ray"
_PART = 400_000
"""Bytes of a new book's pages for which one task makes the vectors: some minutes of work."""
_PATIENCE = 5.0
"""Seconds in which a cluster's address must answer."""
_RETRIES = 5
"""Times that a task is run again because its node was lost, or another one's lock was not yet let go."""

Part = Mapping[str, Mapping[str, Vector]]
"""Vectors of a part of a book, by model and text."""


def index_on_ray(books: Sequence[Book], where: str, *, rebuild: bool = False, told: Told) -> LibrarySummary:
    """Index the books of a library as tasks on Ray.

    Args:
        books: The books. Their folders, and the index if it is the embedded one, must be the same on all nodes.
        where: `ray` (the cluster that runs here, else one that is started for the run) or a cluster's address.
        rebuild: Reuse nothing of their indexes.
        told: Told of each book that is done.

    Raises:
        RayUnavailable: It is not installed, or nothing answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # noqa: TID251 - else Ray reports to its makers
    try:
        import ray
    except ImportError:
        remedy = "Run `pip install 'preceptor[ray]'`, or use `--on local`."
        raise RayUnavailable(where, "it is not installed", remedy=remedy) from None
    began = time.perf_counter()
    try:
        _knock(where)
        ray.init(address=None if where == _ANY else where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        remedy = "Check the address, and that Ray is the same version there and here."
        raise RayUnavailable(where, reason, remedy=remedy) from error
    try:
        runs = _run(ray, books, rebuild=rebuild, told=told)
    finally:
        ray.shutdown()
    summary = LibrarySummary([runs[book.id] for book in books], time.perf_counter() - began)
    asyncio.run(_look_for(books, summary))
    return summary


def _knock(where: str) -> None:
    """Look whether anything listens at an address: Ray itself would try for many minutes.

    Raises:
        OSError: Nothing does.
        ValueError: It is no address.
    """
    host, colon, port = where.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def _run(ray: Any, books: Sequence[Book], *, rebuild: bool, told: Told) -> dict[str, BookRun]:
    """Returns the results by book."""
    options = {"num_cpus": 1, "max_retries": _RETRIES, "retry_exceptions": [IndexLocked]}
    index, embed = ray.remote(**options)(_index), ray.remote(**options)(_embed)
    there = asyncio.run(_collections(books))
    pending: dict[Any, Book] = {}
    for book in books:
        is_new = rebuild or book.settings.index.collection not in there
        number = _parts(book.source) if is_new else 1
        # What a task is given as a result of others, it is started for when they have ended.
        parts = [embed.remote(book, place, number) for place in range(number)] if number > 1 else []
        pending[index.remote(book, rebuild, *parts)] = book
    runs: dict[str, BookRun] = {}
    while pending:
        (done,), _ = ray.wait([*pending], num_returns=1)
        book = pending.pop(done)
        try:
            run = ray.get(done)
        except IndexLocked as error:
            run = BookRun(book.id, None, str(error))
        except ray.exceptions.RayError as error:
            run = BookRun(book.id, None, f"its task failed: {str(error).strip().splitlines()[-1]}")
        runs[book.id] = run
        told(run, len(runs), len(books))
    return runs


def _index(book: Book, rebuild: bool, *parts: Part) -> BookRun:
    """Returns the result of one book.

    Raises:
        IndexLocked: Its index is being written, perhaps by a task of a node that was just lost.
    """
    place = socket.gethostname()
    known: dict[str, dict[str, Vector]] = {}
    for part in parts:
        for model, vectors in part.items():
            known.setdefault(model, {}).update(vectors)
    models = Models(partial(_Known, known)) if known else _models()
    try:
        return BookRun(book.id, asyncio.run(index_one(book, models, rebuild=rebuild)), place=place)
    except IndexLocked:
        raise
    except PreceptorError as error:
        return BookRun(book.id, None, str(error), place)


def _embed(book: Book, place: int, number: int) -> Part:
    """Returns the vectors of every `number`th page of a book, from the page `place` on."""
    if book.source is None:
        raise BookWithoutSource(book.id)
    made: dict[str, dict[str, Vector]] = {}
    indexing = Indexing(book.source, book.settings, models=_models())
    try:
        texts = [
            passage.embedded_text
            for count, (page, passages) in enumerate(indexing.pages())
            if count % number == place and page.status == "published"
            for passage in passages
        ]
        for embedder in indexing.embedders:
            made[embedder.model] = dict(zip(texts, embedder.passages(texts), strict=True))
    except PreceptorError:
        return {}  # the book's own task meets the same error, and tells it
    return made


@cache
def _models() -> Models:
    """Returns the models of this worker process, which stay open as long as it lives."""
    return Models(_alone)


def _alone(settings: EmbeddingSettings, **more: Any) -> DenseEmbedder:
    """Returns a model that uses the one core that a task has."""
    return DenseEmbedder(settings.model_copy(update={"threads": 1}), **more)


class _Known(DenseEmbedder):
    """A model most of whose vectors are there already."""

    def __init__(
        self, known: Mapping[str, Mapping[str, Vector]], settings: EmbeddingSettings, **more: Any
    ) -> None:
        super().__init__(settings.model_copy(update={"threads": 1}), **more)
        self._known = known.get(self.model, {})

    def passages(self, texts: Iterable[str], *, batch_size: int = 16) -> Iterator[Vector]:
        asked = [*texts]
        unknown = [text for text in asked if text not in self._known]
        made = (
            dict(zip(unknown, super().passages(unknown, batch_size=batch_size), strict=True))
            if unknown
            else {}
        )
        return iter([self._known[text] if text in self._known else made[text] for text in asked])


def _parts(source: Path | None) -> int:
    """Returns in how many parts the vectors of a new book are made; 1 where its folder is not on this machine."""
    if source is None or not source.is_dir():
        return 1
    size = sum(file.stat().st_size for file in source.rglob("*") if file.suffix in PAGES and file.is_file())
    return max(1, math.ceil(size / _PART))


async def _collections(books: Sequence[Book]) -> set[str]:
    """Returns the collections that there are before the run."""
    if not books:
        return set()
    async with open_engine(books[0].settings) as engine:
        return {*await engine.collections()}


async def _look_for(books: Sequence[Book], summary: LibrarySummary) -> None:
    """Replace the result of each book whose index cannot be seen from here.

    A node with a disk of its own would have written where nobody reads.
    """
    there = await _collections(books)
    for place, (book, run) in enumerate(zip(books, summary.runs, strict=True)):
        if run.summary is not None and book.settings.index.collection not in there:
            problem = (
                f"`{run.place}` indexed it into a folder of its own. All nodes must see the same "
                f'`index.path`, or use Qdrant Cloud (`index.backend = "cloud"`).'
            )
            summary.runs[place] = BookRun(run.book, None, problem, run.place)

"""Indexing all books of a library, one after the other here or each as a task on Ray.

A book that fails is named and does not keep the others from being indexed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from preceptor.books import Book
from preceptor.errors import BookWithoutSource, PreceptorError
from preceptor.indexing.models import Models
from preceptor.indexing.run import Indexing, Summary
from preceptor.library import open_engine

Told = Callable[["BookRun", int, int], None]
"""Called when a book is done, with how many are done and how many there are."""


@dataclass(frozen=True, slots=True)
class BookRun:
    """Result of one book's run."""

    book: str
    summary: Summary | None
    """Summary of the run; None if `problem` prevented it."""
    problem: str = ""
    """Reason for which the book was not indexed, and the remedy; empty: it was."""
    place: str = ""
    """Machine that indexed it; empty: this one."""

    @property
    def is_whole(self) -> bool:
        """Whether every page of the book was read."""
        return self.summary is not None and not self.summary.failed


@dataclass(slots=True)
class LibrarySummary:
    """Result of a run over a library."""

    runs: list[BookRun] = field(default_factory=list[BookRun])
    """The books' runs, in the order of the file."""
    duration: float = 0.0
    """Duration of the run in seconds."""

    @property
    def is_whole(self) -> bool:
        """Whether every page of every book was read."""
        return all(run.is_whole for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """Returns the summary for machines."""
        books = {
            run.book: {"problem": run.problem} if run.summary is None else run.summary.as_json()
            for run in self.runs
        }
        return {"books": books, "duration": round(self.duration, 3)}


async def index_one(book: Book, models: Models, *, rebuild: bool) -> Summary:
    """Returns the summary of a book that was brought up to date.

    Raises:
        PreceptorError: It was not.
    """
    if book.source is None:
        raise BookWithoutSource(book.id)
    async with open_engine(book.settings) as engine:
        indexing = Indexing(book.source, book.settings, models=models)
        return await indexing.into(engine, rebuild=rebuild)


async def index_library(books: Sequence[Book], *, rebuild: bool = False, told: Told) -> LibrarySummary:
    """Index books one after the other on this machine.

    Args:
        books: The books.
        rebuild: Reuse nothing of their indexes.
        told: Told of each book that is done.
    """
    began = time.perf_counter()
    summary = LibrarySummary()
    with Models() as models:
        for book in books:
            try:
                run = BookRun(book.id, await index_one(book, models, rebuild=rebuild))
            except PreceptorError as error:
                run = BookRun(book.id, None, str(error))
            summary.runs.append(run)
            told(run, len(summary.runs), len(books))
    summary.duration = time.perf_counter() - began
    return summary


def library_text(summary: LibrarySummary) -> str:
    """Renders the summary for people: a line for each book that changed or failed, and the sums."""
    return "\n".join(_lines(summary))


def _lines(summary: LibrarySummary) -> Iterator[str]:
    done = [run.summary for run in summary.runs if run.summary is not None]
    for run in summary.runs:
        if run.summary is None:
            yield f"{run.book}: not indexed: {run.problem}"
        elif run.summary.failed:
            first = run.summary.failed[0]
            yield f"{run.book}: {len(run.summary.failed)} pages failed, such as {first.source}: {first.reason}"
    sums: Mapping[str, int] = {
        name: sum(getattr(one, name) for one in done)
        for name in ("pages", "passages", "added", "changed", "moved", "unchanged", "removed", "embedded")
    }
    yield (
        f"{len(done)} of {len(summary.runs)} books, {sums['pages']} pages, {sums['passages']} passages: "
        + ", ".join(f"{sums[name]} {name}" for name in ("added", "changed", "moved", "unchanged", "removed"))
    )
    rate = sums["passages"] / summary.duration if summary.duration else 0.0
    yield f"{summary.duration:.1f} s, {rate:.1f} passages/s, {sums['embedded']} passages embedded"

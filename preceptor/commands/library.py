"""`preceptor index --library`: all books of a library in one run."""

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from preceptor.agents.readiness import Finding
from preceptor.books import Book
from preceptor.commands.opening import chosen_book, to_stderr
from preceptor.errors import VectorIndexError
from preceptor.library import open_engine
from preceptor.settings import Settings

if TYPE_CHECKING:
    from preceptor.indexing.library import BookRun, LibrarySummary

LOCAL = "local"
"""The place that needs no Ray."""


def index_books(
    file: Path,
    settings: Settings,
    *,
    only: Collection[str] = (),
    on: str,
    rebuild: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Index the books of a library, all or only some, and show one line for each that is done.

    Raises:
        Exit: With 1 when a book or a page failed, with 130 when the run was interrupted.
    """
    from preceptor.books import read_books
    from preceptor.indexing.library import index_library, library_text

    found = read_books(file, settings)
    books = [chosen_book(found, name) for name in dict.fromkeys(only)] if only else [*found.values()]
    told: Callable[[BookRun, int, int], None] = _nothing if quiet else _line
    summary: LibrarySummary
    try:
        if on == LOCAL:
            summary = asyncio.run(index_library(books, rebuild=rebuild, told=told))
        else:
            from preceptor.indexing.on_ray import index_on_ray

            summary = index_on_ray(books, on, rebuild=rebuild, told=told)
    except KeyboardInterrupt:
        to_stderr("Interrupted. The books that are done stay; run the same command again: it goes on.")
        raise typer.Exit(130) from None
    typer.echo(json.dumps(summary.as_json(), ensure_ascii=False) if as_json else library_text(summary))
    if not summary.is_whole:
        raise typer.Exit(1)


async def index_finding(books: Sequence[Book]) -> Finding:
    """Returns whether every book of a library has an index that is its own, without loading a model."""
    problems: list[str] = []
    points = 0
    async with open_engine(books[0].settings) as engine:
        for book in books:
            try:
                index = await engine.open(book.settings.index.collection)
                try:
                    info = await index.info()
                finally:
                    await index.close()
            except VectorIndexError as error:
                problems.append(f"{book.id}: {error}")
                continue
            points += info.points
            if info.book != book.id:
                problems.append(f"{book.id}: its collection holds the book `{info.book}`")
    if problems:
        return Finding("books", "failed", "; ".join(problems))
    return Finding("books", "ok", f"{len(books)} books, {points} passages")


def _line(run: "BookRun", done: int, total: int) -> None:
    if run.summary is None:
        said = run.problem
    else:
        said = (
            f"{run.summary.passages} passages, {run.summary.embedded} embedded, {run.summary.duration:.1f} s"
        )
    to_stderr(f"{done}/{total} {run.book}: {said}{f' ({run.place})' if run.place else ''}")


def _nothing(run: "BookRun", done: int, total: int) -> None:
    """Tell nothing."""

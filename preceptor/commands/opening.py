"""Parts that several commands open and share: the sample book, an index of a book, the traces, common options."""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from preceptor.errors import ExtraMissing
from preceptor.settings import Settings, shipped

if TYPE_CHECKING:
    from preceptor.books import Book
    from preceptor.indexing.run import Progress, Summary
    from preceptor.tracing.store import TraceStore

SAMPLE = {
    "title": "Physical AI & Humanoid Robotics",
    "id": "physical-ai",
    "subject": "robotics with ROS 2",
    "readers": ("en", "ur"),
}
"""Settings of the sample book."""

Env = Annotated[
    str | None,
    typer.Option("--env", help="demo, local or production; default: PRECEPTOR_ENV, else production."),
]

BookId = Annotated[
    str | None,
    typer.Option("--book", metavar="ID", help="Which book, where `library.file` names several."),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def sample_book() -> Path:
    """Returns the folder of the sample book."""
    return shipped("examples/physical-ai")


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None}


def of_book(settings: Settings, book: str | None) -> Settings:
    """Returns the settings that hold for one book of the library; where there is no library, those of the one book.

    Raises:
        BadParameter: There are several books and none was named, or none has this id.
        SettingsError: Something in the library's file is wrong.
    """
    found = library_book(settings, book)
    return settings if found is None else found.settings


def library_book(settings: Settings, book: str | None) -> "Book | None":
    """Returns the book of the library with this id, or its only one; None where there is no library.

    Raises:
        BadParameter: There are several books and none was named, or none has this id.
        SettingsError: Something in the library's file is wrong.
    """
    if settings.library.file is None:
        if book is not None:
            raise typer.BadParameter("--book goes with `library.file`, and the settings name no such file")
        return None
    from preceptor.books import read_books

    books = read_books(settings.library.file, settings)
    if book is None and len(books) == 1:
        return next(iter(books.values()))
    if book is None:
        raise typer.BadParameter(f"name one of the books by `--book ID`: {', '.join(books)}")
    return chosen_book(books, book)


def chosen_book(books: "Mapping[str, Book]", book: str) -> "Book":
    """Returns the book with an id.

    Raises:
        BadParameter: There is none.
    """
    if book not in books:
        closest = get_close_matches(book, books, n=3)
        meant = f" Did you mean `{'` or `'.join(closest)}`?" if closest else ""
        raise typer.BadParameter(f"--book: there is no book `{book}`.{meant} There is: {', '.join(books)}")
    return books[book]


def need_evaluation() -> None:
    """Return if the library is there that reads and judges cases.

    Raises:
        ExtraMissing: It is not.
    """
    if not find_spec("pydantic_evals"):
        raise ExtraMissing("evaluate", "to run the cases of an evaluation")


def to_stderr(line: str) -> None:
    """Tell a line that is not the result."""
    typer.echo(line, err=True)


def index_book(source: Path, settings: Settings, *, quiet: bool, rebuild: bool = False) -> "Summary":
    """Bring the index of the settings up to date with a book, and show the progress."""
    from preceptor.indexing.report import progress
    from preceptor.indexing.run import Indexing
    from preceptor.library import open_engine

    async def into_engine(told: "Progress") -> "Summary":
        async with open_engine(settings) as engine:
            indexing = Indexing(source, settings, progress=told, tell=None if quiet else to_stderr)
            return await indexing.into(engine, rebuild=rebuild)

    with progress(quiet=quiet) as told:
        return asyncio.run(into_engine(told))


@contextmanager
def kept_traces(settings: Settings) -> "Generator[TraceStore, None, None]":
    """Keep the runs of the block."""
    from preceptor.tracing.processor import install

    store = install(settings.traces, settings.secrets(), openai_key=settings.providers["openai"].key)
    try:
        yield store
    finally:
        store.close()

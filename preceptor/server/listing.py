"""The list of a service's books, for programs (`GET /api/v1/books`) and for the page where a reader chooses one."""

from starlette.requests import Request

from preceptor.agents.preceptor import Preceptor
from preceptor.books import Book
from preceptor.library.protocol import IndexInfo
from preceptor.server.contract import BookBody
from preceptor.server.shelf import Shelf


async def listed(request: Request) -> list[BookBody]:
    """Returns the books of the service, in the order of `books.toml`."""
    shelf: Shelf | None = request.state.shelf
    if shelf is not None:
        paths = request.state.settings.library.paths
        return [_of_library(book, await shelf.info(book), paths=paths) for book in shelf.books.values()]
    preceptor: Preceptor = request.state.preceptor
    return [
        BookBody(id=info.book, title=info.title, subject=info.subject, language=info.language, url="/")
        for info in await preceptor.library.books()
    ]


def _of_library(book: Book, info: IndexInfo | None, *, paths: bool) -> BookBody:
    """Returns a book as its table says it, else as its index does, if that is known."""
    said = book.settings.book
    url = f"/b/{book.id}/" if paths else f"//{book.hosts[0]}/" if book.hosts else f"/?book={book.id}"
    return BookBody(
        id=book.id,
        title=said.title or (info.title if info else "") or book.id,
        subject=said.subject or (info.subject if info else ""),
        language=info.language if info else said.language,
        url=url,
    )

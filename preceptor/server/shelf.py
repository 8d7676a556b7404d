"""The books of a service: opened on first use, closed when nobody asks for them, found by path, host or name.

With `library.file` every route that needs a book is guarded by two ASGI middleware: `NamedBook`, before the reader's
key and limits, which may be the book's own, and `OpenBook` behind them, so that nobody without a key opens anything.
Without it neither is there, and the one book is open from the start.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.agents.preceptor import Preceptor, Shared
from preceptor.books import Book
from preceptor.errors import BookNotNamed, Overloaded, UnknownBook
from preceptor.library.protocol import IndexInfo
from preceptor.server.aliases import given_by_alias
from preceptor.server.health import Parts
from preceptor.server.limits import Limits
from preceptor.settings import LibrarySettings, Settings
from preceptor.tools.discovery import Toolbox

logger = logging.getLogger(__name__)

_BELOW = "/b/"
_PATH_BOOK = "preceptor.book"
_BASE = "preceptor.base"
_WAIT_SECONDS = 5.0
"""Longest wait for a book to be closed, where all that may be open are in use."""


class ByPath:
    """ASGI middleware, the outermost: `/b/ID/…` is the path behind it, of one book."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope.get("path", "")
        if scope["type"] == "http" and path.startswith(_BELOW):
            book, slash, rest = path.removeprefix(_BELOW).partition("/")
            if book and not slash:
                # The page's own addresses are relative.
                await RedirectResponse(f"{book}/", 307)(scope, receive, send)
                return
            if book:
                raw = scope.get("raw_path", path.encode()).split(b"/", 3)[-1]
                scope = {
                    **scope,
                    "path": f"/{rest}",
                    "raw_path": b"/" + raw,
                    _PATH_BOOK: book,
                    _BASE: f"{_BELOW}{book}",
                }
        await self._app(scope, receive, send)


def base_path(scope: Scope) -> str:
    """Returns what a request's path began with before the path of ours, such as `/b/ros2`; empty: nothing."""
    return scope.get(_BASE, "")


@dataclass(slots=True)
class _Open:
    """A book that is open, or is being opened."""

    task: asyncio.Task[None]
    ready: asyncio.Future[Preceptor]
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0
    alarm: asyncio.TimerHandle | None = None


class Shelf:
    """Opens books and closes them again; use it as a context."""

    def __init__(
        self,
        books: Mapping[str, Book],
        settings: LibrarySettings,
        *,
        opened: Callable[[Book], AbstractAsyncContextManager[Preceptor]],
    ) -> None:
        """Open nothing yet.

        Args:
            books: The books by id.
            settings: How many may be open, and how long.
            opened: Opens one.
        """
        self.books = books
        self._by_host = {host: book.id for book in books.values() for host in book.hosts}
        self._settings = settings
        self._opened = opened
        self._open: dict[str, _Open] = {}
        """The open books by id, the one that was not asked for longest first."""
        self._freed = asyncio.Event()
        self._infos: dict[str, IndexInfo] = {}

    async def close(self) -> None:
        """Close all books."""
        held, self._open = list(self._open.values()), {}
        for one in held:
            self._let_go(one)
        await asyncio.gather(*(one.task for one in held), return_exceptions=True)

    def of_host(self, host: str) -> str | None:
        """Returns the book that is served under a host name, which may have a port."""
        name = host.lower()
        return self._by_host.get(name) or self._by_host.get(name.rpartition(":")[0])

    def find(self, book: str) -> Book:
        """Returns a book.

        Raises:
            UnknownBook: There is none with this id.
        """
        if book not in self.books:
            raise UnknownBook(book, list(self.books))
        return self.books[book]

    @property
    def open_books(self) -> dict[str, Preceptor]:
        """The books that are open now, by id."""
        return {
            name: one.ready.result()
            for name, one in self._open.items()
            if one.ready.done() and not one.ready.cancelled() and one.ready.exception() is None
        }

    def parts(self, settings: Settings, shared: Shared) -> Parts:
        """Returns the parts of the service for its health: those of all books together."""

        async def verify() -> list[IndexInfo]:
            await shared.engine.verify_connection()
            found = [await one.library.verify() for one in self.open_books.values()]
            return [info for infos in found for info in infos]

        def tools() -> Toolbox | None:
            # The plug-ins are the same for every book; a fault in one shows in each.
            return next((one.tools for one in self.open_books.values()), None)

        return Parts(
            settings=settings,
            verify=verify,
            embedders=lambda: shared.embedders.models,
            models=shared.models,
            sessions=shared.sessions,
            tools=tools,
        )

    async def info(self, book: Book) -> IndexInfo | None:
        """Returns the description of a book that was open since the service started; None of any other.

        Hundreds of indexes would otherwise be opened to list the books.
        """
        preceptor = self.open_books.get(book.id)
        if preceptor is not None:
            self._infos[book.id] = await preceptor.library.info()
        return self._infos.get(book.id)

    @asynccontextmanager
    async def hold(self, book: Book) -> AsyncGenerator[Preceptor]:
        """Yields a book, which stays open meanwhile.

        Raises:
            VectorIndexError: Its index cannot be served.
            Overloaded: As many books as may be open are in use.
        """
        held = await self._held(book)
        try:
            # Shielded: others may wait for the same book, and go on waiting when this reader leaves.
            yield await asyncio.shield(held.ready)
        finally:
            self._release(book, held)

    async def _held(self, book: Book) -> _Open:
        """Returns a book with one more user."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while book.id not in self._open and len(self._open) >= self._settings.open:
                    idle = next((name for name, one in self._open.items() if not one.users), None)
                    if idle is not None:
                        await self._close(idle)
                    else:
                        self._freed.clear()
                        await self._freed.wait()
        except TimeoutError:
            raise Overloaded(retry_after=_WAIT_SECONDS) from None
        held = self._open.pop(book.id, None) or self._begin(book)
        self._open[book.id] = held  # the last to be closed
        held.users += 1
        if held.alarm is not None:
            held.alarm.cancel()
            held.alarm = None
        return held

    def _begin(self, book: Book) -> _Open:
        ready: asyncio.Future[Preceptor] = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()

        async def hold() -> None:
            # In a task of its own: whoever asked for it first may be gone long before it is closed, and tools that
            # hold a connection must be closed by the task that opened them.
            try:
                async with self._opened(book) as preceptor:
                    ready.set_result(preceptor)
                    logger.info("opened the book %s", book.id)
                    await closing.wait()
                logger.info("closed the book %s", book.id)
            except BaseException as error:
                if ready.done():
                    raise
                if not isinstance(error, Exception):
                    ready.cancel()
                    raise
                ready.set_exception(error)
                ready.exception()  # seen, if nobody waits any more

        return _Open(asyncio.create_task(hold()), ready, closing)

    def _release(self, book: Book, held: _Open) -> None:
        held.users -= 1
        if held.users:
            return
        self._freed.set()
        failed = held.ready.done() and (held.ready.cancelled() or held.ready.exception() is not None)
        if self._open.get(book.id) is held:
            if failed:
                del self._open[book.id]  # the next reader may find it repaired
            else:
                loop = asyncio.get_running_loop()
                held.alarm = loop.call_later(self._settings.idle_seconds, self._expire, book.id, held)

    def _expire(self, book: str, held: _Open) -> None:
        if self._open.get(book) is held and not held.users:
            del self._open[book]
            self._let_go(held)
            self._freed.set()

    async def _close(self, book: str) -> None:
        held = self._open.pop(book)
        self._let_go(held)
        await asyncio.wait({held.task})

    @staticmethod
    def _let_go(held: _Open) -> None:
        if held.alarm is not None:
            held.alarm.cancel()
        held.closing.set()
        if not held.ready.done():
            held.task.cancel()


class NamedBook:
    """ASGI middleware that finds the book of a request: by path, by host, else by `?book=` or the field `book`."""

    def __init__(self, app: ASGIApp, *, required: bool = True) -> None:
        """Wrap `app`.

        Args:
            app: The endpoint.
            required: Whether a request that names no book is refused.
        """
        self._app = app
        self._required = required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        state = scope["state"]
        shelf: Shelf = state["shelf"]
        name = scope.get(_PATH_BOOK) or shelf.of_host(Headers(scope=scope).get("host", ""))
        if not name:
            name = _in_query(scope) or given_by_alias(scope).get("book", "")
        if not name and scope["method"] == "POST":
            body = await Request(scope, receive).body()
            name, receive = _in_body(body), _again(body, receive)
        if not name and len(shelf.books) == 1:
            name = next(iter(shelf.books))
        if not name and self._required:
            raise BookNotNamed
        if name:
            book = shelf.find(name)
            state["book"] = book
            state["settings"] = book.settings
            if book.limits is not None:
                limits: Limits = state["limits"]
                state["limits"] = limits.of_book(book.id, book.limits)
        await self._app(scope, receive, send)


class OpenBook:
    """ASGI middleware that holds the book of a request open until it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        state = scope["state"]
        book: Book | None = state.get("book")
        if book is None:
            await self._app(scope, receive, send)
            return
        shelf: Shelf = state["shelf"]
        async with shelf.hold(book) as preceptor:
            state["preceptor"] = preceptor
            await self._app(scope, receive, send)


def _in_query(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("book", [""])[0]


def _in_body(body: bytes) -> str:
    """Returns the book that a body names; whether the body is well-formed is for the endpoint to say."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    name = found.get("book") if isinstance(found, dict) else None
    model = found.get("model") if isinstance(found, dict) else None
    if isinstance(name, str) and name.strip():
        return name.strip()
    # OpenAI's clients choose a book by the name of the model.
    return model.partition("/")[2] if isinstance(model, str) and model.startswith("preceptor/") else ""


def _again(body: bytes, receive: Receive) -> Receive:
    unread: list[Message] = [{"type": "http.request", "body": body}]

    async def replayed() -> Message:
        return unread.pop() if unread else await receive()

    return replayed

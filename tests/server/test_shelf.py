"""The shelf: as many books are open as may be, none is closed while it is used, and a failure is not kept."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from preceptor.agents.preceptor import Preceptor
from preceptor.books import Book
from preceptor.errors import IndexNotFound, Overloaded
from preceptor.server import shelf
from preceptor.server.shelf import Shelf
from preceptor.settings import LibrarySettings
from tests.sample import sample_settings


class _Desk:
    """Opens books that hold nothing, and tells which are open."""

    def __init__(self, folder: Path) -> None:
        base = sample_settings(folder, folder)
        self.books = {
            name: Book(
                name,
                None,
                (),
                base.model_copy(update={"book": base.book.model_copy(update={"id": name})}),
                None,
            )
            for name in ("a", "b", "c")
        }
        self.open: list[str] = []
        self.opened: list[str] = []
        self.broken = False
        self.closed = asyncio.Event()

    @asynccontextmanager
    async def __call__(self, book: Book) -> AsyncGenerator[Preceptor]:
        await asyncio.sleep(0)
        if self.broken:
            raise IndexNotFound(book.id, "here", [])
        self.open.append(book.id)
        self.opened.append(book.id)
        yield cast("Preceptor", SimpleNamespace())
        self.open.remove(book.id)
        self.closed.set()


@asynccontextmanager
async def _shelf(desk: _Desk, **settings: Any) -> AsyncGenerator[Shelf]:
    made = Shelf(desk.books, LibrarySettings(**settings), opened=desk)
    try:
        yield made
    finally:
        await made.close()


async def test_the_book_that_was_not_asked_for_longest_makes_room(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk, open=2) as books:
        for name in ("a", "b", "a", "c"):
            async with books.hold(books.find(name)):
                assert name in desk.open
        assert desk.open == ["a", "c"]
        assert desk.opened == ["a", "b", "c"]
    assert desk.open == []


async def test_a_book_that_is_used_is_not_closed_and_too_many_of_them_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "_WAIT_SECONDS", 0.01)
    desk = _Desk(tmp_path)
    async with _shelf(desk, open=1) as books, books.hold(books.find("a")):
        with pytest.raises(Overloaded):
            async with books.hold(books.find("b")):
                pass
        assert desk.open == ["a"]


async def test_a_book_that_waits_for_a_place_gets_it(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk, open=1) as books:
        async with books.hold(books.find("a")):
            waiting = asyncio.create_task(_used(books, "b"))
            await asyncio.sleep(0)
        await waiting
        assert desk.opened == ["a", "b"]


async def test_many_who_ask_at_once_open_a_book_once(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk) as books:
        await asyncio.gather(*(_used(books, "a") for _ in range(20)))
        assert desk.opened == ["a"]


async def test_a_book_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk) as books:
        desk.broken = True
        with pytest.raises(IndexNotFound):
            await _used(books, "a")
        desk.broken = False
        await _used(books, "a")
        assert desk.open == ["a"]


async def test_a_reader_who_leaves_does_not_take_the_book_from_others(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk) as books:
        first, second = asyncio.create_task(_used(books, "a")), asyncio.create_task(_used(books, "a"))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert desk.opened == ["a"]


async def test_a_book_that_nobody_asks_for_is_closed(tmp_path: Path) -> None:
    desk = _Desk(tmp_path)
    async with _shelf(desk, idle_seconds=0.001) as books:
        await _used(books, "a")
        async with asyncio.timeout(30):
            await desk.closed.wait()
        await _used(books, "a")
        assert desk.opened == ["a", "a"]


async def _used(books: Shelf, name: str) -> None:
    async with books.hold(books.find(name)):
        pass

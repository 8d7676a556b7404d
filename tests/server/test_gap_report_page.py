"""The page of what readers did not get: who may open it, what it shows, and that nothing in it runs."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from preceptor.agents.preceptor import Preceptor
from preceptor.books import Book
from preceptor.errors import PreceptorError
from preceptor.library.passage import Chapter, Hit
from preceptor.server import pages, traces
from preceptor.server.access import SecurityHeaders
from preceptor.server.faults import on_error
from preceptor.server.shelf import NamedBook, OpenBook, Shelf
from preceptor.settings import LibrarySettings, Settings
from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore
from tests.evaluation.example import passage
from tests.server.chromium import chromium, serving

EVIL = "<img src=x onerror=alert(1)>"
SECRET = "opensesame1234"
"""A key of the settings that was not yet one when the runs were written."""
CHAPTERS = [
    Chapter(id=name, book="a", title=name, url=f"/{name}", position=place, sections=())
    for place, name in enumerate(("ros2/nodes", "ros2/topics"))
]


class Library:
    """A book of two chapters, of which every search finds the first."""

    async def search(self, question: str, *, limit: int) -> list[Hit]:
        return [Hit(passage("ros2/nodes#what-is-a-node"), score=0.4, dense=0.3, bm25=None)]

    async def chapters(self) -> list[Chapter]:
        return CHAPTERS

    async def chapter(self, chapter: str, *, book: str) -> Any:
        return None, [replace(passage(f"{chapter}#about"), key="k7qd" if chapter == "ros2/nodes" else "p2p2")]

    async def info(self) -> Any:
        return SimpleNamespace(title="Physical AI & more")


def preceptor() -> Preceptor:
    return cast("Preceptor", SimpleNamespace(library=Library(), settings=Settings(env="demo")))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db", keep_runs=100, keep_days=60, include_text=True)

    def add(number: int, question: str, *, days: float = 0, book: str = "", **facts: Any) -> None:
        began = time.time() - days * 86_400
        record = RunRecord(began, 0.5, None, None, [], {"usd": 0.01, "prices": "table", "on": "day"})
        opened.add(f"trace_{number}", lambda: record)
        opened.annotate(f"trace_{number}", question=question, provider="gemini", book=book, **facts)

    for number in range(3):
        add(number, f"How do I solder a gripper? {EVIL} {SECRET}", in_book=False, book="a")
    for number in range(3, 7):
        add(number, "Where do I buy bolts?", in_book=False, days=10, book="b")
    add(7, "What is a node?", in_book=True, confidence=0.9, sources=["k7qd"])
    opened.flush()
    yield opened
    opened.close()


def app_of(store: TraceStore, *, key: str | None = None, shelf: Shelf | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, Any], None]:
        yield {
            "traces": TraceStore(store.path, keep_runs=100, keep_days=60, include_text=True, redact=[SECRET]),
            "settings": Settings(env="demo"),
            "preceptor": None if shelf else preceptor(),
            "shelf": shelf,
        }

    opens = [Middleware(NamedBook, required=False), Middleware(OpenBook)] if shelf else []
    return Starlette(
        routes=[*traces.routes(SecretStr(key) if key else None, opens), *pages.routes()],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={PreceptorError: on_error},
        lifespan=lifespan,
    )


def shelf_of(*names: str) -> Shelf:
    @asynccontextmanager
    async def opened(book: Book) -> AsyncGenerator[Preceptor, None]:
        yield preceptor()

    books = {name: Book(name, None, (), Settings(env="demo"), None) for name in names}
    return Shelf(books, LibrarySettings(), opened=opened)


@pytest.fixture
def here(store: TraceStore) -> Iterator[TestClient]:
    with TestClient(app_of(store), base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        yield client


def test_the_gaps_are_shown_with_plots_under_the_policy_of_the_other_pages(here: TestClient) -> None:
    found = here.get("/traces/report")

    assert found.status_code == 200
    assert found.headers["content-security-policy"] == here.get("/traces").headers["content-security-policy"]
    assert "asked 3 times, 3 not answered" in found.text
    assert "asked 4 times, 4 not answered" in found.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in found.text
    assert "<img" not in found.text
    assert SECRET not in found.text
    assert " style=" not in found.text
    assert "<style" not in found.text
    assert '<svg class="plot"' in found.text
    assert ".plot" in here.get("/traces/plots.css").text
    assert "<code>ros2/topics</code>" in found.text, "a chapter that no answer cited"
    assert 'href="/traces/report"' in here.get("/traces").text


def test_how_far_back_and_how_often_can_be_chosen(here: TestClient) -> None:
    week = here.get("/traces/report", params={"days": "7"}).text
    assert "How do I solder" in week
    assert "bolts" not in week
    often = here.get("/traces/report", params={"least": "4"}).text
    assert '<strong dir="auto">How do I solder' not in often
    assert "bolts" in often
    for query in ({"days": "0"}, {"days": "x"}, {"least": "-1"}, {"least": "9" * 30}, {"days": "9" * 5000}):
        assert here.get("/traces/report", params=query).status_code == 400


def test_only_this_machine_or_the_operators_key_opens_it(store: TraceStore) -> None:
    with TestClient(app_of(store), base_url="http://127.0.0.1", client=("203.0.113.9", 1)) as elsewhere:
        assert elsewhere.get("/traces/report").status_code == 403
    with TestClient(
        app_of(store, key="open"), base_url="http://book.example", client=("203.0.113.9", 1)
    ) as client:
        assert client.get("/traces/report").status_code == 401
        assert client.get("/traces/report", auth=("", "open")).status_code == 200


def test_of_several_books_one_is_chosen_and_its_runs_alone_are_shown(store: TraceStore) -> None:
    served = app_of(store, shelf=shelf_of("a", "b"))
    with TestClient(served, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        assert '<a href="?book=a">' in client.get("/traces/report").text
        found = client.get("/traces/report", params={"book": "a"}).text
        assert "What readers did not get: Physical AI &amp; more" in found
        assert "solder" in found
        assert "bolts" not in found
        assert client.get("/traces/report", params={"book": "none"}).status_code == 404


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_it_fits_a_phone_and_breaks_no_policy(store: TraceStore, theme: Any) -> None:
    async with serving(app_of(store)) as address, chromium() as browser:
        context = await browser.new_context(color_scheme=theme, viewport={"width": 360, "height": 640})
        page = await context.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        await page.goto(f"{address}/traces")
        await page.get_by_role("link", name="What readers did not get").click()
        await page.wait_for_url("**/traces/report")
        await page.locator("summary").first.click()
        assert await page.locator("details[open]").count() == 1
        assert (
            await page.locator(".plot polyline, .plot circle").first.evaluate(
                "one => getComputedStyle(one).stroke"
            )
            != "none"
        )
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        assert told == []

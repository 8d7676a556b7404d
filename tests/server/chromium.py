"""A headless Chromium, and a small service that answers as a test tells it to."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypedDict, TypeVar

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from preceptor.server import pages
from preceptor.server.access import SecurityHeaders
from preceptor.server.shelf import ByPath
from preceptor.settings import BookSettings, ServerSettings, SiteSettings

pytest.importorskip("playwright.async_api", reason="needs playwright, of the dev group")
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
)
from playwright.async_api import expect as expect

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_PATIENCE_MS = 20_000
"""For a busy machine; a test that passes never waits so long."""

ROS: Mapping[str, Any] = {
    "n": 1,
    "key": "k7qd",
    "title": "Nodes",
    "breadcrumb": ["Physical AI", "ROS 2", "Nodes", "What a node is"],
    "url": "https://book.example/docs/ros2/nodes#what-a-node-is",
    "quote": "A node is a process that does one job.",
    "relevance_score": 0.83,
    "support": 0.91,
    "images": [],
}
"""A source as the contract gives it."""

Step = tuple[str, Mapping[str, Any]] | asyncio.Event
"""An event of the stream, or something to wait for before the next."""


@dataclass
class Script:
    """The next answers of the service, and its requests."""

    steps: list[Sequence[Step] | Response] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    rated: list[dict[str, Any]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The client went away in the middle of an answer."""
    keeps_feedback: bool = True
    chapters: list[str] = field(default_factory=list)
    sessions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Turns of the sessions, as the service has them; others are unknown to it."""
    deleted: list[str] = field(default_factory=list)
    longest: int = 4000
    books: list[str] = field(default_factory=lambda: ["ros2"])
    """Ids of the service's books."""
    keeps: bool = True
    """Whether the page may keep conversations in the browser."""
    ancestors: tuple[str, ...] = ()
    """Origins that may frame the page."""
    key: str = ""
    """Key that a reader must send; empty: none is needed."""

    def answers(self, *steps: Step) -> None:
        """Answer the next question with these events."""
        self.steps.append(steps)

    def says(self, text: str, *sources: Mapping[str, Any], **body: Any) -> None:
        """Answer the next question with a whole, ordinary answer."""
        self.answers(
            start(),
            *(("source", source) for source in sources),
            ("token", {"content": text}),
            done(text, *sources, **body),
        )

    def refuses(self, status: int, code: str, error: str, **headers: str) -> None:
        """Answer the next question with an error."""
        self.steps.append(JSONResponse({"error": error, "code": code}, status_code=status, headers=headers))


def start(session: str = "s1") -> Step:
    """The first event of every stream."""
    return "start", {"response_id": "r1", "session_id": session, "trace_id": "trace_1"}


def done(text: str, *sources: Mapping[str, Any], **body: Any) -> Step:
    """The last event of a stream that went well."""
    whole = {
        "answer": text,
        "response_id": "r1",
        "session_id": "s1",
        "sources": list(sources),
        "also_relevant": [],
        "provider": "gemini",
        "model": "gemini-2.5-flash",
        "degraded": False,
        "failover": [],
    }
    return "done", {**whole, **body}


class _State(TypedDict):
    preceptor: Any
    shelf: Any


def service(
    script: Script, *, title: str = "Physical AI", language: str = "en", origins: Sequence[str] = ()
) -> Starlette:
    """The pages, over an API that follows `script`."""

    async def chat(request: Request) -> Response:
        if script.key and request.headers.get("authorization") != f"Bearer {script.key}":
            return JSONResponse(
                {"error": "A key is needed.", "code": "AUTHENTICATION_ERROR"}, status_code=401
            )
        script.asked.append(await request.json())
        steps = script.steps.pop(0)
        return (
            steps
            if isinstance(steps, Response)
            else StreamingResponse(_stream(script, steps), media_type="text/event-stream")
        )

    async def feedback(request: Request) -> Response:
        script.rated.append(await request.json())
        return Response(status_code=204 if script.keeps_feedback else 404)

    async def session(request: Request) -> Response:
        if request.method == "DELETE":
            script.deleted.append(request.path_params["id"])
            return Response(status_code=204)
        turns = script.sessions.get(request.path_params["id"])
        return JSONResponse({"turns": turns}, status_code=404 if turns is None else 200)

    async def chapters() -> Any:
        return [SimpleNamespace(title=title, url="https://book.example/docs") for title in script.chapters]

    def of_host(host: str) -> None:
        """No book has a host of its own."""

    async def info() -> Any:
        return SimpleNamespace(title=title, language=language)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[_State]:
        settings = SimpleNamespace(
            book=BookSettings(),
            site=SiteSettings(),
            server=ServerSettings(
                max_question=script.longest, frame_ancestors=script.ancestors, keep_in_browser=script.keeps
            ),
        )
        library = SimpleNamespace(info=info, chapters=chapters)
        shelf = SimpleNamespace(of_host=of_host, books=script.books)
        yield {"preceptor": SimpleNamespace(settings=settings, library=library), "shelf": shelf}

    return Starlette(
        routes=[
            *pages.routes(),
            Route("/api/v1/chat", chat, methods=["POST"]),
            Route("/api/v1/feedback", feedback, methods=["POST"]),
            Route("/api/v1/sessions/{id}", session, methods=["GET", "DELETE"]),
        ],
        middleware=[
            Middleware(ByPath),
            Middleware(SecurityHeaders),
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["Retry-After"],
            ),
        ],
        lifespan=lifespan,
    )


async def _stream(script: Script, steps: Sequence[Step]) -> AsyncGenerator[bytes]:
    try:
        for number, step in enumerate(steps):
            if isinstance(step, asyncio.Event):
                await step.wait()
                continue
            name, data = step
            yield f": ping\nid: {number}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
    except asyncio.CancelledError:
        script.left.set()
        raise


def site() -> Starlette:
    """A site of another origin: `app.state.pages` is HTML by path, `app.state.policy` its Content-Security-Policy."""

    async def page(request: Request) -> Response:
        state = request.app.state
        headers = {"Content-Security-Policy": state.policy} if state.policy else None
        found = state.pages.get(request.url.path)
        return HTMLResponse(found, headers=headers) if found else Response(status_code=404)

    app = Starlette(routes=[Route("/{path:path}", page)])
    app.state.pages, app.state.policy = {}, ""
    return app


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Ctrl-C is for pytest."""
        yield


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve on a free port of loopback; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def asking(app: ASGIApp) -> AsyncGenerator[httpx2.AsyncClient]:
    """A plain HTTP client of a running service."""
    async with serving(app) as address, httpx2.AsyncClient(base_url=address) as client:
        yield client


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Debian's Chromium without a window; skips the tests where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs chromium: apt-get install chromium")
    async with async_playwright() as started:
        browser = await started.chromium.launch(executable_path=found, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Reader:
    """A page in the browser, and the service behind it."""

    page: Page
    script: Script
    complaints: list[str] = field(default_factory=list)
    """Complaints of the browser."""

    def __post_init__(self) -> None:
        self.page.set_default_timeout(_PATIENCE_MS)
        expect.set_options(timeout=_PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        self._expected = ["the server responded with a status of"]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def expects(self, complaint: str) -> None:
        """The browser will complain with these words, rightly."""
        self._expected.append(complaint)

    def unexpected(self) -> list[str]:
        """The other complaints, of a Content-Security-Policy for instance."""
        return [each for each in self.complaints if not any(words in each for words in self._expected)]

    @property
    def field(self) -> Locator:
        """Where a question is written."""
        return self.page.locator("textarea")

    @property
    def answer(self) -> Locator:
        """The tutor's text."""
        return self.page.locator(".answer").last

    async def ask(self, question: str) -> None:
        """Write a question and send it."""
        await self.field.fill(question)
        await self.field.press("Enter")

    async def answered(self) -> None:
        """Wait until the last answer is complete."""
        await self.page.locator(".turn:last-child footer").wait_for()


R = TypeVar("R", bound=Reader)


@asynccontextmanager
async def opened(
    browser: Browser, script: Script, *, kind: type[R] = Reader, **options: Any
) -> AsyncGenerator[R]:
    """A window of its own; whatever the browser complains about fails the test.

    Args:
        browser: From `chromium`.
        script: Answers of the service that the page will ask.
        kind: Class of the reader.
        options: Options of Playwright's `new_context`.
    """
    chosen: dict[str, Any] = {"viewport": {"width": 1100, "height": 800}, **options}
    context = await browser.new_context(**chosen)
    try:
        reader = kind(await context.new_page(), script)
        yield reader
        assert not reader.unexpected(), reader.unexpected()
    finally:
        await context.close()


@asynccontextmanager
async def reading(
    browser: Browser,
    *,
    language: str = "en",
    chapters: Sequence[str] = (),
    clock: bool = False,
    keeps: bool = True,
    **options: Any,
) -> AsyncGenerator[Reader]:
    """The page for readers, opened.

    Args:
        browser: From `chromium`.
        language: The book's language.
        chapters: Titles of the book's chapters; none: the service does not tell them.
        clock: Whether the test moves the page's clock.
        keeps: Whether the page may keep conversations in the browser.
        options: Options of Playwright's `new_context`.
    """
    script = Script(chapters=list(chapters), keeps=keeps)
    async with (
        serving(service(script, language=language)) as address,
        opened(browser, script, **options) as reader,
    ):
        if clock:
            await reader.page.clock.install()
        await reader.page.goto(address)
        await reader.field.wait_for()
        yield reader

"""Clients that do not read, or do not say what they want, hold nobody up."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.server import connection
from preceptor.server.connection import Connection
from preceptor.server.limits import Admission
from preceptor.server.slots import Slots
from preceptor.server.write_deadline import WriteDeadline, sent_behind
from preceptor.settings import Settings
from tests.server.serving import serving

LARGE = 16_000_000
"""Bytes: more than the buffers of both ends together."""


@contextmanager
def silent(address: tuple[str, int], *, path: str = "/", body: Any = None) -> Generator[socket.socket]:
    """A client that asks and does not read, with as small a buffer as it may have."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.settimeout(30)
        client.connect(address)
        content = b"" if body is None else json.dumps(body).encode()
        verb = "GET" if body is None else "POST"
        head = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n"
        client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + content)
        yield client


@asynccontextmanager
async def under_uvicorn(app: ASGIApp, **options: Any) -> AsyncGenerator[tuple[str, int]]:
    """Serve an application on the test's own loop."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", **options)
    config.load()
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.listen(512)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            server.force_exit = True
            await serving


def in_pieces(request: Request) -> Response:
    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(LARGE // 100_000):
            yield b"x" * 100_000

    return StreamingResponse(pieces())


def in_one(request: Request) -> Response:
    return PlainTextResponse(b"x" * LARGE)


def here(request: Request) -> Response:
    return PlainTextResponse("here")


class Ends:
    """ASGI middleware that tells when a request has ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self.ended.set()


async def test_a_response_that_nobody_reads_ends_under_any_server() -> None:
    """Under uvicorn's own protocols, which wait for ever."""
    for http in ("h11", "httptools"):
        app = Ends(WriteDeadline(Router([Route("/", in_pieces)]), seconds=0.2))
        async with under_uvicorn(app, http=http) as address, asyncio.timeout(30):
            with silent(address):
                await app.ended.wait()


async def test_whoever_reads_slowly_gets_all_of_it() -> None:
    """The time that counts is that of the waits for the reader, not that of making the response."""

    async def slowly(request: Request) -> Response:
        async def pieces() -> AsyncGenerator[bytes]:
            for _ in range(4):
                yield b"x"
                await asyncio.sleep(0.1)

        return StreamingResponse(pieces())

    app = WriteDeadline(Router([Route("/", slowly)]), seconds=0.2)
    async with under_uvicorn(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("page", [in_pieces, in_one])
async def test_a_connection_whose_reader_does_not_read_is_closed(page: Any) -> None:
    """All of it: the bytes that wait in the server go, and the reader's end hears of it."""

    async def with_settings(scope: Scope, receive: Receive, send: Send) -> None:
        await Router([Route("/", page)])(scope, receive, send)

    made: list[asyncio.Transport] = []
    lost = asyncio.Event()

    class Watched(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            self.app_state["preceptor"] = SimpleNamespace(
                settings=SimpleNamespace(server=SimpleNamespace(write_seconds=0.2))
            )
            made.append(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.set()

    async with under_uvicorn(with_settings, http=Watched) as address, asyncio.timeout(30):
        with silent(address):
            await lost.wait()
            assert made[0].get_write_buffer_size() == 0


async def test_heads_that_do_not_come_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.3)
    app = Router([Route("/", here)])
    begun = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with under_uvicorn(app, http=Connection) as (host, port), AsyncExitStack() as stack:

        async def connected(sent: bytes) -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
            writer.write(sent)
            return reader

        async def dripping() -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
            writer.write(begun)
            drips = asyncio.create_task(_drip(writer))
            stack.callback(drips.cancel)
            return reader

        readers = [await connected(begun) for _ in range(50)]
        readers += [await connected(b""), await dripping(), await connected(whole + begun)]
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(_until_closed(reader) for reader in readers))
        assert [end.count(b"here") for end in ends] == [0] * 52 + [1]


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.05)


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while piece := await reader.read(1000):
            found += piece
    except ConnectionResetError:
        pass
    return found


async def test_a_connection_serves_request_after_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.2)
    app = Router([Route("/", here)])
    async with under_uvicorn(app, http=Connection) as (host, port), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.3)
        writer.close()
        await writer.wait_closed()


# The slot


async def test_a_slot_is_free_when_the_answer_is_made() -> None:
    limits = Settings.model_validate({"env": "demo", "limits": {"concurrent": 1, "queue_seconds": 20}}).limits
    slots = Slots(limits)
    held, sending = asyncio.Event(), asyncio.Event()

    async def never(message: Message) -> None:
        sending.set()
        await held.wait()

    async def nothing() -> Message:
        return {"type": "http.request"}

    app = Admission(Router([Route("/", here)]))
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": {"slots": slots}}
    request = asyncio.create_task(app(scope, nothing, never))
    await sending.wait()
    async with slots.take():
        assert not request.done()
    held.set()
    await request


async def test_what_is_sent_behind_comes_in_order_and_whole_before_the_end() -> None:
    came: list[Message] = []

    async def slowly(message: Message) -> None:
        await asyncio.sleep(0)
        came.append(message)

    async with sent_behind(slowly) as send:
        for number in range(10):
            await send({"type": str(number)})
        assert came == []
    assert [message["type"] for message in came] == [str(number) for number in range(10)]


async def test_whoever_makes_an_answer_learns_that_it_cannot_be_sent() -> None:
    async def gone(message: Message) -> None:
        raise OSError("gone")

    async def endless() -> None:
        async with sent_behind(gone) as send:
            while True:
                await send({"type": "http.response.body"})
                await asyncio.sleep(0)

    async def short() -> None:
        async with sent_behind(gone) as send:
            await send({"type": "http.response.body"})

    for make in (endless, short):
        with pytest.raises(OSError, match="gone"):
            await make()


async def test_an_error_of_the_answer_is_that_of_the_block() -> None:
    held = asyncio.Event()

    async def never(message: Message) -> None:
        await held.wait()

    async def broken() -> None:
        async with sent_behind(never) as send:
            await send({"type": "http.response.body"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken()


async def test_silent_readers_leave_room_for_others() -> None:
    """As many as there are slots ask for a long answer and do not read; the next one is answered."""
    limits = Settings.model_validate({"env": "demo", "limits": {"concurrent": 4, "queue_seconds": 20}}).limits
    slots = Slots(limits)
    asked = 0

    async def ask(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return in_pieces(request) if asked <= 4 else PlainTextResponse("here")

    routed = Router([Route("/", ask, methods=["POST"], middleware=[Middleware(Admission)])])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await routed({**scope, "state": {"slots": slots}}, receive, send)

    with ExitStack() as stack:
        async with under_uvicorn(app) as (host, port), asyncio.timeout(30):
            for number in range(1, 5):
                stack.enter_context(silent((host, port), body={}))
                while asked < number:  # noqa: ASYNC110 - the loop is shared with the service
                    await asyncio.sleep(0.01)
            async with httpx2.AsyncClient() as client:
                response = await client.post(f"http://{host}:{port}/", json={}, timeout=30)
            assert (response.status_code, response.text) == (200, "here")
            assert slots.taken == 0


@pytest.mark.long
def test_the_service_closes_connections_that_say_nothing(sample_index: Path, tmp_path: Path) -> None:
    with serving(sample_index, tmp_path) as service:
        where = urlsplit(service.url)
        with socket.create_connection((where.hostname or "", where.port or 0)) as client:
            client.sendall(b"POST /api/v1/chat HTTP/1.1\r\nHost: ")
            service.logged("no whole request came in time")
            client.settimeout(30)
            assert client.recv(1) == b""
        assert service.ask().status_code == 200
        service.stop()
        service.ended()
        assert service.wrong() == []

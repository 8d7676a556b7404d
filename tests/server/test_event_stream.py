"""Server-sent events on their way out: joined where they are ready together, each at once where they are not."""

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest
from starlette.types import Message

from preceptor.server import run
from preceptor.server.run import EventStream, RunningAnswer, framed


class Run:
    """Notes that it was closed."""

    closed = False

    async def aclose(self) -> None:
        self.closed = True


class Reader:
    """The other end of the connection."""

    def __init__(self) -> None:
        self.bodies: list[Message] = []
        self.leaves = asyncio.Event()
        self.got = asyncio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.bodies.append(message)
            self.got.set()


async def sent(reader: Reader, body: AsyncGenerator[bytes, None]) -> Run:
    one = Run()
    await EventStream(cast("RunningAnswer", one), body)({"type": "http"}, reader.receive, reader.send)
    return one


def test_an_event_has_its_id_and_name_before_its_data() -> None:
    assert framed('{"a": 1}', event="token", number=3) == b'id: 3\nevent: token\ndata: {"a": 1}\n\n'
    assert framed("[DONE]") == b"data: [DONE]\n\n"


async def test_what_is_ready_at_the_same_moment_is_sent_together() -> None:
    reader, more = Reader(), asyncio.Event()

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"1"
        yield b"2"
        await more.wait()
        yield b"3"
        yield b"4"

    sending = asyncio.create_task(sent(reader, body()))
    await reader.got.wait()
    assert [each["body"] for each in reader.bodies] == [b"12"]
    more.set()
    assert (await sending).closed
    assert [(each["body"], each["more_body"]) for each in reader.bodies] == [(b"12", True), (b"34", False)]


async def test_a_pause_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_PING_SECONDS", 0.001)
    reader = Reader()

    async def body() -> AsyncGenerator[bytes, None]:
        await reader.got.wait()
        yield b"1"

    await sent(reader, body())
    assert reader.bodies[0]["body"] == b": ping\n\n"
    assert b"".join(each["body"] for each in reader.bodies).replace(b": ping\n\n", b"") == b"1"


async def test_a_reader_who_leaves_ends_the_run() -> None:
    reader = Reader()
    ended = asyncio.Event()

    async def body() -> AsyncGenerator[bytes, None]:
        try:
            yield b"1"
            await asyncio.Event().wait()
        finally:
            ended.set()

    sending = asyncio.create_task(sent(reader, body()))
    await reader.got.wait()
    reader.leaves.set()
    assert (await sending).closed
    assert ended.is_set()


async def test_a_connection_that_breaks_ends_the_run_with_its_own_error() -> None:
    class Broken(Reader):
        async def send(self, message: Message) -> None:
            if message["type"] == "http.response.body":
                raise OSError("the connection is gone")

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"1"
        await asyncio.Event().wait()

    with pytest.raises(OSError, match="gone"):
        await sent(Broken(), body())

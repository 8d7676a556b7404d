"""The service's edge: a body that is too large, and an error that nobody expected."""

import logging
from collections.abc import AsyncGenerator, Sequence

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.server.body_limit import BodyLimit
from preceptor.server.faults import Faults

LARGEST = 10


async def _echo(request: Request) -> Response:
    return Response(await request.body())


async def _status(body: bytes, pieces: Sequence[bytes] = ()) -> tuple[int, bytes]:
    """Status and body of the answer to a body that is sent at once, or in these pieces."""

    async def piecewise() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    app = BodyLimit(Starlette(routes=[Route("/", _echo, methods=["POST"])]), largest=LARGEST)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:  # pyright: ignore[reportArgumentType]
        answer = await client.post("/", content=piecewise() if pieces else body)
    return answer.status_code, answer.content


async def test_the_largest_body_that_is_allowed_is_read_and_one_byte_more_is_not() -> None:
    assert await _status(b"x" * LARGEST) == (200, b"x" * LARGEST)
    assert (await _status(b"x" * (LARGEST + 1)))[0] == 413


async def test_a_body_that_does_not_say_its_length_is_counted_as_it_comes() -> None:
    assert await _status(b"", [b"x" * 6, b"y" * 4]) == (200, b"x" * 6 + b"y" * 4)
    assert (await _status(b"", [b"x" * 6, b"y" * 5]))[0] == 413


def _http(path: str) -> Scope:
    return {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}


async def _nothing() -> Message:
    return {"type": "http.request", "body": b""}


async def _sent_by(app: ASGIApp, sent: list[Message], path: str = "/api/v1/chat") -> None:
    async def send(message: Message) -> None:
        sent.append(message)

    await Faults(app)(_http(path), _nothing, send)


@pytest.mark.parametrize(
    ("path", "code"), [("/api/v1/chat", b'"code":"INTERNAL_ERROR"'), ("/v1/models", b'"type":')]
)
async def test_an_error_before_the_response_becomes_a_500_with_an_id(
    path: str, code: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    sent: list[Message] = []
    await _sent_by(broken, sent, path)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 500
    assert code in sent[1]["body"]
    [record] = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.message.split()[-1].encode() in sent[1]["body"], (
        "the log and the reader have the same number"
    )


async def test_an_error_in_the_middle_of_a_response_starts_no_second_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server cuts the connection when it sees the error: half an answer must not look whole."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    sent: list[Message] = []
    with pytest.raises(ZeroDivisionError):
        await _sent_by(broken, sent)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1

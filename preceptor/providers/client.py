"""The OpenAI client without the work that it does again and again in Python; see decision 0022.

What a provider sends is made into objects by pydantic's validator. The client builds them field by field, so that it
can take an answer that lacks something: about twenty times the work of validating one, and almost no answer lacks
anything. What a provider is sent is taken as it is. The client looks through it for aliases and for files, and neither
is in the messages and tools that the SDK writes.
"""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import aiohttp
import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient, Omit, omit
from openai._streaming import ServerSentEvent, SSEDecoder
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

_LARGEST = 16 * 2**20
"""Bytes of an answer that came packed: more than the longest text that is read of one (JSON writes a letter in six)."""
_LONGEST_HEAD = 2**18
"""Bytes of a line of an answer's head."""
_PIECE = 4096
"""Bytes of it that are read before others have their turn."""


def http_client() -> httpx2.AsyncClient:
    """Returns the base's other HTTP client, on aiohttp, which unpacks no more of an answer than one may hold.

    It costs half as much as the base's first one (decision 0022).
    """
    return _HttpClient(event_hooks={"response": [_name_failures, _unpack]})


class _HttpClient(DefaultAioHttpClient):
    def _init_transport(self, *given: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _with_long_heads(super()._init_transport(*given, **options))

    def _init_proxy_transport(
        self, proxy: httpx2.Proxy, *given: Any, **options: Any
    ) -> httpx2.AsyncBaseTransport:
        # Of SOCKS aiohttp knows nothing.
        if proxy.url.scheme not in ("http", "https"):
            return httpx2.AsyncClient._init_proxy_transport(self, proxy, *given, **options)
        return _with_long_heads(super()._init_proxy_transport(proxy, *given, **options))

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        with _named():
            return await super().send(request, **options)


def _with_long_heads(transport: Any) -> httpx2.AsyncBaseTransport:
    """Lets the lines of an answer's head be longer than the 8 kB that aiohttp takes, as some gateways write them."""

    def session() -> aiohttp.ClientSession:
        transport.client = None
        made = transport.get_client()
        connector = made.connector
        made.detach()
        return aiohttp.ClientSession(
            connector=connector,
            max_line_size=_LONGEST_HEAD,
            max_field_size=_LONGEST_HEAD,
            cookie_jar=aiohttp.DummyCookieJar(),  # httpx2 keeps them
        )

    transport.client = session  # made with the first request, in the loop that asks
    return cast("httpx2.AsyncBaseTransport", transport)


@contextmanager
def _named() -> Generator[None]:
    """Gives what goes wrong the name that it has in httpx2, of which the base knows what to make.

    aiohttp's transport calls every failure of a connection a timeout of it, and leaves some as they are.
    """
    try:
        yield
    except httpx2.ConnectTimeout as error:
        if isinstance(error.__cause__, TimeoutError):
            raise
        raise httpx2.ConnectError(str(error)) from error.__cause__
    except aiohttp.ClientError as error:
        raise httpx2.RemoteProtocolError(str(error)) from error


async def _name_failures(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Named(response.stream)


class _Named(httpx2.AsyncByteStream):
    """The body of an answer, whose failures have names."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _named():
            async for piece in self._body:
                yield piece

    async def aclose(self) -> None:
        with _named():
            await self._body.aclose()


async def _unpack(response: httpx2.Response) -> None:
    if "content-encoding" not in response.headers:
        return
    packed = httpx2.Response(
        response.status_code, headers=response.headers, stream=response.stream, request=response.request
    )
    del response.headers["content-encoding"]
    response.stream = _Unpacked(packed)


class _Unpacked(httpx2.AsyncByteStream):
    """The body of a packed answer, of which a few bytes may hold gigabytes."""

    def __init__(self, packed: httpx2.Response) -> None:
        self._packed = packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _LARGEST
        async for piece in self._packed.aiter_bytes():
            left -= len(piece)
            if left < 0:
                raise httpx2.DecodingError(f"The answer is longer than {_LARGEST:,} bytes.")
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]
                await asyncio.sleep(0)

    async def aclose(self) -> None:
        await self._packed.aclose()


class Client(AsyncOpenAI):
    """A client that validates answers, and builds as the base does whatever is not valid."""

    @cached_property
    def chat(self) -> AsyncChat:  # pyright: ignore[reportIncompatibleMethodOverride] - the client's is its own kind
        """The part that is called."""
        return _Chat(self)

    def _make_sse_decoder(self) -> SSEDecoder:
        return _Decoder()

    def _process_response_data(self, *, data: object, cast_to: type[Any], response: httpx2.Response) -> Any:
        # Private: the version is pinned, and a test over HTTP notices when it is not called any more.
        if cast_to is ChatCompletionChunk or cast_to is ChatCompletion:
            try:
                # Strict, because the base converts nothing: "0" stays a text, and true is no number.
                return cast_to.model_validate(data, strict=True)
            except ValidationError:
                pass
        return cast("Any", super()._process_response_data(data=data, cast_to=cast_to, response=response))


class _Decoder(SSEDecoder):
    """A reader of events that passes over a byte order mark and empty events, as their specification has it."""

    def decode(self, line: str) -> ServerSentEvent | None:
        event = super().decode(line.removeprefix("\ufeff"))
        return event if event and event.data else None


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(  # pyright: ignore[reportIncompatibleMethodOverride] - the base has overloads
        self,
        *,
        messages: Iterable[Any],
        tools: Iterable[Any] | Omit = omit,
        extra_body: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Send what is long as the extra part of the body, which the client does not look through."""
        long: dict[str, Any] = {"messages": [*messages]}
        if not isinstance(tools, Omit):
            long["tools"] = [*tools]
            more["tools"] = ()  # keeps its place in the body
        create = cast("Any", super().create)
        return await create(messages=(), extra_body={**long, **(extra_body or {})}, **more)

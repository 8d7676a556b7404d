"""The OpenAI client without the work that it does again and again in Python; see decision 0022.

What a provider sends is made into objects by pydantic's validator. The client builds them field by field, so that it
can take an answer that lacks something: about twenty times the work of validating one, and almost no answer lacks
anything. What a provider is sent is taken as it is. The client looks through it for aliases and for files, and neither
is in the messages and tools that the SDK writes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from typing import Any, cast

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, omit
from openai._streaming import ServerSentEvent, SSEDecoder
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

_LARGEST = 16 * 2**20
"""Bytes of an answer that came packed: more than the longest text that is read of one (JSON writes a letter in six)."""
_PIECE = 4096
"""Bytes of it that are read before others have their turn."""


def http_client() -> httpx2.AsyncClient:
    """Returns an HTTP client like the base's own, which unpacks no more of an answer than one may hold."""
    return DefaultAsyncHttpxClient(event_hooks={"response": [_unpack]})


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

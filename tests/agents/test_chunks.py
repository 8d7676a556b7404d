"""The chunks of a stream are validated where they can be, and built as the client does where they cannot."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from preceptor.providers.client import Client
from tests.standins.provider import Json, Provider, call, chunk, stream, usage

FULL = {"created": 1, "model": "m", "system_fingerprint": None}
"""What a chunk must have by OpenAI's schema, beyond that which every provider sends."""


def full(*given: Any, **more: Any) -> Json:
    return {**chunk(*given, **more), **FULL}


COMPLETE = {
    "text": full({"content": "A node", "refusal": None}),
    "end": full({}, "stop"),
    "tool call": full({"tool_calls": [call("search", "{}", index=0, id="a")]}),
    "usage": full(usage=usage(10, 5)),
    "extras": full({"content": "", "reasoning_content": "hm"}) | {"x_groq": {"id": "r"}, "obfuscation": "ab"},
    "signature": full({"tool_calls": [call("search", "{}", index=0, extra_content={"google": {"a": [1]}})]}),
}
INCOMPLETE = {
    "without created and model": chunk({"content": "A node"}),
    "without choices": {"id": "1"},
    "choices null": full({"content": ""}) | {"choices": None},
    "call without index": full({"tool_calls": [call("search", "{}")]}),
    "finish reason in capitals": full({}, "STOP"),
    "index as text": full({"tool_calls": [call("search", "{}", index="0")]}),
    "content in parts": full({"content": [{"type": "text", "text": "A node"}]}),
    "usage as text": full(usage=usage(10, 5) | {"total_tokens": "15"}),
    "created is a fraction": full({"content": "A"}) | {"created": 1.5},
}


@asynccontextmanager
async def streamed(
    client: openai.AsyncOpenAI,
) -> AsyncGenerator[openai.AsyncStream[ChatCompletionChunk]]:
    async with client:
        yield await client.chat.completions.create(model="m", messages=[], stream=True)


async def received(kind: type[openai.AsyncOpenAI], provider: Provider, sent: Json) -> ChatCompletionChunk:
    provider.will(stream(sent))
    async with streamed(kind(base_url=provider.base_url, api_key="k", max_retries=0)) as chunks:
        return await anext(chunks)


@pytest.mark.parametrize("sent", [*COMPLETE.values(), *INCOMPLETE.values()], ids=[*COMPLETE, *INCOMPLETE])
async def test_a_chunk_is_what_the_client_alone_makes_of_it(sent: Json, openai_like: Provider) -> None:
    ours = await received(Client, openai_like, sent)
    theirs = await received(openai.AsyncOpenAI, openai_like, sent)
    assert repr(ours) == repr(theirs)
    assert ours.model_dump(warnings=False) == theirs.model_dump(warnings=False)


@pytest.mark.parametrize("sent", COMPLETE.values(), ids=COMPLETE)
async def test_a_complete_chunk_is_validated(
    sent: Json, openai_like: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails with a new version of the client, `_process_response_data` has moved: see decision 0022."""

    def build(**_: object) -> None:
        pytest.fail("built field by field")

    monkeypatch.setattr("openai._base_client.construct_type", build)
    await received(Client, openai_like, sent)


@pytest.fixture
def openai_like(openai: Provider) -> Provider:
    """The scripted provider; its usual name is that of the library here."""
    return openai

"""Our client sends what the base sends, and makes of an answer what the base makes of it."""

import json
import socket
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import openai
import pytest
from agents import Tool, function_tool
from agents.models.chatcmpl_converter import Converter
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from preceptor.providers.client import Client, http_client
from tests.standins.provider import Answer, Json, Provider, call, chunk, stream, usage

FULL = {"created": 1, "model": "m", "system_fingerprint": None}
"""Fields that a chunk must have by OpenAI's schema, beyond those that every provider sends."""


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


async def test_a_packed_answer_is_unpacked_while_it_comes_and_no_further_than_an_answer_may_be(
    openai_like: Provider,
) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    events = [f"data: {json.dumps(full({'content': text}))}\n\n".encode() for text in ("A node", " is.")]
    pieces = [packer.compress(each) + packer.flush(zlib.Z_SYNC_FLUSH) for each in events]
    endless = [packer.compress(b": " + b" " * 20_000_000) + packer.flush()]
    packed = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
    openai_like.will(Answer([*pieces, *endless], headers=packed, is_held=True))
    client = Client(base_url=openai_like.base_url, api_key="k", max_retries=0, http_client=http_client())
    async with streamed(client) as chunks:
        assert (await anext(chunks)).choices[0].delta.content == "A node"
        openai_like.go_on()
        assert (await anext(chunks)).choices[0].delta.content == " is."
        with pytest.raises(openai.APIConnectionError) as failure:
            await anext(chunks)
    assert "longer than" in str(failure.value.__cause__)


COMPLETION: Json = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage(10, 5),
    "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                 "message": {"role": "assistant", "content": "A node", "refusal": None, "reasoning_content": "hm"}}],
}  # fmt: skip
COMPLETIONS = {
    "complete": COMPLETION,
    "with a call": COMPLETION | {"choices": [COMPLETION["choices"][0] | {"message": {
        "role": "assistant", "content": None, "refusal": None, "tool_calls": [call("search", "{}", id="a")]}}]},
    "without message": COMPLETION | {"choices": [{"index": 0, "finish_reason": "STOP"}]},
    "error": {"error": {"message": "no", "code": 429}},
    "list": [{"error": {"message": "no", "code": 429}}],
}  # fmt: skip


async def test_a_connection_that_is_refused_is_not_taken_for_a_slow_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with Client(base_url=address, api_key="k", max_retries=0, http_client=http_client()) as client:
            with pytest.raises(openai.APIConnectionError) as raised:
                await client.chat.completions.create(model="m", messages=[])
    assert not isinstance(raised.value, openai.APITimeoutError)


async def completed(kind: type[openai.AsyncOpenAI], provider: Provider, sent: object) -> ChatCompletion:
    body = json.dumps(sent).encode()
    provider.will(Answer([body], headers={"Content-Type": "application/json"}))
    async with kind(base_url=provider.base_url, api_key="k", max_retries=0) as client:
        return await client.chat.completions.create(model="m", messages=[])


@pytest.mark.parametrize("sent", COMPLETIONS.values(), ids=COMPLETIONS)
async def test_a_completion_is_what_the_client_alone_makes_of_it(sent: object, openai_like: Provider) -> None:
    ours = await completed(Client, openai_like, sent)
    theirs = await completed(openai.AsyncOpenAI, openai_like, sent)
    assert repr(ours) == repr(theirs)


async def test_a_complete_completion_is_validated(
    openai_like: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails with a new version of the client, `_process_response_data` has moved: see decision 0022."""

    def build(**_: object) -> None:
        pytest.fail("built field by field")

    monkeypatch.setattr("openai._base_client.construct_type", build)
    await completed(Client, openai_like, COMPLETION)


@function_tool
async def look_up(query: str, chapter: str | None = None, limit: int = 3) -> str:
    """Look something up.

    Args:
        query: What to look for.
        chapter: Where.
        limit: How much.
    """
    return query + str(chapter) + str(limit)


CONVERSATION: list[Json] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "What is a node?"}]},
    {"role": "assistant", "tool_calls": [call("look_up", '{"query": "node"}', id="a", extra_content={"google": 1})]},
    {"role": "tool", "tool_call_id": "a", "content": "[k7qd] A node is a process."},
    {"role": "assistant", "content": "Ein Knoten – „Prozess“ [k7qd]."},
]  # fmt: skip
REQUESTS: dict[str, Json] = {
    "without tools": {"messages": CONVERSATION[:2]},
    "with tools": {"messages": CONVERSATION, "tools": True, "tool_choice": "required", "top_p": 0.2},
    "streamed": {
        "messages": CONVERSATION,
        "tools": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "with a body of its own": {"messages": CONVERSATION, "extra_body": {"top_k": 3}, "max_tokens": 100},
    "no messages": {"messages": []},
}


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_to_the_byte_what_the_client_alone_sends(
    asked: Json, openai_like: Provider
) -> None:
    tools: list[Tool] = [look_up]
    given = asked | ({"tools": [Converter.tool_to_openai(one) for one in tools]} if "tools" in asked else {})
    for kind in (Client, openai.AsyncOpenAI):
        openai_like.will(stream(full({"content": "A"}, "stop")))
        async with kind(base_url=openai_like.base_url, api_key="k", max_retries=0) as client:
            create = cast("Any", client.chat.completions.create)
            answer = await create(model="m", **given)
            if "stream" in asked:
                await answer.close()
    ours, theirs = openai_like.requests
    assert ours.raw == theirs.raw


@pytest.fixture
def openai_like(openai: Provider) -> Provider:
    """The scripted provider; its usual name is that of the library here."""
    return openai

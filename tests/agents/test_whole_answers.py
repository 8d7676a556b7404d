"""An answer that nobody reads while it is made comes from the provider in one piece, and is the same in all else."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import ModelSettings
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import Reasoning

from preceptor.agents.answer import Answer, Done, Question, Status, Timings, Token
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.providers.whole import as_chunk, as_stream, in_pieces
from tests.sample import sample_settings
from tests.standins.desk import Spans
from tests.standins.provider import Answer as Reply
from tests.standins.provider import Provider, call, calls, chunk, says, stream, usage

ASKED = Question(text="What is a node?")


@pytest.fixture
async def preceptor(
    sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider
) -> AsyncGenerator[Preceptor]:
    settings = sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai"), "book_only": False},
        gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
        openai={"api_key": "test", "base_url": openai.base_url, "attempts": 1},
    )
    async with open_preceptor(settings) as opened:
        yield opened


async def answered(preceptor: Preceptor, *, whole: bool) -> tuple[list[Any], Answer]:
    events = [event async for event in preceptor.stream(ASKED, whole=whole)]
    assert isinstance(events[-1], Done)
    same = {"seconds": 0, "timings": Timings(None, {}), "session_id": "", "response_id": "", "trace_id": ""}
    return [event for event in events if isinstance(event, Status)], replace(events[-1].answer, **same)


def told(spans: Spans) -> list[tuple[Any, ...]]:
    """The model calls in the trace."""
    ended = [span["span_data"] for span in spans.ended if span["span_data"]["type"] == "generation"]
    spans.ended.clear()
    return [
        (
            each["model"],
            each["usage"],
            each["model_config"],
            [{**item, "call_id": ""} for said in each["output"] or [] for item in said.get("output", [said])],
        )
        for each in ended
    ]


def looked(**more: Any) -> Reply:
    return calls(call("search_textbook", {"query": "node"}, id="a", **more))


REPLIES: dict[str, list[Reply]] = {
    "a search": [looked()],
    "a search with a signature": [looked(extra_content={"google": {"thought_signature": "S"}})],
    "text before a search": [
        stream(
            chunk({"content": "I look."}),
            chunk({"tool_calls": [call("search_textbook", {"query": "node"}, id="a")]}),
            chunk({}, "stop"),
            chunk(usage=usage(3, 4)),
        )
    ],
    "a thought": [
        stream(
            chunk({"content": "<think>hm</think>"}),
            chunk({"tool_calls": [call("list_chapters", {}, id="a")]}, "stop"),
        )
    ],
}


@pytest.mark.parametrize("replies", REPLIES.values(), ids=REPLIES)
async def test_a_whole_answer_its_sources_its_usage_and_its_trace_are_those_of_a_streamed_one(
    preceptor: Preceptor, gemini: Provider, spans: Spans, replies: list[Reply]
) -> None:
    found = await preceptor.library.search("node")
    last = says("A node ", f"is a process [{found[0].passage.key}].", " It talks [z9zz].")
    gemini.will(*replies, last, *replies, last)
    streamed, trace = await answered(preceptor, whole=False), told(spans)
    whole, trace_of_whole = await answered(preceptor, whole=True), told(spans)
    assert [request.body.get("stream", False) for request in gemini.requests] == [True, True, False, False]
    assert whole == streamed
    assert trace_of_whole == trace
    messages = [request.body["messages"] for request in gemini.requests]
    assert messages[3] == messages[1]


async def test_a_question_that_is_asked_at_once_is_not_streamed_by_the_provider(
    preceptor: Preceptor, gemini: Provider
) -> None:
    gemini.will(says("A node."))
    assert (await preceptor.ask(ASKED)).text == "A node."
    assert not gemini.requests[0].body.get("stream")


def test_a_chunk_says_all_that_a_completion_does() -> None:
    message = {
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}, "x": 1}],
    }
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    completion = ChatCompletion.construct(id="c", choices=[choice], usage=usage(1, 2))
    delta = as_chunk(completion).choices[0].delta
    assert (delta.model_extra or {})["reasoning_content"] == "hm"
    [made] = delta.tool_calls or []
    assert (made.index, made.id, made.model_extra) == (0, "a", {"x": 1})
    assert as_chunk(completion).usage == completion.usage


def test_a_long_answer_is_cut_into_pieces_that_say_the_same() -> None:
    text = "A node is a process. " * 500
    choice = {"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": text, "x": 1}}
    long = ChatCompletionChunk.construct(
        id="c", created=0, model="m", object="chat.completion.chunk", choices=[choice], usage=usage(1, 2)
    )
    pieces = in_pieces(long)
    assert len(pieces) > 2
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == text
    assert [piece.choices[0].finish_reason for piece in pieces] == [*[None] * (len(pieces) - 1), "stop"]
    assert [bool(piece.usage) for piece in pieces] == [*[False] * (len(pieces) - 1), True]
    assert (pieces[-1].choices[0].delta.model_extra or {})["x"] == 1


@pytest.mark.parametrize("chunk", [{"choices": None}, {"choices": []}, {"choices": [{"delta": None}]}, {}])
def test_a_chunk_that_lacks_something_stays_as_it_is(chunk: dict[str, Any]) -> None:
    lacking = ChatCompletionChunk.construct(None, **chunk)
    assert list(in_pieces(lacking)) == [lacking]


@pytest.mark.parametrize("whole", [True, False])
async def test_others_have_their_turn_while_a_long_answer_is_read(
    preceptor: Preceptor, gemini: Provider, whole: bool
) -> None:
    gemini.will(says("A node is a process. " * 1000))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += bool(gemini.requests)

    counting = asyncio.ensure_future(count())
    pieces = [turns async for event in preceptor.stream(ASKED, whole=whole) if isinstance(event, Token)]
    counting.cancel()
    assert len(set(pieces)) > 5


def test_of_an_answer_in_short_lines_few_are_looked_at_in_one_turn() -> None:
    lines = "".join(f"- Node {number} is one.\n" for number in range(1000))
    whole = completion(message={"content": lines})
    pieces = [piece.choices[0].delta.content or "" for piece in in_pieces(as_chunk(whole))]
    assert "".join(pieces) == lines
    assert max(piece.count("\n") for piece in pieces) < 40


async def test_others_have_their_turn_while_many_chunks_are_read(
    preceptor: Preceptor, gemini: Provider
) -> None:
    several = says(*["A node. "] * 500)
    gemini.will(replace(several, pieces=[b"".join(several.pieces)]))  # all of it comes at once
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.ensure_future(count())
    pieces = [turns async for event in preceptor.stream(ASKED) if isinstance(event, Token)]
    counting.cancel()
    assert len(set(pieces)) > 25


def completion(**more: Any) -> ChatCompletion:
    """A completion as a provider sends it in full, with one answer."""
    message = {"role": "assistant", "content": "A node.", "refusal": None, **more.pop("message", {})}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    told: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 5, "model": "m-1"}
    choices = [choice | more.pop("choice", {})]
    return ChatCompletion.construct(None, **{**told, "choices": choices, "usage": usage(1, 2), **more})


def test_a_chunk_has_the_completions_own_fields() -> None:
    chunk = as_chunk(completion())
    assert (chunk.id, chunk.created, chunk.model, chunk.object) == ("c", 5, "m-1", "chat.completion.chunk")
    [choice] = chunk.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.delta.role, choice.delta.content, choice.delta.tool_calls) == (
        "assistant",
        "A node.",
        None,
    )
    assert choice.delta.refusal is None
    likely = as_chunk(completion(choice={"logprobs": {"content": None, "refusal": None}})).choices[0].logprobs
    assert likely is not None


def test_the_calls_of_a_chunk_are_numbered_in_order() -> None:
    asked = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("a", "b")
    ]
    chunk = as_chunk(completion(message={"content": None, "tool_calls": asked}))
    found = [
        (one.index, one.id, one.function and one.function.name)
        for one in chunk.choices[0].delta.tool_calls or ()
    ]
    assert found == [(0, "a", "a"), (1, "b", "b")]
    custom = [{"id": "c", "type": "custom", "custom": {"name": "c", "input": ""}}, *asked[:1]]
    delta = as_chunk(completion(message={"tool_calls": custom})).choices[0].delta
    assert [one.id for one in delta.tool_calls or ()] == ["a"], "calls of another kind are none of ours"


def test_what_a_provider_leaves_out_is_none() -> None:
    chunk = as_chunk(completion(created=None, model=None))
    assert (chunk.created, chunk.model) == (None, None)
    assert chunk.choices[0].delta.content == "A node."


async def test_a_stream_of_one_chunk_bears_the_settings() -> None:
    settings = ModelSettings(
        temperature=0.3, top_p=0.9, parallel_tool_calls=True, reasoning=Reasoning(effort="low")
    )
    whole = completion()
    response, chunks = as_stream(whole, settings, model="m")
    assert (response.model, response.temperature, response.top_p) == ("m", 0.3, 0.9)
    assert (response.parallel_tool_calls, response.reasoning) == (True, settings.reasoning)
    assert (response.output, response.tools, response.tool_choice, response.object) == (
        [],
        [],
        "auto",
        "response",
    )
    assert [chunk async for chunk in chunks] == [as_chunk(whole)]
    response, _ = as_stream(whole, ModelSettings(), model="m")
    assert response.parallel_tool_calls is False

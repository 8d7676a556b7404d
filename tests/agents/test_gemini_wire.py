"""Gemini's tool calls as they come over the wire, and the histories that go back to it."""

import json
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from preceptor.providers.gemini import GeminiChat
from preceptor.providers.scope import HAND_OVER
from preceptor.providers.tool_calls import ToolCalls
from tests.standins.desk import Spans, open_desk, two_providers
from tests.standins.provider import Answer, Json, Provider, call, calls, chunk, says, stream, whole

pytestmark = pytest.mark.usefixtures("no_backoff")

FIRST, SECOND = {"query": "nodes"}, {"query": "topics"}


def signed(signature: str) -> Json:
    return {"google": {"thought_signature": signature}}


def piece(arguments: str, **more: Any) -> Json:
    """A later piece of a streamed call."""
    return {"function": {"arguments": arguments}, **more}


TWO_CALLS: dict[str, Answer] = {
    "as OpenAI sends them": calls(
        call("search_textbook", "", index=0, id="a"),
        piece('{"query": ', index=0),
        call("search_textbook", "", index=1, id="b"),
        piece('{"query": "topics"}', index=1),
        piece('"nodes"}', index=0),
        finish="tool_calls",
    ),
    "without index": calls(call("search_textbook", FIRST, id="a"), call("search_textbook", SECOND, id="b")),
    "without index or id": calls(call("search_textbook", FIRST), call("search_textbook", SECOND)),
    "all with index 0": calls(
        call("search_textbook", FIRST, index=0, id="a"), call("search_textbook", SECOND, index=0, id="b")
    ),
    "all with index 0 and the same id": calls(
        call("search_textbook", FIRST, index=0, id="a"), call("search_textbook", SECOND, index=0, id="a")
    ),
    "with empty ids": calls(
        call("search_textbook", FIRST, index=0, id=""), call("search_textbook", SECOND, index=1, id="")
    ),
    "in pieces without index": calls(
        call("search_textbook", "", id="a"),
        piece('{"query": "no'),
        piece('des"}'),
        call("search_textbook", '{"query": ', id="b"),
        piece('"topics"}'),
    ),
    "in pieces that repeat the name": calls(
        call("search_textbook", '{"query": "no', index=0, id="a"),
        call("search_textbook", 'des"}', index=0, id="a"),
        call("search_textbook", '{"query": "topics"}', index=0, id="b"),
    ),
    "in one chunk": stream(
        chunk({"tool_calls": [call("search_textbook", FIRST), call("search_textbook", SECOND)]}, "STOP")
    ),
    "in a choice without index": stream(
        {
            "choices": [
                {"delta": {"tool_calls": [call("search_textbook", FIRST), call("search_textbook", SECOND)]}}
            ]
        },
        chunk({}, "stop"),
    ),
    "named as in a Python API": calls(
        call("default_api.search_textbook", FIRST), call("default_api:search_textbook", SECOND)
    ),
}


@pytest.mark.parametrize("scripted", TWO_CALLS.values(), ids=TWO_CALLS)
async def test_two_tool_calls_are_told_apart_and_run(
    scripted: Answer, gemini: Provider, spans: Spans
) -> None:
    gemini.will(scripted, says("Both [k7qd]."))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask("Nodes and topics?")
        assert (outcome.answer, outcome.failures) == ("Both [k7qd].", [])
        assert sorted(desk.searched) == ["nodes", "topics"]
    question, asked, *results = gemini.messages
    ids = [made["id"] for made in asked["tool_calls"]]
    assert question["role"] == "user"
    assert [json.loads(made["function"]["arguments"]) for made in asked["tool_calls"]] == [FIRST, SECOND]
    assert all(ids)
    assert len(set(ids)) == 2
    assert [result["tool_call_id"] for result in results] == ids


@pytest.mark.parametrize(
    "made",
    [call("search_textbook", FIRST, id=""), call("default_api.search_textbook", FIRST, id="a")],
    ids=["empty id", "prefix"],
)
async def test_a_call_that_is_not_streamed_is_put_right_too(
    made: Json, gemini: Provider, spans: Spans
) -> None:
    gemini.will(whole({"content": None, "tool_calls": [made, made]}), whole({"content": "Here [k7qd]."}))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask_whole("What is a node?")
        assert desk.searched == ["nodes", "nodes"]
    assert (outcome.answer, outcome.failures) == ("Here [k7qd].", [])


async def test_an_id_that_comes_again_in_a_later_turn_is_a_new_call(gemini: Provider, spans: Spans) -> None:
    gemini.will(
        calls(call("search_textbook", FIRST, id="call_0")),
        calls(call("search_textbook", SECOND, id="call_0")),
        says("Both."),
    )
    async with open_desk(two_providers(gemini.base_url)) as desk:
        assert (await desk.ask("Nodes and topics?")).answer == "Both."
        assert desk.searched == ["nodes", "topics"]
    made = [each["id"] for message in gemini.messages for each in message.get("tool_calls", [])]
    assert made[0] == "call_0"
    assert len(set(made)) == 2


@pytest.mark.parametrize(
    "scripted",
    [
        calls(call("search_textbook", FIRST, id="a", extra_content=signed("S1"))),
        calls(call("search_textbook", FIRST, id="a"), {"extra_content": signed("S1")}),
        calls({"extra_content": signed("S1")}, call("search_textbook", FIRST, id="a")),
    ],
    ids=["on the call", "after the call", "before the call"],
)
async def test_a_thought_signature_goes_back_with_its_call(
    scripted: Answer, gemini: Provider, spans: Spans
) -> None:
    gemini.will(scripted, says("Here."))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        await desk.ask("What is a node?")
        assert desk.searched == ["nodes"]
    [made] = gemini.messages[1]["tool_calls"]
    assert made["extra_content"] == signed("S1")


async def test_a_conversation_crosses_from_gemini_to_openai_and_back(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    """What Gemini signed is not shown to OpenAI and goes back to Gemini; no hand-off reaches either."""
    gemini.will(
        calls(call("search_textbook", FIRST, id="g1", extra_content=signed("S1"))),
        says("First [k7qd]."),
        calls(call("search_textbook", SECOND, id="g2", extra_content=signed("S2"))),
        stream(chunk({}, "SAFETY")),
        says("Third."),
    )
    openai.will(calls(call("search_textbook", {"query": "services"}, index=0, id="o1")), says("Second."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        first = await desk.ask("What is a node?")
        second = await desk.ask("And a topic?", first.items)
        third = await desk.ask("And now?", second.items)
        assert desk.searched == ["nodes", "topics", "services"]
    assert [each.tutor for each in (first, second, third)] == ["gemini", "openai", "gemini"]
    assert second.failures == [("gemini", "safety_block")]
    assert [message["role"] for message in openai.messages] == [
        *("user", "assistant", "tool", "assistant"),
        *("user", "assistant", "tool", "assistant", "tool"),
    ]
    assert "S1" not in str(openai.messages)
    signatures = {
        made["id"]: made.get("extra_content")
        for message in gemini.messages
        for made in message.get("tool_calls", [])
    }
    assert signatures == {"g1": signed("S1"), "g2": signed("S2"), "o1": None}
    for request in [*gemini.requests, *openai.requests]:
        assert HAND_OVER not in json.dumps(request.body)


Wire = Literal["right", "absent", "zero"]
Ids = Literal["good", "empty", "absent", "same"]


@given(
    made=st.lists(
        st.tuples(
            st.sampled_from(["search_textbook", "list_chapters"]),
            st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6), max_size=3),
        ),
        min_size=1,
        max_size=4,
    ),
    index=st.sampled_from(["right", "absent", "zero"]),
    ids=st.sampled_from(["good", "empty", "absent", "same"]),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    repeat_name=st.booleans(),
)
def test_however_calls_are_cut_up_the_same_calls_come_out(
    made: list[tuple[str, Json]], index: Wire, ids: Ids, cuts: list[int], repeat_name: bool
) -> None:
    pieces: list[ChoiceDeltaToolCall] = []
    for number, (name, arguments) in enumerate(made):
        text = json.dumps(arguments)
        edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(text)), len(text)]
        for place, (start, end) in enumerate(pairwise(edges)):
            wire: Json = {"function": {"arguments": text[start:end]}}
            if index != "absent":
                wire["index"] = number if index == "right" else 0
            if place == 0 or repeat_name:
                wire["function"]["name"] = f"default_api.{name}"
                if ids != "absent":
                    wire["id"] = {"good": f"id{number}", "empty": "", "same": "same"}[ids]
            pieces.append(ChoiceDeltaToolCall.construct(**wire))
    ToolCalls([], taken=set(), prefixes=GeminiChat.prefixes).pieces(pieces)
    found: dict[int, list[str]] = {}
    for each in pieces:
        assert each.function is not None
        entry = found.setdefault(each.index, ["", "", ""])
        entry[0] = each.id or entry[0]
        entry[1] = each.function.name or entry[1]
        entry[2] += each.function.arguments or ""
    assert [(name, json.loads(arguments)) for _, name, arguments in found.values()] == made
    assert len({own for own, _, _ in found.values()}) == len(made)

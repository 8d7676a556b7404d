"""A model of this process: one turn as a response and as events, its span, and what becomes of a fault in it."""

import logging
from collections.abc import Sequence
from typing import Any, cast

import pytest
from agents import Handoff, ModelResponse, ModelSettings, ModelTracing, Tool, TResponseInputItem, Usage, trace
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
)

from preceptor.errors import NoTutorLeft, ProviderFailed
from preceptor.providers.local_model import Call, Items, LocalModel, call_item, events, message_item
from preceptor.providers.scope import HAND_OVER, RunScope, current_scope
from tests.agents.test_failover_alone import to, tool
from tests.standins.desk import Spans


class Echo(LocalModel):
    """Says what it is given, and notes what it sees."""

    name = "echo"

    def __init__(self, said: str | Call | Exception) -> None:
        self.said = said
        self.seen: list[tuple[Items, list[str], list[str]]] = []

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str | Call:
        self.seen.append((input, [one.name for one in tools], [one.tool_name for one in handoffs]))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


CALLED: list[TResponseInputItem] = [
    {"role": "user", "content": "Why?"},
    {"type": "function_call", "call_id": "w", "name": "search", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "w", "output": "No."},
    {"type": "function_call", "call_id": "h", "name": f"{HAND_OVER}echo", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "h", "output": "{}"},
]


async def turn(
    model: LocalModel, *, tracing: ModelTracing = ModelTracing.DISABLED, **more: Any
) -> ModelResponse:
    return await model.get_response(
        None, more.get("input", "Why?"), ModelSettings(), [tool("search")], None, [to("openai")], tracing,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip


async def streamed(model: LocalModel) -> list[Any]:
    stream = model.stream_response(
        None, "Why?", ModelSettings(), [tool("search")], None, [], ModelTracing.DISABLED,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip
    return [event async for event in stream]


async def test_a_text_is_a_message() -> None:
    response = await turn(Echo("A node."))
    [message] = response.output
    assert isinstance(message, ResponseOutputMessage)
    assert [cast("ResponseOutputText", part).text for part in message.content] == ["A node."]
    assert (message.role, message.status, message.id) == ("assistant", "completed", FAKE_RESPONSES_ID)
    assert (response.usage, response.response_id) == (Usage(), None)


async def test_a_call_is_one_with_an_id_of_its_own() -> None:
    made = [(await turn(Echo(Call("search", '{"query": "node"}')))).output[0] for _ in range(2)]
    for one in made:
        assert isinstance(one, ResponseFunctionToolCall)
        assert (one.name, one.arguments, one.status) == ("search", '{"query": "node"}', "completed")
        assert one.call_id.startswith("call_")
    assert len({cast("ResponseFunctionToolCall", one).call_id for one in made}) == 2
    assert call_item(Call("search")).arguments == "{}"


async def test_it_sees_the_conversation_as_the_tutor_that_is_asked_now() -> None:
    model = Echo("A node.")
    await turn(model)
    token = current_scope.set(RunScope(refused=("w",)))
    await turn(model, input=CALLED)
    current_scope.reset(token)
    await turn(model, input=CALLED)
    assert [seen[0] for seen in model.seen] == [[{"role": "user", "content": "Why?"}], CALLED[:1], CALLED[:3]]
    assert model.seen[0][1:] == (["search"], [f"{HAND_OVER}openai"])


async def test_a_stream_is_the_text_and_the_whole_response() -> None:
    *deltas, completed = await streamed(Echo("A node."))
    assert [cast("ResponseTextDeltaEvent", one).delta for one in deltas] == ["A node."]
    assert isinstance(completed, ResponseCompletedEvent)
    assert (completed.response.model, completed.response.output) == ("echo", [message_item("A node.")])
    [only] = await streamed(Echo(Call("search")))
    assert isinstance(only, ResponseCompletedEvent)
    assert [item.type for item in only.response.output] == ["function_call"]


def test_events_are_numbered_in_order() -> None:
    parts = [ResponseOutputText(type="output_text", text=text, annotations=[]) for text in ("A ", "node.")]
    made = events(message_item("").model_copy(update={"content": parts}), model="m")
    assert [one.sequence_number for one in made] == [0, 1, 2]
    deltas = [one for one in made if isinstance(one, ResponseTextDeltaEvent)]
    assert [(one.delta, one.content_index, one.output_index) for one in deltas] == [
        ("A ", 0, 0),
        ("node.", 1, 0),
    ]


async def test_an_error_of_ours_passes_and_any_other_is_a_failure_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = NoTutorLeft((("gemini", "bad_key"),), retry_after=7)
    with pytest.raises(NoTutorLeft) as raised:
        await turn(Echo(known))
    assert raised.value is known
    assert not caplog.records
    fault = KeyError("query")
    with pytest.raises(ProviderFailed) as failed:
        await turn(Echo(fault))
    assert (failed.value.provider, failed.value.reason, failed.value.__cause__) == ("echo", "other", fault)
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "echo failed, trace=none")


@pytest.mark.parametrize(
    ("tracing", "told"),
    [
        (ModelTracing.ENABLED, [("echo", "A node.")]),
        (ModelTracing.ENABLED_WITHOUT_DATA, [("echo", None)]),
        (ModelTracing.DISABLED, []),
    ],
)
async def test_a_turn_is_a_span(tracing: ModelTracing, told: list[Any], spans: Spans) -> None:
    with trace("test"):
        await turn(Echo("A node."), tracing=tracing)
    found = [span["span_data"] for span in spans.ended]
    assert [
        (span["model"], span["output"] and span["output"][0]["content"][0]["text"]) for span in found
    ] == told

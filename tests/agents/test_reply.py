"""What a reader gets of a run while it goes on."""

import json
from collections.abc import Iterator
from typing import Any

from agents import Agent
from agents.items import ToolCallItem
from agents.stream_events import RawResponsesStreamEvent, RunItemStreamEvent, StreamEvent
from openai.types.responses import ResponseTextDeltaEvent

from preceptor.agents.reply import Reply
from preceptor.providers.local_model import Call, call_item
from preceptor.tools.ledger import Ledger

TUTOR = Agent[Any](name="Gemini tutor")


def says(*words: str) -> Iterator[StreamEvent]:
    """What the SDK streams of a model's text."""
    for word in words:
        yield RawResponsesStreamEvent(
            ResponseTextDeltaEvent.model_construct(type="response.output_text.delta", delta=word)
        )


def calls(tool: str) -> StreamEvent:
    """What the SDK streams of a model's call."""
    item = call_item(Call(tool, json.dumps({"query": "node"})))
    return RunItemStreamEvent(name="tool_called", item=ToolCallItem(agent=TUTOR, raw_item=item))


def test_what_is_said_before_a_tool_call_stands_apart_from_what_is_said_after_it() -> None:
    reply = Reply(Ledger(), str)
    events = [
        *says("Let me ", "look."),
        calls("search_textbook"),
        calls("get_chapter"),
        *says("A node ", "is it."),
    ]
    for event in events:
        list(reply.take(event, reason=""))
    list(reply.finish())
    assert reply.text == "Let me look.\n\nA node is it."
    assert reply.raw == reply.text


def test_an_answer_that_begins_with_a_tool_call_begins_with_its_first_word() -> None:
    reply = Reply(Ledger(), str)
    for event in [calls("search_textbook"), *says("A node ", "is it.")]:
        list(reply.take(event, reason=""))
    list(reply.finish())
    assert reply.raw == "A node is it."

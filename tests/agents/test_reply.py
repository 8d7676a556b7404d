"""A reader gets the events of a run while it goes on."""

import json
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from agents import Agent, FunctionTool, ModelResponse, RunContextWrapper, Usage, function_tool

from preceptor.agents.answer import Restart, Status, Token
from preceptor.agents.outcome import RunLog
from preceptor.agents.recorded import RecordedModel
from preceptor.agents.reply import Reply
from preceptor.agents.running import Called, HandedOver, Said, Told
from preceptor.providers.local_model import Call, Items, LocalModel, call_item, message_item
from preceptor.providers.scope import HAND_OVER
from preceptor.tools.plugin import Ledger, Phase, Run, reading
from tests.agents.quoting import hits, passage

T = TypeVar("T")


def says(*words: str) -> Iterator[Told]:
    """What a run tells of a model's text."""
    yield from map(Said, words)


def calls(tool: str, phase: Phase = "searching", arguments: str = '{"query": "node"}') -> Told:
    """What a run tells of a model's call."""
    return Called(tool, arguments, phase)


def in_turns(awaited: Coroutine[Any, Any, T]) -> tuple[int, T]:
    """How many times others have their turn until a coroutine is done, and what it gives."""
    turns = 0
    while True:
        try:
            awaited.send(None)
        except StopIteration as ended:
            return turns, ended.value
        turns += 1


@function_tool
def define(term: str) -> str:
    """Define a term."""
    return term


@reading
@function_tool
def read_page(number: int) -> str:
    """Read a page."""
    return str(number)


@pytest.mark.parametrize(
    ("called", "phase"), [(read_page, "reading"), (define, "searching"), (None, "searching")]
)
async def test_a_tool_says_itself_whether_it_reads_or_searches(
    called: FunctionTool | None, phase: Phase
) -> None:
    """The reader is told what is under way, also of a tool that no module of ours has heard of."""
    tutor = Agent[Any](name="Gemini tutor", tools=[define, read_page])
    name = called.name if called else "no_such_tool"
    told: list[Told] = []
    made = [call_item(Call(name, '{"query": "node"}')), call_item(Call(f"{HAND_OVER}openai"))]
    response = ModelResponse(output=[*made], usage=Usage(), response_id=None)
    await RunLog(told.append).on_llm_end(RunContextWrapper(Run("What is a node?")), tutor, response)
    assert told == [Called(name, '{"query": "node"}', phase)]
    assert [*Reply(Ledger(), str).take(told[0], reason="")] == [Status(phase, name, "node")]


async def test_a_model_of_somebody_elses_is_heard_when_it_has_ended() -> None:
    """Whoever puts one in an agent's place would get an empty answer; ours tell the text while they write it."""

    class Foreign(LocalModel):
        name = "foreign"

        async def next(self, input: Items, tools: object, handoffs: object) -> str:
            return "A node."

    response = ModelResponse(output=[message_item("A node.")], usage=Usage(), response_id=None)
    context = RunContextWrapper(Run("What is a node?"))
    told: list[Told] = []
    for model in (Foreign(), RecordedModel(Foreign(), agent="A tutor")):
        await RunLog(told.append).on_llm_end(context, Agent("A tutor", model=model), response)
    assert told == [Said("A node.")]


@pytest.mark.parametrize(
    ("tool", "arguments", "about"),
    [
        ("define", '{"limit": 3, "term": " a ROS 2 node "}', "a ROS 2 node"),
        ("read_page", '{"chapter": "ros2/nodes-and-packages"}', "nodes and packages"),
        ("define", json.dumps({"term": "x" * 500}), "x" * 100),
        ("define", "{broken", ""),
        ("define", "[" * 100_000, ""),
        ("define", "[1]", ""),
        ("define", '{"term": 3}', ""),
    ],
)
def test_the_reader_is_told_what_is_looked_for(tool: str, arguments: str, about: str) -> None:
    phase: Phase = "reading" if tool == read_page.name else "searching"
    [event] = Reply(Ledger(), str).take(calls(tool, phase, arguments), reason="")
    assert isinstance(event, Status)
    assert event.about == about


def test_what_is_said_before_a_tool_call_is_no_part_of_the_answer() -> None:
    reply = Reply(Ledger(), str)
    taken: list[object] = []
    events = [
        *says("Let me ", "look."),
        calls("search_textbook"),
        calls("get_chapter"),
        *says("A node ", "is it."),
    ]
    for event in events:
        taken += reply.take(event, reason="")
    list(reply.finish())
    assert reply.text == "A node is it."
    assert reply.raw == reply.text
    assert [event.reason for event in taken if isinstance(event, Restart)] == ["tool_call"]


def test_what_is_cited_before_a_tool_call_stands_apart_from_what_is_said_after_it() -> None:
    ledger = Ledger()
    ledger.note(hits(passage("A node is a process.")))
    reply = Reply(ledger, str)
    for event in [*says("A node [k7qd]."), calls("get_chapter"), *says("It is it.")]:
        list(reply.take(event, reason=""))
    list(reply.finish())
    assert reply.text == "A node [1].\n\nIt is it."


def test_an_answer_that_begins_with_a_tool_call_begins_with_its_first_word() -> None:
    reply = Reply(Ledger(), str)
    for event in [calls("search_textbook"), *says("A node ", "is it.")]:
        list(reply.take(event, reason=""))
    list(reply.finish())
    assert reply.raw == "A node is it."


def test_a_long_answer_is_cut_and_nothing_more_is_taken() -> None:
    reply = Reply(Ledger(), str, longest=20)
    taken = [
        out
        for event in says("A node ", "is a process [k7", "qd].", " More.")
        for out in reply.take(event, reason="")
    ]
    taken += reply.finish()
    assert reply.truncated
    assert reply.raw == "A node is a process "
    assert reply.text == "A node is a process"
    assert "".join(out.content for out in taken if isinstance(out, Token)) == reply.text


def test_an_answer_of_the_longest_length_is_whole() -> None:
    reply = Reply(Ledger(), str, longest=len("A node."))
    for event in says("A ", "node."):
        list(reply.take(event, reason=""))
    assert not reply.truncated


def test_the_answer_of_the_next_tutor_has_all_the_room() -> None:
    reply = Reply(Ledger(), str, longest=10)
    restarts = HandedOver("OpenAI tutor")
    for event in [*says("A node of many words"), restarts, *says("A node.")]:
        list(reply.take(event, reason="timeout"))
    list(reply.finish())
    assert (reply.text, reply.truncated) == ("A node.", False)


def test_the_quote_is_the_sentence_that_is_cited_however_the_answer_came() -> None:
    [found] = hits(passage("Nodes talk. Topics carry messages. Services answer."))
    ledger = Ledger()
    ledger.note([found])
    written = "It is long. " * 200 + "Topics carry them [k7qd]."
    for pieces in ([written], list(written)):
        reply = Reply(ledger, str)
        for event in says(*pieces):
            list(reply.take(event, reason=""))
        list(reply.finish())
        assert [source.quote for source in reply.sources] == ["Topics carry messages."]


def test_others_have_their_turn_between_the_lines_of_an_answer_that_is_checked() -> None:
    """Each line is compared with what the answer cites, once all of them are there."""
    ledger = Ledger()
    ledger.note(hits(passage("A node is a process that computes.")))
    reply = Reply(ledger, str)
    lines = "".join(f"- Node {number} drives a red robot.\n" for number in range(300))
    for event in says("A node is a process that computes [k7qd].\n", lines):
        list(reply.take(event, reason=""))
    list(reply.finish())
    turns, (confidence, sources) = in_turns(reply.checked())
    assert turns == 301
    assert confidence == pytest.approx(1 / 301, abs=0.001)
    assert [source.key for source in sources] == ["k7qd"]

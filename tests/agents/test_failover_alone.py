"""The failover around a scripted model: what the model is asked, what is tried again, told again and handed over."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, cast

import httpx2
import openai
import pytest
from agents import (
    Agent,
    Handoff,
    Model,
    ModelBehaviorError,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    Tool,
    TResponseInputItem,
    Usage,
    function_tool,
    handoff,
    trace,
)
from agents.items import TResponseStreamEvent
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from preceptor.errors import AnswerUnusable, ProviderFailed
from preceptor.providers.breaker import Breaker
from preceptor.providers.failover import Failover
from preceptor.providers.failure import FailureClass, FailureNote
from preceptor.providers.failure import Usage as Spent
from preceptor.providers.local_model import Call, call_item, events, message_item
from preceptor.providers.order import FallbackOrder
from preceptor.providers.scope import HAND_OVER, BeginsToLook, RunScope, current_scope
from preceptor.settings import Retrieval
from tests.standins.desk import Spans
from tests.standins.no_sleep import no_sleep

Reply = Sequence[TResponseStreamEvent | BaseException]
QUESTION: list[TResponseInputItem] = [{"role": "user", "content": "Was ist ein Gerät?"}]


class Scripted(Model):
    """Plays a reply for each call, and notes with what it was called."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[dict[str, Any]] = []
        self.ended = 0
        self.closed = False

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        raise AssertionError("the failover streams")

    async def stream_response(self, *given: Any, **named: Any) -> AsyncGenerator[TResponseStreamEvent]:
        names = ("system", "input", "settings", "tools", "output_schema", "handoffs", "tracing")
        self.asked.append(dict(zip(names, given, strict=True)) | named)
        try:
            for event in self.replies.pop(0):
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self.ended += 1

    async def close(self) -> None:
        self.closed = True


def used(given: int = 3, made: int = 4) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=given,
        output_tokens=made,
        total_tokens=given + made,
        input_tokens_details=InputTokensDetails(cached_tokens=1, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=2),
    )


def delta(text: str) -> TResponseStreamEvent:
    return ResponseTextDeltaEvent.model_construct(type="response.output_text.delta", delta=text)


def completed(*output: Any, usage: ResponseUsage | None = None) -> TResponseStreamEvent:
    response = Response.model_construct(output=list(output), usage=usage)
    return ResponseCompletedEvent.model_construct(type="response.completed", response=response)


def says(*pieces: str, usage: ResponseUsage | None = None) -> Reply:
    return [*map(delta, pieces), completed(message_item("".join(pieces)), usage=usage)]


def calls(name: str = "search_textbook") -> Reply:
    return [*events(call_item(Call(name)), model="m")]


def failing(reason: FailureClass, *, given: int = 0, made: int = 0) -> list[BaseException]:
    return [AnswerUnusable(reason, "as scripted", input_tokens=given, output_tokens=made)]


def refused(status: int, **headers: str) -> list[BaseException]:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx2.Request("POST", "http://127.0.0.1/v1")
    response = httpx2.Response(status, headers=told, request=request)
    return [openai.APIStatusError("as scripted", response=cast("Any", response), body=None)]


@dataclass
class Book:
    """What binds a model to the book."""

    searched: bool = False
    query: str = "Was ist ein Gerät?"
    rule: str = "Cite."
    covered: bool = True

    async def covers(self) -> bool:
        return self.covered


@dataclass
class Held:
    """Shows nothing before `until` characters are there; finds `reason` in the end, and `bad` wherever it comes."""

    until: int = 1
    reason: FailureClass | None = None
    bad: str = "\0"
    text: str = ""

    def feed(self, piece: str) -> bool:
        self.text += piece
        if self.bad in self.text:
            raise AnswerUnusable("disclosed", "as scripted")
        return len(self.text) >= self.until

    async def finish(self) -> FailureClass | None:
        return self.reason


def held(*, until: int = 1, reason: FailureClass | None = None, bad: str = "\0") -> BeginsToLook:
    """Begins to look at a reply with these."""

    def begin(*, must_answer: bool) -> Held:
        return Held(until, reason, bad)

    return begin


def tool(name: str = "search_textbook") -> Tool:
    @function_tool(name_override=name)
    def made(query: str) -> str:
        """Find passages."""
        return query

    return made


def to(provider: str) -> Handoff[Any, Any]:
    return handoff(Agent(name=f"{provider.capitalize()} tutor"), tool_name_override=f"{HAND_OVER}{provider}")


@dataclass
class Asked:
    """The answer of one turn."""

    model: Scripted
    failover: Failover
    run: RunScope
    events: list[TResponseStreamEvent] = field(default_factory=list[TResponseStreamEvent])

    @property
    def text(self) -> str:
        return "".join(one.delta for one in self.events if isinstance(one, ResponseTextDeltaEvent))

    @property
    def called(self) -> list[str]:
        """The tools that the turn calls in the end, hand-offs among them."""
        last = [one for one in self.events if isinstance(one, ResponseCompletedEvent)][-1]
        return [one.name for one in last.response.output if isinstance(one, ResponseFunctionToolCall)]

    @property
    def notes(self) -> list[tuple[str, str]]:
        return [(note.tutor, note.reason) for note in self.run.failures.notes]


def order_of(*, gemini: Breaker | None = None, openai: Breaker | None = None) -> FallbackOrder:
    return FallbackOrder(
        {"gemini": gemini or closed("gemini"), "openai": openai, "claude": closed("claude")}, {}
    )


def closed(name: str) -> Breaker:
    return Breaker(name, failures=2, cool_down=30.0)


def failover_of(model: Model, *, attempts: int = 1, within: float = 60.0, retrieval: Retrieval = "agent",
                breaker: Breaker | None = None, order: FallbackOrder | None = None) -> Failover:  # fmt: skip
    return Failover(
        model,
        provider="gemini",
        breaker=breaker or closed("gemini"),
        order=order or order_of(),
        attempts=attempts,
        within=within,
        retrieval=retrieval,
    )


async def asked(
    *replies: Reply,
    input: str | list[TResponseInputItem] = QUESTION,
    tools: Sequence[Tool] | None = None,
    handoffs: Sequence[str] = ("openai", "offline"),
    settings: ModelSettings | None = None,
    run: RunScope | None = None,
    tracing: ModelTracing = ModelTracing.DISABLED,
    **more: Any,
) -> Asked:
    """Ask for one turn of a run."""
    model = Scripted(*replies)
    one = Asked(model, failover_of(model, **more), run or RunScope())
    token = current_scope.set(one.run)
    stream = one.failover.stream_response(
        "Be brief.", input, settings or ModelSettings(), [tool()] if tools is None else [*tools], None,
        [to(name) for name in handoffs], tracing, previous_response_id="p", conversation_id="c", prompt=None,
    )  # fmt: skip
    try:
        one.events = [event async for event in stream]
    finally:
        current_scope.reset(token)
    return one


# --- an answer


async def test_the_model_is_asked_as_the_run_asks_but_for_the_hand_offs() -> None:
    given = ModelSettings(temperature=0.3)
    tools = [tool(), tool("list_chapters")]
    one = await asked(says("A ", "node."), tools=tools, settings=given)
    [call] = one.model.asked
    assert call == {
        "system": "Be brief.",
        "input": QUESTION,
        "settings": given,
        "tools": tools,
        "output_schema": None,
        "handoffs": [],
        "tracing": ModelTracing.DISABLED,
        "previous_response_id": "p",
        "conversation_id": "c",
        "prompt": None,
    }
    assert [getattr(event, "delta", "") for event in one.events] == ["A ", "node.", ""]
    assert (one.notes, one.run.failures.spent, one.run.whole) == ([], Spent(), False)
    assert (one.model.ended, one.failover.breaker.last_failure) == (1, None)


async def whole(*replies: Reply, **more: Any) -> tuple[ModelResponse, RunScope]:
    run = RunScope()
    token = current_scope.set(run)
    try:
        response = await failover_of(Scripted(*replies), **more).get_response(
            None, "Why?", ModelSettings(), [], None, [to("openai")], ModelTracing.DISABLED,
            previous_response_id=None, conversation_id=None, prompt=None,
        )  # fmt: skip
    finally:
        current_scope.reset(token)
    return response, run


async def test_in_one_piece_it_is_the_last_response_and_the_provider_need_not_stream() -> None:
    response, run = await whole(says("A node.", usage=used(3, 4)))
    assert [getattr(item, "content")[0].text for item in response.output] == ["A node."]  # noqa: B009
    assert response.usage == Usage(
        requests=1,
        input_tokens=3,
        output_tokens=4,
        total_tokens=7,
        input_tokens_details=InputTokensDetails(cached_tokens=1, cache_write_tokens=0),
        output_tokens_details=OutputTokensDetails(reasoning_tokens=2),
    )
    assert (response.response_id, run.whole) == (None, True)
    response, _ = await whole(says("A node."))
    assert response.usage == Usage()
    response, _ = await whole(failing("server_error"))
    assert [getattr(item, "name", "") for item in response.output] == [f"{HAND_OVER}openai"]


async def test_in_one_piece_the_hand_off_counts_where_the_answer_fails_in_the_end() -> None:
    reply: Reply = [*says("A node.", usage=used()), *failing("stream_cut")]
    response, _ = await whole(reply)
    assert [getattr(item, "name", "") for item in response.output] == [f"{HAND_OVER}openai"]
    assert response.usage == Usage()


async def test_in_one_piece_there_must_be_a_response() -> None:
    with pytest.raises(ModelBehaviorError, match="gemini ended without a response"):
        await whole([])


async def test_closing_it_closes_the_model() -> None:
    model = Scripted()
    await failover_of(model).close()
    assert model.closed


# --- further tries


@pytest.mark.usefixtures("no_backoff")
async def test_a_passing_failure_is_tried_again_and_costs_are_counted() -> None:
    first, second = failing("server_error", given=5, made=2), failing("stream_cut", given=1)
    one = await asked(first, second, says("A node."), attempts=3)
    assert (one.text, one.notes, len(one.model.asked)) == ("A node.", [], 3)
    assert one.run.failures.spent == Spent(6, 2, 2)
    assert one.failover.breaker.state == "closed"


@pytest.mark.usefixtures("no_backoff")
async def test_the_tries_of_a_call_are_one_failure_of_the_provider() -> None:
    breaker = closed("gemini")
    one = await asked(*[failing("server_error", given=1)] * 3, attempts=3, breaker=breaker)
    assert (one.called, one.notes) == (
        [f"{HAND_OVER}openai"],
        [("gemini", "server_error"), ("openai", "not_configured")][:1],
    )
    assert (one.run.failures.spent, breaker.state) == (Spent(3, 0, 3), "closed")
    await asked(failing("server_error"), breaker=breaker)
    assert breaker.state == "open"


@pytest.mark.usefixtures("no_backoff")
@pytest.mark.parametrize(
    "reason", ["bad_key", "too_slow", "read_timeout", "rate_limited", "safety_block", "other"]
)
async def test_a_lasting_failure_is_not_tried_again(reason: FailureClass) -> None:
    one = await asked(failing(reason), says("Too late."), attempts=3)
    assert (len(one.model.asked), one.notes[0], one.called) == (1, ("gemini", reason), [f"{HAND_OVER}openai"])


async def waits(
    monkeypatch: pytest.MonkeyPatch, *replies: Reply, attempts: int = 9, jitter: bool = False
) -> list[float]:
    """Seconds that are waited before each further try."""
    with monkeypatch.context() as patch:
        slept = no_sleep(patch)
        patch.setattr("random.uniform", max if jitter else min)
        await asked(*replies, says("A node."), attempts=attempts)
    return slept


async def test_further_tries_come_soon_and_never_more_than_two_seconds_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed = [failing("server_error")] * 6
    assert await waits(monkeypatch, *failed) == pytest.approx([0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert await waits(monkeypatch, *failed[:2], jitter=True) == pytest.approx([0.5, 0.7])


@pytest.mark.parametrize(
    ("reply", "slept"),
    [
        (refused(429, retry_after="1.5"), [1.5]),
        (refused(503, retry_after="2"), [2.0]),
        (refused(503, retry_after="2.1"), []),
        (refused(429, retry_after="60"), []),
        (refused(429), []),
        (refused(503), [0.2]),
    ],
)
async def test_a_provider_that_says_when_is_asked_again_then_or_not_at_all(
    reply: Reply, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await waits(monkeypatch, reply) == pytest.approx(slept)


async def test_a_call_that_is_cancelled_is_not_tried_again_and_its_stream_is_closed() -> None:
    run = RunScope()
    with pytest.raises(asyncio.CancelledError):
        await asked([asyncio.CancelledError()], says("A node."), attempts=3, run=run)
    assert (run.failures.spent, run.failures.notes) == (Spent(), [])
    model = Scripted([delta(" "), delta("A node")])
    stream = failover_of(model).stream_response(
        None, "Why?", ModelSettings(), [], None, [], ModelTracing.DISABLED,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip
    await anext(stream)
    await cast("AsyncGenerator[Any]", stream).aclose()
    assert model.ended == 1


def told_by_failover(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The lines of the log without those of the breaker."""
    return [record for record in caplog.records if record.name == "preceptor.providers.failover"]


async def test_each_failed_try_is_logged_without_the_providers_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "preceptor.providers.failover"):
        await asked(failing("bad_key"), attempts=3)
    first, second = [one.getMessage() for one in told_by_failover(caplog)]
    assert first == "a call of gemini failed: bad_key, trace=none"
    assert second == (
        "gemini gave no answer: bad_key (AnswerUnusable), after text: False, to: Openai tutor, trace=none"
    )


# --- what the reader sees


@pytest.mark.usefixtures("no_backoff")
async def test_as_long_as_nothing_was_shown_another_try_is_not_noticed() -> None:
    cut: Reply = [delta(" "), delta("\n"), *failing("stream_cut")]
    one = await asked(cut, says("A node."), attempts=2)
    assert (one.text, len(one.model.asked), one.model.ended) == ("A node.", 2, 2)


@pytest.mark.usefixtures("no_backoff")
async def test_after_text_nothing_is_tried_again_and_the_hand_off_follows_it() -> None:
    cut: Reply = [delta("A no"), *failing("stream_cut", given=4, made=1)]
    one = await asked(cut, says("A node."), attempts=2)
    assert (one.text, one.called, len(one.model.asked)) == ("A no", [f"{HAND_OVER}openai"], 1)
    assert (one.notes[0], one.run.failures.spent) == (("gemini", "stream_cut"), Spent(4, 1, 1))


async def test_what_may_not_be_shown_yet_waits_for_what_follows() -> None:
    run = RunScope(shown=held(until=5))
    model = Scripted(says("A ", "node", "."))
    token = current_scope.set(run)
    stream = failover_of(model).stream_response(
        None, "Why?", ModelSettings(), [], None, [], ModelTracing.DISABLED,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip
    assert [getattr(await anext(stream), "delta", "") for _ in range(2)] == ["A ", "node"]
    assert model.ended == 0
    rest = [getattr(event, "delta", "") async for event in stream]
    current_scope.reset(token)
    assert (rest, model.ended) == ([".", ""], 1)


async def test_a_reply_that_cannot_be_the_answer_is_left_and_its_cost_counted() -> None:
    for usage, spent in ((used(7, 8), Spent(7, 8, 1)), (None, Spent(0, 0, 1))):
        run = RunScope(shown=held(until=99, reason="disclosed"))
        one = await asked(says("A node.", usage=usage), run=run)
        assert (one.text, one.called, one.notes[0]) == ("", [f"{HAND_OVER}openai"], ("gemini", "disclosed"))
        assert run.failures.spent == spent


async def test_the_words_before_a_call_are_no_part_of_the_answer() -> None:
    reply: Reply = [delta("I look."), completed(message_item("I look."), call_item(Call("search_textbook")))]
    one = await asked(reply, run=RunScope(shown=held(until=99, reason="uncited")))
    assert (one.text, one.called, one.notes) == ("", ["search_textbook"], [])
    one = await asked(says("Hm."), run=RunScope(shown=held(until=99)))
    assert one.text == "Hm.", "words without a call are"


async def test_an_answer_that_turns_out_to_be_none_is_left_in_the_midst_of_it() -> None:
    run = RunScope(shown=held(bad="SECRET"))
    one = await asked(says("A node. ", "SEC", "RET ", "more"), run=run)
    assert (one.text, one.called) == ("A node. SEC", [f"{HAND_OVER}openai"])
    assert (one.notes[0], run.failures.spent.requests) == (("gemini", "disclosed"), 1)


# --- the search that the server makes


def searches(one: Asked) -> list[dict[str, str]]:
    """The arguments of the calls that the turn makes without the model."""
    assert one.model.asked == []
    output = [each.response.output for each in one.events if isinstance(each, ResponseCompletedEvent)]
    return [json.loads(item.arguments) for item in output[0] if isinstance(item, ResponseFunctionToolCall)]


async def test_where_the_server_searches_first_it_does_so_in_the_readers_words() -> None:
    run = RunScope(book=Book())
    one = await asked(retrieval="first", run=run)
    assert searches(one) == [{"query": "Was ist ein Gerät?"}]
    [response] = [each.response for each in one.events if isinstance(each, ResponseCompletedEvent)]
    [item] = response.output
    assert isinstance(item, ResponseFunctionToolCall)
    assert "Gerät" in item.arguments, "as it was written"
    assert (one.called, run.own_calls) == (["search_textbook"], {item.call_id})
    assert response.model == "gemini"


async def test_a_tutor_that_is_told_again_has_the_server_search_too() -> None:
    assert searches(await asked(run=RunScope(book=Book(), told_again={"gemini"})))


@pytest.mark.parametrize(
    ("more", "run"),
    [
        ({}, RunScope(book=Book())),
        ({"retrieval": "required"}, RunScope(book=Book())),
        ({}, RunScope(book=Book(), told_again={"openai"})),
        ({"retrieval": "first"}, RunScope()),
        ({"retrieval": "first"}, RunScope(book=Book(query=""))),
        ({"retrieval": "first"}, RunScope(book=Book(searched=True))),
        ({"retrieval": "first"}, RunScope(book=Book(), own_calls={"a"})),
        ({"retrieval": "first", "tools": []}, RunScope(book=Book())),
        ({"retrieval": "first", "tools": [tool("list_chapters")]}, RunScope(book=Book())),
    ],
)
async def test_otherwise_the_model_is_asked_at_once(more: dict[str, Any], run: RunScope) -> None:
    before = set(run.own_calls)
    one = await asked(says("A node."), run=run, **more)
    assert (one.text, len(one.model.asked), run.own_calls) == ("A node.", 1, before)


# --- a model that has to call a tool


def choice(one: Asked, call: int = 0) -> object:
    return one.model.asked[call]["settings"].tool_choice


async def test_a_model_that_has_to_search_is_made_to_once() -> None:
    run = RunScope(book=Book())
    given = ModelSettings(temperature=0.3)
    first = await asked(calls(), retrieval="required", run=run, settings=given)
    assert first.model.asked[0]["settings"] == ModelSettings(temperature=0.3, tool_choice="required")
    assert run.made_to_search == {"gemini"}
    second = await asked(says("A node."), retrieval="required", run=run, settings=given)
    assert second.model.asked[0]["settings"] == given


LOOKED: list[TResponseInputItem] = [
    *QUESTION,
    {"type": "function_call", "call_id": "a", "name": "search_textbook", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "a", "output": "[k7qd] A node."},
]


@pytest.mark.parametrize(
    ("more", "run", "made"),
    [
        ({"retrieval": "required"}, RunScope(book=Book()), True),
        ({"retrieval": "first"}, RunScope(book=Book(query="")), True),
        ({"retrieval": "agent"}, RunScope(book=Book()), False),
        ({"retrieval": "required"}, RunScope(), False),
        ({"retrieval": "required", "tools": []}, RunScope(book=Book()), False),
        ({"retrieval": "required"}, RunScope(book=Book(searched=True)), False),
        ({"retrieval": "required", "input": LOOKED}, RunScope(book=Book()), False),
        ({"retrieval": "required", "input": [*LOOKED, *QUESTION]}, RunScope(book=Book()), True),
        ({"input": LOOKED}, RunScope(book=Book(query=""), told_again={"gemini"}), True),
        ({"input": LOOKED}, RunScope(book=Book(query=""), told_again={"openai"}), False),
        # a call that was refused before this tutor's turn is none of its own
        (
            {
                "retrieval": "required",
                "input": [
                    *LOOKED,
                    {
                        "type": "function_call",
                        "call_id": "h",
                        "name": f"{HAND_OVER}gemini",
                        "arguments": "{}",
                    },
                ],
            },
            RunScope(book=Book(), refused=("a",)),
            True,
        ),
    ],
)
async def test_it_is_made_to_where_nothing_was_called_for_the_question(
    more: dict[str, Any], run: RunScope, made: bool
) -> None:
    one = await asked(says("A node."), run=run, **more)
    assert choice(one) == ("required" if made else None)
    assert run.made_to_search == ({"gemini"} if made else set())


# --- the conversation


def wrong(number: int) -> list[TResponseInputItem]:
    pairs = [
        ({"type": "function_call", "call_id": f"w{n}", "name": "delete_book", "arguments": "{}"},
         {"type": "function_call_output", "call_id": f"w{n}", "output": "No such tool."})
        for n in range(number)
    ]  # fmt: skip
    return cast("list[TResponseInputItem]", [*QUESTION, *(item for pair in pairs for item in pair)])


async def test_a_model_may_correct_its_calls_twice() -> None:
    one = await asked(says("A node."), input=wrong(2))
    assert (one.text, len(one.model.asked)) == ("A node.", 1)
    one = await asked(says("A node."), input=wrong(3))
    assert (one.notes[0], one.model.asked) == (("gemini", "malformed_tool_call"), [])
    refused = [{**item, "name": "search_textbook"} if "name" in item else item for item in wrong(3)]
    given = cast("list[TResponseInputItem]", refused)
    one = await asked(input=given, run=RunScope(refused=("w0", "w1", "w2")))
    assert one.notes[0] == ("gemini", "malformed_tool_call")


async def test_a_model_does_not_see_the_hand_offs() -> None:
    handed: list[TResponseInputItem] = [
        {"type": "function_call", "call_id": "h", "name": f"{HAND_OVER}gemini", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "h", "output": "{}"},
    ]
    one = await asked(says("A node."), input=[*wrong(1), *handed])
    assert one.model.asked[0]["input"] == QUESTION
    one = await asked(says("A node."), input="Why?")
    assert one.model.asked[0]["input"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("more", "run", "rule"),
    [
        ({"retrieval": "first"}, RunScope(book=Book(searched=True)), True),
        ({}, RunScope(book=Book(searched=True), told_again={"gemini"}), True),
        ({}, RunScope(book=Book(searched=True)), False),
        ({}, RunScope(book=Book(searched=True), told_again={"openai"}), False),
        ({"retrieval": "required"}, RunScope(book=Book(searched=True)), False),
        ({"retrieval": "first"}, RunScope(), False),
    ],
)
async def test_the_rule_stands_behind_the_passages_where_the_model_did_not_search_by_itself(
    more: dict[str, Any], run: RunScope, rule: bool
) -> None:
    run.own_calls.add("a")
    one = await asked(says("A node."), input=LOOKED, run=run, **more)
    text = "\n\n".join(["Was ist ein Gerät?", "[k7qd] A node.", *(["Cite."] if rule else [])])
    assert one.model.asked[0]["input"] == [{"role": "user", "content": text}]


# --- asked once more


@pytest.mark.parametrize("reason", ["uncited", "disclosed"])
async def test_who_rests_on_nothing_is_asked_once_more_with_the_rule(reason: FailureClass) -> None:
    run = RunScope(book=Book(searched=True), truncated=True)
    one = await asked(failing(reason), says("A node."), run=run)
    assert (one.text, one.notes, run.told_again) == ("A node.", [("gemini", reason)], {"gemini"})
    assert run.truncated is False
    told = [call["input"][-1]["content"] for call in one.model.asked]
    assert told == ["Was ist ein Gerät?", "Was ist ein Gerät?\n\nCite."]


async def test_who_rests_on_nothing_again_is_left_and_noted_once() -> None:
    run = RunScope(book=Book(searched=True), truncated=True)
    one = await asked(failing("uncited"), failing("uncited"), says("Too late."), run=run)
    assert (one.called, one.notes) == ([f"{HAND_OVER}openai"], [("gemini", "uncited")])
    assert run.truncated is False
    one = await asked(failing("uncited"), failing("bad_key"), run=RunScope(book=Book(searched=True)))
    assert one.notes == [("gemini", "uncited"), ("gemini", "bad_key")]


async def test_the_same_failure_on_another_turn_is_noted_again() -> None:
    run = RunScope()
    run.failures.notes.append(FailureNote("gemini", "server_error"))
    assert (await asked(failing("server_error"), run=run)).notes == [("gemini", "server_error")] * 2


@pytest.mark.parametrize(
    ("reply", "run"),
    [
        (failing("server_error"), RunScope(book=Book(searched=True))),
        (failing("unsupported"), RunScope(book=Book(searched=True))),
        ([delta("A no"), *failing("uncited")], RunScope(book=Book(searched=True))),
        (failing("uncited"), RunScope()),
        (failing("uncited"), RunScope(book=Book(searched=True), told_again={"gemini"})),
    ],
)
async def test_otherwise_it_is_left(reply: Reply, run: RunScope) -> None:
    one = await asked(reply, says("Too late."), run=run)
    assert one.called[0].startswith(HAND_OVER)
    assert (len(one.model.asked), len(one.notes)) == (1, 1)


# --- handed over


async def test_the_next_tutor_is_asked_and_those_between_are_named() -> None:
    run = RunScope(truncated=True)
    one = await asked(failing("bad_key"), handoffs=("claude", "offline"), run=run)
    assert one.called == [f"{HAND_OVER}claude"]
    assert one.notes == [("gemini", "bad_key"), ("openai", "not_configured")]
    assert run.truncated is False
    one = await asked(failing("bad_key"), handoffs=("offline",))
    assert one.notes[1:] == [("openai", "not_configured"), ("claude", "breaker_open")]


async def test_what_is_not_sure_enough_is_left_to_the_book_itself() -> None:
    one = await asked(failing("unsupported"), handoffs=("claude", "offline"))
    assert (one.called, one.notes) == ([f"{HAND_OVER}offline"], [("gemini", "unsupported")])
    one = await asked(failing("unsupported"), handoffs=("claude",))
    assert one.called == [f"{HAND_OVER}claude"]
    assert one.notes == [("gemini", "unsupported"), ("openai", "not_configured")]
    one = await asked(failing("unsupported"), handoffs=("offline",))
    assert one.notes[1:] == [("openai", "not_configured"), ("claude", "breaker_open")]


async def left_alone(*seconds: float, reply: Reply) -> ProviderFailed:
    """The error where nobody is left, and others are left alone for so long."""
    breakers: dict[str, Breaker | None] = {"gemini": closed("gemini")}
    for number, wait in enumerate(seconds):
        made = breakers[f"b{number}"] = Breaker("b", failures=1, cool_down=wait, clock=lambda: 10.0)
        with pytest.raises(AnswerUnusable), made.guard():
            raise AnswerUnusable("server_error", "as scripted")
    with pytest.raises(ProviderFailed) as failed:
        await asked(reply, handoffs=(), order=FallbackOrder(breakers, {}))
    return failed.value


async def test_when_nobody_is_left_the_reader_is_told_the_shortest_wait() -> None:
    late = refused(429, retry_after="60")
    error = await left_alone(reply=late)
    assert (error.provider, error.reason, error.retry_after) == ("gemini", "rate_limited", 60)
    assert isinstance(error.__cause__, openai.APIStatusError)
    assert (await left_alone(40, 7, reply=late)).retry_after == 7
    assert (await left_alone(90, reply=late)).retry_after == 60
    assert (await left_alone(90, reply=failing("bad_key"))).retry_after == 90
    assert (await left_alone(reply=failing("bad_key"))).retry_after is None


# --- what is told of it


@pytest.mark.parametrize("tracing", [ModelTracing.ENABLED, ModelTracing.DISABLED])
async def test_the_trace_says_who_was_left_and_why(tracing: ModelTracing, spans: Spans) -> None:
    breaker = closed("gemini")
    with trace("test"):
        await asked(failing("bad_key"), breaker=breaker, tracing=tracing)
        await asked([delta("A no"), *failing("stream_cut")], handoffs=("claude",), tracing=tracing)
        await asked(
            failing("uncited"), says("A node."), run=RunScope(book=Book(searched=True)), tracing=tracing
        )
    told = [
        {
            "provider": "gemini",
            "reason": "bad_key",
            "after_text": False,
            "to": "Openai tutor",
            "breaker": "open",
        },
        {
            "provider": "gemini",
            "reason": "stream_cut",
            "after_text": True,
            "to": "Claude tutor",
            "breaker": "closed",
        },
        {"provider": "gemini", "reason": "uncited", "after_text": False, "to": "gemini", "breaker": "closed"},
    ]
    assert spans.failovers() == (told if tracing is ModelTracing.ENABLED else [])


@pytest.mark.parametrize(
    ("reply", "level"),
    [
        ([KeyError("ours")], logging.ERROR),
        (refused(418), logging.WARNING),
        (failing("bad_key"), logging.WARNING),
    ],
)
async def test_a_fault_of_ours_is_logged_with_its_place(
    reply: Reply, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    await asked(reply)
    [record] = told_by_failover(caplog)
    assert (record.levelno, bool(record.exc_info)) == (level, level == logging.ERROR)


# --- time


@pytest.mark.parametrize(
    ("handoffs", "share"),
    [(("openai", "offline"), 14.5), (("openai", "claude"), 10.0), (("offline",), 29.0), ((), 30.0)],
)
async def test_a_call_has_its_share_of_the_time(
    handoffs: tuple[str, ...], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunScope(seconds=30.0, deadline=1030.0)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1000.0)
    await asked(says("A node."), handoffs=handoffs, run=run)
    assert run.until == pytest.approx(1000.0 + share)


async def test_without_time_a_provider_is_not_asked() -> None:
    one = await asked(says("A node."), run=RunScope(seconds=30.0, deadline=-inf))
    assert (one.notes[0], one.model.asked) == (("gemini", "out_of_time"), [])
    assert one.run.failures.spent == Spent()
    assert one.failover.breaker.state == "closed"


async def test_a_tutor_that_is_left_alone_is_not_asked() -> None:
    breaker = Breaker("gemini", failures=1, cool_down=30.0)
    with pytest.raises(AnswerUnusable), breaker.guard():
        raise AnswerUnusable("server_error", "as scripted")
    one = await asked(says("A node."), breaker=breaker)
    assert (one.notes[0], one.model.asked, one.run.failures.spent) == (
        ("gemini", "breaker_open"),
        [],
        Spent(),
    )

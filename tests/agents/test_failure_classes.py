"""Every class of failure, made on the wire: its name, whether it is tried again, and the reader's answer."""

import asyncio
import socket
import sys
from collections.abc import Generator

import pytest
from agents import Agent, Runner, UserError
from openai import AsyncOpenAI

from preceptor.errors import AnswerUnusable
from preceptor.providers.checked_chat import CheckedChat
from preceptor.providers.failure import FailureClass, classify
from preceptor.providers.scope import RunScope, current_scope
from tests.standins.desk import Spans, open_desk, two_providers
from tests.standins.provider import (
    Answer,
    Ending,
    Json,
    Provider,
    call,
    calls,
    chunk,
    fails,
    says,
    stream,
    usage,
    whole,
)

pytestmark = pytest.mark.usefixtures("no_backoff")


def google(code: int, status: str, message: str, *details: Json) -> list[Json]:
    """An error body as Gemini's OpenAI-compatible endpoint sends it: a list of one."""
    return [{"error": {"code": code, "status": status, "message": message, "details": list(details)}}]


BAD_KEY = google(
    400,
    "INVALID_ARGUMENT",
    "API key not valid. Please pass a valid API key.",
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
)
NO_MODEL = google(404, "NOT_FOUND", "models/gemini-0 is not found for API version v1main")
ELSEWHERE = google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")
EXHAUSTED = google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")
UNAVAILABLE = google(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
NO_SIGNATURE = google(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature in part 2.")

# What Gemini does, the class it must get, and how often it was asked (2: it was worth a second try).
BEFORE_TEXT: dict[str, tuple[Answer, FailureClass, int]] = {
    "401": (fails(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}), "bad_key", 1),
    "Gemini's 400 for a bad key": (fails(400, BAD_KEY), "bad_key", 1),
    "403": (fails(403, {"error": {"message": "Project is not allowed"}}), "forbidden", 1),
    "a country that is not served": (fails(400, ELSEWHERE), "forbidden", 1),
    "404": (fails(404, NO_MODEL), "unknown_model", 1),
    "429": (fails(429, EXHAUSTED), "rate_limited", 1),
    "429 with a long Retry-After": (fails(429, EXHAUSTED, retry_after="40"), "rate_limited", 1),
    "500": (fails(500, {"error": {"message": "Internal"}}), "server_error", 2),
    "503 in a list": (fails(503, UNAVAILABLE), "server_error", 2),
    "a proxy's 502": (fails(502, "<html>Bad gateway</html>"), "server_error", 2),
    "408": (fails(408, {"error": {"message": "Timeout"}}), "read_timeout", 1),
    "another 400": (fails(400, NO_SIGNATURE), "other", 1),
    "an error inside the stream": (
        stream({"error": {"code": 429, "message": "Slow down"}}),
        "rate_limited",
        1,
    ),
    "a named error inside the stream": (
        stream({"error": {"type": "server_error", "message": "Sorry"}}),
        "server_error",
        2,
    ),
    "a list of errors inside the stream": (stream(UNAVAILABLE), "server_error", 2),
    "a bad key inside the stream": (stream(BAD_KEY), "bad_key", 1),
    "a connection cut before the head": (Answer(status=None, ending="dropped"), "unreachable", 2),
    "a connection cut in the stream": (stream(chunk({"content": ""}), ending="dropped"), "stream_cut", 2),
    "a stream without finish reason": (stream(chunk({"content": ""}), done=False), "stream_cut", 2),
    "a chunk that is not JSON": (Answer([b"data: {broken\n\n"]), "stream_cut", 2),
    "a tool call without finish reason": (
        stream(chunk({"tool_calls": [call("search_textbook", {"query": "x"})]})),
        "stream_cut",
        2,
    ),
    "a stream of nothing": (stream(), "empty_answer", 2),
    "an empty message": (stream(chunk({"content": ""}), chunk({}, "stop")), "empty_answer", 2),
    "white space": (stream(chunk({"content": " \n"}), chunk({}, "STOP")), "empty_answer", 2),
    "a limit reached before any text": (stream(chunk({"content": ""}, "length")), "empty_answer", 2),
    "chunks without choices": (stream({"id": "x"}, chunk({}, "stop")), "empty_answer", 2),
    "Gemini's malformed call": (
        stream(chunk({"content": ""}, "function_call_filter: MALFORMED_FUNCTION_CALL")),
        "malformed_tool_call",
        2,
    ),
    "arguments that are not JSON": (calls(call("search_textbook", '{"query": "x')), "malformed_tool_call", 2),
    "arguments that are no object": (calls(call("search_textbook", '["x"]')), "malformed_tool_call", 2),
    "a call without a name": (calls(call("", {"query": "x"})), "malformed_tool_call", 2),
    "the content filter": (stream(chunk({}, "content_filter")), "safety_block", 1),
    "Gemini's own word for it": (stream(chunk({"content": ""}, "PROHIBITED_CONTENT")), "safety_block", 1),
    "a refusal": (stream(chunk({"refusal": "I can't help."}), chunk({}, "stop")), "safety_block", 1),
    "a filter's 400": (
        fails(400, {"error": {"code": "content_filter", "message": "No."}}),
        "safety_block",
        1,
    ),
}


@pytest.mark.parametrize(("scripted", "reason", "asked"), BEFORE_TEXT.values(), ids=BEFORE_TEXT)
async def test_a_failure_before_any_text_is_named_and_the_reader_notices_nothing(
    scripted: Answer, reason: FailureClass, asked: int, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(scripted, scripted)
    openai.will(says("A whole ", "answer."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert outcome.failures == [("gemini", reason)]
    assert (outcome.shown, outcome.tutor) == (["A whole answer."], "openai")
    assert len(gemini.requests) == asked
    assert len(spans.errors()) == asked
    [told] = spans.failovers()
    assert (told["provider"], told["reason"], told["to"]) == ("gemini", reason, "OpenAI tutor")
    assert told["after_text"] is False


AFTER_TEXT: dict[str, tuple[Answer, FailureClass]] = {
    "no finish reason": (stream(chunk({"content": "Half "}), done=False), "stream_cut"),
    "a cut connection": (stream(chunk({"content": "Half "}), done=False, ending="dropped"), "stream_cut"),
    "an error": (stream(chunk({"content": "Half "}), UNAVAILABLE), "server_error"),
    "the filter": (
        stream(chunk({"content": "Half "}), chunk({}, "content_filter: RECITATION")),
        "safety_block",
    ),
    "half a call": (
        stream(chunk({"content": "Half "}), chunk({"tool_calls": [call("search_textbook", "{")]}, "stop")),
        "malformed_tool_call",
    ),
}


@pytest.mark.parametrize(("scripted", "reason"), AFTER_TEXT.values(), ids=AFTER_TEXT)
async def test_a_failure_after_text_is_not_tried_again_and_the_answer_begins_anew(
    scripted: Answer, reason: FailureClass, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(scripted)
    openai.will(says("A whole ", "answer."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert outcome.failures == [("gemini", reason)]
    assert (outcome.shown, outcome.answer) == (["Half ", "A whole answer."], "A whole answer.")
    assert len(gemini.requests) == 1
    assert spans.failovers()[0]["after_text"] is True
    assert all("Half" not in str(message) for message in openai.messages)


AS_JSON = {"Content-Type": "application/json"}

WHOLE: dict[str, tuple[Answer, FailureClass]] = {
    "a bad key": (fails(400, BAD_KEY), "bad_key"),
    "503": (fails(503, UNAVAILABLE), "server_error"),
    "a list of errors in a 200": (fails(200, EXHAUSTED), "rate_limited"),
    "an error object in a 200": (
        fails(200, {"error": {"code": 503, "message": "Overloaded"}}),
        "server_error",
    ),
    "a proxy's page in a 200": (fails(200, "<html>Sign in</html>"), "not_an_api"),
    "a word in a 200 of JSON": (Answer([b"nothing"], headers=AS_JSON), "not_an_api"),
    "half an object in a 200 of JSON": (Answer([b' {"id": '], headers=AS_JSON), "stream_cut"),
    "a 200 of JSON that is no text": (Answer([b"\xff\xfe\xff"], headers=AS_JSON), "not_an_api"),
    "no choices": (fails(200, {"id": "x", "choices": []}), "empty_answer"),
    "an empty message": (whole({"content": None}), "empty_answer"),
    "a malformed call": (whole({"content": None}, "MALFORMED_FUNCTION_CALL"), "malformed_tool_call"),
    "broken arguments": (whole({"tool_calls": [call("search_textbook", "{")]}), "malformed_tool_call"),
    "a refusal": (whole({"refusal": "No."}), "safety_block"),
    "the filter": (whole({"content": None}, "SAFETY"), "safety_block"),
    "a cut connection": (Answer([b'{"id'], ending="dropped"), "unreachable"),
}


@pytest.mark.parametrize(("scripted", "reason"), WHOLE.values(), ids=WHOLE)
async def test_a_failure_without_streaming_is_named_too(
    scripted: Answer, reason: FailureClass, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(scripted, scripted)
    openai.will(whole({"content": "A whole answer."}))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask_whole("What is a node?")
    assert outcome.failures == [("gemini", reason)]
    assert (outcome.answer, outcome.tutor) == ("A whole answer.", "openai")
    assert spans.errors()


async def test_a_provider_that_takes_no_connection_is_unreachable(openai: Provider, spans: Spans) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        openai.will(says("Here."))
        async with open_desk(
            two_providers(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", openai.base_url)
        ) as desk:
            outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "unreachable")], "Here.")


@pytest.fixture
def deaf_host() -> Generator[str]:
    """An address whose connections are never completed: its queue of one is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse where Linux lets a full queue wait")
async def test_a_host_that_does_not_answer_the_door_is_a_connect_timeout(
    deaf_host: str, openai: Provider, spans: Spans
) -> None:
    openai.will(says("Here."))
    async with open_desk(two_providers(deaf_host, openai.base_url, first_token=0.4)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "connect_timeout")], "Here.")


@pytest.mark.parametrize(
    "scripted",
    [
        Answer(status=None, ending="hanging"),
        Answer(ending="hanging"),
        stream(chunk({"role": "assistant", "content": ""}), done=False, ending="hanging"),
    ],
    ids=["no head", "no body", "a role and no token"],
)
async def test_a_provider_without_a_first_token_in_time_is_too_slow_and_is_hung_up_on(
    scripted: Answer, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(scripted)
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url, first_token=0.3)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "too_slow")], "Here.")
    assert gemini.hung_up.wait(5)
    assert "too_slow" in spans.errors()[0]


async def test_a_stream_that_falls_silent_is_a_read_timeout(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(stream(chunk({"content": "Half "}), done=False, ending="hanging"))
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url, first_token=0.3)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.shown) == ([("gemini", "read_timeout")], ["Half ", "Here."])
    assert gemini.hung_up.wait(5)


async def test_a_stream_that_trickles_has_the_time_of_a_whole_call(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    """No silence is too long, but all of it is: without a deadline this answer would be whole in the end."""
    words = [chunk({"content": f"{number} "}) for number in range(60)]
    gemini.will(stream(*words, chunk({}, "stop"), pause=0.05))
    openai.will(says("Here."))
    settings = two_providers(gemini.base_url, openai.base_url, first_token=1.0, timeout=1.0)
    async with open_desk(settings) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "read_timeout")], "Here.")
    assert outcome.shown[0].startswith("0 ")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "extra_content"])
async def test_a_model_that_thinks_is_not_too_slow(name: str, gemini: Provider, spans: Spans) -> None:
    """It shows nothing for longer than the first token may take, but it is at work."""
    thinking = [chunk({"content": "", name: "Hm."}) for _ in range(6)]
    gemini.will(stream(*thinking, chunk({"content": "A node."}), chunk({}, "stop"), pause=0.3))
    async with open_desk(two_providers(gemini.base_url, first_token=1.5, timeout=30.0, attempts=1)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures) == ("A node.", [])


async def test_a_provider_that_never_ends_its_stream_holds_nobody_up(gemini: Provider, spans: Spans) -> None:
    """Two seconds after the finish reason nothing is waited for any more; the limit here is for a hung test."""
    gemini.will(stream(chunk({"content": "Whole."}), chunk({}, "stop"), done=False, ending="hanging"))
    async with open_desk(two_providers(gemini.base_url, timeout=300.0, first_token=300.0)) as desk:
        async with asyncio.timeout(30):
            outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures) == ("Whole.", [])


async def test_an_answer_that_is_not_whole_in_time_is_a_read_timeout(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(Answer(ending="hanging"))
    openai.will(whole({"content": "Here."}))
    async with open_desk(two_providers(gemini.base_url, openai.base_url, timeout=0.3)) as desk:
        outcome = await desk.ask_whole("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "read_timeout")], "Here.")


@pytest.mark.parametrize("ending", ["dropped", "hanging"])
async def test_what_happens_after_the_finish_reason_does_not_spoil_the_answer(
    ending: Ending, gemini: Provider, monkeypatch: pytest.MonkeyPatch, spans: Spans
) -> None:
    monkeypatch.setattr("preceptor.providers.checked_chat._TRAILER", 0.1)
    last = chunk({}, "stop", usage(7, 2))
    gemini.will(stream(chunk({"content": "Whole."}), last, done=False, ending=ending))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures, outcome.tokens) == ("Whole.", [], (7, 2))


async def test_a_provider_without_a_key_is_not_in_line(openai: Provider, spans: Spans) -> None:
    openai.will(says("Here."))
    settings = two_providers("http://127.0.0.1:9/v1", openai.base_url, api_key=" ")
    async with open_desk(settings) as desk:
        assert [entry.provider for entry in desk.models] == ["openai"]
        assert desk.models.model_name("gemini") == ""
        assert (await desk.ask("What is a node?")).answer == "Here."


def test_what_nobody_knows_is_other() -> None:
    assert classify(UserError("no such thing")).reason == "other"


async def test_what_is_missing_in_the_count_of_tokens_counts_as_none(gemini: Provider, spans: Spans) -> None:
    last = chunk({}, "stop", {"completion_tokens": 2})
    gemini.will(stream(chunk({"content": "A node."}), last))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures, outcome.tokens) == ("A node.", [], (0, 2))


async def test_a_chunk_behind_the_finish_reason_takes_nothing_back(gemini: Provider, spans: Spans) -> None:
    gemini.will(stream(chunk({"content": "A node."}), chunk({}, "stop"), chunk({"content": ""})))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures) == ("A node.", [])


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_call_of_a_tool_where_there_is_none_is_malformed(
    is_streamed: bool, gemini: Provider, spans: Spans
) -> None:
    made = call("search_textbook", {"query": "x"}, id="a", index=0)
    gemini.will(calls(made) if is_streamed else whole({"tool_calls": [made]}))
    async with AsyncOpenAI(base_url=gemini.base_url, api_key="test", max_retries=0) as client:
        model = CheckedChat("gemini", client, timeout=5.0, first_token=4.0, most_calls=3)
        current_scope.set(RunScope())
        agent = Agent("A tutor without tools", model=model)

        async def ask() -> None:
            if not is_streamed:
                await Runner.run(agent, "What is a node?")
                return
            async for _ in Runner.run_streamed(agent, "What is a node?").stream_events():
                pass

        with pytest.raises(AnswerUnusable) as failure:
            await ask()
    assert failure.value.reason == "malformed_tool_call"

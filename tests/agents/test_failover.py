"""Failover, end to end: one run, one trace, one conversation, whoever answers."""

import asyncio
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from agents import ModelTracing
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Fail, Match, Reply, StreamFault, ToolCall, ToolFault

from preceptor.errors import ProviderFailed
from preceptor.settings import Settings
from tests.standins.desk import Spans, open_desk, two_providers
from tests.standins.provider import (
    Answer,
    Provider,
    aimock,
    call,
    calls,
    chunk,
    fails,
    says,
    stream,
    usage,
    whole,
)


@pytest.mark.usefixtures("no_backoff")
async def test_dead_on_the_first_call_and_the_reader_notices_nothing(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(503, {}), fails(503, {}))
    openai.will(calls(call("search_textbook", {"query": "node"}, index=0, id="o1")), says("A node [k7qd]."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
        assert desk.searched == ["node"]
    assert (outcome.shown, outcome.tutor) == (["A node [k7qd]."], "openai")
    assert len({span["trace_id"] for span in spans.ended}) == 1


@pytest.mark.usefixtures("no_backoff")
async def test_dead_after_a_tool_call_and_the_tool_is_not_run_again(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(calls(call("search_textbook", {"query": "node"})), fails(500, {}), fails(500, {}))
    openai.will(says("A node [k7qd]."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
        assert desk.searched == ["node"]
    assert (outcome.shown, outcome.failures) == (["A node [k7qd]."], [("gemini", "server_error")])
    assert openai.messages[-1]["content"] == "[k7qd] What the book says about node."
    assert len(openai.requests) == 1


async def test_dead_in_mid_stream_and_the_answer_begins_anew(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(
        calls(call("search_textbook", {"query": "node"})),
        stream(chunk({"content": "A no"}), done=False, ending="dropped"),
    )
    openai.will(says("A node ", "[k7qd]."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
        assert desk.searched == ["node"]
    assert (outcome.shown, outcome.answer) == (["A no", "A node [k7qd]."], "A node [k7qd].")
    assert "A no" not in str(openai.messages[1:-1])


@pytest.mark.usefixtures("no_backoff")
async def test_a_second_try_that_works_is_no_failure_and_its_cost_is_counted(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(stream(chunk({"content": ""}, "stop", usage(100, 7))), says("A node."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.answer, outcome.failures, outcome.tokens) == ("A node.", [], (110, 12))
    assert outcome.requests == len(gemini.requests) == 2
    assert openai.requests == []


@pytest.mark.usefixtures("no_backoff")
async def test_the_cost_of_a_call_that_was_handed_over_is_counted(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    blocked = stream(chunk({}, "SAFETY", usage(100, 7)))
    gemini.will(blocked)
    openai.will(says("A node."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.tokens, outcome.requests) == ((110, 12), 2)


@pytest.mark.usefixtures("no_backoff")
async def test_without_streaming_failover_is_the_same(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(
        whole({"content": None, "tool_calls": [call("search_textbook", {"query": "node"}, id="g1")]}),
        whole({"content": ""}),
        whole({"content": ""}),
    )
    openai.will(whole({"content": "A node [k7qd]."}))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcome = await desk.ask_whole("What is a node?")
        assert desk.searched == ["node"]
    assert (outcome.answer, outcome.failures) == ("A node [k7qd].", [("gemini", "empty_answer")])
    assert (outcome.tokens, outcome.requests) == ((40, 20), 4)


@pytest.mark.usefixtures("no_backoff")
async def test_when_nobody_is_left_the_run_ends_with_the_last_providers_failure(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(401, {}))
    openai.will(fails(429, {"error": {"message": "Slow down"}}, retry_after="17"))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        with pytest.raises(ProviderFailed) as raised:
            await desk.ask("What is a node?")
    assert (raised.value.provider, raised.value.reason) == ("openai", "rate_limited")
    assert raised.value.retry_after == pytest.approx(17, abs=1)
    assert [(each["provider"], each["to"]) for each in spans.failovers()] == [
        ("gemini", "OpenAI tutor"),
        ("openai", None),
    ]


async def test_the_reader_is_told_the_shortest_wait(gemini: Provider, openai: Provider, spans: Spans) -> None:
    gemini.will(fails(429, {}, retry_after="60"))
    openai.will(fails(429, {}, retry_after="600"))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        with pytest.raises(ProviderFailed) as raised:
            await desk.ask("What is a node?")
    assert raised.value.provider == "openai"
    assert raised.value.retry_after == pytest.approx(60, abs=20)


@pytest.mark.parametrize("status", [503, 429])
async def test_a_long_retry_after_is_not_waited_for(
    status: int, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    """Neither is the provider asked again before it wants to be, whatever went wrong with it."""
    gemini.will(fails(status, {}, retry_after="30"), says("Asked too early."))
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url, attempts=3)) as desk:
        assert (await desk.ask("What is a node?")).answer == "Here."
    assert len(gemini.requests) == 1


async def test_a_short_retry_after_is_waited_for(gemini: Provider, spans: Spans) -> None:
    gemini.will(fails(429, {}, retry_after_ms="300"), says("A node."))
    began = time.perf_counter()
    async with open_desk(two_providers(gemini.base_url)) as desk:
        outcome = await desk.ask("What is a node?")
        assert desk.models[0].breaker.state == "closed"
    assert (outcome.answer, outcome.failures) == ("A node.", [])
    assert time.perf_counter() - began > 0.3


async def test_no_further_try_begins_when_the_time_for_the_first_token_is_over(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(503, {}, retry_after="0.9"), fails(503, {}), says("Too late."))
    openai.will(says("In time."))
    settings = two_providers(gemini.base_url, openai.base_url, attempts=5, first_token=0.8)
    async with open_desk(settings) as desk:
        assert (await desk.ask("What is a node?")).answer == "In time."
    assert len(gemini.requests) == 2


async def test_a_question_that_is_called_off_hangs_up_and_is_no_failure(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(stream(chunk({"content": "A no"}), done=False, ending="hanging"))
    async with open_desk(two_providers(gemini.base_url, openai.base_url, breaker={"failures": 1})) as desk:
        asking = asyncio.create_task(desk.ask("What is a node?"))
        await asyncio.to_thread(gemini.asked.acquire)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(gemini.hung_up.wait, 15)
        assert (desk.models[0].breaker.state, desk.models[0].breaker.last_failure) == ("closed", None)
    assert (openai.requests, spans.failovers()) == ([], [])


@pytest.mark.usefixtures("no_backoff")
async def test_runs_side_by_side_note_their_own_failures(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(*[fails(401, {}) for _ in range(3)])
    openai.will(*[says("Here.") for _ in range(3)])
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        outcomes = await asyncio.gather(*[desk.ask("What is a node?") for _ in range(3)])
    assert [outcome.failures for outcome in outcomes] == [[("gemini", "bad_key")]] * 3


async def test_the_hand_offs_are_not_offered_to_the_providers_model(gemini: Provider, spans: Spans) -> None:
    gemini.will(says("A node."))
    async with open_desk(two_providers(gemini.base_url, "http://127.0.0.1:9/v1")) as desk:
        await desk.ask("What is a node?")
    [request] = gemini.requests
    assert request.path == "/v1beta/openai/chat/completions"
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["search_textbook"]


async def test_the_settings_of_a_provider_reach_it(gemini: Provider, openai: Provider, spans: Spans) -> None:
    gemini.will(says("A node."))
    options: dict[str, Any] = {
        "temperature": 0.2,
        "max_tokens": 900,
        "reasoning_effort": "none",
        "parallel_tool_calls": False,
    }
    async with open_desk(two_providers(gemini.base_url, **options)) as desk:
        await desk.ask("What is a node?")
    sent = gemini.requests[0].body
    assert {name: sent[name] for name in options} == options
    assert (sent["model"], sent["stream_options"]) == ("gemini-3-flash", {"include_usage": True})
    assert "store" not in sent


async def test_at_openai_itself_nothing_is_stored() -> None:
    async with open_desk(
        Settings.model_validate(
            {
                "env": "local",
                "tutor": {"providers": ["openai"]},
                "openai": {"api_key": "key", "max_tokens": 700},
            }
        )
    ) as desk:
        [entry] = desk.models
        assert entry.settings.store is False
        assert entry.settings.max_tokens is None
        assert entry.settings.extra_args == {"max_completion_tokens": 700}


# Two servers that are not ours

GEMINI = Match(model="gemini*")


def at_llmock(llmock: LLMock, **options: object) -> Settings:
    """Both providers at one llmock; its scripts tell them apart by the model's name."""
    return two_providers(llmock.base_url(), llmock.base_url(), **options)


async def test_llmock_finds_nothing_wrong_with_how_a_run_goes(llmock: LLMock, spans: Spans) -> None:
    llmock.add(
        Reply(tool_calls=(ToolCall("search_textbook", {"query": "node"}),)), Reply(text="A node [k7qd].")
    )
    async with open_desk(at_llmock(llmock)) as desk:
        outcome = await desk.ask("What is a node?")
        assert desk.searched == ["node"]
    assert (outcome.answer, outcome.tutor, outcome.failures) == ("A node [k7qd].", "gemini", [])
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("kind", ["truncate", "disconnect", "malformed"])
async def test_llmock_sees_a_broken_stream_tried_again(
    kind: Literal["truncate", "disconnect", "malformed"], llmock: LLMock, spans: Spans
) -> None:
    # Paced, so that it still has something to send when it is hung up on.
    llmock.pace(60).add(StreamFault(kind, after_chunks=1), Reply(text="A node.", times=2))
    async with open_desk(at_llmock(llmock)) as desk:
        outcome = await desk.ask("What is a node?")
    assert outcome.failures == []
    assert len(llmock.requests) == 2
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("provider", ["gemini", "openai"])
async def test_half_a_stream_from_llmock_never_passes_as_an_answer(
    provider: str, llmock: LLMock, spans: Spans
) -> None:
    llmock.add(StreamFault("truncate", after_chunks=3), Reply(text="A node is a process."))
    settings = at_llmock(llmock)
    alone = settings.model_copy(
        update={"tutor": settings.tutor.model_copy(update={"providers": (provider,)})}
    )
    async with open_desk(alone) as desk:
        with pytest.raises(ProviderFailed, match="stream_cut"):
            await desk.ask("What is a node?")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fail(503, times=2, match=GEMINI), "server_error"),
        (Fail(429, retry_after=30, match=GEMINI), "rate_limited"),
        (Fail(401, match=GEMINI), "bad_key"),
        (Fail(403, match=GEMINI), "forbidden"),
        (Fail(404, match=GEMINI), "unknown_model"),
        (ToolFault("malformed_arguments", times=2, match=GEMINI), "malformed_tool_call"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
async def test_llmock_sees_no_retry_that_is_not_worth_it(
    fault: Fail | ToolFault, reason: str, llmock: LLMock, spans: Spans
) -> None:
    llmock.add(fault)
    async with open_desk(at_llmock(llmock)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.tutor, outcome.failures) == ("openai", [("gemini", reason)])
    llmock.assert_resilient()


async def test_llmock_sees_a_stalled_stream_left(llmock: LLMock, spans: Spans) -> None:
    llmock.tool_mode("off").add(StreamFault("stall", after_chunks=3, stall_seconds=20, match=GEMINI))
    async with open_desk(at_llmock(llmock, first_token=2.0)) as desk:
        outcome = await desk.ask("What is a node?")
    assert (outcome.tutor, outcome.failures) == ("openai", [("gemini", "read_timeout")])
    assert len(outcome.shown) == 2


async def test_aimock_as_gemini_and_as_openai(tmp_path: Path, spans: Spans) -> None:
    """Gemini at its own path looks it up and then is out of quota; OpenAI answers from what was found."""
    fixtures = [
        {
            "match": {"model": "gemini-3-flash", "hasToolResult": False},
            "response": {"toolCalls": [{"name": "search_textbook", "arguments": {"query": "node"}}]},
        },
        {
            "match": {"model": "gemini-3-flash", "hasToolResult": True},
            "response": {"error": {"message": "Quota"}, "status": 429, "retryAfter": 60},
        },
        {
            "match": {"model": "gpt-small", "toolResultContains": "[k7qd]"},
            "response": {"content": "A node is a process [k7qd]."},
        },
    ]
    with aimock(fixtures, tmp_path) as url:
        settings = two_providers(f"{url}/v1beta/openai/", f"{url}/v1")
        async with open_desk(settings) as desk:
            outcome = await desk.ask("What is a node?")
            assert desk.searched == ["node"]
            assert desk.models[0].breaker.retry_after == pytest.approx(60, abs=2)
    assert (outcome.answer, outcome.tutor) == ("A node is a process [k7qd].", "openai")
    assert outcome.failures == [("gemini", "rate_limited")]
    assert outcome.tokens[0] > 0


async def test_answers_that_do_not_come_in_one_piece_arrive_as_they_come(
    gemini: Provider, spans: Spans
) -> None:
    """The first word is there before the second is sent."""
    gemini.will(Answer(stream(chunk({"content": "First "}), done=False).pieces, ending="hanging"))
    async with open_desk(two_providers(gemini.base_url)) as desk:
        events = desk.models[0].model.stream_response(
            None, "What is a node?", desk.models[0].settings, [], None, [], ModelTracing.DISABLED,
            previous_response_id=None, conversation_id=None, prompt=None,
        )  # fmt: skip
        kinds = [(await anext(events)).type for _ in range(4)]
        await events.aclose()
        assert await asyncio.to_thread(gemini.hung_up.wait, 15)
    assert kinds[-1] == "response.output_text.delta"

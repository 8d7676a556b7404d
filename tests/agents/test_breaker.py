"""The breaker: alone with a clock of its own, and around a provider on the wire."""

import asyncio
from contextlib import ExitStack

import pytest

from preceptor.errors import AnswerUnusable
from preceptor.providers.breaker import Breaker
from preceptor.providers.failure import FailureClass
from tests.standins.desk import Spans, open_desk, two_providers
from tests.standins.provider import Answer, Provider, fails, says
from tests.standins.tutors import tutor_of


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("gemini", failures=3, cool_down=30, clock=clock)


def answer(breaker: Breaker) -> None:
    with breaker.guard():
        pass


def fail(breaker: Breaker, reason: FailureClass = "server_error") -> None:
    """Make a call that fails."""
    with pytest.raises(AnswerUnusable, match=reason), breaker.guard():
        raise AnswerUnusable(reason, "as scripted")


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    assert (breaker.state, breaker.allows()) == ("closed", True)
    fail(breaker)
    assert (breaker.state, breaker.allows(), breaker.retry_after) == ("open", False, 30)
    assert breaker.last_failure == "server_error"


def test_an_answer_begins_the_count_anew(breaker: Breaker) -> None:
    for _ in range(5):
        fail(breaker)
        fail(breaker)
        answer(breaker)
    assert breaker.state == "closed"


def test_while_it_is_open_no_call_is_made(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker)
    with pytest.raises(AnswerUnusable, match="breaker_open"), breaker.guard():
        pytest.fail("the call was let through")


def test_after_the_cool_down_one_probe_is_let_through_and_closes_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 30
    assert (breaker.state, breaker.allows(), breaker.retry_after) == ("half_open", True, 0)
    with breaker.guard():
        assert not breaker.allows()
        with pytest.raises(AnswerUnusable, match="breaker_open"), breaker.guard():
            pytest.fail("a second probe was let through")
    assert breaker.state == "closed"
    fail(breaker)
    fail(breaker)
    assert breaker.state == "closed"


def test_a_probe_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 30
    fail(breaker, "read_timeout")
    assert (breaker.state, breaker.retry_after) == ("open", 30)


def test_a_probe_that_is_cancelled_leaves_its_place(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 30
    with pytest.raises(asyncio.CancelledError), breaker.guard():
        raise asyncio.CancelledError
    assert (breaker.state, breaker.allows()) == ("half_open", True)


@pytest.mark.parametrize("reason", ["bad_key", "forbidden", "unknown_model"])
def test_what_does_not_mend_itself_opens_it_at_once_and_for_longer(
    reason: FailureClass, breaker: Breaker
) -> None:
    fail(breaker, reason)
    assert (breaker.state, breaker.retry_after) == ("open", 300)


@pytest.mark.parametrize(
    "reason",
    [
        "rate_limited",
        "server_error",
        "unreachable",
        "connect_timeout",
        "read_timeout",
        "too_slow",
        "stream_cut",
        "not_an_api",
    ],
)
def test_what_speaks_of_the_provider_opens_it_after_failures_in_a_row(
    reason: FailureClass, breaker: Breaker
) -> None:
    for _ in range(3):
        fail(breaker, reason)
    assert (breaker.state, breaker.retry_after) == ("open", 30)


def test_it_is_open_as_long_as_another_process_says_and_no_shorter(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    fail(breaker)
    breaker.adopt(20)
    breaker.adopt(10)
    assert (breaker.state, breaker.retry_after) == ("open", 20)
    breaker.adopt(40)
    clock.now += 20
    assert (breaker.state, breaker.retry_after) == ("open", 20)
    breaker.adopt(0)
    assert (breaker.state, breaker.retry_after) == ("closed", 0)
    fail(breaker)
    fail(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("reason", ["safety_block", "empty_answer", "malformed_tool_call", "other"])
def test_what_says_nothing_of_the_providers_health_is_not_counted(
    reason: FailureClass, breaker: Breaker, clock: Clock
) -> None:
    for _ in range(10):
        fail(breaker, reason)
    assert (breaker.state, breaker.last_failure) == ("closed", reason)
    for _ in range(3):
        fail(breaker)
    clock.now += 30
    fail(breaker, reason)
    assert (breaker.state, breaker.allows()) == ("half_open", True)


def test_an_old_call_that_ends_late_neither_closes_nor_prolongs_it(breaker: Breaker, clock: Clock) -> None:
    answered, failed = ExitStack(), ExitStack()
    answered.enter_context(breaker.guard())
    failed.enter_context(breaker.guard())
    for _ in range(3):
        fail(breaker)
    clock.now += 20
    answered.close()
    with pytest.raises(AnswerUnusable), failed:
        raise AnswerUnusable("server_error", "as scripted")
    assert (breaker.state, breaker.retry_after) == ("open", 10)


@pytest.mark.usefixtures("no_backoff")
async def test_a_provider_that_keeps_failing_is_left_alone(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(*[fails(503, {}) for _ in range(4)])
    openai.will(*[says("Here.") for _ in range(4)])
    settings = two_providers(gemini.base_url, openai.base_url, attempts=1, breaker={"failures": 3})
    async with open_desk(settings) as desk:
        for _ in range(4):
            assert (await desk.ask("What is a node?")).tutor == "openai"
        assert desk.models[0].breaker.state == "open"
    assert len(gemini.requests) == 3


async def test_a_rate_limit_leaves_the_provider_alone_for_as_long_as_it_says(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "42.5s"}]
    gemini.will(fails(429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}]))
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        assert (await desk.ask("What is a node?")).failures == [("gemini", "rate_limited")]
        assert desk.models[0].breaker.retry_after == pytest.approx(42.5, abs=1)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_key_an_account_and_a_model_that_are_no_use_are_not_tried_with_every_question(
    status: int, gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(status, {}))
    openai.will(says("Here."), says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        for _ in range(2):
            assert (await desk.ask("What is a node?")).tutor == "openai"
        assert desk.models[0].breaker.state == "open"
    assert len(gemini.requests) == 1


async def test_a_provider_that_wants_to_be_left_alone_for_a_week_is_probed_within_the_hour(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(429, {}, retry_after=str(7 * 86_400)))
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        assert (await desk.ask("What is a node?")).failures == [("gemini", "rate_limited")]
        assert 3000 < desk.models[0].breaker.retry_after <= 3600


async def test_a_run_on_its_way_when_the_breaker_opens_is_handed_over_without_a_call(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    openai.will(says("Here."))
    async with open_desk(two_providers(gemini.base_url, openai.base_url)) as desk:
        fail(desk.models[0].breaker, "bad_key")
        desk.triage = await tutor_of(
            desk.triage, "gemini"
        )  # as if triage had chosen before the breaker opened
        outcome = await desk.ask("What is a node?")
    assert (outcome.failures, outcome.answer) == ([("gemini", "breaker_open")], "Here.")
    assert (gemini.requests, outcome.requests) == ([], 1)


async def test_two_questions_make_one_probe_and_a_cancelled_probe_makes_room(
    gemini: Provider, openai: Provider, spans: Spans
) -> None:
    gemini.will(fails(503, {}), Answer(ending="hanging"), says("Gemini is back."))
    openai.will(says("First."), says("Second."))
    settings = two_providers(
        gemini.base_url, openai.base_url, attempts=1, breaker={"failures": 1, "cool_down": 0.001}
    )
    async with open_desk(settings) as desk:
        assert (await desk.ask("one")).answer == "First."
        probe = asyncio.create_task(desk.ask("two"))
        await asyncio.to_thread(gemini.asked.acquire)
        await asyncio.to_thread(gemini.asked.acquire)
        assert (await desk.ask("three")).answer == "Second."
        probe.cancel()
        assert await asyncio.to_thread(gemini.hung_up.wait, 5)
        outcome = await desk.ask("four")
        assert (outcome.answer, desk.models[0].breaker.state) == ("Gemini is back.", "closed")
    assert len(gemini.requests) == 3

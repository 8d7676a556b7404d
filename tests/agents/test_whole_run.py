"""One whole run over two providers: who was asked, who was passed over, what they saw, what is told of it."""

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from preceptor.agents.answer import Answer, Question
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.errors import AnswerUnusable, NoTutorLeft, ProviderFailed
from preceptor.settings import Settings
from tests.sample import sample_settings
from tests.standins.provider import Provider, call, calls, fails, says

ASKED = Question(text="What is a node?")


@pytest.fixture
def settings(sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider) -> Settings:
    return sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai"), "book_only": False, "max_tool_calls": 2},
        gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
        openai={"api_key": "test", "base_url": openai.base_url, "attempts": 1},
        breaker={"failures": 1, "cool_down": 600},
    )


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    rows = settings.providers
    if section in rows:
        return settings.model_copy(
            update={"providers": {**rows, section: rows[section].model_copy(update=values)}}
        )
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Preceptor]:
    async with open_preceptor(settings) as preceptor:
        yield preceptor


def left(answer: Answer) -> list[tuple[str, str]]:
    return [(note.tutor, note.reason) for note in answer.failures]


async def test_a_tutor_that_is_left_alone_is_named_in_each_answer(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will(fails(401, {}))
    openai.will(says("One."), says("Two."))
    async with opened(settings) as preceptor:
        first, second = [await preceptor.ask(ASKED) for _ in range(2)]
    assert left(first) == [("gemini", "bad_key")]
    assert left(second) == [("gemini", "breaker_open")]
    assert len(gemini.requests) == 1


async def test_a_tutor_without_a_key_is_named_when_another_one_takes_its_place(
    settings: Settings, openai: Provider
) -> None:
    openai.will(says("One."))
    async with opened(changed(settings, "gemini", api_key=None)) as preceptor:
        assert left(await preceptor.ask(ASKED)) == [("gemini", "not_configured")]


async def test_a_tutor_behind_the_one_that_answers_is_not_named(settings: Settings, gemini: Provider) -> None:
    gemini.will(says("One."))
    async with opened(changed(settings, "openai", api_key=None)) as preceptor:
        assert left(await preceptor.ask(ASKED)) == []


async def test_the_offline_tutors_answer_names_all_before_it(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will(fails(503, {}))
    async with opened(settings) as preceptor:
        with suppress(AnswerUnusable), preceptor.models[1].breaker.guard():
            raise AnswerUnusable("too_slow", "it was asked just now")
        answer = await preceptor.ask(ASKED)
    assert openai.requests == []
    assert left(answer) == [("gemini", "server_error"), ("openai", "breaker_open")]
    assert (answer.provider, answer.degraded) == ("offline", True)


async def test_when_all_are_left_alone_the_reader_is_told_when_the_first_is_back(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will(fails(429, {}, retry_after="7"))
    openai.will(fails(401, {}))
    async with opened(changed(settings, "tutor", offline_fallback=False)) as preceptor:
        with pytest.raises(ProviderFailed) as failed:
            await preceptor.ask(ASKED)
        with pytest.raises(NoTutorLeft) as nobody:
            await preceptor.ask(ASKED)
    assert failed.value.retry_after == pytest.approx(7, abs=1)
    assert nobody.value.retry_after == pytest.approx(7, abs=1)
    assert nobody.value.failures == (("gemini", "breaker_open"), ("openai", "breaker_open"))


async def test_after_the_last_tool_call_that_is_allowed_the_tutor_answers_from_what_it_has(
    settings: Settings, gemini: Provider
) -> None:
    looking = [calls(call("search_textbook", {"query": "node"}, id=f"g{number}")) for number in range(2)]
    gemini.will(*looking, says("A node is a process."))
    async with opened(settings) as preceptor:
        answer = await preceptor.ask(ASKED)
    assert answer.text == "A node is a process."
    assert ["tools" in request.body for request in gemini.requests] == [True, True, False]


async def test_the_offline_tutor_looks_for_itself_after_all_that_the_others_did(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    elsewhere = [
        calls(call("search_textbook", {"query": "inverse kinematics of an arm"}, id="g1")),
        calls(call("list_chapters", {}, id="g2")),
    ]
    gemini.will(*elsewhere, fails(503, {}))
    openai.will(fails(503, {}))
    async with opened(settings) as preceptor:
        answer = await preceptor.ask(Question(text="What is quality of service in ROS 2?"))
    assert (answer.provider, answer.in_book) == ("offline", True)
    assert "Quality of service" in answer.text


async def test_marked_text_as_the_only_context_leaves_out_the_conversation(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(calls(call("search_textbook", {"query": "What is a node?"})))
    async with opened(settings) as preceptor:
        hits = await preceptor.library.search("What is a node?")
        key = hits[0].passage.key
        gemini.will(says(f"A node is a process [{key}]."), says(f"It grips [{key}]."))
        first = await preceptor.ask(ASKED)
        second = await preceptor.ask(
            Question(
                text="What does it do?",
                session_id=first.session_id,
                selection="The gripper grips.",
                selection_only=True,
            )
        )
    assert [source.key for source in first.sources] == [key]
    assert (list(second.sources), second.unknown_keys) == ([], 1)
    system, user = gemini.messages
    assert (system["role"], user["role"]) == ("system", "user")
    assert "The gripper grips." in user["content"]
    assert "tools" not in gemini.requests[-1].body
    assert "search_textbook" not in system["content"]


@pytest.mark.parametrize("book_only", [True, False])
async def test_the_tutor_is_held_to_the_book_on_each_turn(
    settings: Settings, gemini: Provider, book_only: bool
) -> None:
    gemini.will(says("Whose picture do you mean?"), says("What do you mean?"))
    async with opened(changed(settings, "tutor", book_only=book_only)) as preceptor:
        first = await preceptor.ask(Question(text="Who painted the Mona Lisa?"))
        second = await preceptor.ask(Question(text="And when?", session_id=first.session_id))
    for request in gemini.requests:
        assert (
            "Do not answer it from general knowledge" in request.body["messages"][0]["content"]
        ) is book_only
    assert [answer.in_book for answer in (first, second)] == [False, False]


async def test_hand_offs_tool_calls_and_failures_are_logged_with_the_trace_id(
    settings: Settings, gemini: Provider, openai: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    gemini.will(calls(call("search_textbook", {"query": "node"})), fails(503, {}))
    openai.will(says("A node."))
    with caplog.at_level(logging.INFO, "preceptor"):
        async with opened(settings) as preceptor:
            answer = await preceptor.ask(ASKED)
    told = [line for line in caplog.messages if answer.trace_id in line]
    assert [re.sub(r" (trace|seconds)=\S+", "", line) for line in told] == [
        "Triage hands over to Gemini tutor",
        "Gemini tutor called search_textbook passages=6",
        "a call of gemini failed: server_error,",
        "gemini gave no answer: server_error (InternalServerError), after text: False, to: OpenAI tutor,",
        "Gemini tutor hands over to OpenAI tutor",
        "answered provider=openai sources=0 failures=gemini:server_error",
    ]


async def test_an_answer_that_does_not_end_is_cut_and_its_tutor_stopped(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will(says("A node is a process. " * 100))
    async with opened(changed(settings, "tutor", max_answer=500)) as preceptor:
        answer = await preceptor.ask(ASKED)
        assert 450 < len(answer.text) <= 500
        assert (answer.provider, left(answer)) == ("gemini", [])
        gemini.will(says("Two."))
        assert (await preceptor.ask(Question(text="And?", session_id=answer.session_id))).text == "Two."
    assert openai.requests == []

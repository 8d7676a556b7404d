"""Who gets how much of the time for an answer."""

import asyncio
from pathlib import Path

import pytest

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.errors import AnswerUnusable
from preceptor.providers.scope import RunScope
from tests.sample import sample_settings
from tests.standins.provider import Answer, Provider


async def test_each_call_gets_its_share_and_the_last_second_is_the_offline_tutors() -> None:
    now = asyncio.get_running_loop().time()
    scope = RunScope(seconds=30, deadline=now + 30)
    scope.give_time(providers=2, offline=True)
    assert scope.until - now == pytest.approx(14.5, abs=0.4)
    scope.give_time(providers=1, offline=True)
    assert scope.until - now == pytest.approx(29, abs=0.4)
    scope.give_time(providers=1, offline=False)
    assert scope.until - now == pytest.approx(30, abs=0.4)


async def test_a_provider_is_not_asked_in_the_offline_tutors_time() -> None:
    scope = RunScope(seconds=30, deadline=asyncio.get_running_loop().time() + 0.9)
    with pytest.raises(AnswerUnusable) as raised:
        scope.give_time(providers=1, offline=True)
    assert raised.value.reason == "out_of_time"


async def test_two_slow_providers_leave_the_offline_tutor_its_time(
    sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider
) -> None:
    for provider in (gemini, openai):
        provider.will(Answer(ending="hanging"))
    patient = {"api_key": "test", "timeout": 60.0, "first_token": 60.0, "attempts": 1}
    settings = sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai"), "book_only": False, "deadline": 5.0},
        gemini={**patient, "base_url": gemini.base_url},
        openai={**patient, "base_url": openai.base_url},
    )
    async with open_preceptor(settings) as preceptor:
        answer = await preceptor.ask(Question(text="What is a node?"))
    assert [(note.tutor, note.reason) for note in answer.failures] == [
        ("gemini", "read_timeout"),
        ("openai", "read_timeout"),
    ]
    assert (answer.provider, answer.in_book) == ("offline", True)

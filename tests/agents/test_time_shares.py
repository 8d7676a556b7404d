"""Who gets how much of the time for an answer."""

import asyncio
from math import inf
from pathlib import Path

import pytest

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.errors import AnswerUnusable
from preceptor.providers.scope import RunScope, current_scope, scope
from tests.sample import sample_settings
from tests.standins.provider import Answer, Provider


async def test_each_call_gets_its_share_and_the_last_second_is_the_offline_tutors() -> None:
    now = asyncio.get_running_loop().time()
    run = RunScope(seconds=30, deadline=now + 30)
    run.give_time(providers=2, offline=True)
    assert run.until - now == pytest.approx(14.5, abs=0.4)
    run.give_time(providers=1, offline=True)
    assert run.until - now == pytest.approx(29, abs=0.4)
    run.give_time(providers=1, offline=False)
    assert run.until - now == pytest.approx(30, abs=0.4)


async def test_a_provider_is_not_asked_in_the_offline_tutors_time() -> None:
    run = RunScope(seconds=30, deadline=asyncio.get_running_loop().time() + 0.9)
    with pytest.raises(AnswerUnusable) as raised:
        run.give_time(providers=1, offline=True)
    assert raised.value.reason == "out_of_time"


def until(run: RunScope, monkeypatch: pytest.MonkeyPatch, *, providers: int = 1, offline: bool) -> float:
    """When the next call must have ended if it begins at 1000; the clock stands still only for this."""
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "time", lambda: 1000.0)
        run.give_time(providers=providers, offline=offline)
    return run.until


@pytest.mark.parametrize(
    ("seconds", "providers", "offline", "share"),
    [
        (30, 1, True, 29),
        (30, 2, True, 14.5),
        (30, 3, False, 10),
        (2, 1, True, 1.6),
        (2, 2, False, 1),
        (inf, 3, True, inf),
    ],
)
async def test_the_offline_tutors_part_is_a_second_and_never_more_than_a_fifth(
    seconds: float, providers: int, offline: bool, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunScope(seconds=seconds, deadline=1000.0 + seconds)
    assert until(run, monkeypatch, providers=providers, offline=offline) - 1000.0 == pytest.approx(share)


@pytest.mark.parametrize(("offline", "deadline"), [(False, 1000.0), (True, 1001.0), (False, 999.0)])
async def test_when_no_time_is_left_no_provider_is_asked(
    offline: bool, deadline: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunScope(seconds=30, deadline=deadline)
    with pytest.raises(AnswerUnusable, match="the time for the answer is over"):
        until(run, monkeypatch, offline=offline)
    assert run.until == inf
    assert until(RunScope(deadline=1000.5), monkeypatch, offline=False) == 1000.5


async def test_without_a_run_nothing_bounds_a_call_and_a_reader_sees_every_word() -> None:
    free = scope()
    assert (free.seconds, free.deadline, free.until, list(free.refused)) == (inf, inf, inf, [])
    assert (free.truncated, free.failures.notes) == (False, [])
    run = RunScope(seconds=3)
    token = current_scope.set(run)
    assert scope() is run
    current_scope.reset(token)
    assert scope() is not free
    shown = free.shown(must_answer=False)
    assert (shown.feed(" \n"), await shown.finish()) == (False, "empty_answer")
    assert (shown.feed("A"), shown.feed(" "), await shown.finish()) == (True, True, None)


async def test_two_slow_providers_leave_the_offline_tutor_its_time(
    sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it needs a part of a second for takes seconds on a machine that has much else to do.
    monkeypatch.setattr("preceptor.providers.scope.LAST", 6.0)
    monkeypatch.setattr("preceptor.providers.scope._OF_ALL", 0.5)
    for provider in (gemini, openai):
        provider.will(Answer(ending="hanging"))
    patient = {"api_key": "test", "timeout": 60.0, "first_token": 60.0, "attempts": 1}
    settings = sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai"), "book_only": False, "deadline": 14.0},
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

"""Conversations: what is remembered, in which order, and what is refused."""

import asyncio
from pathlib import Path

import pytest

from preceptor.agents.sessions import Sessions
from preceptor.errors import SessionBusy, SessionNotFound
from preceptor.settings import SessionSettings


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(SessionSettings(url=f"sqlite:///{tmp_path}/sessions.db", max_turns=2))


async def test_a_turn_is_remembered_under_an_id_that_cannot_be_guessed(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        assert turns.history == []
        await turns.add("What is a node?", "A process [k7qd].")
    assert len(turns.session_id) >= 24
    async with sessions.open(turns.session_id) as again:
        assert [item.get("content") for item in again.history] == ["What is a node?", "A process [k7qd]."]


async def test_an_unknown_session_is_refused(sessions: Sessions) -> None:
    with pytest.raises(SessionNotFound, match="made-up"):
        async with sessions.open("made-up"):
            pass


async def test_a_turn_that_failed_leaves_the_session_valid_and_as_it_was(sessions: Sessions) -> None:
    with pytest.raises(RuntimeError):
        async with sessions.open(None) as turns:
            raise RuntimeError
    async with sessions.open(turns.session_id) as again:
        assert again.history == []


async def test_the_oldest_turns_go_and_no_question_is_cut_from_its_answer(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        for number in range(4):
            await turns.add(f"question {number}", f"answer {number}")
    async with sessions.open(turns.session_id) as again:
        said = [item.get("content") for item in again.history]
    assert said == ["question 2", "answer 2", "question 3", "answer 3"]


async def test_two_questions_at_once_are_put_in_order(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        pass
    entered = asyncio.Event()
    order: list[str] = []

    async def first() -> None:
        async with sessions.open(turns.session_id) as held:
            entered.set()
            order.append("first in")
            await held.add("one", "1")
            order.append("first out")

    async def second() -> None:
        await entered.wait()
        async with sessions.open(turns.session_id) as held:
            order.append("second in")
            assert len(held.history) == 2

    await asyncio.gather(first(), second())
    assert order == ["first in", "first out", "second in"]


async def test_too_many_questions_at_once_are_refused(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        pass
    leave = asyncio.Event()

    async def ask() -> None:
        async with sessions.open(turns.session_id):
            await leave.wait()

    waiting = [asyncio.create_task(ask()) for _ in range(20)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    leave.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert done
    assert any(isinstance(result, SessionBusy) for result in results)
    assert any(result is None for result in results)


async def test_a_deleted_session_is_gone(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        await turns.add("question", "answer")
    await sessions.delete(turns.session_id)
    with pytest.raises(SessionNotFound):
        async with sessions.open(turns.session_id):
            pass
    with pytest.raises(SessionNotFound):
        await sessions.delete(turns.session_id)

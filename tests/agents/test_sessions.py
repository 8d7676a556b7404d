"""Conversations: what is remembered, in which order, and what is refused."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest
from agents.items import TResponseInputItem

from preceptor.agents.session_store import SQLiteStore, open_store
from preceptor.agents.sessions import Sessions
from preceptor.errors import SessionBusy, SessionNotFound, SettingsError
from preceptor.settings import SessionSettings, Settings


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncGenerator[Sessions, None]:
    opened = Sessions(SessionSettings(max_turns=2), SQLiteStore(tmp_path / "sessions.db", seconds=3600))
    yield opened
    await opened.close()


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
    ids: list[str] = []

    async def failed_turn() -> None:
        async with sessions.open(None) as turns:
            ids.append(turns.session_id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await failed_turn()
    async with sessions.open(ids[0]) as again:
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


async def test_a_session_that_was_not_used_for_too_long_is_forgotten(tmp_path: Path) -> None:
    now = [1000.0]
    store = SQLiteStore(tmp_path / "sessions.db", seconds=7200)
    sessions = Sessions(SessionSettings(ttl_hours=2), store, clock=lambda: now[0])
    async with sessions.open(None) as turns:
        await turns.add("question", "answer")
    now[0] += 3600
    async with sessions.open(turns.session_id) as again:
        await again.add("another", "answer")
    now[0] += 7000
    async with sessions.open(turns.session_id) as still:
        assert len(still.history) == 4
    now[0] += 300
    with pytest.raises(SessionNotFound):
        async with sessions.open(turns.session_id):
            pass


async def test_purging_removes_old_sessions_and_no_other(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "sessions.db", seconds=3600)
    sessions = Sessions(SessionSettings(), store)
    async with sessions.open(None) as old:
        await old.add("old", "answer")
    async with sessions.open(None) as new:
        await new.add("new", "answer")
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as file, file:
        file.execute(
            "UPDATE agent_sessions SET updated_at = datetime('now', '-2 hours') WHERE session_id = ?",
            (old.session_id,),
        )
    await store.purge()
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as file:
        left = file.execute("SELECT DISTINCT session_id FROM agent_messages").fetchall()
    assert left == [(new.session_id,)]


async def test_turns_that_follow_each_other_share_their_connections(
    sessions: Sessions, tmp_path: Path
) -> None:
    def open_files() -> int:
        links = [descriptor for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink()]
        return sum(
            str(descriptor.readlink()).startswith(str(tmp_path))
            for descriptor in links
            if descriptor.exists()
        )

    threads = min(32, (os.cpu_count() or 1) + 4)  # of asyncio.to_thread
    for _ in range(3 * threads):
        async with sessions.open(None) as turns:
            await turns.add("question", "answer")
    assert open_files() <= 3 * threads  # the file, its log and the log's index, for each thread
    await sessions.close()
    assert open_files() == 0


@pytest.mark.parametrize("server", ["redis", "postgres"])
async def test_sessions_live_in_a_server_that_replicas_share(
    server: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    settings = Settings.model_validate({"env": "local", "session": {"url": url}})
    one, other = (Sessions(settings.session, open_store(settings)) for _ in range(2))
    async with one.open(None) as turns:
        await turns.add("What is a node?", "A process [k7qd].")
    async with other.open(turns.session_id) as again:
        assert [item.get("content") for item in again.history] == ["What is a node?", "A process [k7qd]."]
    await other.delete(turns.session_id)
    with pytest.raises(SessionNotFound):
        async with one.open(turns.session_id):
            pass
    with pytest.raises(SessionNotFound):
        await one.turns("made-up")
    await one.close()
    await other.close()


def test_a_server_without_its_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preceptor.agents.session_store.find_spec", _no_package)
    settings = Settings.model_validate({"env": "local", "session": {"url": "redis://127.0.0.1"}})
    with pytest.raises(SettingsError, match=r"pip install 'preceptor\[redis\]'"):
        open_store(settings)


async def test_what_a_client_brings_along_begins_a_session_and_no_more_of_it_than_is_remembered(
    sessions: Sessions,
) -> None:
    said: list[TResponseInputItem] = []
    for number in range(4):
        said.append({"role": "user", "content": f"question {number}"})
        said.append({"role": "assistant", "content": f"answer {number}"})
    async with sessions.open(None, history=said) as turns:
        assert turns.history == said[4:]
        await turns.add("question 4", "answer 4")
    told = [(turn.question, turn.answer, turn.sources) for turn in await sessions.turns(turns.session_id)]
    assert told[-1] == ("question 4", "answer 4", [])
    assert ("question 3", "answer 3", []) in told
    assert "question 1" not in [question for question, _, _ in told]


def _no_package(name: str) -> None:
    """Stands for `find_spec` where nothing is installed."""

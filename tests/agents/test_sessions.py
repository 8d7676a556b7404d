"""Conversations: what is remembered, in which order, and what is refused."""

import asyncio
import logging
import os
import socket
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import cast

import anyio
import pytest
from agents import SQLiteSession
from agents.items import TResponseInputItem

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.agents.session_store import SQLiteStore, open_store
from preceptor.agents.sessions import Sessions
from preceptor.errors import SessionBusy, SessionNotFound, SessionsUnavailable, SettingsError
from preceptor.settings import SessionSettings, Settings
from tests.standins.servers import free_port

NEVER_GIVEN = "never-given-AAAAAAAAAAAAA"[:24]
"""An id that could be ours."""


def opened(url: str) -> Sessions:
    settings = Settings.model_validate({"env": "local", "session": {"url": url}})
    return Sessions(settings.session, open_store(settings))


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sessions.db"
    return request.getfixturevalue(f"{request.param}_url")


@contextmanager
def written_by_another(file: Path) -> Generator[None]:
    """Somebody else holds the file's lock for writing."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
async def sessions(tmp_path: Path) -> AsyncGenerator[Sessions, None]:
    made = Sessions(SessionSettings(max_turns=2), SQLiteStore(tmp_path / "sessions.db", seconds=3600))
    yield made
    await made.close()


async def test_a_turn_is_remembered_under_an_id_that_cannot_be_guessed(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        assert turns.history == []
        await turns.add("What is a node?", "A process [k7qd].")
    assert len(turns.session_id) >= 24
    async with sessions.open(turns.session_id) as again:
        assert [item.get("content") for item in again.history] == ["What is a node?", "A process [k7qd]."]


async def test_an_unknown_session_is_refused(sessions: Sessions) -> None:
    with pytest.raises(SessionNotFound, match=NEVER_GIVEN):
        async with sessions.open(NEVER_GIVEN):
            pass


@pytest.mark.parametrize("wrong", ["", "made-up", "\0", "../" * 8, NEVER_GIVEN + "x", NEVER_GIVEN + "\n"])
async def test_an_id_that_cannot_be_ours_is_refused_without_asking_the_store(wrong: str) -> None:
    sessions = opened(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(SessionNotFound):
        async with sessions.open(wrong):
            pass
    with pytest.raises(SessionNotFound):
        await sessions.turns(wrong)
    with pytest.raises(SessionNotFound):
        await sessions.delete(wrong)
    await sessions.close()


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
    assert [turn.question for turn in await sessions.turns(turns.session_id)] == ["question 2", "question 3"]


async def test_an_answer_whose_question_is_too_old_goes_with_it(sessions: Sessions) -> None:
    brought: list[TResponseInputItem] = [
        {"role": "user", "content": "question 0"},
        {"role": "assistant", "content": "answer 0"},
        {"role": "assistant", "content": "more of answer 0"},
        {"role": "user", "content": "question 1"},
    ]
    async with sessions.open(None, history=brought) as turns:
        await turns.add("question 2", "answer 2")
    async with sessions.open(turns.session_id) as again:
        said = [item.get("content") for item in again.history]
    assert said == ["question 1", "question 2", "answer 2"]


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


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to count open files")
@pytest.mark.parametrize("left_open", [False, True])
async def test_only_the_owner_can_read_what_was_said(tmp_path: Path, left_open: bool) -> None:
    file = tmp_path / "kept/sessions.db"
    if left_open:
        file.parent.mkdir()
        for name in ("sessions.db", "sessions.db-wal"):
            (file.parent / name).touch()
            (file.parent / name).chmod(0o644)
    sessions = opened(f"sqlite:///{file}")
    async with sessions.open(None) as turns:
        await turns.add("What is a node?", "A process [k7qd].")
    found = {path.name: path.stat().st_mode & 0o077 for path in file.parent.iterdir()}
    await sessions.close()
    assert found == dict.fromkeys(("sessions.db", "sessions.db-wal", "sessions.db-shm"), 0)


async def test_a_turn_waits_for_the_system_and_not_for_the_disk(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "sessions.db", seconds=3600)
    session = cast("SQLiteSession", await store.open("one"))

    def asked() -> tuple[int]:
        connection = session._get_connection()  # pyright: ignore[reportPrivateUsage] - of this thread
        return connection.execute("PRAGMA synchronous").fetchone()

    assert await asyncio.to_thread(asked) == (1,)  # NORMAL; with FULL (2) each write waits for the disk
    await store.close()


async def test_turns_at_the_same_time_share_their_connections(sessions: Sessions, tmp_path: Path) -> None:
    def open_files() -> int:
        links = [descriptor for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink()]
        return sum(
            str(descriptor.readlink()).startswith(str(tmp_path))
            for descriptor in links
            if descriptor.exists()
        )

    threads = min(32, (os.cpu_count() or 1) + 4)  # of asyncio.to_thread

    async def turn() -> None:
        async with sessions.open(None) as turns:
            await turns.add("question", "answer")

    await asyncio.gather(*(turn() for _ in range(60)))
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
        await one.turns(NEVER_GIVEN)
    await one.close()
    await other.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:6379?socket_timeout=soon",
        "redis://host:6379?no_such_option=1",
        "postgresql+asyncpg://host:/name",
    ],
)
def test_an_address_that_the_servers_client_cannot_read_is_a_setting(url: str) -> None:
    settings = Settings.model_validate({"env": "local", "session": {"url": url}})
    with pytest.raises(SettingsError, match=r"`session\.url`"):
        open_store(settings)


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


# A session whose first answer is still being made


async def refused_behind_it(sessions: Sessions, session_id: str) -> None:
    """Ask one question more, which waits in vain: whoever came before it had as much time."""
    with pytest.raises(SessionBusy):
        async with sessions.open(session_id, seconds=0.05):
            pass


async def test_a_reader_who_leaves_the_first_answer_can_go_on(url: str) -> None:
    sessions = opened(url)
    ids: list[str] = []
    with anyio.CancelScope() as left:  # as other servers end a stream: what is awaited then is cancelled, too
        async with sessions.open(None) as turns:
            ids.append(turns.session_id)
            left.cancel()
            await anyio.sleep_forever()
    assert left.cancelled_caught
    async with sessions.open(ids[0]) as again:
        assert again.history == []
        await again.add("What is a node?", "A process [k7qd].")
    assert len(await sessions.turns(ids[0])) == 1
    await sessions.close()


async def test_a_question_during_the_first_answer_waits_for_it(url: str) -> None:
    sessions = opened(url)
    async with sessions.open(None) as turns:

        async def ask_on() -> list[object]:
            async with sessions.open(turns.session_id) as held:
                return [item.get("content") for item in held.history]

        second = asyncio.create_task(ask_on())
        assert await sessions.turns(turns.session_id) == []
        await refused_behind_it(sessions, turns.session_id)
        assert not second.done()
        await turns.add("What is a node?", "A process [k7qd].")
    assert await second == ["What is a node?", "A process [k7qd]."]
    await sessions.close()


async def test_deleting_during_the_first_answer_leaves_nothing_of_it(url: str) -> None:
    sessions = opened(url)
    async with sessions.open(None) as turns:
        deletion = asyncio.create_task(sessions.delete(turns.session_id))
        assert await sessions.turns(turns.session_id) == []
        await refused_behind_it(sessions, turns.session_id)
        assert not deletion.done()
        await turns.add("What is a node?", "A process [k7qd].")
    await deletion
    with pytest.raises(SessionNotFound):
        await sessions.turns(turns.session_id)
    await sessions.close()


async def test_nobody_waits_in_line_for_longer_than_the_answer_may_take(sessions: Sessions) -> None:
    async with sessions.open(None) as turns:
        await refused_behind_it(sessions, turns.session_id)


# A store that fails


@pytest.mark.parametrize(
    "kind", ["sqlite:///{file}/sessions.db", "redis://{host}/0", "postgresql+asyncpg://u:pass-word@{host}/db"]
)
async def test_a_store_that_cannot_be_reached_is_named_and_a_servers_address_is_not(
    kind: str, tmp_path: Path
) -> None:
    file = tmp_path / "no-folder"
    file.touch()
    sessions = opened(kind.format(file=file, host=f"127.0.0.1:{free_port()}"))
    for asked in (sessions.turns(NEVER_GIVEN), sessions.delete(NEVER_GIVEN), sessions.check()):
        with pytest.raises(SessionsUnavailable) as raised:
            await asked
        named, why = {
            "sqlite": (f"`{file}/sessions.db`", "a file stands where its folder should be"),
            "redis": ("(redis)", "connection refused"),
            "postgresql": ("(postgresql)", "connection refused"),
        }[kind.partition(":")[0].partition("+")[0]]
        assert named in str(raised.value)
        assert raised.value.reason == why, "everybody sees it at the service's health"
        assert "127.0.0.1" not in str(raised.value)
        assert "pass-word" not in str(raised.value)
    with pytest.raises(SessionsUnavailable):
        async with sessions.open(NEVER_GIVEN):
            pass
    async with sessions.open(None):
        pass
    assert sessions.failing
    assert sessions.lost == 0, "a session without a turn has none to lose"
    async with sessions.open(None) as turns:
        with pytest.raises(SessionsUnavailable):
            await turns.add("question", "answer")
    assert sessions.lost == 1
    assert sessions.failing
    await sessions.close()


@pytest.mark.parametrize("kind", ["redis://{host}/0", "postgresql+asyncpg://u@{host}/db"])
async def test_a_store_that_never_answers_is_waited_for_as_long_as_the_answer_may_take(
    kind: str, demo_settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        session = SessionSettings.model_validate(
            {"url": kind.format(host=f"127.0.0.1:{deaf.getsockname()[1]}")}
        )
        tutor = demo_settings.tutor.model_copy(update={"deadline": 0.5})
        settings = demo_settings.model_copy(update={"session": session, "tutor": tutor})
        async with open_preceptor(settings) as preceptor:
            async with asyncio.timeout(60):  # for a test that hangs: the store never answers
                with pytest.raises(SessionsUnavailable, match="no answer in time"):
                    await preceptor.ask(Question(text="Why?", session_id=NEVER_GIVEN))
            deaf.close()


async def test_a_write_that_hangs_holds_up_a_follow_up_no_longer_than_a_read_and_says_why_it_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("preceptor.agents.sessions._WRITE_SECONDS", 0.05)
    monkeypatch.setattr("preceptor.agents.sessions._READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        sessions = opened(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        async with sessions.open(None) as turns:
            with pytest.raises(SessionsUnavailable, match="no answer in time"):
                await turns.add("question", "answer")
        async with asyncio.timeout(60):  # for a test that hangs: the write never ends
            with pytest.raises(SessionsUnavailable, match="no answer in time"):
                async with sessions.open(turns.session_id):
                    pass
        assert sessions.lost == 0
    await sessions.close()
    assert sessions.lost == 1
    assert "redis failed when nobody waited for it any more: connection refused" in caplog.messages


async def test_an_answer_that_cannot_be_kept_reaches_its_reader(
    demo_settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_preceptor(demo_settings) as preceptor:
        first = await preceptor.ask(Question(text="What is a node?"))
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as file, file:
            file.execute("DROP TABLE agent_messages")
        answer = await preceptor.ask(Question(text="What is a topic?"))
        assert answer.text
        assert [line for line in caplog.messages if "not kept" in line and answer.trace_id in line]
        assert preceptor.sessions.lost == 1
        with pytest.raises(SessionsUnavailable):
            await preceptor.ask(Question(text="Why?", session_id=first.session_id))


async def test_a_file_that_another_process_writes_holds_up_neither_the_reader_nor_the_loop(
    demo_settings: Settings, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    beats = [loop.time()]

    def beat() -> None:
        beats.append(loop.time())
        loop.call_later(0.05, beat)

    beat()
    async with open_preceptor(demo_settings) as preceptor:
        beats = [loop.time()]
        with written_by_another(tmp_path / "sessions.db"):
            answer = await preceptor.ask(Question(text="What is a node?"))
            assert answer.text
        assert max(later - before for before, later in pairwise(beats)) < 1
        # What was begun to be written is written when that is possible, and a follow-up waits for it.
        async with preceptor.sessions.open(answer.session_id) as turns:
            assert len(turns.history) == 2
        assert preceptor.sessions.lost == 0


async def test_old_sessions_that_cannot_be_removed_are_no_readers_concern(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/sessions.db"
    sessions = opened(url)
    async with sessions.open(None) as turns:
        await turns.add("question", "answer")
    await sessions.close()
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as file, file:
        file.execute("ALTER TABLE agent_sessions RENAME COLUMN updated_at TO used_at")
    sessions = opened(url)
    async with sessions.open(turns.session_id) as again:
        assert len(again.history) == 2
    await sessions.close()
    assert [line for line in caplog.messages if "not removed: no such column: updated_at" in line]


async def test_whatever_stops_their_removal_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SQLiteStore):
        async def purge(self) -> None:
            raise ZeroDivisionError

    sessions = Sessions(SessionSettings(), Broken(tmp_path / "sessions.db", seconds=3600))
    async with sessions.open(None) as turns:
        await turns.add("question", "answer")
    await sessions.close()
    assert "sessions that ran out were not removed: ZeroDivisionError" in caplog.messages


async def test_the_tables_in_postgres_are_looked_at_once(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    sessions = opened(postgres_url)
    async with sessions.open(None) as turns:
        await turns.add("question", "answer")
    assert [line for line in caplog.messages if "pg_catalog.pg_class" in line]
    caplog.clear()
    for _ in range(3):
        async with sessions.open(turns.session_id) as again:
            await again.add("question", "answer")
    assert [line for line in caplog.messages if "INSERT INTO agent_messages" in line]
    assert not [line for line in caplog.messages if "pg_catalog.pg_class" in line]
    await sessions.close()


async def test_replicas_that_make_the_tables_in_postgres_at_once_lose_no_turn(postgres_url: str) -> None:
    import asyncpg  # an extra

    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    await connection.execute("CREATE DATABASE fresh")
    await connection.close()
    # Different addresses, or the SDK would let them wait for each other, which no other process does.
    fresh = f"{postgres_url.rpartition('/')[0]}/fresh?prepared_statement_cache_size="
    replicas = [opened(f"{fresh}{100 + number}") for number in range(4)]

    async def asked(sessions: Sessions) -> None:
        async with sessions.open(None) as turns:
            await turns.add("question", "answer")

    await asyncio.gather(*map(asked, replicas))
    assert [one.lost for one in replicas] == [0] * 4
    for one in replicas:
        await one.close()


def _no_package(name: str) -> None:
    """Stands for `find_spec` where nothing is installed."""

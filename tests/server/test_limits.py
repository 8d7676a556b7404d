"""How much is answered: rates, budgets, slots, and what a client is counted by."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from limits.aio.storage import MemoryStorage
from limits.errors import StorageError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from preceptor.errors import BudgetSpent, Overloaded, PreceptorError, RateLimited, SettingsError, Stopping
from preceptor.server.access import client_of
from preceptor.server.body_limit import BodyLimit
from preceptor.server.faults import on_error
from preceptor.server.limits import Admission, Limits, RateLimit
from preceptor.server.slots import Slots
from preceptor.settings import LimitsSettings, Settings
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.standins.servers import redis_server

OFF = {"rate": "", "client_budget": 0, "budget": 0}


def limits_settings(**table: Any) -> LimitsSettings:
    return Settings.model_validate({"env": "local", "limits": {**OFF, **table}}).limits


def limits_of(**table: Any) -> Limits:
    return Limits(limits_settings(**table), env="local")


async def test_a_client_is_told_when_to_ask_again_and_others_are_still_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = limits_of(rate="3/minute")
    for _ in range(3):
        await limits.ask("10.0.0.1")
    with pytest.raises(RateLimited, match="3 per minute") as refused:
        await limits.ask("10.0.0.1")
    assert 1 <= refused.value.retry_after <= 60
    await limits.ask("10.0.0.2")
    assert not caplog.records, "where there is no Redis, none is missed"


async def test_nobody_is_told_to_come_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000 * 86_400.0
    monkeypatch.setattr("time.time", lambda: now)
    limits = limits_of(client_budget=1)
    await limits.spend("10.0.0.1")
    now += 86_399.7
    with pytest.raises(BudgetSpent) as refused:
        await limits.spend("10.0.0.1")
    assert refused.value.retry_after == 1.0


async def test_a_day_has_a_budget_for_each_client() -> None:
    limits = limits_of(client_budget=2)
    await limits.spend("10.0.0.1")
    await limits.spend("10.0.0.1")
    with pytest.raises(BudgetSpent, match="24 h") as refused:
        await limits.spend("10.0.0.1")
    assert 86_000 < refused.value.retry_after <= 86_400
    await limits.spend("10.0.0.2")


async def test_a_day_has_a_budget_for_all_clients_together() -> None:
    limits = limits_of(budget=2)
    await limits.spend("10.0.0.1")
    await limits.spend("10.0.0.2")
    with pytest.raises(BudgetSpent, match="this service"):
        await limits.spend("10.0.0.3")


async def test_each_limit_counts_by_itself_and_says_whose_it_is() -> None:
    limits = limits_of(rate="2/minute", client_budget=1, budget=2)
    await limits.spend("10.0.0.1")
    with pytest.raises(BudgetSpent, match="Your questions"):
        await limits.spend("10.0.0.1")
    await limits.spend("10.0.0.2")
    with pytest.raises(BudgetSpent, match="this service") as refused:
        await limits.spend("10.0.0.3")
    assert 1 <= refused.value.retry_after <= 86_400
    for client in ("10.0.0.1", "10.0.0.1", "10.0.0.3"):
        await limits.ask(client)
    with pytest.raises(RateLimited):
        await limits.ask("10.0.0.1")


async def test_what_is_set_to_nothing_is_not_limited() -> None:
    limits = limits_of()
    for _ in range(1000):
        await limits.ask("10.0.0.1")
        await limits.spend("10.0.0.1")


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("a-socket", "a-socket"),
    ],
)
def test_a_client_is_an_address_or_a_network_that_one_household_has(address: str, client: str) -> None:
    assert client_of({"type": "http", "client": (address, 1)}) == client


async def test_places_are_given_in_turn_and_the_queue_is_short() -> None:
    slots = Slots(limits_settings(concurrent=1, queue=1, queue_seconds=5))
    order: list[str] = []
    leave = asyncio.Event()

    async def first() -> None:
        async with slots.take():
            order.append("first")
            await leave.wait()

    async def second() -> None:
        async with slots.take():
            order.append("second")

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        await asyncio.sleep(0)
        group.create_task(second())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="5 s"):
            async with slots.take():
                raise AssertionError
        leave.set()
    assert order == ["first", "second"]
    assert slots.taken == 0


async def test_nobody_waits_for_a_place_longer_than_the_settings_say() -> None:
    slots = Slots(limits_settings(concurrent=1, queue=1, queue_seconds=0.01))
    async with slots.take():
        with pytest.raises(Overloaded):
            async with slots.take():
                raise AssertionError
    async with slots.take():
        assert slots.taken == 1


async def test_when_the_service_stops_running_answers_end_and_no_new_one_begins() -> None:
    slots = Slots(limits_settings())
    leave = asyncio.Event()
    ended = False

    async def answer() -> None:
        nonlocal ended
        async with slots.take():
            with slots.cut_in_the_end():
                await leave.wait()
            ended = True

    async with asyncio.TaskGroup() as group:
        group.create_task(answer())
        await asyncio.sleep(0)
        stopping = group.create_task(slots.stop(60))
        await asyncio.sleep(0)
        with pytest.raises(Stopping):
            async with slots.take():
                raise AssertionError
        assert not stopping.done()
        leave.set()
    assert ended


async def test_an_answer_that_takes_longer_than_the_service_may_wait_ends_with_an_error() -> None:
    slots = Slots(limits_settings())
    caught: list[Exception] = []

    async def answer() -> None:
        async with slots.take():
            try:
                with slots.cut_in_the_end():
                    await asyncio.Event().wait()
            except Stopping as error:
                caught.append(error)

    async with asyncio.TaskGroup() as group:
        group.create_task(answer())
        await asyncio.sleep(0)
        await slots.stop(0.01)
    assert len(caught) == 1
    assert slots.taken == 0
    with pytest.raises(Stopping), slots.cut_in_the_end():
        raise AssertionError


async def test_an_answer_whose_reader_leaves_is_cancelled_as_ever() -> None:
    slots = Slots(limits_settings())

    async def answer() -> None:
        async with slots.take():
            with slots.cut_in_the_end():
                await asyncio.Event().wait()

    task = asyncio.create_task(answer())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slots.taken == 0


@asynccontextmanager
async def service(*middleware: Callable[[ASGIApp], ASGIApp], **table: Any) -> AsyncGenerator[AsyncClient]:
    """A route behind the middleware, with what they count with."""
    settings = limits_settings(**table)
    limits = Limits(settings, env="local")
    state = {"limits": limits, "slots": Slots(settings)}

    async def answer(request: Request) -> Response:
        return Response(await request.body())

    app = Starlette(
        routes=[
            Route("/ask", answer, methods=["GET", "POST"], middleware=[Middleware(one) for one in middleware])
        ],
        exception_handlers={PreceptorError: on_error},
    )

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    async with AsyncExitStack() as stack:
        stack.push_async_callback(limits.close)
        transport = ASGITransport(with_state)  # pyright: ignore[reportArgumentType]
        yield await stack.enter_async_context(AsyncClient(transport=transport, base_url="http://service"))


async def test_too_many_requests_get_a_429_that_says_when_to_come_back() -> None:
    async with service(RateLimit, rate="1/minute") as client:
        assert (await client.get("/ask")).status_code == 200
        refused = await client.get("/ask")
    assert refused.status_code == 429
    assert refused.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_a_question_whose_body_has_not_come_keeps_nobody_out() -> None:
    waits, body = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield b"{"
        waits.set()
        await body.wait()
        yield b"}"

    async with service(Admission, concurrent=1, queue=0) as client, asyncio.TaskGroup() as group:
        slow = group.create_task(client.post("/ask", content=slowly()))
        await waits.wait()
        assert (await client.post("/ask")).status_code == 200
        body.set()
        assert (await slow).text == "{}"


async def test_a_body_that_does_not_come_is_waited_for_only_so_long() -> None:
    async def never() -> AsyncGenerator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    for behind in ((), (Admission,)):
        async with service(partial(BodyLimit, largest=100, seconds=0.01), *behind) as client:
            refused = await client.post("/ask", content=never())
            assert refused.status_code == 408
            assert (await client.post("/ask", content=b"{}")).text == "{}"


async def test_only_questions_are_counted_on_the_days_budget(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path, limits={"client_budget": 1})
    async with asking(settings) as client:
        for path in ("/api/v1/chat", "/v1/chat/completions"):
            for body in (b"{}", b"nonsense", b'{"content": "?", "messages": []}'):
                assert (await client.post(path, content=body)).status_code == 400
        question = {"content": "What is a node?"}
        assert (await client.post("/api/v1/chat", json=question)).status_code == 200
        refused = await client.post("/api/v1/chat", json=question)
        other_door = await client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", **question}]}
        )
    assert (refused.status_code, refused.json()["code"]) == (429, "BUDGET_EXCEEDED")
    assert int(refused.headers["retry-after"]) > 86_000
    assert other_door.status_code == 429


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A real Redis, where the machine has one."""
    pytest.importorskip("redis", reason="needs the extra `redis`")
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.mark.parametrize("shared", [False, True])
async def test_a_front_end_may_ask_often_by_itself_but_not_without_end(redis: str, shared: bool) -> None:
    limits = limits_of(rate="2/hour", storage=redis if shared else "memory://")
    try:
        for _ in range(10):
            await limits.ask("10.0.0.7")
            await limits.ask_aside("10.0.0.7")
        await limits.ask("10.0.0.7")
        with pytest.raises(RateLimited, match="5 times 2 per hour"):
            await limits.ask_aside("10.0.0.7")
        for _ in range(2):
            await limits.ask("10.0.0.7")
        with pytest.raises(RateLimited, match="2 per hour"):
            await limits.ask("10.0.0.7")
    finally:
        await limits.close()


async def test_processes_that_share_redis_count_together(
    redis: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    one, other = limits_of(rate="2/minute", storage=redis), limits_of(rate="2/minute", storage=redis)
    try:
        await one.ask("10.0.0.1")
        await other.ask("10.0.0.1")
        with pytest.raises(RateLimited):
            await one.ask("10.0.0.1")
        from redis import Redis  # an extra

        with Redis.from_url(redis) as client:
            keys = client.keys("*")
        assert keys
        assert all("preceptor" in str(key) for key in keys), "others may keep theirs in the same Redis"
        assert not caplog.records, "it never was away"
    finally:
        await one.close()
        await other.close()


def test_redis_without_its_client_is_a_mistake_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(SettingsError, match=r"pip install 'preceptor\[redis\]'"):
        limits_of(storage="redis://host")


async def test_while_redis_does_not_answer_a_process_counts_by_itself(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        limits = limits_of(rate="2/minute", storage=f"redis://127.0.0.1:{taken.getsockname()[1]}/0")
        await limits.ask("10.0.0.1")
        await limits.ask("10.0.0.1")
        with pytest.raises(RateLimited):
            await limits.ask("10.0.0.1")
        await limits.close()
    assert [record.message for record in caplog.records if "does not answer" in record.message] == [
        "limits.storage does not answer: each process counts by itself until it does"
    ]


@pytest.mark.parametrize("query", ["?socket_timeout=soon", "?no_such_option=1"])
def test_an_address_that_redis_cannot_read_is_a_setting(query: str) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    with pytest.raises(SettingsError, match=r"`limits\.storage`"):
        limits_of(storage=f"redis://host:6379{query}")


async def test_a_redis_without_a_port_has_the_usual_one() -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    await limits_of(storage="redis://host").close()


async def test_redis_is_waited_for_a_second_and_no_longer() -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    limits = limits_of(storage="redis://host")
    pool = vars(limits)["_pool"]
    named = ("socket_timeout", "socket_connect_timeout", "host")
    assert [pool.connection_kwargs[name] for name in named] == [1.0, 1.0, "host"]
    await limits.close()


async def test_a_redis_that_does_not_answer_is_left_alone_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    calls = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()
        await writer.wait_closed()

    now = 1000.0
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as broken:
        port = broken.sockets[0].getsockname()[1]
        settings = limits_settings(rate="100/minute", storage=f"redis://127.0.0.1:{port}/0")
        limits = Limits(settings, env="local", clock=lambda: now)
        await limits.ask("10.0.0.1")
        once = calls
        assert once
        for _ in range(5):
            await limits.ask("10.0.0.1")
        assert calls == once
        now += 9.9
        await limits.ask("10.0.0.1")
        assert calls == once
        now += 0.1
        await limits.ask("10.0.0.1")
        assert calls > once
        assert sum("does not answer" in record.message for record in caplog.records) == 1
        await limits.close()


class FailingStorage(MemoryStorage):
    """A Redis that can be switched off."""

    is_off = False

    async def acquire_sliding_window_entry(self, *given: Any, **named: Any) -> bool:
        if self.is_off:
            raise StorageError(ConnectionError("off"))
        return await super().acquire_sliding_window_entry(*given, **named)


async def test_each_time_that_redis_goes_and_comes_back_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redis", reason="needs the extra `redis`")
    caplog.set_level("INFO")
    storage, now = FailingStorage(), 1000.0

    def opened(_: object) -> FailingStorage:
        return storage

    monkeypatch.setattr("preceptor.server.limits._redis", opened)
    settings = limits_settings(rate="100/minute", storage="redis://host")
    limits = Limits(settings, env="local", clock=lambda: now)
    for is_off in (False, True, True, False, False, True, False):
        storage.is_off = is_off
        await limits.ask("10.0.0.1")
        now += 10.0
    told = [record.message.split(":")[0] for record in caplog.records]
    assert told == ["limits.storage does not answer", "limits.storage answers again"] * 2
    await limits.close()


async def test_a_burst_at_the_edge_of_two_windows_is_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000 * 60.0
    monkeypatch.setattr("time.time", lambda: now)
    limits = limits_of(rate="10/minute")
    # A fixed window would begin with the first request, and be over between the two bursts.
    await limits.ask("10.0.0.1")
    now += 57
    for _ in range(9):
        await limits.ask("10.0.0.1")
    now += 6
    refused = 0
    for _ in range(10):
        try:
            await limits.ask("10.0.0.1")
        except RateLimited:
            refused += 1
    assert refused >= 9, "of the burst nearly all still counts"
    now += 60
    await limits.ask("10.0.0.1")

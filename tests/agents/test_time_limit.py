"""One timer limits many waits, as `asyncio.timeout` limits one."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from preceptor.providers.time_limit import TimeLimit


async def never() -> None:
    await asyncio.Event().wait()


def soon(seconds: float = 0.01) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_wait_ends_at_its_limit_and_the_task_goes_on() -> None:
    limit = TimeLimit()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await limit.wait(never(), until=soon())
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_later_limit_is_kept_by_the_timer_of_an_earlier_one() -> None:
    limit, rung = TimeLimit(), asyncio.Event()
    await limit.wait(asyncio.sleep(0), until=soon(0.01))
    asyncio.get_running_loop().call_later(0.05, rung.set)
    await limit.wait(rung.wait(), until=soon(60))
    with pytest.raises(TimeoutError):
        await limit.wait(never(), until=soon())


async def test_a_wait_that_goes_on_when_the_timer_rings_has_its_own_limit() -> None:
    limit = TimeLimit()
    await limit.wait(asyncio.sleep(0), until=soon(0.01))
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError, match=r"^$"):
            await limit.wait(never(), until=soon(0.1))


async def test_an_earlier_limit_comes_first() -> None:
    limit = TimeLimit()
    await limit.wait(asyncio.sleep(0), until=soon(60))
    with pytest.raises(TimeoutError):
        await limit.wait(never(), until=soon())


async def test_between_waits_nothing_is_ended() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    limit = TimeLimit()
    await limit.wait(asyncio.sleep(0), until=soon(0.01))
    await asyncio.sleep(0.05)
    assert not faults
    with pytest.raises(TimeoutError):
        await limit.wait(never(), until=soon())


async def test_a_task_that_is_cancelled_stays_cancelled() -> None:
    limit = TimeLimit()
    task = asyncio.create_task(limit.wait(never(), until=soon(60)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_is_cancelled_after_a_limit_was_over_stays_cancelled() -> None:
    limit = TimeLimit()

    async def waits_twice() -> None:
        with pytest.raises(TimeoutError):
            await limit.wait(never(), until=soon())
        begun.set()
        await limit.wait(never(), until=soon(60))

    begun = asyncio.Event()
    task = asyncio.create_task(waits_twice())
    await begun.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_loop_keeps_nothing_of_a_limit_that_is_closed() -> None:
    limit = TimeLimit()
    await limit.wait(asyncio.sleep(0), until=soon(60))
    await limit.wait(asyncio.sleep(0), until=soon(30))
    kept = weakref.ref(limit)
    limit.close()
    del limit
    gc.collect()
    assert kept() is None


async def test_a_cancellation_at_the_moment_of_the_limit_is_not_lost() -> None:
    limit = TimeLimit()
    loop = asyncio.get_running_loop()
    until = loop.time()
    task = asyncio.create_task(limit.wait(never(), until=until))
    loop.call_at(until, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_its_own_passes() -> None:
    async def fails() -> None:
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        await TimeLimit().wait(fails(), until=soon(60))

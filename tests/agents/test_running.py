"""A run goes on in a task of its own: it is cut off in time, and what it told before reaches the reader."""

import asyncio
import contextvars
import time
from typing import Any

import pytest
from agents import Agent, AgentsException, RunResult

from preceptor.agents.running import Running, Said, Told
from preceptor.errors import DeadlineExceeded
from preceptor.tools.plugin import Run


def begin(run: Any) -> Running:
    """Returns a run that goes on; `run` gets it to tell something."""
    running = Running(Run("What is a node?"))
    running.start(run(running), context=contextvars.copy_context())
    return running


async def told(running: Running, *, seconds: float = 5.0) -> list[Told]:
    """All that a run tells."""
    return [one async for one in running.events(time.perf_counter() + seconds, seconds)]


async def test_the_reader_has_each_word_before_the_next_one_comes() -> None:
    """A run that waits for its reader would never end otherwise."""
    read = asyncio.Event()

    async def run(running: Running) -> None:
        for word in ("A ", "node."):
            read.clear()
            running.tell(Said(word))
            await read.wait()

    words: list[Told] = []
    running = begin(run)
    async for one in running.events(time.perf_counter() + 5, 5):
        words.append(one)
        read.set()
    assert words == [Said("A "), Said("node.")]


async def test_what_was_told_reaches_the_reader_before_the_error_does() -> None:
    async def run(running: Running) -> None:
        running.tell(Said("A node"))
        raise AgentsException("no more")

    got: list[Told] = []

    async def read() -> None:
        async for one in begin(run).events(time.perf_counter() + 5, 5):
            got.append(one)  # noqa: PERF401 - a list that is made at once would be lost with the error

    with pytest.raises(AgentsException, match="no more"):
        await read()
    assert got == [Said("A node")]


async def test_what_is_told_while_the_reader_is_busy_is_not_lost_when_the_run_ends() -> None:
    go_on = asyncio.Event()

    async def run(running: Running) -> None:
        running.tell(Said("A "))
        await go_on.wait()
        running.tell(Said("node."))

    got: list[Told] = []
    async for one in begin(run).events(time.perf_counter() + 5, 5):
        got.append(one)
        go_on.set()
        await asyncio.sleep(0.05)
    assert got == [Said("A "), Said("node.")]


async def test_a_run_that_is_cut_off_has_a_moment_to_end() -> None:
    """The provider's call is closed, and what it took is known, before the reader is told."""
    ended = asyncio.Event()

    async def run(_: Running) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    with pytest.raises(DeadlineExceeded):
        await told(begin(run), seconds=0.05)
    assert ended.is_set()


async def test_a_run_that_does_not_let_itself_be_ended_is_left_at_its_deadline() -> None:
    """A plug-in may swallow what cancels it; its reader is told in time all the same."""
    goes_on = asyncio.Event()

    async def run(_: Running) -> None:
        while not goes_on.is_set():
            try:
                await goes_on.wait()
            except asyncio.CancelledError:
                continue

    running = begin(run)
    async with asyncio.timeout(5):
        with pytest.raises(DeadlineExceeded):
            await told(running, seconds=0.05)
    goes_on.set()


async def test_a_run_that_ends_itself_does_not_look_like_a_reader_who_left() -> None:
    async def run(_: Running) -> None:
        raise asyncio.CancelledError

    with pytest.raises(AgentsException, match="from within"):
        await told(begin(run))


async def test_a_run_is_ended_once() -> None:
    """To end it again would cut off what it does to end."""
    ended = asyncio.Event()

    async def run(_: Running) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.set()

    running = begin(run)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_finished_run_gives_its_output() -> None:
    async def run(running: Running) -> RunResult:
        return RunResult(
            input="",
            new_items=[],
            raw_responses=[],
            final_output="The book does not say.",
            input_guardrail_results=[],
            output_guardrail_results=[],
            tool_input_guardrail_results=[],
            tool_output_guardrail_results=[],
            context_wrapper=running.context,
            _last_agent=Agent("A tutor"),
        )

    running = begin(run)
    assert await told(running) == []
    assert running.final_output == "The book does not say."

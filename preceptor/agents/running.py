"""A run of the SDK in a task of its own, and what it tells the reader while it goes on.

The SDK is asked for the result of the run and not for its events: the models tell by themselves what they
say, as soon as they say it, and the SDK's hooks tell the rest. So a token passes six layers less (decision 0022).
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from agents import AgentsException, RunContextWrapper, RunResult

from preceptor.errors import DeadlineExceeded
from preceptor.providers.failure import Usage
from preceptor.tools.plugin import Phase, Run


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of a model's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A model calls a tool."""

    tool: str
    arguments: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Another agent goes on."""

    agent: str


_ENDING = 0.5
"""Seconds that a run has to end when it is cut off; one that takes longer is left to itself."""

Told = Said | Called | HandedOver
Tell = Callable[[Told], None]


class Running:
    """A run that goes on. What it tells is read once; whoever stops reading cancels it."""

    def __init__(self, run: Run) -> None:
        """Prepare a run; `run` is what the SDK gives to tools and hooks."""
        self.context = RunContextWrapper(run)
        # The run holds this alone: if it held the task that it is in, both would be left to the garbage collector.
        self._untold: asyncio.Queue[Told | None] = asyncio.Queue()
        self.tell: Tell = self._untold.put_nowait
        """Takes what a model or a hook of the run tells."""
        self._task: asyncio.Task[RunResult] | None = None

    def start(self, run: Coroutine[Any, Any, RunResult], *, context: Context) -> None:
        """Begin the run.

        Args:
            run: The SDK's run.
            context: Context variables of the run.
        """
        self._task = asyncio.create_task(run, context=context)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """End the run, if it is still going."""
        # Once: a second time would cut off what it does to end.
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    @property
    def final_output(self) -> str:
        """The text that the last model or tool gave; only of a run that has ended."""
        assert self._task is not None
        return str(self._task.result().final_output)

    @property
    def usage(self) -> Usage:
        """The tokens that the model calls of the run have taken so far."""
        spent = self.context.usage
        return Usage(spent.input_tokens, spent.output_tokens, spent.requests)

    async def events(self, deadline: float, seconds: float) -> AsyncGenerator[Told, None]:
        """Yields what the run tells, until it ends.

        Args:
            deadline: When it is cut off, as a time of `time.perf_counter`.
            seconds: How long that is, for the error.

        Raises:
            DeadlineExceeded: It was cut off.
            Exception: Whatever the run raises.
        """
        task, cut = self._task, False
        assert task is not None

        def cut_off() -> None:
            nonlocal cut
            cut = not task.done()  # else the answer is there, and only its reader is slow
            self.cancel()
            self._untold.put_nowait(None)

        # Not `asyncio.timeout`: around a `yield` it would cancel whoever reads the events.
        alarm = asyncio.get_running_loop().call_later(deadline - time.perf_counter(), cut_off)
        try:
            while (told := await self._untold.get()) is not None:
                yield told
        finally:
            alarm.cancel()
        if cut:
            await asyncio.wait({task}, timeout=_ENDING)
            raise DeadlineExceeded(seconds)
        if task.cancelled():
            raise AgentsException("the run was cancelled from within")
        task.result()

    def _ended(self, task: asyncio.Task[RunResult]) -> None:
        self._untold.put_nowait(None)
        if not task.cancelled():
            task.exception()  # else asyncio tells of one that nobody waits for any more

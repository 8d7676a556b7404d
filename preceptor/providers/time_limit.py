"""A limit of time that is set anew again and again, for a wait that repeats: each chunk of a stream has one of its own.

`asyncio.timeout` makes an object and a timer for each wait, 8 µs; here one timer serves all waits of a stream. It is
moved only when it has run out too early, or when the limit comes before it.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


class TimeLimit:
    """Limits one wait after another; `close` ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        """The task that waits now."""
        self._is_over = False

    async def wait(self, awaited: Awaitable[_T], *, until: float) -> _T:
        """Returns what is awaited.

        Args:
            awaited: What to wait for.
            until: A time of the event loop.

        Raises:
            TimeoutError: It took longer.
        """
        self._until = until
        if self._timer is None or until < self._timer.when():
            self._set()
        task = self._waiting = asyncio.current_task()
        assert task is not None
        self._is_over = False
        # As `asyncio.timeout` does it: only a cancellation that came during this wait may be the timer's.
        cancelled_before = task.cancelling()
        try:
            return await awaited
        except asyncio.CancelledError as error:
            # The task may have been cancelled by somebody else at the same moment; then it stays so.
            if self._is_over and task.uncancel() <= cancelled_before:
                raise TimeoutError from error
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._until > self._loop.time():
            self._set()
        else:
            self._is_over = True
            self._waiting.cancel()

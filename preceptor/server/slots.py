"""Slots: limits the concurrent answers of a process, and lets them finish when the service stops."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from preceptor.errors import Overloaded, Stopping
from preceptor.settings import LimitsSettings

logger = logging.getLogger(__name__)

_CUT_SECONDS = 2.0
"""Time for a cancelled answer to tell its reader, in seconds."""


class Slots:
    """Limits concurrent answers; on stop, lets the running ones finish."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Initialise with the number of slots in the settings."""
        self._settings = settings
        self._free = asyncio.Semaphore(settings.concurrent)
        self._waiting = 0
        self._running: set[asyncio.Task[Any]] = set()
        self._none_taken = asyncio.Event()
        self._none_taken.set()
        self._over = False
        self.taken = 0
        self.stopping = False

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Hold a slot.

        Raises:
            Overloaded: The queue is full, or no slot became free in time.
            Stopping: The service takes no more questions.
        """
        await self._wait()
        try:
            # The service may have begun to stop while this question waited.
            if self.stopping:
                raise Stopping
            self.taken += 1
            self._none_taken.clear()
            try:
                yield
            finally:
                self.taken -= 1
                if not self.taken:
                    self._none_taken.set()
        finally:
            self._free.release()

    async def _wait(self) -> None:
        if self.stopping:
            raise Stopping
        seconds = self._settings.queue_seconds
        # Refused at once instead of after `queue_seconds`: a reader who cannot be served soon should know.
        if self._free.locked() and self._waiting >= self._settings.queue:
            raise Overloaded(retry_after=seconds)
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(retry_after=seconds) from None
        finally:
            self._waiting -= 1

    @contextmanager
    def cut_in_the_end(self) -> Generator[None]:
        """Cancels the body with `Stopping` after the grace period.

        Raises:
            Stopping: It was ended.
        """
        if self._over:
            raise Stopping
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._over:
                raise
            # The cancellation was ours and ends here: the client still gets an error with a reason.
            task.uncancel()
            raise Stopping from None
        finally:
            self._running.discard(task)

    async def stop(self, seconds: float) -> None:
        """Accept no more questions; return when the last answer has ended, or after `seconds`."""
        self.stopping = True
        try:
            async with asyncio.timeout(seconds):
                await self._none_taken.wait()
        except TimeoutError:
            self.cut()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CUT_SECONDS):
                    await self._none_taken.wait()

    def cut(self) -> None:
        """End the running answers now, each with an error."""
        logger.warning("%d answers are cut, because the service stops", self.taken)
        self._over = True
        for task in self._running:
            task.cancel()

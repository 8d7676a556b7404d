"""A reader who does not read holds nobody up: every response has a deadline for being written.

`WriteDeadline` stands around the whole application and works for any response under any ASGI server. `sent_behind`
lets an answer be made without waiting for its reader, so that its slot is free as soon as it is made.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_UNSENT = 4096
"""Messages of one response that wait for its reader; then the answer waits, too."""


class WriteDeadline:
    """ASGI middleware: ends a response whose reader lets it wait for too long, all waits taken together."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            seconds: How long a reader may hold up one response.
        """
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        waited, since = 0.0, None
        # Cancels the request itself: whoever sends may be one of its tasks, and all of them are to end.
        deadline = asyncio.timeout(None)

        async def bounded(message: Message) -> None:
            nonlocal waited, since
            since = began = loop.time()
            try:
                await send(message)
            finally:
                waited += loop.time() - began
                since = None

        def look(again: Callable[..., None]) -> None:
            nonlocal alarm
            now = loop.time()
            left = self._seconds - waited - (0.0 if since is None else now - since)
            if left <= 0:
                deadline.reschedule(now)
            else:
                alarm = loop.call_later(left, again, again)

        # One timer for a response, and not one for each of its messages, which would cost more than to send them.
        # It is handed itself: by its name it would hold itself, and wait for the garbage collector with each request.
        alarm = loop.call_later(self._seconds, look, look)
        try:
            async with deadline:
                await self._app(scope, receive, bounded)
        except TimeoutError:
            if not deadline.expired():
                raise
            logger.info("a response was ended, because nobody read it for %g s", self._seconds)
        finally:
            alarm.cancel()


@asynccontextmanager
async def sent_behind(send: Send) -> AsyncGenerator[Send]:
    """Gives a `send` that does not wait for the reader; the end of the block waits until all is sent.

    Args:
        send: The server's own; whatever it raises is raised by the next call, and at the end.
    """
    unsent: asyncio.Queue[Message | None] = asyncio.Queue(_UNSENT)
    failure: Exception | None = None

    async def write() -> None:
        nonlocal failure
        # Behind a failure messages are still taken: else whoever makes the answer would wait at a full queue.
        while (message := await unsent.get()) is not None:
            if failure is None:
                try:
                    await send(message)
                except Exception as error:  # noqa: BLE001 - raised where the response is made
                    failure = error

    async def put(message: Message) -> None:
        if failure is not None:
            raise failure
        await unsent.put(message)

    writer = asyncio.create_task(write())
    try:
        yield put
        await unsent.put(None)
        await writer
    finally:
        writer.cancel()
        await asyncio.wait({writer})
    if failure is not None:
        raise failure

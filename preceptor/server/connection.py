"""A connection under `preceptor serve`: uvicorn's own, with deadlines for whoever is at its other end.

uvicorn waits for ever for the end of a request's head, and a closed connection stays until its reader has read all
of it. A reader who says nothing, or reads nothing, would hold the connection for as long as it likes.
"""

import asyncio
import logging
from typing import cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

logger = logging.getLogger(__name__)

_HEAD_SECONDS = 10.0
"""Time limit of a request's head, from the connection or from its first byte; `BodyLimit` has that of a body."""


class Connection(HttpToolsProtocol):
    """Closes itself when a head does not come, or a response is not read, in time."""

    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    # A head.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Wait for a head once a byte of it is here; until then uvicorn's keep-alive counts."""
        super().data_received(data)
        if self._head is None and self._answered():
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._stop(self._head, self._reader)
        self._head = self._reader = None
        super().on_headers_complete()

        if self.scope.get("http_version") == "1.0":
            _send_until_close(self.cycle)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(_HEAD_SECONDS, self._no_head)

    def _no_head(self) -> None:
        self._abort("no whole request came in time")

    # A response.

    def pause_writing(self) -> None:
        """The reader is slow."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """The reader goes on."""
        super().resume_writing()
        if not self._answered():
            self._stop(self._reader)
            self._reader = None

    def on_response_complete(self) -> None:
        """Begin to wait for a reader who has not read all of the response yet."""
        super().on_response_complete()
        if self._reader is None and self.transport.get_write_buffer_size():
            self._await_reader()

    def _await_reader(self) -> None:
        self._stop(self._reader)
        seconds: float = self.app_state["preceptor"].settings.server.write_seconds
        self._reader = self.loop.call_later(seconds, self._not_read)

    def _not_read(self) -> None:
        if self.transport.get_write_buffer_size():
            self._abort("its reader did not read in time")

    # Both.

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop(self._head, self._reader)
        super().connection_lost(exc)

    def _answered(self) -> bool:
        """Whether there was a request, and its response is complete."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first head
        return cycle is not None and cycle.response_complete

    def _abort(self, reason: str) -> None:
        logger.info("a connection was closed: %s", reason)
        self.transport.abort()  # to close it would mean to wait until all is read

    def _stop(self, *timers: asyncio.TimerHandle | None) -> None:
        for timer in timers:
            if timer is not None:
                timer.cancel()


def _send_until_close(cycle: RequestResponseCycle) -> None:
    """Lets the end of the connection be the end of a response without a length.

    uvicorn sends it in chunks, which HTTP/1.0 does not know: they would stand in the text.
    """
    send = cycle.send
    unbounded = False

    async def until_close(message: ASGISendEvent) -> None:
        nonlocal unbounded
        if message["type"] == "http.response.start":
            headers = [
                (name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"
            ]
            message["headers"] = headers
            unbounded = all(name.lower() != b"content-length" for name, _ in headers)
            cycle.chunked_encoding = False if unbounded else None
        elif message["type"] == "http.response.body" and unbounded:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = until_close

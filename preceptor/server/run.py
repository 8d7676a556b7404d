"""Runs behind an endpoint: named in the log, cancelled when the reader leaves or the service stops."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Self, TypeVar
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from preceptor.agents.answer import Answer, Done, Event, Question, Started, Timings, Token
from preceptor.agents.preceptor import Preceptor
from preceptor.providers.failure import Usage
from preceptor.server.access import client_of
from preceptor.server.limits import Limits
from preceptor.server.slots import Slots

_Result = TypeVar("_Result")

_PING_SECONDS = 15


class RunningAnswer:
    """The events of one run. Use `begin` to create it; the caller closes it."""

    def __init__(self, started: Started, events: AsyncGenerator[Event, None], slots: Slots) -> None:
        self.started = started
        self._events = events
        self._slots = slots

    @classmethod
    async def begin(cls, request: Request, question: Question, *, whole: bool) -> Self:
        """Start a run for a request, within the day's budgets.

        Args:
            request: The request.
            question: Its question.
            whole: Whether the reader gets the answer in one piece.

        Raises:
            BudgetSpent: There were too many questions today.
            SessionNotFound: There is no such session.
            SessionBusy: Too many questions wait for it.
            ClientDisconnect: The client went away while the question waited for its session.
        """
        return await while_connected(request, cls._begun(request, question, whole=whole))

    @classmethod
    async def aside(cls, request: Request, text: str) -> Self:
        """Returns a run that is none: a reply to the front end itself, which costs nothing and is not kept.

        Args:
            request: The request, which is not held against the reader.
            text: The reply.

        Raises:
            RateLimited: The front end asks too often.
        """
        limits: Limits = request.state.limits
        await limits.ask_aside(client_of(request.scope))
        started = Started(uuid4().hex, "", "")
        answer = Answer(
            text=text,
            sources=(),
            also_relevant=(),
            in_book=False,
            confidence=None,
            provider="",
            model="",
            degraded=False,
            truncated=False,
            failures=(),
            unknown_keys=0,
            usage=Usage(0, 0, 0),
            seconds=0.0,
            timings=Timings(None, {}),
            session_id="",
            response_id=started.response_id,
            trace_id="",
        )

        async def events() -> AsyncGenerator[Event, None]:
            yield Token(text)
            yield Done(answer)

        return cls(started, events(), request.state.slots)

    @classmethod
    async def _begun(cls, request: Request, question: Question, *, whole: bool) -> Self:
        preceptor: Preceptor = request.state.preceptor
        slots: Slots = request.state.slots
        limits: Limits = request.state.limits
        await limits.spend(client_of(request.scope))
        events = preceptor.stream(question, whole=whole)
        with slots.cut_in_the_end():
            started = await anext(events)
        assert isinstance(started, Started)
        # For the line in the log, so that an operator finds the run behind a request.
        request.state.trace_id = started.trace_id
        return cls(started, events, slots)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Returns the next event.

        Raises:
            Stopping: The service stops, and can wait no longer.
        """
        with self._slots.cut_in_the_end():
            return await anext(self._events)

    async def answer(self) -> Answer:
        """Returns the finished answer."""
        try:
            async for event in self:
                if isinstance(event, Done):
                    return event.answer
        finally:
            await self.aclose()
        raise AssertionError("a run ends with an answer or an error")

    async def aclose(self) -> None:
        """End the run, if it is still going."""
        await self._events.aclose()


async def while_connected(request: Request, work: Awaitable[_Result]) -> _Result:
    """Returns the result of `work`, which is cancelled if the client disconnects.

    Raises:
        ClientDisconnect: It went away.
        Exception: Whatever `work` raises.
    """
    async with _ended_by_reader(request.receive):
        return await work


def framed(data: str, *, event: str | None = None, number: int | None = None) -> bytes:
    """Returns one server-sent event.

    Args:
        data: JSON, which has no line break in it.
        event: Its name.
        number: Its id.
    """
    head = f"id: {number}\n" if number is not None else ""
    if event is not None:
        head += f"event: {event}\n"
    return f"{head}data: {data}\n\n".encode()


class EventStream(Response):
    """Sends a run as server-sent events, with comments during pauses.

    Events that are ready at the same moment are sent together: a send costs more than making the event.
    """

    media_type = "text/event-stream"

    def __init__(self, run: RunningAnswer, body: AsyncGenerator[bytes, None]) -> None:
        """Send `body`, made of the events of `run`, which is closed when nobody listens any more."""
        # Not by the base, which would render a body.
        self.status_code = 200
        self.background = None
        self._run = run
        self._body = body
        # Proxies must pass each event on at once, and nobody may keep a reader's answer.
        self.init_headers(
            {"Cache-Control": "no-store", "Connection": "keep-alive", "X-Accel-Buffering": "no"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            with suppress(ClientDisconnect):
                async with _ended_by_reader(receive):
                    await self._send(send)
        finally:
            await self._run.aclose()

    async def _send(self, send: Send) -> None:
        frames = _Frames()
        filling = asyncio.create_task(frames.fill(self._body))
        try:
            await frames.send(send)
            await filling
        finally:
            filling.cancel()
            await asyncio.wait({filling})


class _Frames:
    """Events between the run that makes them and the connection that takes them."""

    def __init__(self) -> None:
        self._ready: list[bytes] = []
        self._some = asyncio.Event()
        self._over = False

    async def fill(self, body: AsyncGenerator[bytes, None]) -> None:
        """Take in all that `body` makes."""
        try:
            async for frame in body:
                self._add(frame)
        finally:
            self._over = True
            self._some.set()

    async def send(self, send: Send) -> None:
        """Send all of it, until its end."""
        self._alarm = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)
        over = False
        try:
            while not over:
                # Cleared before the frames are taken: one that comes while these are sent wakes it again.
                await self._some.wait()
                self._some.clear()
                joined, over = b"".join(self._ready), self._over
                self._ready.clear()
                await send({"type": "http.response.body", "body": joined, "more_body": not over})
        finally:
            self._alarm.cancel()

    def _add(self, frame: bytes) -> None:
        self._ready.append(frame)
        self._some.set()

    def _ping(self) -> None:
        self._add(b": ping\n\n")
        self._alarm = asyncio.get_running_loop().call_later(_PING_SECONDS, self._ping)


@asynccontextmanager
async def _ended_by_reader(receive: Receive) -> AsyncGenerator[None]:
    """Cancels its block when the client disconnects.

    Raises:
        ClientDisconnect: It did.
    """
    # Not a task group of anyio: a child that it cancels, as here after each answer, is left to the garbage collector.
    left = asyncio.timeout(None)

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.reschedule(0)

    listening = asyncio.create_task(listen())
    try:
        async with left:
            yield
    except TimeoutError:
        if not left.expired():
            raise
        raise ClientDisconnect from None
    finally:
        listening.cancel()
        await asyncio.wait({listening})

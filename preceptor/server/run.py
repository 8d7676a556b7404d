"""Runs behind an endpoint: named in the log, cancelled when the reader leaves or the service stops."""

from collections.abc import AsyncGenerator
from typing import Self

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from preceptor.agents.answer import Answer, Done, Event, Question, Started
from preceptor.agents.preceptor import Preceptor
from preceptor.server.access import client_of
from preceptor.server.limits import Limits
from preceptor.server.request import while_connected
from preceptor.server.slots import Slots

_PING_SECONDS = 15


class RunningAnswer:
    """The events of one run. Use `begin` to create it; the caller closes it."""

    def __init__(self, started: Started, events: AsyncGenerator[Event, None], slots: Slots) -> None:
        self.started = started
        self._events = events
        self._slots = slots

    @classmethod
    async def begin(cls, request: Request, question: Question) -> Self:
        """Start a run for a request, within the day's budgets.

        Raises:
            BudgetSpent: There were too many questions today.
            SessionNotFound: There is no such session.
            SessionBusy: Too many questions wait for it.
            ClientDisconnect: The client went away while the question waited for its session.
        """
        return await while_connected(request, cls._begun(request, question))

    @classmethod
    async def _begun(cls, request: Request, question: Question) -> Self:
        preceptor: Preceptor = request.state.preceptor
        slots: Slots = request.state.slots
        limits: Limits = request.state.limits
        await limits.spend(client_of(request.scope))
        events = preceptor.stream(question)
        with slots.cut_in_the_end():
            started = await anext(events)
        assert isinstance(started, Started)
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


class EventStream(EventSourceResponse):
    """Sends a run as server-sent events, with comments during pauses."""

    def __init__(self, run: RunningAnswer, body: AsyncGenerator[ServerSentEvent, None]) -> None:
        """Send `body`, made of the events of `run`, which is closed when nobody listens any more."""
        super().__init__(body, ping=_PING_SECONDS, sep="\n")
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._run.aclose()

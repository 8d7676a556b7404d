"""The time a whole answer may take: the reader gets what there is, then a clear error, never a hang."""

import asyncio
from asyncio import TimerHandle
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from agents import Handoff, Tool
from agents.items import TResponseStreamEvent

from preceptor.agents.answer import Question, Started, Status, Token
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.errors import DeadlineExceeded
from preceptor.providers.local_model import Items, LocalModel
from preceptor.settings import Settings
from tests.standins.tutors import speaks_for

DEADLINE = 500.0
"""Longer than a test takes: the time is over when the test says so."""


class Alarm:
    """The event that is due when the time of an answer is over."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def ring(self) -> None:
        """The time is over."""
        assert len(self._calls) == 1
        self._calls[0]()

    def noted(self, call_later: Callable[..., TimerHandle]) -> Callable[..., TimerHandle]:
        """The loop's `call_later`, which tells this alarm of calls in the distant future."""

        def noting(delay: float, callback: Callable[[], object], *args: Any, **kwargs: Any) -> TimerHandle:
            if delay > DEADLINE / 2:
                self._calls.append(callback)
            return call_later(delay, callback, *args, **kwargs)

        return noting


@pytest.fixture
async def alarm(monkeypatch: pytest.MonkeyPatch) -> Alarm:
    made = Alarm()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", made.noted(loop.call_later))
    return made


class Endless(LocalModel):
    """Says a few words, if any, and never ends."""

    name = "endless"

    def __init__(self, words: str) -> None:
        self.words = words
        self.hanging = asyncio.Event()
        self.cancelled = False

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str:
        return self.words

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        async for event in super().stream_response(*args, **kwargs):
            if not self.words or event.type == "response.completed":
                self.hanging.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled = True
                    raise
            yield event


@pytest.fixture
async def preceptor(demo_settings: Settings) -> AsyncGenerator[Preceptor, None]:
    """One that has `DEADLINE` seconds for an answer."""
    tutor = demo_settings.tutor.model_copy(update={"deadline": DEADLINE})
    async with open_preceptor(demo_settings.model_copy(update={"tutor": tutor})) as opened:
        yield opened


@pytest.mark.parametrize(
    ("words", "seen"), [("", [Started]), ("A node is a process. ", [Started, Status, Token])]
)
async def test_a_run_that_takes_too_long_ends_with_what_it_said_and_an_error(
    preceptor: Preceptor, alarm: Alarm, words: str, seen: list[type]
) -> None:
    model = Endless(words)
    await speaks_for(preceptor.triage, "offline", model)
    events: list[Any] = []
    heard = asyncio.Event()

    async def listen() -> None:
        async for event in preceptor.stream(Question(text="What is a node?")):
            events.append(event)
            if len(events) == len(seen):
                heard.set()

    listening = asyncio.create_task(listen())
    await model.hanging.wait()
    await heard.wait()
    alarm.ring()
    with pytest.raises(DeadlineExceeded) as raised:
        await listening
    assert raised.value.seconds == DEADLINE
    assert [type(event) for event in events] == seen
    assert model.cancelled


class Fluent(LocalModel):
    """Says a sentence in many pieces, all at once."""

    name = "fluent"

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str:
        return "piece "

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        async for event in super().stream_response(*args, **kwargs):
            for _ in range(20 if event.type == "response.output_text.delta" else 1):
                yield event


async def test_an_answer_in_time_is_whole_however_slowly_it_is_read(
    preceptor: Preceptor, alarm: Alarm
) -> None:
    await speaks_for(preceptor.triage, "offline", Fluent())
    before = asyncio.all_tasks()
    events: list[Any] = []
    async for event in preceptor.stream(Question(text="What is a node?")):
        events.append(event)
        if isinstance(event, Token) and (run := asyncio.all_tasks() - before):
            await asyncio.wait(run)
            alarm.ring()
    assert events[-1].answer.text == " ".join(["piece"] * 20)

"""The time a whole answer may take: the reader gets what there is, then a clear error, never a hang."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from agents import Handoff, Tool
from agents.items import TResponseStreamEvent

from preceptor.agents.answer import Question, Started, Status, Token
from preceptor.agents.local_model import Items, LocalModel
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.errors import DeadlineExceeded
from preceptor.settings import Settings


class Endless(LocalModel):
    """Says a few words, if any, and never ends."""

    name = "endless"

    def __init__(self, words: str) -> None:
        self.words = words
        self.cancelled = False

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str:
        return self.words

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        async for event in super().stream_response(*args, **kwargs):
            if not self.words or event.type == "response.output_item.done":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled = True
                    raise
            yield event


def hurried(settings: Settings) -> Settings:
    return settings.model_copy(update={"tutor": settings.tutor.model_copy(update={"deadline": 0.5})})


async def collect(preceptor: Preceptor, events: list[Any]) -> None:
    async for event in preceptor.stream(Question(text="What is a node?")):
        events.append(event)  # noqa: PERF401 - what came before an error is wanted too


@pytest.mark.parametrize(
    ("words", "seen"), [("", [Started]), ("A node is a process. ", [Started, Status, Token])]
)
async def test_a_run_that_takes_too_long_ends_with_what_it_said_and_an_error(
    demo_settings: Settings, words: str, seen: list[type]
) -> None:
    model = Endless(words)
    async with open_preceptor(hurried(demo_settings)) as preceptor:
        preceptor.tutors.by_provider["offline"].model = model
        events: list[Any] = []
        with pytest.raises(DeadlineExceeded) as raised:
            await collect(preceptor, events)
    assert raised.value.seconds == 0.5
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


async def test_an_answer_in_time_is_whole_however_slowly_it_is_read(demo_settings: Settings) -> None:
    async with open_preceptor(hurried(demo_settings)) as preceptor:
        preceptor.tutors.by_provider["offline"].model = Fluent()
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.6, passed.set)
        events: list[Any] = []
        async for event in preceptor.stream(Question(text="What is a node?")):
            events.append(event)
            if isinstance(event, Token):
                await passed.wait()
    assert events[-1].answer.text == " ".join(["piece"] * 20)

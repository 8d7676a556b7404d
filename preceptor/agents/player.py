"""Plays a tape: gives the run's models and tools their recorded steps, up to the step from which it is live."""

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import cast

from agents.items import TResponseInputItem
from pydantic import TypeAdapter

from preceptor.agents.answer import Answer, Question, Source
from preceptor.agents.sessions import Turns
from preceptor.errors import ReplayDiverged
from preceptor.library.passage import Hit, Image, Passage
from preceptor.tracing.tape import Shown, Step, Tape

_ANSWER = TypeAdapter(Answer)
_SOURCES = TypeAdapter(list[Source])
_QUESTION = {field.name for field in fields(Question)} - {"history", "session_id"}


class Player:
    """One replay of a tape."""

    def __init__(self, tape: Tape, *, live_from: int | None = None) -> None:
        """Begin at the first step.

        Args:
            tape: The recorded run.
            live_from: Number of the first step, from 1, that is not played but made anew, with all behind it. None:
                every step is played, and whatever would ask a provider or the index is an error.
        """
        self.tape = tape
        self.sealed = live_from is None
        self._steps = tape.steps[: len(tape.steps) if live_from is None else live_from - 1]
        self._at = 0
        self._results: dict[str, Step] = {}
        self.apply: Callable[[Step, list[Hit]], None] = lambda _step, _hits: None
        """Brings the run to the state after a step; set by the run when it begins."""

    @property
    def question(self) -> Question:
        """The recorded question; its conversation is in `turns`."""
        asked = {name: value for name, value in self.tape.asked.items() if name in _QUESTION}
        return Question(**asked)

    @property
    def language(self) -> str:
        """BCP 47 tag of the book's language."""
        return self.tape.asked["language"]

    def turns(self) -> Turns:
        """The conversation before the question; nothing is written to it."""

        async def forget(_session_id: str, _items: list[TResponseInputItem]) -> None:
            return None

        history = cast("list[TResponseInputItem]", list(self.tape.asked["turns"]))
        cited = _SOURCES.validate_python(self.tape.asked["cited"])
        return Turns("replay", history, cited, time.time, forget)

    def model_step(self, agent: str) -> Step | None:
        """Returns the next recorded step of a model; None: it is to be asked.

        Raises:
            ReplayDiverged: The tape has another step there.
        """
        if self._at >= len(self._steps):
            if self.sealed:
                raise ReplayDiverged(self._at + 1, f"the model of `{agent}` is asked, and the tape has ended")
            return None
        step = self._steps[self._at]
        if step.get("kind") != "model" or step.get("agent") != agent:
            there = step.get("name") or step.get("agent")
            raise ReplayDiverged(self._at + 1, f"`{agent}` is asked, and the tape has a step of `{there}`")
        self._at += 1
        self.apply(step, [])
        return step

    def tool_step(self, call_id: str) -> Step | None:
        """Returns the recorded result of a tool call; None: the tool is to be called.

        Raises:
            ReplayDiverged: The tape has no such call.
        """
        # All calls of a turn at once, in the order in which they ended: that of the passages depends on it.
        while self._at < len(self._steps) and self._steps[self._at].get("kind") == "tool":
            step = self._steps[self._at]
            self._results[step.get("call_id", "")] = step
            self.apply(step, [_hit(shown) for shown in step.get("passages", ())])
            self._at += 1
        step = self._results.get(call_id)
        if step is None and self.sealed:
            raise ReplayDiverged(self._at + 1, f"the tape has no result of the call `{call_id}`")
        return step


def recorded_answer(tape: Tape) -> Answer | None:
    """Returns the answer of a tape as the reader got it; None if there was none."""
    if tape.answer is None:
        return None
    read = _ANSWER.validate_python(tape.answer)
    return replace(
        read,
        sources=tuple(read.sources),
        also_relevant=tuple(read.also_relevant),
        artifacts=tuple(read.artifacts),
        failures=tuple(read.failures),
        tools=tuple(read.tools),
    )


def _hit(shown: Shown) -> Hit:
    passage = dict(shown["passage"])
    passage["breadcrumb"] = tuple(passage["breadcrumb"])
    passage["images"] = tuple(Image(**image) for image in passage.get("images", ()))
    return Hit(Passage(**passage), shown["score"], shown["dense"], shown["bm25"])

"""Plays a recorded run again: as it was, without asking anybody; or live from a step, with something changed.

tape = store.tape(trace_id)
answer = await replay(tape, settings)                                  # as it was: no request leaves the process
answer = await replay_live(tape, settings, live_from=3, traces=store)  # live from the third step
answer = recorded_answer(tape)                                         # nothing is run: the answer as it was given
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from agents import FunctionTool, Model, ModelSettings, Tool

from preceptor.agents.answer import Answer, Done
from preceptor.agents.player import Player, recorded_answer
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.agents.session_store import SQLiteStore
from preceptor.agents.sessions import Sessions
from preceptor.agents.tutors import build_tutors
from preceptor.errors import ReplayDiverged
from preceptor.library.library import Library
from preceptor.providers.breaker import Breaker
from preceptor.providers.client import Client
from preceptor.providers.failover import Failover
from preceptor.providers.models import ProviderModel, ProviderModels
from preceptor.providers.order import FallbackOrder
from preceptor.providers.scope import HAND_OVER
from preceptor.settings import Settings
from preceptor.tools.discovery import Toolbox
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Step, Tape

__all__ = ["first_step", "handed_to", "recorded_answer", "replay", "replay_live"]

_OFFLINE = "offline"


class _Absent(Model):
    """Stands where the tape has every step."""

    async def get_response(self, *args: Any, **more: Any) -> Any:
        raise ReplayDiverged(0, "a model is asked")

    def stream_response(self, *args: Any, **more: Any) -> Any:
        raise ReplayDiverged(0, "a model is asked")


async def replay(tape: Tape, settings: Settings) -> Answer:
    """Returns the answer that a recorded run gives now: every step is the tape's, the rest is computed anew.

    Neither the index nor a provider nor a session is opened, and nothing is written.

    Args:
        tape: The recorded run.
        settings: Those of the answer (`[tutor]`); what they say of providers and the index plays no part.

    Raises:
        ReplayDiverged: The run had no answer, or what is computed differs so much that a step is missing.
    """
    if tape.answer is None:
        raise ReplayDiverged(len(tape.steps) + 1, f"the run ended with `{tape.error}`")
    return await _asked(_sealed(tape, settings), Player(tape))


async def replay_live(
    tape: Tape,
    settings: Settings,
    *,
    live_from: int,
    traces: TraceStore | None = None,
    prompt: str | None = None,
    replay_of: str = "",
) -> Answer:
    """Returns the answer of a run whose steps are the tape's up to a step, and made anew from there.

    Args:
        tape: The recorded run.
        settings: Those of the providers and the index that are asked.
        live_from: Number of the first live step, from 1.
        traces: Store of the new run.
        prompt: System prompt of the tutors; None: that of the settings.
        replay_of: Trace id of the recorded run, kept with the new one.

    Raises:
        ReplayDiverged: A played step hands over to a tutor that there is not.
        PreceptorError: As for any question.
    """
    player = Player(tape, live_from=live_from)
    async with open_preceptor(settings, traces=traces, prompt=prompt) as preceptor:
        there = {entry.provider for entry in preceptor.models} | {_OFFLINE}
        for number, step in enumerate(tape.steps[: live_from - 1], start=1):
            for provider in handed_to(step):
                if provider not in there:
                    raise ReplayDiverged(number, f"it hands over to `{provider}`, which has no key here")
        origin = {"replay_of": replay_of, "live_from": live_from}
        return await _asked(preceptor, player, origin)


def first_step(tape: Tape, *, tool: bool = False) -> int:
    """Returns the number of the first step of a tutor, or of the first call of a tool: a change is live from there."""
    for number, step in enumerate(tape.steps, start=1):
        if step.get("kind") == "tool" if tool else step.get("agent") != "Triage":
            return number
    return len(tape.steps) + 1


async def _asked(preceptor: Preceptor, player: Player, origin: Mapping[str, Any] | None = None) -> Answer:
    question = player.question
    if origin:
        question = replace(question, metadata={**question.metadata, **origin})
    async for event in preceptor.stream(question, player=player):
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("a run ends with an answer or an error")


def _sealed(tape: Tape, settings: Settings) -> Preceptor:
    """Returns tutors as the tape has them, with nothing behind them."""
    labels = dict(_labels(tape))
    answer = tape.answer or {}
    entries = [
        ProviderModel(
            provider,
            answer["model"] if provider == answer.get("provider") else "",
            cast("Failover", _Absent()),
            ModelSettings(),
            Breaker(provider, failures=1, cool_down=1),
            cast("Client", None),
        )
        for provider in labels
        if provider != _OFFLINE
    ]
    order = FallbackOrder({entry.provider: entry.breaker for entry in entries}, labels)
    models = ProviderModels(entries, order)
    called = {step["name"] for step in tape.steps if step.get("kind") == "tool" and "name" in step}
    held = settings.tutor.book_only and not tape.asked.get("selection_only")
    triage = build_tutors(
        models,
        instructions="",
        tools=[_absent_tool(name) for name in sorted(called - {"decline"})],
        offline=_Absent(),
        retry_after=1,
        book_only=held,
    )
    return Preceptor(
        settings,
        library=Library([], cast("Any", None), settings=settings.search),
        models=models,
        build_triage=lambda _tools: triage,
        triage_of_selection=triage,
        sessions=Sessions(settings.session, SQLiteStore(Path("never-opened"), seconds=0)),
        tools=Toolbox([], []),
        traces=None,
    )


def _absent_tool(name: str) -> Tool:
    async def call(_context: Any, _arguments: str) -> Any:
        raise ReplayDiverged(0, f"the tool `{name}` is called")

    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
    return FunctionTool(name, "", schema, call, strict_json_schema=False)


def _labels(tape: Tape) -> Iterator[tuple[str, str]]:
    """Yields each provider to which the run was handed, with its name among the agents."""
    to: list[str] = []
    for step in tape.steps:
        if to and step.get("kind") == "model":
            yield to[0], step.get("agent", "").removesuffix(" tutor")
        to = handed_to(step)


def handed_to(step: Step) -> list[str]:
    """Returns the provider to which a model's step hands over, if it does."""
    if step.get("kind") != "model":
        return []
    names = [str(item.get("name", "")) for item in step.get("output", []) if item["type"] == "function_call"]
    return [name.removeprefix(HAND_OVER) for name in names if name.startswith(HAND_OVER)]

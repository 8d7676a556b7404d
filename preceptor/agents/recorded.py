"""Records the models and tools of a run, or plays them from a tape in their place.

Both are wrapped once, when the tutors are built; whether a run is recorded or played is said by the run itself, in a
context variable, as is who is told what a model says. A run that is none of it goes straight through.
"""

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

from agents import FunctionTool, Model, ModelResponse, Tool
from agents.items import TResponseOutputItem, TResponseStreamEvent
from agents.tool_context import ToolContext
from agents.usage import (
    _requests_for_response_without_usage,  # pyright: ignore[reportPrivateUsage] - the SDK is pinned
)
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from pydantic import TypeAdapter

from preceptor.agents.player import Player
from preceptor.agents.running import Said, Tell
from preceptor.providers.local_model import as_usage, last_response
from preceptor.tracing.recorder import Recorder
from preceptor.tracing.tape import Step


@dataclass(frozen=True, slots=True)
class Recording:
    """Says where the steps of a run go, or come from."""

    recorder: Recorder | None = None
    player: Player | None = None
    tell: Tell | None = None
    """Takes what a model says, while it says it."""


current_recording: ContextVar[Recording] = ContextVar("recording")
"""Set by a run before it starts; unset where a run is neither recorded nor played."""
_NEITHER = Recording()
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


class RecordedModel(Model):
    """An agent's model, whose steps are recorded, or come from a tape."""

    def __init__(self, inner: Model, *, agent: str, name: str = "") -> None:
        """Wrap a model.

        Args:
            inner: The model.
            agent: Name of its agent.
            name: The provider's name for it; default: the agent's.
        """
        self.inner = inner
        self._agent = agent
        self._name = name or agent

    async def get_response(self, *args: Any, **more: Any) -> ModelResponse:
        """The end of `stream_response`; the reader is told the text while it comes.

        Raises:
            ModelBehaviorError: The model ended without a response.
        """
        tell = current_recording.get(_NEITHER).tell
        if tell is None:
            return await self.inner.get_response(*args, **more)
        ended = await last_response(
            self.stream_response(*args, **more), of=self._agent, heard=lambda text: tell(Said(text))
        )
        return ModelResponse(output=ended.output, usage=as_usage(_usage(ended)), response_id=ended.id)

    def stream_response(
        self, system_instructions: str | None, *args: Any, **more: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The step of the tape, if the run is played and has one, else the model's own."""
        recording = current_recording.get(_NEITHER)
        player = recording.player
        step = player.model_step(self._agent) if player else None
        if step is not None:
            return _events(step, self._agent)
        stream = self.inner.stream_response(system_instructions, *args, **more)
        if recording.recorder is None:
            return stream
        record = partial(recording.recorder.spoke, self._agent, model=self._name, prompt=system_instructions)
        return _recorded(cast("AsyncGenerator[TResponseStreamEvent, None]", stream), record)

    async def close(self) -> None:
        """Close the model."""
        await self.inner.close()


def recorded_tool(tool: Tool) -> Tool:
    """Returns a copy of a tool whose result comes from the tape, where the run is played and has one."""
    if not isinstance(tool, FunctionTool):
        return tool
    wrapped = copy.copy(tool)
    invoke = tool.on_invoke_tool

    async def from_tape(context: ToolContext[Any], arguments: str) -> Any:
        recording = current_recording.get(_NEITHER)
        if recording.player and (step := recording.player.tool_step(context.tool_call_id)) is not None:
            return step.get("output")
        if recording.recorder:
            recording.recorder.begins(context.tool_call_id)
        return await invoke(context, arguments)

    wrapped.on_invoke_tool = from_tape
    return wrapped


async def _recorded(
    stream: AsyncGenerator[TResponseStreamEvent, None], record: Callable[..., None]
) -> AsyncGenerator[TResponseStreamEvent, None]:
    said: list[str] = []
    ended: Response | None = None
    try:
        async with aclosing(stream):
            async for event in stream:
                # By name: `isinstance` is slow on pydantic's classes, and this is done for each token.
                if event.type == "response.output_text.delta":
                    said.append(event.delta)
                elif event.type == "response.completed":
                    ended = event.response
                    # Before it is passed on: the SDK may not come back for more.
                    record(said="".join(said), output=ended.output, usage=_usage(ended))
                yield event
    finally:
        # A run that was cut short: its text so far is what the reader has.
        if ended is None and said:
            record(said="".join(said), output=[], usage=None)


def _usage(ended: Response) -> ResponseUsage | None:
    # A provider that reports no tokens was asked all the same: the SDK counts the request, in an attribute of its own.
    if ended.usage is None and _requests_for_response_without_usage(ended):
        return ResponseUsage.model_validate(_NO_TOKENS)
    return ended.usage


async def _events(step: Step, agent: str) -> AsyncGenerator[TResponseStreamEvent, None]:
    """The events of a recorded step: its text in one piece, its items, its end."""
    items = _items().validate_python(step.get("output", []))
    usage = step.get("usage")
    response = Response.model_construct(
        id="replay",
        object="response",
        created_at=0,
        model=agent,
        output=items,
        usage=ResponseUsage.model_validate(usage) if usage else None,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=False,
    )
    yield ResponseCreatedEvent.model_construct(
        type="response.created", sequence_number=0, response=response.model_copy(update={"output": []})
    )
    said = step.get("said", "")
    for place, item in enumerate(items):
        yield ResponseOutputItemAddedEvent.model_construct(
            type="response.output_item.added", sequence_number=1, output_index=place, item=item
        )
        if said and isinstance(item, ResponseOutputMessage):
            yield _delta(said, item.id)
            said = ""
        yield ResponseOutputItemDoneEvent.model_construct(
            type="response.output_item.done", sequence_number=3, output_index=place, item=item
        )
    if said:
        yield _delta(said, "replay")
    yield ResponseCompletedEvent.model_construct(
        type="response.completed", sequence_number=4, response=response
    )


def _delta(text: str, item_id: str) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent.model_construct(
        type="response.output_text.delta",
        sequence_number=2,
        output_index=0,
        content_index=0,
        item_id=item_id,
        delta=text,
        logprobs=[],
    )


@cache
def _items() -> TypeAdapter[list[TResponseOutputItem]]:
    # When it is first asked for: to make it takes 1 % of the start of a service, which plays no run.
    return TypeAdapter(list[TResponseOutputItem])

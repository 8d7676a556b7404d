"""Base of models that run in this process and make no request; they are traced like any other."""

import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import time
from typing import cast
from uuid import uuid4

from agents import (
    AgentOutputSchemaBase,
    Handoff,
    Model,
    ModelBehaviorError,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    Tool,
    Usage,
    generation_span,
)
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_prompt_param import ResponsePromptParam

from preceptor.errors import PreceptorError, ProviderFailed
from preceptor.providers.scope import scope, seen_by
from preceptor.tracing.run import trace_id

logger = logging.getLogger(__name__)

Items = Sequence[TResponseInputItem]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool (or hand-off) to call."""

    name: str
    arguments: str = "{}"


class LocalModel(Model):
    """Base class of local models: a subclass returns the next step."""

    name: str

    @abstractmethod
    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str | Call:
        """Returns the text of the answer, or a call.

        Args:
            input: The conversation so far, tool results included and hand-offs left out.
            tools: The tools that are enabled.
            handoffs: The hand-offs that are enabled, in order.
        """

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """Run one turn and return the whole response."""
        item = await self._item(input, tools, handoffs, tracing)
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """Run one turn and yield it as events."""
        item = await self._item(input, tools, handoffs, tracing)
        for event in events(item, model=self.name):
            yield event

    async def _item(
        self,
        input: str | list[TResponseInputItem],
        tools: Sequence[Tool],
        handoffs: Sequence[Handoff],
        tracing: ModelTracing,
    ) -> TResponseOutputItem:
        with generation_span(model=self.name, disabled=tracing.is_disabled()) as span:
            names = {tool.name for tool in tools}
            try:
                said = await self.next(seen_by(input, tools=names, refused=scope().refused), tools, handoffs)
            except PreceptorError:
                raise
            except Exception as error:
                # A fault of ours; nobody stands behind these models.
                logger.exception("%s failed, trace=%s", self.name, trace_id())
                raise ProviderFailed(self.name, "other") from error
            item = call_item(said) if isinstance(said, Call) else message_item(said)
            if tracing.include_data():
                span.span_data.output = [item.model_dump()]
        return item


def call_item(call: Call) -> ResponseFunctionToolCall:
    """Returns the output item of a call, with an id of its own."""
    return ResponseFunctionToolCall(
        id=FAKE_RESPONSES_ID,
        call_id=f"call_{uuid4().hex}",
        name=call.name,
        arguments=call.arguments,
        type="function_call",
        status="completed",
    )


def message_item(text: str) -> ResponseOutputMessage:
    """Returns the output item of a whole answer."""
    return ResponseOutputMessage(
        id=FAKE_RESPONSES_ID,
        role="assistant",
        type="message",
        status="completed",
        content=[ResponseOutputText(type="output_text", text=text, annotations=[])],
    )


def events(item: TResponseOutputItem, *, model: str) -> Sequence[TResponseStreamEvent]:
    """Returns the fewest events from which the SDK accepts a finished item."""
    response = Response(
        id=FAKE_RESPONSES_ID,
        created_at=time(),
        model=model,
        object="response",
        output=[item],
        parallel_tool_calls=False,
        tool_choice="auto",
        tools=[],
    )
    said = item.content if isinstance(item, ResponseOutputMessage) else ()
    return [
        *(
            ResponseTextDeltaEvent(
                type="response.output_text.delta",
                sequence_number=number,
                output_index=0,
                content_index=number,
                item_id=FAKE_RESPONSES_ID,
                delta=part.text,
                logprobs=[],
            )
            for number, part in enumerate(said)
            if isinstance(part, ResponseOutputText)
        ),
        ResponseCompletedEvent(type="response.completed", sequence_number=len(said), response=response),
    ]


async def last_response(
    stream: AsyncIterator[TResponseStreamEvent], *, of: str, heard: Callable[[str], object] | None = None
) -> Response:
    """Reads a model's events to their end, and closes them.

    Args:
        stream: The events.
        of: Whose they are, for the error.
        heard: Takes the text while it comes.

    Raises:
        ModelBehaviorError: They ended without a response.
    """
    ended: Response | None = None
    async with aclosing(cast("AsyncGenerator[TResponseStreamEvent, None]", stream)) as events:
        async for event in events:
            # By name: `isinstance` is slow on pydantic's classes, and this is done for each token.
            if event.type == "response.output_text.delta":
                if heard is not None:
                    heard(event.delta)
            # A failure in mid-answer ends in the events of the hand-off: the last response counts.
            elif event.type == "response.completed":
                ended = event.response
    if ended is None:
        raise ModelBehaviorError(f"{of} ended without a response")
    return ended


def as_usage(told: ResponseUsage | None) -> Usage:
    """Returns the tokens of a response as the SDK counts them; none were told: nothing was asked."""
    if told is None:
        return Usage()
    return Usage(
        requests=1,
        input_tokens=told.input_tokens,
        output_tokens=told.output_tokens,
        total_tokens=told.total_tokens,
        input_tokens_details=told.input_tokens_details,
        output_tokens_details=told.output_tokens_details,
    )

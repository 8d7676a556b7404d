"""A whole answer as a stream of one chunk: the SDK has one way for both, and its trace looks the same."""

import time
from collections.abc import AsyncGenerator
from typing import Any

from agents import ModelSettings
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)
from openai.types.responses import Response


def as_stream(
    completion: ChatCompletion, settings: ModelSettings, *, model: str
) -> tuple[Response, AsyncGenerator[ChatCompletionChunk, None]]:
    """Returns a checked completion in the form of a stream, as the SDK has it from a provider.

    Args:
        completion: The completion.
        settings: With which it was asked for.
        model: The provider's name for the model.
    """
    response = Response.model_construct(
        id=FAKE_RESPONSES_ID,
        created_at=time.time(),
        model=model,
        object="response",
        output=[],
        tool_choice="auto",
        top_p=settings.top_p,
        temperature=settings.temperature,
        tools=[],
        parallel_tool_calls=settings.parallel_tool_calls or False,
        reasoning=settings.reasoning,
    )

    async def chunks() -> AsyncGenerator[ChatCompletionChunk, None]:
        yield as_chunk(completion)

    return response, chunks()


def as_chunk(completion: ChatCompletion) -> ChatCompletionChunk:
    """Returns the chunk that says as much as a checked completion, a provider's own fields included."""
    choice = completion.choices[0]
    calls = [
        _call(place, call)
        for place, call in enumerate(choice.message.tool_calls or ())
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]
    # Without validation, because the completion was built without it: what a provider leaves out is None.
    said: dict[str, Any] = {**dict(choice.message), "tool_calls": calls or None}
    delta = ChoiceDelta.model_construct(None, **said)
    return ChatCompletionChunk.model_construct(
        id=completion.id,
        created=completion.created,
        model=completion.model,
        object="chat.completion.chunk",
        usage=completion.usage,
        choices=[
            Choice.model_construct(
                index=0,
                delta=delta,
                finish_reason=choice.finish_reason,
                logprobs=choice.logprobs,
            )
        ],
    )


def _call(place: int, call: ChatCompletionMessageFunctionToolCall) -> ChoiceDeltaToolCall:
    function = ChoiceDeltaToolCallFunction.model_construct(**dict(call.function))
    fields: dict[str, Any] = {**dict(call), "index": place, "function": function}
    return ChoiceDeltaToolCall.model_construct(None, **fields)

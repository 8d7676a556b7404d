"""A whole answer as a stream of one chunk: the SDK has one way for both, and its trace looks the same."""

import time
from collections.abc import AsyncGenerator
from typing import Any

from agents import ModelSettings
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.responses import Response
from pydantic import ValidationError


def as_stream(
    completion: ChatCompletion, settings: ModelSettings, *, model: str
) -> tuple[Response, AsyncGenerator[ChatCompletionChunk, None]]:
    """Returns a checked completion in the form of a stream, as the SDK has it from a provider.

    Args:
        completion: The completion.
        settings: With which it was asked for.
        model: The provider's name for the model.
    """
    response = Response(
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
        {**dict(call), "index": place, "function": dict(call.function)}
        for place, call in enumerate(choice.message.tool_calls or ())
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]
    said: dict[str, Any] = {
        "id": completion.id,
        "created": completion.created,
        "model": completion.model,
        "object": "chat.completion.chunk",
        "usage": completion.usage,
        "choices": [
            {
                "index": 0,
                "delta": {**dict(choice.message), "tool_calls": calls or None},
                "finish_reason": choice.finish_reason,
                "logprobs": choice.logprobs and dict(choice.logprobs),
            }
        ],
    }
    try:
        return ChatCompletionChunk.model_validate(said, strict=True)
    except ValidationError:
        # The completion was built without validation, because the provider leaves something out.
        return ChatCompletionChunk.construct(None, **said)

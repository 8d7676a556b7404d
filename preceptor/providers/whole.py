"""A whole answer as a stream: the SDK has one way for both, and its trace looks the same.

Providers stream in pieces of any length, too. What is done with a piece takes the loop as long as the piece is, so
that long ones are cut, and others have their turn in between.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from agents import ModelSettings
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta
from openai.types.responses import Response
from pydantic import ValidationError

PIECE = 500
"""Characters of an answer that are taken at a time: some thousandths of a second of work, in short lines, too."""


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
        for piece in in_pieces(as_chunk(completion)):
            yield piece
            await asyncio.sleep(0)

    return response, chunks()


def in_pieces(chunk: ChatCompletionChunk) -> Sequence[ChatCompletionChunk]:
    """Returns a chunk, its text in pieces that do not hold up the loop for long."""
    # The client builds a chunk that is not valid without validation: anything may be missing.
    choices = cast("Sequence[Choice | None]", cast("object", chunk.choices) or ())
    choice = choices[0] if len(choices) == 1 else None
    delta = cast("object", choice and choice.delta)
    text = cast("object", delta.content) if isinstance(delta, ChoiceDelta) else None
    if not choice or not isinstance(text, str) or len(text) <= PIECE:
        return (chunk,)
    starts = range(0, len(text), PIECE)
    begun = {"finish_reason": None, "logprobs": None}
    pieces = [
        chunk.model_copy(
            update={
                "usage": None,
                "choices": [
                    choice.model_copy(
                        update={**begun, "delta": ChoiceDelta(content=text[start : start + PIECE])}
                    )
                ],
            }
        )
        for start in starts[:-1]
    ]
    # Everything else that the chunk says comes with its last piece: it counts once.
    last = choice.model_copy(
        update={"delta": choice.delta.model_copy(update={"content": text[starts[-1] :]})}
    )
    return [*pieces, chunk.model_copy(update={"choices": [last]})]


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

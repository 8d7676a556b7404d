"""A whole answer as the one chunk of a stream: the SDK has one way for both, and its trace looks the same."""

from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)


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

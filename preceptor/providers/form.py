"""The form of a provider's answer: whether what is read of it has the types that it must have.

The client builds its objects without validation, so that a field may hold anything. What may be left out is None.
"""

from collections.abc import Iterator
from typing import Any, cast

from openai import BaseModel
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from preceptor.errors import AnswerUnusable

_THOUGHTS = ("reasoning", "reasoning_content")
_UNREAD = ("audio", "thinking_blocks")
"""Nobody asks for these; the SDK reads them all the same."""


def check_form(answer: ChatCompletion | ChatCompletionChunk) -> None:
    """Takes out of an answer what is read by nobody, and raises where the rest is of a wrong type.

    Raises:
        AnswerUnusable: It is no answer (`not_an_api`), or a tool call in it is none (`malformed_tool_call`).
    """
    if not all(_is_choice(one) for one in _listed(answer.choices)):
        raise AnswerUnusable("not_an_api", "a 200 whose fields are of other types")
    for choice in cast("list[Any]", answer.choices or ()):
        choice.logprobs = None
        part = choice.delta if isinstance(answer, ChatCompletionChunk) else choice.message
        if part is None:
            continue
        for name in (*_UNREAD, *(one for one in _THOUGHTS if not _is_text(part, one))):
            if getattr(part, name, None) is not None:
                setattr(part, name, None)
        is_whole = isinstance(answer, ChatCompletion)
        if not all(_is_call(one, is_whole=is_whole) for one in _listed(part.tool_calls)):
            raise AnswerUnusable("malformed_tool_call", "a call whose fields are of other types")


def _listed(value: object) -> Iterator[object]:
    """What is in a list; of what is none, itself."""
    if value is not None:
        yield from cast("list[object]", value) if isinstance(value, list) else [value]


def _is_choice(choice: object) -> bool:
    if not isinstance(choice, BaseModel) or not _is_text(choice, "finish_reason") or not _is_index(choice):
        return False
    if "message" in type(choice).model_fields:
        part = getattr(choice, "message", None)
    else:
        part = getattr(choice, "delta", None)
        if part is None:
            return True
    return isinstance(part, BaseModel) and _is_text(part, "refusal")


def _is_call(call: object, *, is_whole: bool) -> bool:
    if not isinstance(call, BaseModel) or not _is_text(call, "id") or not _is_index(call):
        return False
    function = getattr(call, "function", None)
    # A piece may hold nothing of it, and a call of another kind has none.
    if function is None:
        return not (is_whole and hasattr(call, "function"))
    return isinstance(function, BaseModel) and _is_text(function, "name") and _is_text(function, "arguments")


def _is_text(part: BaseModel, name: str) -> bool:
    return isinstance(getattr(part, name, None), str | None)


def _is_index(part: BaseModel) -> bool:
    return isinstance(getattr(part, "index", None), int | None)

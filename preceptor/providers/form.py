"""The form of a provider's answer: whether what is read of it has the types that it must have.

The client builds its objects without validation, so that a field may hold anything. What may be left out is None.
"""

from collections.abc import Iterator
from typing import Any, cast

from openai import BaseModel
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from preceptor.errors import AnswerUnusable

_THOUGHTS = ("reasoning", "reasoning_content")
_UNREAD = (*_THOUGHTS, "audio", "thinking_blocks")
"""Nobody asks for these; the SDK reads them all the same, and takes thoughts for texts."""
_LOOKED_FOR = (*_UNREAD, "annotations")
"""The SDK looks for these in each piece of a stream, and pydantic takes microseconds to say that there is none."""


def check_form(answer: ChatCompletion | ChatCompletionChunk) -> None:
    """Takes out of an answer what is read by nobody, and raises where the rest is of a wrong type.

    Raises:
        AnswerUnusable: It is no answer (`not_an_api`), or a tool call in it is none (`malformed_tool_call`).
    """
    is_whole = isinstance(answer, ChatCompletion)
    name = "message" if is_whole else "delta"
    if not all(_is_choice(one, name, may_lack=not is_whole) for one in _listed(answer.choices)):
        raise AnswerUnusable("not_an_api", "a 200 whose fields are of other types")
    for choice in cast("list[Any]", answer.choices or ()):
        choice.logprobs = None
        part = getattr(choice, name, None)
        if part is None:
            continue
        # Not by `getattr`, which is slow for what is not there, and every chunk comes by here.
        said = vars(part) | (part.model_extra or {})
        for unread in _UNREAD:
            value = said.get(unread)
            if value is not None and not (unread in _THOUGHTS and isinstance(value, str)):
                setattr(part, unread, None)
        if not is_whole:
            vars(part).update({name: None for name in _LOOKED_FOR if name not in said})
        if not all(_is_call(one, is_whole=is_whole) for one in _listed(part.tool_calls)):
            raise AnswerUnusable("malformed_tool_call", "a call whose fields are of other types")


def _listed(value: object) -> Iterator[object]:
    """Yields the items of a list, or the value itself if it is no list."""
    if value is not None:
        yield from cast("list[object]", value) if isinstance(value, list) else [value]


def _is_choice(choice: object, name: str, *, may_lack: bool) -> bool:
    """Whether it is a choice with its part of the answer under `name`, which it may lack in a stream."""
    if not isinstance(choice, BaseModel) or not _is_text(choice, "finish_reason") or not _is_index(choice):
        return False
    part = getattr(choice, name, None)
    if part is None:
        return may_lack
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

"""Earlier messages of a conversation that a client brings along: those that can be read, as many as a model should see.

A client that sends everything at each turn sends more and more, and things that were never meant for us; whatever
cannot be read is left aside, for it would otherwise stand in the way of every later question.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Said = tuple[Literal["user", "assistant"], str]
"""Role and text of a message."""

_LONGEST = 12_000
"""Characters of one earlier message that a model sees; the rest is cut off."""
_LONGEST_IN_ALL = 48_000
"""Characters of all earlier messages together; the newest count first."""


def text_of(content: Any) -> str:
    """Returns the text of a message's content: a string, or parts of which those with a `text` count."""
    parts: list[Any] = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def trimmed(said: Iterable[Said]) -> Sequence[Said]:
    """Returns the last messages, without empty ones, each and all together of a length that models take."""
    kept: list[Said] = []
    left = _LONGEST_IN_ALL
    for role, text in reversed([each for each in said if each[1]]):
        cut = text[:_LONGEST]
        left -= len(cut)
        if left < 0:
            break
        kept.append((role, cut))
    return kept[::-1]


def as_readable(messages: Sequence[Any], *, otherwise: Mapping[str, Any]) -> Sequence[Any]:
    """Returns the messages with those before and after the question in a form that can be read in any case.

    Args:
        messages: Messages as a client sent them; the last one of the `user` is the question, which stays as it is.
        otherwise: Stands in the place of a message of the user that has no text, or of something that is no message.
    """
    asked = max((place for place, each in enumerate(messages) if _role(each) == "user"), default=None)
    if asked is None:
        return messages
    return [each if place == asked else _readable(each, otherwise) for place, each in enumerate(messages)]


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _readable(message: Any, otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
    if _role(message) in ("user", "assistant", "system", "developer"):
        text = text_of(message.get("content"))
        return {"role": message["role"], "content": text} if text else otherwise
    # Without a role it may be a reference to an answer.
    return (
        {**otherwise, "type": message.get("type"), "id": message.get("id")}
        if _is_item(message)
        else otherwise
    )


def _is_item(message: Any) -> bool:
    return isinstance(message, dict) and "role" not in message

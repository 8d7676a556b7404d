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


_READER = frozenset({"user", "human", "student", "reader", "you", "me", "question"})
_TUTOR = frozenset({"assistant", "bot", "ai", "model", "tutor", "chatbot", "agent", "answer"})
_ROLE_FIELDS = ("role", "sender", "type", "from", "author", "speaker")
_TEXT_FIELDS = ("content", "text", "message", "parts", "body", "value")
_QUESTION_FIELDS = ("question", "user", "query", "human", "prompt", "input")
_ANSWER_FIELDS = ("answer", "assistant", "bot", "response", "ai", "output")


def said_in(history: Any) -> list[Said]:
    """Returns what can be read in a history as front ends keep theirs.

    Args:
        history: Messages with a role (`user`, `bot`, …) and a text, or questions with their answers; anything else is
            left aside.
    """
    said: list[Said] = []
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict):
            said.extend(_said_by(entry))
        elif isinstance(entry, list) and len(entry) == 2:
            said.extend([("user", text_of(entry[0])), ("assistant", text_of(entry[1]))])
    return [each for each in said if each[1]]


def _said_by(entry: Mapping[str, Any]) -> list[Said]:
    roles = [entry[name].lower() for name in _ROLE_FIELDS if isinstance(entry.get(name), str)]
    role = next((role for role in roles if role in _READER | _TUTOR), None)
    if role is None and isinstance(by_reader := entry.get("isUser", entry.get("is_user")), bool):
        role = "user" if by_reader else "bot"
    if role is not None:
        text = next((text for name in _TEXT_FIELDS if (text := text_of(entry.get(name)))), "")
        return [("user" if role in _READER else "assistant", text)]
    if roles:  # instructions, results of tools
        return []
    question = next((text for name in _QUESTION_FIELDS if (text := text_of(entry.get(name)))), "")
    answer = next((text for name in _ANSWER_FIELDS if (text := text_of(entry.get(name)))), "")
    return [("user", question), ("assistant", answer)]


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
    return tuple(kept[::-1])


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

"""Earlier messages of a conversation that a client brings along: those that can be read, as many as a model should see.

A client that sends everything at each turn sends more and more, and things that were never meant for us; whatever
cannot be read is left aside, for it would otherwise stand in the way of every later question.
"""

from collections.abc import Iterable, Sequence
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

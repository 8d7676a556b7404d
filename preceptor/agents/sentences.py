"""Sentences of a text, and how much two of them share."""

import re
from functools import lru_cache

from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

_WORD = re.compile(r"[^\W_]+(?:[._-][^\W_]+)*")
_BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+[.)])\s)|(?<=\n)(?=\|)")


def sentences(text: str, language: str) -> list[str]:
    """The sentences of a passage's text in order; a list item or a table row is one of its own."""
    found: list[str] = []
    for block in _BLOCK.split(text):
        found.extend(part for piece in segment(language, block) if (part := " ".join(piece.split())))
    return found


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """The words of a text, folded; short function words stay in (they weigh little in an overlap)."""
    return frozenset(word.casefold() for word in _WORD.findall(text))


def overlap(claim: str, sentence: str) -> float:
    """Share of the claim's words that the sentence has, in [0, 1]; longer words weigh more."""
    wanted = words(claim)
    if not wanted:
        return 0.0
    has = words(sentence)
    total = sum(len(word) for word in wanted)
    return sum(len(word) for word in wanted if word in has) / total


def nearest(claim: str, text: str, language: str) -> str:
    """The sentence of `text` that shares most with `claim`; the first one where none shares anything."""
    candidates = sentences(text, language)
    if not candidates:
        return text.strip()
    return max(candidates, key=lambda sentence: overlap(claim, sentence))

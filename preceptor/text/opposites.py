"""Words of opposite meaning: "increase" and "decrease", by the pairs that a language's record has."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from preceptor.text.languages import language

Pole = tuple[int, bool]
"""A pair of opposites by its place in the record, and whether it is the second side."""

_ROOT = 3
"""Least letters of a word that a prefix may turn around: "in" makes no opposite of "put"."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    whole: Mapping[str, tuple[Pole, ...]]
    """Poles by word, or by phrase."""
    beginnings: Mapping[str, tuple[Pole, ...]]
    found: re.Pattern[str]
    """Matches whatever may be in one of the two."""


@lru_cache(maxsize=64)
def _pairs(tag: str) -> _Pairs | None:
    record = language(tag or "en")
    whole: dict[str, tuple[Pole, ...]] = {}
    beginnings: dict[str, tuple[Pole, ...]] = {}
    for number, pair in enumerate(record.opposites):
        for second, side in enumerate(pair.split(" : ")):
            for word in side.split():
                table = beginnings if word.endswith("*") or not record.spaced or tag == "ko" else whole
                key = word.rstrip("*")
                table[key] = (*table.get(key, ()), (number, bool(second)))
    if not (whole or beginnings):
        return None
    if record.spaced:
        return _Pairs(whole, beginnings, re.compile(r"[^\W\d_][\w\u0300-\u036f\u0900-\u0dff'’-]*"))
    longest = sorted(beginnings, key=len, reverse=True)
    return _Pairs(whole, beginnings, re.compile("|".join(map(re.escape, longest))))


def poles(text: str, tag: str) -> Iterator[tuple[Pole, int, int]]:
    """The words of a text that have an opposite: the pole of each, and its place.

    Args:
        text: A sentence in lower case.
        tag: BCP 47 tag of its language.
    """
    pairs = _pairs(language(tag or "en").tag)
    if pairs is None:
        return
    for match in pairs.found.finditer(text):
        for pole in _poles_of(match.group(), pairs):
            yield pole, match.start(), match.end()


def poles_of(word: str, tag: str) -> tuple[Pole, ...]:
    """The poles of one word in lower case."""
    pairs = _pairs(language(tag or "en").tag)
    return _poles_of(word, pairs) if pairs else ()


def _poles_of(word: str, pairs: _Pairs) -> tuple[Pole, ...]:
    if word in pairs.whole:
        return pairs.whole[word]
    for end in range(len(word), 0, -1):
        if word[:end] in pairs.beginnings:
            return pairs.beginnings[word[:end]]
    return ()


def is_turned(word: str, other: str, tag: str) -> bool:
    """Whether one of two words is the other one with a prefix that negates it: "unsafe" and "safe"."""
    if len(word) < len(other):
        word, other = other, word
    return len(other) >= _ROOT and any(
        word == prefix + other for prefix in language(tag or "en").negating_prefixes
    )

"""Finds what speaks against a claim in the passages that it cites; `support` weighs these numbers.

The claim is set beside the sentences of the passages that are most like it: which of its words they lack and where
these stand, its negations and words of opposite meaning, its numbers and names, and what is set against what.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from preceptor.library.passage import Passage
from preceptor.text.languages import language
from preceptor.text.opposites import Pole, is_turned, poles, poles_of
from preceptor.text.pieces import plain_sentences
from preceptor.text.tokens import folded, stems

# Behind a comma a space is wanted: `12,500` is one number. The marks are those of Arabic, Urdu, Hindi and CJK, too.
CLAUSE_END = r"[,;:.!?،؛۔؟।。，；：！？]+(?:\s|$)|\s[–—-]\s|\n"
_CLAUSE_END = re.compile(rf"{CLAUSE_END}|[。，；：！？、]")
# `\w` has no vowel signs of the scripts from Devanagari to Sinhala.
_WORD = re.compile(r"[\w\u0900-\u0dff]+(?:['’]\w+)?")
_NEAR, _NEAR_UNSPACED = 34, 9
"""Letters before and behind a negation within which the words stand that it negates."""
_BEGINNING, _SHARE_OF_FORM, _ENDING = 4, 0.6, 3
"""Two forms of a word share this many letters at least at their beginning, and this share of the longer one; or they
end alike."""
_BESIDE = 4
"""Content words that are looked at on each side of "rather than" for a change of places, and of a word with an
opposite.
"""
_FAR = 80
"""Letters on each side of a word with an opposite among which these content words are looked for."""
_PARTLY = 0.5
"""Share of known words from which a claim says the same as a sentence but for what is turned around."""
_LEAST_CLAUSE = 2
"""Content words from which a clause is compared by itself."""

AGAINST = (
    "two_in_a_row_missing",
    "three_in_a_row_missing",
    "missing_at_end",
    "more_than_replaced",
    "negated",
    "negation_dropped",
    "turned_and_covered",
    "opposite",
    "opposite_and_covered",
    "absolute",
    "sides_changed",
)
"""Names of the numbers that `against` returns, in order; each is 0 where nothing speaks against the claim."""


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """A sentence, looked at once."""

    text: str
    """The sentence in lower case."""
    order: tuple[int, ...]
    """Stems of its content words, in order."""
    surface: tuple[str, ...]
    """The same words as they are written."""
    has: frozenset[int]
    negations: tuple[tuple[frozenset[int], frozenset[int]], ...]
    """The stems near each negation, and those of its clause."""
    plain: tuple[frozenset[int], ...]
    """The stems of each clause that is not negated."""
    poles: tuple[tuple[Pole, Mapping[int, int]], ...]
    """Each word with an opposite, and how many content words away the others of its clause are."""
    absolutes: frozenset[str]


def against(claim: str, passages: Sequence[Passage]) -> tuple[float, ...]:
    """Returns what speaks against a claim: one number for each of `AGAINST`.

    Args:
        claim: A sentence with at least one content word.
        passages: Those that it cites, at least one.
    """
    tag = passages[0].language
    own = _said(claim, tag)
    there = [one for place in passages for one in _sentences(place.text, tag)] or [
        _said(passages[0].text, tag)
    ]
    nearest = _nearest(own, there)
    clauses = [_said(one, tag) for one in _clauses(claim, tag)]
    beside = [_nearest(one, there) for one in clauses]
    most = len(own.has & nearest.has)
    aligned = [nearest, *beside, *(one for one in there if len(own.has & one.has) == most)]
    aligned = list({id(one): one for one in aligned}.values())

    spaced = language(tag or "en").spaced
    scale = 1.0 if spaced else 0.5
    count = max(1.0, scale * len(own.order))
    everything = frozenset[int]().union(*(stems(one.embedded_text, tag) for one in passages))
    missing = _longest_run(_known(own, everything, there, tag), spaced=spaced)
    known = _known(own, frozenset[int]().union(*(one.has for one in aligned)), aligned, tag)
    missing_here = _missing(known, spaced=spaced)
    covered = max(0.0, 1 - missing_here / count - _PARTLY)
    negated, dropped = _turned(clauses, beside, own, aligned)
    opposite = _has_opposite(own, aligned)
    return (
        float(missing >= 2),
        float(missing >= 3),
        scale * _at_end(known),
        max(0.0, missing_here - scale * _leftover(own, nearest)) / count,
        negated,
        dropped,
        max(negated, dropped) * covered,
        float(opposite),
        opposite * covered,
        float(_is_absolute(own, aligned, tag)),
        0.0 if missing_here else _sides_changed(own, aligned, tag),
    )


@lru_cache(maxsize=256)
def _sentences(text: str, tag: str) -> tuple[_Said, ...]:
    found = (_said(one, tag) for one in plain_sentences(text, tag))
    return tuple(one for one in found if one.has)


@lru_cache(maxsize=1024)
def _said(text: str, tag: str) -> _Said:
    record = language(tag or "en")
    lower = text.lower()
    order: list[int] = []
    surface: list[str] = []
    negation, instead = _regex(record.negation), _regex(record.instead)
    for word in _WORD.findall(folded(text)):
        if word.lower() in record.absolutes or (negation and negation.fullmatch(word.lower())):
            continue
        if (found := _stem(word, tag)) is not None:
            order.append(found)
            surface.append(word.lower())
    width = _NEAR if record.spaced else _NEAR_UNSPACED
    clauses = _negated_clauses(lower, tag)
    denied = tuple(
        (_stems_of(_CLAUSE_END.split(lower[found.end() : found.end() + width])[0], tag), found.end())
        for found in (instead.finditer(lower) if instead else ())
    )
    return _Said(
        lower,
        tuple(order),
        tuple(surface),
        frozenset(order),
        tuple(
            (_around(lower, start, end, width, tag), _stems_of(lower[found.start : found.end], tag))
            for found in clauses
            if len(found.negations) % 2
            for start, end in found.negations
        )
        + tuple((words, words) for words, _ in denied if words),
        tuple(
            _stems_of(lower[one.start : one.end], tag).difference(
                *(words for words, place in denied if one.start <= place <= one.end)
            )
            for one in clauses
            if not len(one.negations) % 2
        ),
        tuple((pole, _distances(lower, start, end, tag)) for pole, start, end in poles(lower, tag)),
        frozenset(
            record.absolutes.intersection(_WORD.findall(lower))
            if record.spaced
            else (one for one in record.absolutes if one in lower)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Clause:
    start: int
    end: int
    negations: tuple[tuple[int, int], ...]
    """The place of each; two cancel each other."""


def _negated_clauses(text: str, tag: str) -> list[_Clause]:
    negation = _regex(language(tag or "en").negation)
    found: list[_Clause] = []
    start = 0
    for boundary in (*_CLAUSE_END.finditer(text), None):
        end = boundary.start() if boundary else len(text)
        places = tuple(one.span() for one in negation.finditer(text, start, end)) if negation else ()
        found.append(_Clause(start, end, places))
        start = boundary.end() if boundary else end
    return found


@lru_cache(maxsize=32768)
def _stem(word: str, tag: str) -> int | None:
    """The stem of a word; None if it has no content."""
    return min(stems(word, tag), default=None)


@lru_cache(maxsize=256)
def _regex(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


def _ordered(text: str, tag: str) -> list[int]:
    return [found for word in _WORD.findall(folded(text)) if (found := _stem(word, tag)) is not None]


def _stems_of(text: str, tag: str) -> frozenset[int]:
    return frozenset(_ordered(text, tag))


def _around(text: str, start: int, end: int, width: int, tag: str) -> frozenset[int]:
    """The stems of whole words around a place, within its clause."""
    before, behind = text[max(0, start - width) : start], text[end : end + width]
    if start > width:
        before = before.partition(" ")[2] or before
    if end + width < len(text):
        behind = behind.rpartition(" ")[0] or behind
    before, behind = _CLAUSE_END.split(before)[-1], _CLAUSE_END.split(behind)[0]
    return _stems_of(f"{before} {behind}", tag)


def _distances(text: str, start: int, end: int, tag: str) -> dict[int, int]:
    """How many content words away from a place the others of its clause are, the nearest ones."""
    before = _ordered(_CLAUSE_END.split(text[:start])[-1][-_FAR:], tag)[-_BESIDE:]
    behind = _ordered(_CLAUSE_END.split(text[end:])[0][:_FAR], tag)[:_BESIDE]
    own = _stems_of(text[start:end], tag)
    found: dict[int, int] = {}
    for side in (before[::-1], behind):
        for away, word in enumerate(side, 1):
            if word not in own:
                found[word] = min(away, found.get(word, away))
    return found


def _nearest(own: _Said, there: Sequence[_Said]) -> _Said:
    return max(there, key=lambda one: (len(own.has & one.has), -len(one.has)))


def _clauses(text: str, tag: str) -> list[str]:
    """The clauses of a claim, short ones with the one before."""
    conjunctions = language(tag or "en").conjunctions
    end = _regex(rf"{_CLAUSE_END.pattern}|\b(?:{conjunctions})\b") if conjunctions else _CLAUSE_END
    found: list[str] = []
    for clause in end.split(text) if end else ():
        if found and (len(stems(clause, tag)) < _LEAST_CLAUSE or len(stems(found[-1], tag)) < _LEAST_CLAUSE):
            found[-1] += f" {clause}"
        else:
            found.append(clause)
    return [one for one in found if stems(one, tag)]


def _known(own: _Said, has: frozenset[int], there: Sequence[_Said], tag: str) -> list[bool]:
    """Tells for each content word whether the sentences have it, another form of it, or a word that means the same."""
    known = [stem in has for stem in own.order]
    if not language(tag or "en").spaced or all(known):
        return known
    words = {word for one in there for word in one.surface}
    same = {pole for one in there for pole, _ in one.poles}
    return [
        found
        or not same.isdisjoint(poles_of(word, tag))
        or any(
            is_form(word, other, tag)
            for other in words
            # Forms begin or end alike, which hardly a word does that is none.
            if word[:_BEGINNING] == other[:_BEGINNING] or word[-_ENDING:] == other[-_ENDING:]
        )
        for found, word in zip(known, own.surface, strict=True)
    ]


def is_form(word: str, other: str, tag: str) -> bool:
    """Whether two words are forms of one: "simulator" and "simulated"."""
    if word[:_BEGINNING] == other[:_BEGINNING]:
        longest = max(len(word), len(other))
        shared = next(
            (at for at, (one, two) in enumerate(zip(word, other, strict=False)) if one != two),
            min(len(word), len(other)),
        )
        if shared >= max(_BEGINNING, _SHARE_OF_FORM * longest):
            return True
    # Arabic and Hebrew write "and", "the" and "in" with the word.
    shorter, longer = (other, word) if len(other) < len(word) else (word, other)
    return (
        len(shorter) >= _ENDING
        and len(longer) - len(shorter) <= 2
        and longer.endswith(shorter)
        and not is_turned(word, other, tag)
    )


def _missing(known: Sequence[bool], *, spaced: bool) -> float:
    """Number of words that are not known; of pairs of characters, those that a strange word brings."""
    if spaced:
        return float(sum(not one for one in known))
    return sum(max(0.5, (run - 1) / 2) for run in _runs(known))


def _longest_run(known: Sequence[bool], *, spaced: bool) -> float:
    longest = max(_runs(known), default=0)
    return float(longest) if spaced else (longest - 1) / 2


def _runs(known: Sequence[bool]) -> Iterator[int]:
    run = 0
    for one in (*known, True):
        if not one:
            run += 1
        elif run:
            yield run
            run = 0


def _at_end(known: Sequence[bool]) -> int:
    """Number of unknown words behind the last known one."""
    return next((number for number, one in enumerate(reversed(known)) if one), len(known))


def _leftover(own: _Said, nearest: _Said) -> int:
    """Number of the nearest sentence's words that the claim lacks, between the first and the last that it has."""
    shared = [place for place, one in enumerate(nearest.order) if one in own.has]
    if not shared:
        return 0
    return sum(one not in own.has for one in nearest.order[max(0, shared[0] - 1) : shared[-1] + 2])


def _turned(
    clauses: Sequence[_Said], beside: Sequence[_Said], own: _Said, aligned: Sequence[_Said]
) -> tuple[float, float]:
    """How likely the claim negates what its passages do not, and the reverse."""
    negated = dropped = 0.0
    theirs = [found for one in aligned for found in one.negations]
    for clause, sentence in zip(clauses, beside, strict=True):
        for near, _ in clause.negations:
            shared = near & sentence.has
            if shared and not any(shared & other for other, _ in theirs):
                negated = max(negated, len(shared) / len(near))
    plain = [words for one in aligned for words in one.plain]
    for near, words in theirs:
        shared = near & own.has
        like = len(words & own.has)
        if (
            shared
            and not any(shared & other for other, _ in own.negations)
            # The claim may rest on the clause beside it: "does not read zero; it reads 9.81".
            and not any(shared <= one or (shared & one and len(one & own.has) > like + 1) for one in plain)
        ):
            dropped = max(dropped, len(shared) / len(near))
    return negated, dropped


def _has_opposite(own: _Said, aligned: Sequence[_Said]) -> bool:
    """Whether the passages have the opposite of a word, with more of the same words around it than the word itself."""
    theirs: dict[Pole, list[Mapping[int, int]]] = {}
    for one in aligned:
        for pole, near in one.poles:
            theirs.setdefault(pole, []).append(near)
    mine = {pole for pole, _ in own.poles}
    for (pair, second), near in own.poles:
        if (pair, not second) in mine:
            continue
        beside_same = max((_in_common(near, one) for one in theirs.get((pair, second), [])), default=0)
        if any(_in_common(near, one) > beside_same for one in theirs.get((pair, not second), [])):
            return True
    return False


def _in_common(one: Mapping[int, int], other: Mapping[int, int]) -> float:
    """How much two words have in common of what is near them; the nearest counts most."""
    return sum(1 / max(one[word], other[word]) for word in one.keys() & other.keys())


def _is_absolute(own: _Said, aligned: Sequence[_Said], tag: str) -> bool:
    """Whether the claim leaves no exception where the passages say nothing of the kind."""
    theirs = frozenset[str]().union(*(one.absolutes for one in aligned))
    same = {pole for one in aligned for pole, _ in one.poles}
    negation = _regex(language(tag or "en").negation)
    return any(
        same.isdisjoint(poles_of(word, tag)) and not (negation and negation.fullmatch(word))
        for word in own.absolutes - theirs
    )


_MOST_JOINTS = 32
"""Places of a claim whose sides are compared, since each reads all of it: no sentence of prose has as many."""


def _sides_changed(own: _Said, aligned: Sequence[_Said], tag: str) -> float:
    """How surely two things have changed places that are set against each other, or that "is" joins."""
    record = language(tag or "en")
    if not record.contrast:
        return 0.0
    most = 0.0
    for pattern in filter(None, (record.contrast, record.copulas)):
        between = _regex(rf"(?<!\w)(?:{pattern})(?!\w)" if record.spaced else pattern)
        for match in islice(between.finditer(own.text), _MOST_JOINTS) if between else ():
            ours = _sides(own.text, match, tag)
            for sentence in aligned:
                for other in between.finditer(sentence.text) if between else ():
                    if other.group() == match.group() or pattern == record.copulas:
                        most = max(most, _crossed(ours, _sides(sentence.text, other, tag)))
    return most


def _sides(text: str, match: re.Match[str], tag: str) -> tuple[frozenset[int], frozenset[int]]:
    left, right = _ordered(text[: match.start()], tag), _ordered(text[match.end() :], tag)
    return frozenset(left[-_BESIDE:]), frozenset(right[:_BESIDE])


def _crossed(
    ours: tuple[frozenset[int], frozenset[int]], theirs: tuple[frozenset[int], frozenset[int]]
) -> float:
    """How surely the words of the two sides have changed places."""
    left, right = ours
    to_right, to_left = left & theirs[1] - theirs[0], right & theirs[0] - theirs[1]
    stayed = left & theirs[0] - theirs[1]
    straight = len(stayed) + len(right & theirs[1] - theirs[0])
    crossed = len(to_right) + len(to_left)
    # What follows the object stays where it is: "A calls B at the end" and "B calls A at the end".
    if not to_right or not to_left or (stayed and crossed <= straight):
        return 0.0
    return crossed / (crossed + len(stayed))

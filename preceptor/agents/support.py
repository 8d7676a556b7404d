"""How well the passages that an answer cites bear what it says: a light check that asks no provider.

A claim is a sentence or a list item of the answer; code, formulas and tables are not judged. It is supported when
the passages it cites have its words, its numbers, and a negation where it has one. That finds the claim that is about
something else, the wrong number and the turned-around statement; it does not find a claim that says the opposite in the
passage's own words, and it cannot judge one in another language than the passage's. How it was calibrated is in
decision 0008.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

from preceptor.agents.citations import Mark
from preceptor.library.passage import Passage
from preceptor.text.phrases import language_of
from preceptor.text.sentences import overlap, sentences, stems
from preceptor.text.tokens import folded

SUPPORTED = 0.5
"""Support from which a claim counts as supported."""

_WORDS = 5.4
_WRONG_NUMBER = 4.4
_TURNED_AROUND = 3.2
_NEEDED = 2.7
_SAYS_LITTLE = 3
"""Words, below which a sentence without a citation claims nothing: "Good question!"."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COUNTS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
}
_NEGATIONS = {
    "en": r"\b(?:not|no|never|without|cannot|nor|neither|none|nobody|nothing)\b|n['’]t\b",
    "es": r"\b(?:no|nunca|sin|ni|ningún|ninguna|ninguno|nada|nadie|jamás)\b",
    "fr": r"\b(?:pas|jamais|sans|ni|aucune?|rien|personne)\b",
    "de": r"\b(?:nicht|nie|niemals|ohne|kein\w*|nichts|niemand|weder)\b",
    "pt": r"\b(?:não|nunca|sem|nem|nenhuma?|nada|ninguém|jamais)\b",
    "it": r"\b(?:non|mai|senza|né|nessun\w*|niente|nulla)\b",
    "nl": r"\b(?:niet|nooit|zonder|geen|niets|niemand)\b",
    "id": r"\b(?:tidak|tak|bukan|tanpa|belum|jangan)\b",
    "ru": r"\b(?:не|нет|никогда|без|ни|никто|ничего)\b",
    "uk": r"\b(?:не|немає|ніколи|без|ні|ніхто|нічого)\b",
    "ur": r"\b(?:نہیں|نہ|مت|بغیر)\b",
    "hi": r"(?:नहीं|मत|बिना)",
    "ar": r"\b(?:لا|ليس|ليست|لم|لن|بدون|غير)\b",
    "zh": r"[不没無无]|未",
}
_CLAUSE = re.compile(
    r"[,;:.!?،؛۔؟।。，；：！？]+(?:\s|$)|\s[–—-]\s|\n|\b(?:but|whereas|while|because|since|so that)\b"
)
_SKIPPED = re.compile(r"^\s*(?:#{1,6}\s|\||\$\$|</?\w)")
"""Lines that state nothing as a sentence does."""
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_SPACE = re.compile(r"\s+(?=[.,;:!?])")
"""What a marker leaves behind: "a node [1]." """
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that an answer says, and the numbers of the sources that it says it on."""

    text: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a whole answer."""

    confidence: float | None
    """Share of the claims that are supported; None when none could be judged."""
    support: Mapping[int, float]
    """By number of a source: the mean over the claims that cite it, in [0, 1]."""


def check(text: str, marks: Sequence[Mark], passages: Mapping[int, Passage]) -> Check:
    """Compare every claim of an answer with the passages it cites.

    Args:
        text: As the reader sees it.
        marks: The markers in it, with their places in `text`.
        passages: By the numbers of the markers; one that is missing is not judged.
    """
    judged: list[float] = []
    by_source: dict[int, list[float]] = {}
    language = language_of(text)
    for claim in claims(text, marks):
        cited = [passages[number] for number in claim.sources if number in passages]
        if any(language and one.language and language != one.language.split("-")[0] for one in cited):
            continue  # words cannot be compared over languages
        found = support(claim.text, cited)
        if found is None:
            continue
        judged.append(found)
        for number in claim.sources:
            by_source.setdefault(number, []).append(found)
    return Check(
        round(sum(one >= SUPPORTED for one in judged) / len(judged), 4) if judged else None,
        {
            number: round(sum(found) / len(found), 4)
            for number, found in by_source.items()
            if number in passages
        },
    )


def support(claim: str, passages: Sequence[Passage]) -> float | None:
    """How well passages bear a claim, in [0, 1]; None when that cannot be told.

    Args:
        claim: A sentence.
        passages: Those that it cites.
    """
    if not passages:
        return None
    language = passages[0].language
    wanted = stems(claim, language)
    if not wanted:
        return None
    if any(" ".join(claim.split()) in " ".join(one.text.split()) for one in passages):
        return 1.0
    has = frozenset[int]().union(*(stems(one.embedded_text, language) for one in passages))
    evidence = _WORDS * len(wanted & has) / len(wanted) - _NEEDED
    evidence -= _WRONG_NUMBER * _has_wrong_number(claim, passages)
    evidence -= _TURNED_AROUND * _is_turned_around(claim, "\n".join(one.text for one in passages), language)
    return 1 / (1 + math.exp(-evidence))


def claims(text: str, marks: Sequence[Mark]) -> list[Claim]:
    """What an answer says, in order; nothing where it cites nothing.

    A sentence without a marker rests on what the next one in its paragraph or list cites, else the one before,
    else on everything that is cited.
    """
    found: list[Claim] = []
    for paragraph in _paragraphs(text, marks):
        found += _rested(_rested(paragraph[::-1])[::-1])
    cited = tuple(dict.fromkeys(number for claim in found for number in claim.sources))
    return [replace(claim, sources=claim.sources or cited) for claim in found if claim.text] if cited else []


def _rested(claims: Sequence[Claim]) -> list[Claim]:
    """Each claim without sources takes those of the one before it."""
    sources: tuple[int, ...] = ()
    rested: list[Claim] = []
    for claim in claims:
        sources = claim.sources or sources
        rested.append(replace(claim, sources=sources))
    return rested


def _paragraphs(text: str, marks: Sequence[Mark]) -> list[list[Claim]]:
    """Each with its sentences and what they themselves cite; a list belongs to the line that announces it."""
    bare, places = _without_markers(text, marks)
    paragraphs: list[list[Claim]] = [[]]
    last, announces = 0, False
    for start, end in _sentences(bare):
        if "\n\n" in bare[last:start] and not announces:
            paragraphs.append([])
        first, behind = (bisect_left(places, (at, 0)) for at in (start, end))
        own = tuple(dict.fromkeys(number for _, number in places[first:behind]))
        said = _SPACE.sub("", _BULLET.sub("", bare[start:end])).strip(" \n*_")
        last, announces = end, said.endswith((":", "："))
        if (
            announces
            or said.endswith(("?", "؟", "？"))
            or not (own or len(stems(said, "en")) >= _SAYS_LITTLE)
        ):
            said = ""  # it claims nothing, but what it cites may be what the next one rests on
        paragraphs[-1].append(Claim(said, own))
    return paragraphs


def _without_markers(text: str, marks: Sequence[Mark]) -> tuple[str, list[tuple[int, int]]]:
    """The text, and where in it each marker was: behind the text before it."""
    pieces, place, length, visible = list[str](), 0, 0, 0
    places: list[tuple[int, int]] = []
    for mark in marks:
        piece = text[place : mark.start]
        if bare := piece.rstrip():
            visible = length + len(bare)
        length += len(piece)
        pieces.append(piece)
        places.append((max(visible - 1, 0), mark.number))
        place = mark.end
    return "".join(pieces) + text[place:], places


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence outside of code; table rows and formulas are left out."""
    start, fence = 0, ""
    for line in text.splitlines(keepends=True):
        opening = _FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
        elif opening:
            fence = opening[1]
        elif line.strip() and not _SKIPPED.match(line):
            place = start
            for sentence in segment("en", line):
                yield place, place + len(sentence)
                place += len(sentence)
        start += len(line)


def _has_wrong_number(claim: str, passages: Sequence[Passage]) -> bool:
    """Whether a figure of the claim is in no passage, or one of its counts where the passage counts otherwise."""
    figures, counts = _numbers(claim)
    there = "\n".join(one.embedded_text for one in passages)
    other_figures, other_counts = _numbers(there)
    if figures - other_figures - other_counts:
        return True
    if not counts - other_figures - other_counts:
        return False
    language = passages[0].language
    nearest = max(sentences(there, language), key=lambda one: overlap(claim, one, language), default="")
    return any(_numbers(nearest))


def _numbers(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """What is written in figures, and what in words (in English, up to twelve)."""
    text = folded(text)
    figures = frozenset(re.sub(r",(?=\d{3})", "", one).replace(",", ".") for one in _NUMBER.findall(text))
    words = re.findall(r"[a-z]+", text.lower())
    return figures, frozenset(_COUNTS[word] for word in words if word in _COUNTS)


def _is_turned_around(claim: str, text: str, language: str) -> bool:
    """Whether a clause of the claim is negated and the one of the text that is most like it is not, or the reverse."""
    there = list(_clauses(text, language))
    for words, negated in _clauses(claim, language):
        shared = [len(words & others) for others, _ in there]
        if len(words) < 2 or 2 * max(shared, default=0) < len(words):
            continue
        like = [one for one, count in zip(there, shared, strict=True) if count == max(shared)]
        _, otherwise = min(like, key=lambda one: len(one[0]))
        if otherwise != negated:
            return True
    return False


def _clauses(text: str, language: str) -> Iterator[tuple[frozenset[int], bool]]:
    """The words of each clause, and whether it is negated (twice is not)."""
    negation = _NEGATIONS.get(language.split("-")[0] or "en", r"(?!)")
    for clause in _CLAUSE.split(text):
        if words := stems(clause, language):
            yield words, len(re.findall(negation, clause.lower())) % 2 == 1

"""Judges how well cited passages support an answer: a light check without a provider.

A claim is a sentence or a list item of the answer; code, formulas and tables are not judged. A claim is
supported if the cited passages contain its words, its numbers, and its negations. This detects claims about
another subject, wrong numbers and negated statements; it does not detect a claim that says the opposite in
the passage's own words, and it cannot judge claims in another language than the passage's. Decision 0008
describes the calibration.
"""

import math
import re
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
"""Word count below which a sentence without a citation claims nothing: "Good question!"."""

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
"""Lines that are not sentences."""
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_SPACE = re.compile(r"\s+(?=[.,;:!?])")
"""Space that a removed marker leaves before punctuation: `a node [1].`"""
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement in the answer, and the numbers of the sources cited for it."""

    text: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Result of checking a whole answer."""

    confidence: float | None
    """Share of the claims that are supported; None when none could be judged."""
    support: Mapping[int, float]
    """By source number, the mean support of the claims that cite it, in [0, 1]."""


def check(text: str, marks: Sequence[Mark], passages: Mapping[int, Passage]) -> Check:
    """Compare every claim of an answer with the passages it cites.

    Args:
        text: The answer as the reader sees it.
        marks: The markers in it, with their places in `text`.
        passages: Passages by marker number; a missing one is not judged.
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
    """Returns how well passages support a claim, in [0, 1]; None if it cannot be judged.

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
    # A verbatim quotation needs no statistics; odd numbers and negations in it are the book's.
    if any(" ".join(claim.split()) in " ".join(one.text.split()) for one in passages):
        return 1.0
    has = frozenset[int]().union(*(stems(one.embedded_text, language) for one in passages))
    evidence = _WORDS * len(wanted & has) / len(wanted) - _NEEDED
    evidence -= _WRONG_NUMBER * _has_wrong_number(claim, passages)
    evidence -= _TURNED_AROUND * _is_turned_around(claim, "\n".join(one.text for one in passages), language)
    return 1 / (1 + math.exp(-evidence))


def claims(text: str, marks: Sequence[Mark]) -> list[Claim]:
    """Returns the claims of an answer in order; empty if it cites nothing.

    A sentence without a marker takes the sources of the next one in its paragraph or list, otherwise those of
    the previous one, otherwise all sources.
    """
    found: list[Claim] = []
    for paragraph in _paragraphs(text, marks):
        # Backwards first: a citation at the end of a paragraph covers the sentences before it.
        found += _rested(_rested(paragraph[::-1])[::-1])
    cited = tuple(dict.fromkeys(number for claim in found for number in claim.sources))
    return [replace(claim, sources=claim.sources or cited) for claim in found if claim.text] if cited else []


def _rested(claims: Sequence[Claim]) -> list[Claim]:
    """Gives each claim without sources those of the previous claim."""
    sources: tuple[int, ...] = ()
    rested: list[Claim] = []
    for claim in claims:
        sources = claim.sources or sources
        rested.append(replace(claim, sources=sources))
    return rested


def _paragraphs(text: str, marks: Sequence[Mark]) -> list[list[Claim]]:
    """Splits the answer into paragraphs of sentences; a list stays with its introductory line."""
    bare, places = _without_markers(text, marks)
    paragraphs: list[list[Claim]] = [[]]
    last, announces = 0, False
    for start, end in _sentences(bare):
        if "\n\n" in bare[last:start] and not announces:
            paragraphs.append([])
        own = tuple(dict.fromkeys(number for place, number in places if start <= place < end))
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
    """Returns the text without markers, and the position of each marker in it."""
    bare, place, places = "", 0, list[tuple[int, int]]()
    for mark in marks:
        bare += text[place : mark.start]
        places.append((max(len(bare.rstrip()) - 1, 0), mark.number))
        place = mark.start + len(f"[{mark.number}]")
    return bare + text[place:], places


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Returns the start and end of each sentence; code, table rows and formulas are left out."""
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
    """Whether a figure or a count of the claim contradicts the passages."""
    figures, counts = _numbers(claim)
    there = "\n".join(one.embedded_text for one in passages)
    other_figures, other_counts = _numbers(there)
    # A figure that occurs nowhere is wrong. A count in words may sum up a list of the book, so that it is
    # wrong only if the nearest sentence counts as well.
    if figures - other_figures - other_counts:
        return True
    if not counts - other_figures - other_counts:
        return False
    language = passages[0].language
    nearest = max(sentences(there, language), key=lambda one: overlap(claim, one, language), default="")
    return any(_numbers(nearest))


def _numbers(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the numbers in figures, and the counts in words (English, up to twelve)."""
    text = folded(text)
    figures = frozenset(re.sub(r",(?=\d{3})", "", one).replace(",", ".") for one in _NUMBER.findall(text))
    words = re.findall(r"[a-z]+", text.lower())
    return figures, frozenset(_COUNTS[word] for word in words if word in _COUNTS)


def _is_turned_around(claim: str, text: str, language: str) -> bool:
    """Whether a clause of the claim is negated where the most similar clause of the text is not, or vice versa."""
    there = list(_clauses(text, language))
    for words, negated in _clauses(claim, language):
        shared = [len(words & others) for others, _ in there]
        # Without half of the words in common, the clauses speak of different things.
        if len(words) < 2 or 2 * max(shared, default=0) < len(words):
            continue
        like = [one for one, count in zip(there, shared, strict=True) if count == max(shared)]
        # Of equally similar clauses the shortest says the least besides.
        _, otherwise = min(like, key=lambda one: len(one[0]))
        if otherwise != negated:
            return True
    return False


def _clauses(text: str, language: str) -> Iterator[tuple[frozenset[int], bool]]:
    """Returns the words of each clause, and whether it is negated; two negations cancel out."""
    negation = _NEGATIONS.get(language.split("-")[0] or "en", r"(?!)")
    for clause in _CLAUSE.split(text):
        if words := stems(clause, language):
            yield words, len(re.findall(negation, clause.lower())) % 2 == 1

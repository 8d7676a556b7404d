"""Judges how well cited passages support an answer: a light check without a provider.

A claim is a sentence or a list item of the answer; code, formulas and tables are not judged. A claim is
supported if the cited passages contain its words, its numbers and names, and its negations: `support`, by which the
gate decides sentence by sentence. What the reader is told of an answer, `check`, also weighs the opposites, the
additions and the changes of places that `evidence` finds (`likelihood`). Claims in another language than the passage's
cannot be judged. Decisions 0008 and 0025 describe the calibration.
"""

import asyncio
import json
import math
import operator
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from preceptor.agents.citations import Mark
from preceptor.agents.evidence import AGAINST, CLAUSE_END, against
from preceptor.library.passage import Passage
from preceptor.text.languages import language, language_of, words
from preceptor.text.pieces import FENCE, plain_sentences
from preceptor.text.questions import QUESTION_MARKS
from preceptor.text.sentences import COLONS, split_sentences
from preceptor.text.tokens import UNSPACED, folded, overlap, stems

SUPPORTED = 0.5
"""Support from which a claim counts as supported."""

# Weights of the log-odds, calibrated in decision 0008.
_WORDS = 5.4
_WRONG_NUMBER = 4.4
_WRONG_NAME = 4.4
_TURNED_AROUND = 3.2
_NEEDED = 2.7
_HALF = 0.5
"""Share of known words below which a claim may be about something else."""
_LEAST = 700.0
"""Log-odds against a claim above which the exponential has no number."""
SAYS_LITTLE = 3
"""Word count below which a sentence without a citation claims nothing: "Good question!"."""
_TOO_SHORT = 3
"""Word count below which a claim cannot be judged, since any passage has its words: "Yes [k7qd]."."""

_WORD = re.compile(r"\w+")
_NAME = re.compile(rf"(?![\d_])[^\W{UNSPACED}]{{2,}}")
_LATIN_NAME = re.compile(r"(?<![A-Za-z])(?=[a-z]{0,30}[A-Z])[A-Za-z]{3,30}(?![A-Za-z])")
"""A word of Latin letters with a capital, such as one beside Arabic or Chinese letters."""
_ADDRESS = re.compile(
    r"(?:\b(?:https?|ftp)://|(?<![\w.])(?=www\.))(?P<host>[\w.-]+\w)|(?<![\w.+-])[\w.+-]++@(?P<at>[\w.-]+\.\w+)"
)
"""The host of an address, or of a mailbox."""
_DOTTED = re.compile(r"(?<![\w./-])[A-Za-z][\w-]*(?:\.[a-z][\w-]*)*\.[a-z][a-z0-9_]+(?![\w/])")
"""A file, a module or a host by itself: `floor.sdf`, `rclpy.node`, `example.org`; not "e.g."."""
_CODE = re.compile(r"`[^`\n]+`")
_MARKS_BEFORE = " \t\"'“„«¿¡(*_`-"
"""Characters that may stand between the beginning of a sentence and its first word."""
_ENDS = frozenset(".:;!?…\n")
_CAPITAL_NOUNS = frozenset({"de", "lb"})
"""Languages that write every noun with a capital."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_FORMULA = "$$"
"""The line that opens a formula of several lines, or the end of its last one."""
_SKIPPED = re.compile(r"\s*(?:#{1,6}\s|\||\$\$|</?\w)")
"""Lines that are not sentences."""
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_SPACE = re.compile(r"(?<!\s)\s+(?=[.,;:!?])")
"""Space that a removed marker leaves before punctuation: `a node [1].`"""


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
    """Mean support of the claims that cite a source, in [0, 1], by its number."""


def check(
    text: str, marks: Sequence[Mark], passages: Mapping[int, Passage], *, without: Collection[str] = ()
) -> Check:
    """Compare every claim of an answer with the passages it cites.

    Args:
        text: The answer as the reader sees it.
        marks: The markers in it, with their places in `text`.
        passages: Passages by marker number; a missing one is not judged.
        without: Claims that do not count in the confidence, since their citations were chosen by their support.
    """
    return _summed(_judged(text, marks, passages), passages, without=without)


async def check_in_turns(
    text: str, marks: Sequence[Mark], passages: Mapping[int, Passage], *, without: Collection[str] = ()
) -> Check:
    """The same as `check`; between two claims others have their turn.

    One takes a millisecond, and there may be a thousand.
    """
    judged: list[tuple[Claim, float | None]] = []
    for one in _judged(text, marks, passages):
        judged.append(one)
        await asyncio.sleep(0)
    return _summed(judged, passages, without=without)


def _judged(
    text: str, marks: Sequence[Mark], passages: Mapping[int, Passage]
) -> Iterator[tuple[Claim, float | None]]:
    """Yields each claim of an answer with its support, or None if it cannot be judged."""
    spoken = language_of(text)
    for claim in claims(text, marks):
        cited = [passages[number] for number in claim.sources if number in passages]
        yield claim, likelihood(claim.text, cited) if are_comparable(spoken, cited) else None


def _summed(
    judged: Iterable[tuple[Claim, float | None]], passages: Mapping[int, Passage], *, without: Collection[str]
) -> Check:
    counted: list[float] = []
    by_source: dict[int, list[float]] = {}
    for claim, found in judged:
        if found is None:
            continue
        if claim.text not in without:
            counted.append(found)
        for number in claim.sources:
            by_source.setdefault(number, []).append(found)
    return Check(
        round(sum(one >= SUPPORTED for one in counted) / len(counted), 4) if counted else None,
        {
            number: round(sum(found) / len(found), 4)
            for number, found in by_source.items()
            if number in passages
        },
    )


def are_comparable(spoken: str | None, passages: Iterable[Passage]) -> bool:
    """Whether the words of a claim can be compared with those of passages: they cannot over languages.

    Args:
        spoken: BCP 47 tag of the claim's language; None: it is not known.
        passages: Those that it cites.
    """
    return not any(spoken and one.language and spoken != language(one.language).tag for one in passages)


def support(claim: str, passages: Sequence[Passage]) -> float | None:
    """Returns how well passages support a claim by its words, in [0, 1]; None if it cannot be judged.

    Args:
        claim: A sentence.
        passages: Those that it cites.
    """
    found = _compare(claim, tuple(passages))
    if found is None or found.verbatim:
        return found and 1.0
    evidence = _WORDS * found.share - _NEEDED
    evidence -= _WRONG_NUMBER * found.wrong_number
    evidence -= _WRONG_NAME * found.unknown_name
    evidence -= _TURNED_AROUND * found.turned_around
    return _probability(evidence)


def likelihood(claim: str, passages: Sequence[Passage]) -> float | None:
    """Returns how likely passages say what a claim says, in [0, 1]; None if it cannot be judged.

    Args:
        claim: A sentence.
        passages: Those that it cites.
    """
    return _likelihood(claim, tuple(passages))


# The same sentence is judged while the answer is made, and once more with the whole answer.
@lru_cache(maxsize=1024)
def _likelihood(claim: str, passages: tuple[Passage, ...]) -> float | None:
    measured = measures(claim, passages)
    if measured is None:
        return support(claim, passages)
    intercept, weights = _weights()
    return _probability(intercept + sum(map(operator.mul, weights, measured)))


MEASURES = ("few_words", "wrong_number", "unknown_name", *AGAINST)
"""Names of the numbers that `measures` returns, in order; each is 0 where nothing speaks against the claim."""


def measures(claim: str, passages: Sequence[Passage]) -> tuple[float, ...] | None:
    """Returns what speaks against a claim; None if it stands in a passage as it is, or cannot be judged.

    Args:
        claim: A sentence.
        passages: Those that it cites.
    """
    found = _compare(claim, tuple(passages))
    if found is None or found.verbatim:
        return None
    few = max(0.0, _HALF - found.share)
    return (few, found.wrong_number, found.unknown_name, *against(claim, passages))


@lru_cache(maxsize=1)
def _weights() -> tuple[float, tuple[float, ...]]:
    """The intercept, and a weight for each of `MEASURES`; `bench/learn_support.py` writes them."""
    learned: dict[str, float] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return learned["intercept"], tuple(learned[name] for name in MEASURES)


def _probability(log_odds: float) -> float:
    # A sentence of a thousand strange words is no less likely than a computer can say.
    return 1 / (1 + math.exp(min(-log_odds, _LEAST)))


@dataclass(frozen=True, slots=True)
class _Compared:
    """A claim beside the passages that it cites, by its words."""

    verbatim: bool = False
    """Whether a passage has it as it is."""
    share: float = 1.0
    """Share of the claim's words that the passages have."""
    wrong_number: bool = False
    unknown_name: bool = False
    turned_around: bool = False


# While an answer is made each sentence is compared by the gate, by the attribution and by the check at the end.
@lru_cache(maxsize=1024)
def _compare(claim: str, passages: tuple[Passage, ...]) -> _Compared | None:
    """Returns what the words of a claim tell beside those of the passages; None if it cannot be judged."""
    if not passages:
        return None
    tag = passages[0].language
    wanted = stems(claim, tag)
    if not wanted or is_too_short(claim):
        return None
    # A verbatim quotation needs no statistics; odd numbers and negations in it are the book's.
    said = _spaced_once(claim)
    if any(said in _spaced_once(one.text) for one in passages):
        return _Compared(verbatim=True)
    has = frozenset[int]().union(*(stems(one.embedded_text, tag) for one in passages))
    return _Compared(
        share=len(wanted & has) / len(wanted),
        wrong_number=_has_wrong_number(claim, passages),
        unknown_name=bool(unknown_names(claim, passages)),
        turned_around=_is_turned_around(claim, passages, tag),
    )


def is_too_short(claim: str) -> bool:
    """Whether a claim has too few words to be judged."""
    return len(_WORD.findall(folded(claim))) < _TOO_SHORT


def claims(text: str, marks: Sequence[Mark]) -> list[Claim]:
    """Returns the claims of an answer in order; empty if it cites nothing.

    A sentence without a marker takes the sources of the next one in its paragraph or list, otherwise those of
    the previous one, otherwise all sources.
    """
    found: list[Claim] = []
    for paragraph in paragraphs(text, marks):
        # Backwards first: a citation at the end of a paragraph covers the sentences before it.
        found += _rested(_rested(paragraph[::-1])[::-1])
    cited = tuple(dict.fromkeys(number for claim in found for number in claim.sources))
    return [replace(claim, sources=claim.sources or cited) for claim in found if claim.text] if cited else []


def claim_of(sentence: str) -> str:
    """Returns what a sentence says, without its bullet, its emphasis and the space that a marker left.

    Args:
        sentence: A sentence of an answer, its markers taken out.
    """
    return _SPACE.sub("", _BULLET.sub("", sentence)).strip(" \n*_")


def _rested(claims: Sequence[Claim]) -> list[Claim]:
    """Gives each claim without sources those of the previous claim."""
    sources: tuple[int, ...] = ()
    rested: list[Claim] = []
    for claim in claims:
        sources = claim.sources or sources
        rested.append(replace(claim, sources=sources))
    return rested


def paragraphs(text: str, marks: Sequence[Mark]) -> list[list[Claim]]:
    """Splits an answer into paragraphs of sentences, each with its own sources; a list stays with what introduces it.

    Args:
        text: The answer as the reader sees it.
        marks: The markers in it.

    Returns:
        The sentences of each paragraph; the text of one that claims nothing is empty.
    """
    bare, places = _without_markers(text, marks)
    tag = language_of(bare) or "en"
    found: list[list[Claim]] = [[]]
    last, announces = 0, False
    for start, end in _sentences(bare, tag):
        # A sentence ends behind its own line break, so that another one before the next is a blank line.
        if "\n" in bare[last:start] and not announces:
            found.append([])
        first, behind = (bisect_left(places, (at, 0)) for at in (start, end))
        own = tuple(dict.fromkeys(number for _, number in places[first:behind]))
        said = claim_of(bare[start:end])
        last, announces = end, said.endswith(COLONS)
        if announces or said.endswith(QUESTION_MARKS) or not (own or len(stems(said, tag)) >= SAYS_LITTLE):
            said = ""  # it claims nothing, but what it cites may be what the next one rests on
        found[-1].append(Claim(said, own))
    return found


def _without_markers(text: str, marks: Sequence[Mark]) -> tuple[str, list[tuple[int, int]]]:
    """Returns the text without markers, and the position of each marker in it."""
    pieces, place, length, visible = list[str](), 0, 0, 0
    places: list[tuple[int, int]] = []
    for mark in marks:
        piece = text[place : mark.start]
        if bare := piece.rstrip():
            visible = length + len(bare)
        length += len(piece)
        pieces.append(piece)
        # At the last visible character before it: a marker behind the full stop belongs to the sentence that it ends.
        places.append((max(visible - 1, 0), mark.number))
        place = mark.end
    return "".join(pieces) + text[place:], places


def _sentences(text: str, tag: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence outside of code; table rows and formulas are left out."""
    start, fence = 0, ""
    for line in text.splitlines(keepends=True):
        opening = FENCE.match(line)
        bare = line.strip()
        if fence:
            fence = "" if bare.startswith(fence) or (fence == _FORMULA and _FORMULA in bare) else fence
        elif opening:
            fence = opening[1]
        elif bare.startswith(_FORMULA) and bare.count(_FORMULA) == 1:
            fence = _FORMULA
        elif bare and not _SKIPPED.match(line):
            place = start
            for sentence in split_sentences(line, tag):
                yield place, place + len(sentence)
                place += len(sentence)
        start += len(line)


def _has_wrong_number(claim: str, passages: Sequence[Passage]) -> bool:
    """Whether a figure of the claim is in no passage, or one of its counts where the passage counts otherwise."""
    if unknown_figures(claim, passages):
        return True
    tag = passages[0].language
    _, counts = _numbers(claim, tag)
    if not counts.difference(*_all_numbers(passages, tag)):
        return False
    # "One of them" counts nothing. Only where the sentence that says the same has a count of its own, one of the two
    # is wrong.
    there = "\n".join(one.embedded_text for one in passages)
    nearest = max(plain_sentences(there, tag), key=lambda one: overlap(claim, one, tag), default="")
    return any(_numbers(nearest, tag))


def invents(claim: str, passages: Sequence[Passage]) -> bool:
    """Whether a sentence has a name or a figure that no passage has.

    Args:
        claim: A sentence.
        passages: Those that it may rest on.
    """
    return bool(unknown_names(claim, passages)) or _has_wrong_number(claim, passages)


def unknown_figures(claim: str, passages: Sequence[Passage]) -> frozenset[str]:
    """The figures of a sentence that no passage has, in figures or in words."""
    tag = passages[0].language if passages else ""
    figures, _ = _numbers(claim, tag)
    return figures.difference(*_all_numbers(passages, tag)) if figures else figures


def unknown_names(claim: str, passages: Sequence[Passage]) -> list[str]:
    """The names of a sentence that no passage has."""
    tag = passages[0].language if passages else ""
    named = names(claim, tag)
    if not named:
        return []
    has = frozenset[int]().union(*(stems(one.embedded_text, tag) for one in passages))
    return [
        word
        for word in named
        if not stands_in(word, passages)
        and not ("." not in word and (own := stems(word, tag)) and own <= has)
    ]


def stands_in(name: str, passages: Iterable[Passage]) -> bool:
    """Whether a passage has a name as it is, without the plural's ending: `GPUs` is there if `GPU` is."""
    return any(name.casefold().rstrip("s") in casefolded(one.embedded_text) for one in passages)


@lru_cache(maxsize=1024)
def names(text: str, tag: str) -> tuple[str, ...]:
    """The words of a text that are names by their capitals: `Paris` behind another word, `AlphaFold` anywhere.

    The hosts of addresses are names, too, and outside of code so are files and modules: `floor.sdf`.

    Args:
        text: A sentence or more.
        tag: BCP 47 tag of its language.
    """
    all_nouns = language(tag).tag in _CAPITAL_NOUNS

    def is_name(word: str, place: int) -> bool:
        if word[1:] != word[1:].lower():
            return True
        return word[0].isupper() and not all_nouns and not _opens(text, place)

    words_of_names = (found for found in _NAME.finditer(text) if is_name(found.group(), found.start()))
    return (
        *(found.group() for found in words_of_names),
        *hosts(text),
        *_DOTTED.findall(_CODE.sub(" ", text)),
    )


def untranslated_names(text: str, tag: str) -> list[str]:
    """The names in a text that are the same in every language: `AlphaFold`, and in another script whatever is Latin.

    Args:
        text: A sentence or more.
        tag: BCP 47 tag of its language.
    """
    is_latin = "Latn" in (language(tag).scripts or ("Latn",))

    def has_inner_capital(word: str) -> bool:
        # `PC` and `PCs` are words of many languages.
        return word[1:] != word[1:].lower() and word.rstrip("s") != word.rstrip("s").upper()

    return [word for word in _LATIN_NAME.findall(text) if not is_latin or has_inner_capital(word)]


def hosts(text: str) -> tuple[str, ...]:
    """The hosts of the addresses in a text: whoever follows one leaves the book."""
    return tuple(found["host"] or found["at"] for found in _ADDRESS.finditer(text))


def _opens(text: str, place: int) -> bool:
    """Whether a sentence begins at `place`."""
    while place and text[place - 1] in _MARKS_BEFORE:
        place -= 1
    return not place or text[place - 1] in _ENDS


# An answer is compared with the same passages sentence by sentence: what is read of them is kept.
@lru_cache(maxsize=1024)
def casefolded(text: str) -> str:
    """A text, often a passage, to be compared with names."""
    return text.casefold()


@lru_cache(maxsize=1024)
def _spaced_once(text: str) -> str:
    return " ".join(text.split())


def _all_numbers(passages: Iterable[Passage], tag: str) -> Iterator[frozenset[str]]:
    for one in passages:
        yield from _numbers(one.embedded_text, tag)


@lru_cache(maxsize=1024)
def _numbers(text: str, tag: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the numbers in figures, and the counts in words, up to twelve."""
    figures = frozenset(
        # `12,500` counts thousands; any other comma is the decimal sign of half of Europe.
        re.sub(r",(?=\d{3})", "", one).replace(",", ".")
        for one in _NUMBER.findall(folded(text))
    )
    counts = language(tag or "en").numbers
    return figures, frozenset(counts[word] for word in words(text) if word in counts)


def _is_turned_around(claim: str, passages: Sequence[Passage], tag: str) -> bool:
    """Whether a clause of the claim is negated and the passages' that is most like it is not, or the reverse."""
    there = [clause for one in passages for clause in _clauses(one.text, tag)]
    for own, negated in _clauses(claim, tag):
        shared = [len(own & others) for others, _ in there]
        # One word in common shows no kinship: each clause of a passage on nodes has `node`.
        if len(own) < 2 or 2 * max(shared, default=0) < len(own):
            continue
        like = [one for one, count in zip(there, shared, strict=True) if count == max(shared)]
        # Of equally similar clauses the shortest says the least besides.
        _, otherwise = min(like, key=lambda one: len(one[0]))
        if otherwise != negated:
            return True
    return False


@lru_cache(maxsize=1024)
def _clauses(text: str, tag: str) -> tuple[tuple[frozenset[int], bool], ...]:
    """The words of each clause, and whether it is negated (twice is not)."""
    record = language(tag or "en")
    clause_end = rf"{CLAUSE_END}|\b(?:{record.conjunctions})\b" if record.conjunctions else CLAUSE_END
    return tuple(
        (own, len(re.findall(record.negation or "(?!)", clause.lower())) % 2 == 1)
        for clause in re.split(clause_end, text)
        if (own := stems(clause, tag))
    )

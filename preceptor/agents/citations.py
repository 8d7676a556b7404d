"""Citations: every marker of an answer is checked while the answer passes by.

A tutor writes `[k7qd]`, the key of a passage it was shown. The reader sees `[1]`, with a link. Keys that were
never shown are dropped and counted, as are numbers in brackets that would look like checked citations. Code
is left unchanged, and so are numbers in formulas, indices and intervals.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from preceptor.library.passage import KEY, Hit
from preceptor.text.verbatim import UNDECIDED, TextSpan, Verbatim

# Keys in the form that `KEY` allows, in either case, and near misses of it (`k1ab`): a model that copies a
# key wrongly must not leave it in the text.
_WRITTEN = rf"(?>(?i:{KEY})(?!\w)|[a-z][0-9][a-z0-9]{{2,4}})"
"""Text that a model may write for a key, valid or not; atomic, so that a long run of keys is read once."""
_PART = rf"(?:{_WRITTEN}|\d{{1,3}})"
# Models also write 【k7qd】, [^k7qd], [key: k7qd] and several keys in one pair of brackets.
_BRACKETED = rf"[\[【]\s*(?:(?:\^|keys?\s*[:=])\s*(?={_WRITTEN}))?{_PART}(?:[\s,;&]+{_PART})*\s*[\]】]"
# Only keys in parentheses: a number there is a year or a count far more often than a citation.
_IN_PARENTHESES = rf"\(\s*{_WRITTEN}(?:[\s,;&]+{_WRITTEN})*\s*\)"
_MARKER = re.compile(rf"[ \t]*(?:{_BRACKETED}|{_IN_PARENTHESES})")
_INSIDE = r"[\w\s,;&^:=]{0,80}"
_KEYS_BEGUN = rf"\(\s*(?:{_WRITTEN}[\s,;&]+)*\w{{0,6}}"
# Held back: complete markers too, because the next character decides whether one is a citation or the text of
# a Markdown link, and a begun one of up to 80 characters, so that a lone bracket does not hold back the rest
# of the answer.
_UNFINISHED = re.compile(
    rf"(?:{UNDECIDED}*(?:[\[【]{_INSIDE}[\]】]|{_KEYS_BEGUN}\s*\)))*{UNDECIDED}*(?:[\[【]{_INSIDE}|{_KEYS_BEGUN})?$"
)
"""A possible marker at the end of a piece; the next characters may turn it into a link."""
# An answer that a token limit cuts inside a marker ends without it.
_CUT = re.compile(rf"\s*[\[【]\s*(?:\^|keys?\s*[:=])?\s*{_WRITTEN}[^\]】]*$")
_NUMBERS = re.compile(r"\[\s*\d+(?:\s*[,;]\s*\d+)*\s*\]")
# A list of numbers cites only where a clause ends: `[2, 3]` inside one is more likely an interval.
_CLAUSE_ENDS = re.compile(r"\s*(?:$|[.,;:!?)。，；：！？۔؟،])|[ \t]*\n")
_PARTS = re.compile(_PART)
# `[1](`, `[1][` and a line's first `[1]:` are links to Markdown. A space between keeps our number from
# getting an address that the model chose.
_LINKS = {
    "(": re.compile(r"\[[\d\s,;]+\]$"),
    "[": re.compile(r"\[\d+\]$"),
    ":": re.compile(r"^\W*\[\d+\]$"),
}
"""By the next character, the text before it that Markdown would read as a link."""


class Mark(NamedTuple):
    """A checked marker `[number]` in a text."""

    start: int
    """Index of its opening bracket."""
    number: int
    """Number of the source that is cited."""

    @property
    def end(self) -> int:
        """Index after its closing bracket."""
        return self.start + len(f"[{self.number}]")


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer as the reader sees it."""

    text: str
    marks: tuple[Mark, ...] = ()
    """The markers in it; any other number in brackets is just text."""


@dataclass(frozen=True, slots=True)
class Cited:
    """The first use of a passage; comes before the text that holds its number."""

    number: int
    """Number of the source, counted from 1 in order of first use."""
    hit: Hit


class Citations:
    """A filter for one answer: pieces of text in, checked text and sources out."""

    def __init__(self, shown: Callable[[str], Hit | None]) -> None:
        """Begin an answer.

        Args:
            shown: The passage with a key, or None when the conversation never showed it.
        """
        self._shown = shown
        self._numbers: dict[str, int] = {}
        self._verbatim = Verbatim()
        self._held = ""
        self._last = ""
        self._line = ""
        """The part of the last line that the reader already has."""
        self._marked = False
        """Whether that part ends with a marker."""
        self.unknown = 0
        """Number of markers that were dropped."""

    @property
    def cited(self) -> list[str]:
        """Keys of the cited passages, in order of first use."""
        return list(self._numbers)

    def feed(self, piece: str) -> Iterator[Text | Cited]:
        """Takes the next piece of the model's text; a possible half of a marker is held back."""
        text = self._held + piece
        unfinished = _UNFINISHED.search(text)
        cut = unfinished.start() if unfinished else len(text)
        self._held = text[cut:]
        yield from self._pass(text[:cut])

    def finish(self) -> Iterator[Text | Cited]:
        """Takes the end of the answer and releases the text that was held back."""
        text, self._held = self._held, ""
        cut = None if self._verbatim.kind == "code" else _CUT.search(text)
        self.unknown += cut is not None
        yield from self._pass(text[: cut.start()] if cut else text.rstrip())

    def _pass(self, text: str) -> Iterator[Text | Cited]:
        out: list[Text] = []
        for part in self._verbatim.split(text):
            if part.kind == "code":
                out.append(self._say(text[part.start : part.end], code=True))
                continue
            for piece in self._checked(text, part):
                if isinstance(piece, Cited):
                    if (before := _joined(out)).text:
                        yield before
                    out = []
                    yield piece
                else:
                    out.append(piece)
        # The character before the next piece: `a[0]` is an index even if the pieces part at the bracket.
        self._last = text[-1:] or self._last
        if (checked := _joined(out)).text:
            yield checked

    def _checked(self, text: str, part: TextSpan) -> Iterator[Text | Cited]:
        place = part.start
        for match in _MARKER.finditer(text, part.start, part.end):
            marker = match.group()
            keys = [key.lower() for key in _PARTS.findall(marker)]
            # In `[1][2]` the second marker follows a `]`, like an index does, and is a citation nevertheless.
            adjacent = self._marked and match.start() == place
            if self._is_text(text, match, keys, formula=part.kind == "formula", adjacent=adjacent):
                yield self._say(text[place : match.end()])
                place = match.end()
                continue
            yield self._say(text[place : match.start()])
            place = match.end()
            numbers: list[int] = []
            for key in keys:
                hit = self._shown(key)
                if hit is None:
                    self.unknown += 1
                    continue
                if key not in self._numbers:
                    self._numbers[key] = len(self._numbers) + 1
                    yield Cited(self._numbers[key], hit)
                numbers.append(self._numbers[key])
            # A marker may repeat a key, and a dropped key takes the space before it along.
            if numbers:
                yield self._say(marker[: len(marker) - len(marker.lstrip())])
                for number in dict.fromkeys(numbers):
                    self._marked = True
                    self._line += f"[{number}]"
                    yield Text(f"[{number}]", (Mark(0, number),))
        yield self._say(text[place : part.end])

    def _is_text(
        self, text: str, match: re.Match[str], keys: Sequence[str], *, formula: bool, adjacent: bool
    ) -> bool:
        """Whether a number in brackets is plain text: an index, an interval, a word in parentheses."""
        marker = match.group()
        if marker.endswith(")"):
            return not any(map(self._shown, keys))
        if not all(map(str.isdigit, keys)):
            return False
        before = text[match.start() - 1] if match.start() else self._last
        is_index = marker[0] == "[" and (before.isalnum() or before in ("_", ")", "]", "}", "`"))
        if formula or (is_index and not adjacent):
            return True
        numbers = [0, *map(int, keys)]
        # Citations ascend from 1. `[0]`, `[3, 1]` and `【2】` are the text's own.
        if any(one >= other for one, other in pairwise(numbers)) or not _NUMBERS.match(marker.strip()):
            return True
        return len(keys) > 1 and not _CLAUSE_ENDS.match(text, match.end())

    def _say(self, text: str, *, code: bool = False) -> Text:
        """Returns the text for the reader, in which no number becomes a link and none gets an address."""
        if not code and (rule := _LINKS.get(text[:1])) and rule.search(self._line):
            text = f" {text}"
        if text:
            self._marked = False
            self._line = (self._line + text).rsplit("\n", 1)[-1]
        return Text(text)


def _joined(pieces: Sequence[Text]) -> Text:
    """Joins several texts with their markers."""
    marks: list[Mark] = []
    length = 0
    for piece in pieces:
        marks += (Mark(length + mark.start, mark.number) for mark in piece.marks)
        length += len(piece.text)
    return Text("".join(piece.text for piece in pieces), tuple(marks))

"""Citations: every marker of an answer is checked while the answer passes by.

A tutor writes `[k7qd]`, the key of a passage it was shown. The reader sees `[1]`, with a link. A key that was
never shown is dropped and counted, and so is a number in brackets, which would look like a checked citation.
Code is left alone.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from preceptor.library.passage import KEY, Hit

_MARKER = re.compile(rf"[ \t]*\[\s*(?:{KEY}|\d{{1,3}})(?:\s*[,;]\s*(?:{KEY}|\d{{1,3}}))*\s*\]")
_PART = re.compile(rf"{KEY}|\d{{1,3}}")
_UNFINISHED = re.compile(r"\s*\[[a-z0-9,;\s]{0,80}$|\s+$|`+$")
_CUT = re.compile(rf"\s*\[\s*{KEY}[^\]]*$")
_TICKS = re.compile(r"`+")


class Mark(NamedTuple):
    """A checked marker `[number]` in a text."""

    start: int
    """Index of its opening bracket."""
    number: int
    """Of the source."""

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
    """From 1, in order of first use."""
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
        self._held = ""
        self._closing = ""
        self._last = ""
        self.unknown = 0
        """Markers that were dropped."""

    @property
    def cited(self) -> list[str]:
        """Keys of the cited passages, in order of first use."""
        return list(self._numbers)

    def feed(self, piece: str) -> Iterator[Text | Cited]:
        """Take the next piece of the model's text; what may be half a marker is held back."""
        text = self._held + piece
        unfinished = _UNFINISHED.search(text)
        cut = unfinished.start() if unfinished else len(text)
        self._held = text[cut:]
        yield from self._pass(text[:cut])

    def finish(self) -> Iterator[Text | Cited]:
        """Take the end of the answer."""
        text, self._held = self._held, ""
        cut = None if self._closing else _CUT.search(text)
        self.unknown += cut is not None
        yield from self._pass(text[: cut.start()] if cut else text.rstrip())

    def _pass(self, text: str) -> Iterator[Text | Cited]:
        out: list[Text] = []
        place = 0
        while place < len(text):
            if self._closing:
                end = self._end_of_code(text, place)
                out.append(Text(text[place:end]))
                place = end
                continue
            opening = _TICKS.search(text, place)
            stop = opening.start() if opening else len(text)
            for piece in self._checked(text[place:stop]):
                if isinstance(piece, Cited):
                    if (before := _joined(out)).text:
                        yield before
                    out = []
                    yield piece
                else:
                    out.append(piece)
            place = stop
            if opening:
                out.append(Text(opening.group()))
                self._closing = opening.group()
                place = opening.end()
        checked = _joined(out)
        if checked.text:
            yield checked

    def _end_of_code(self, text: str, place: int) -> int:
        """Index after the code that is open, or the end of `text` if it goes on."""
        ticks = self._closing
        if len(ticks) < 3:
            # Code in a line ends with its paragraph at the latest: a lone ` must not swallow the rest.
            for match in re.finditer(r"`+|\n\s*\n", text[place:]):
                if match.group() == ticks or match.group().isspace():
                    self._closing = ""
                    return place + match.end()
            return len(text)
        match = re.search(rf"`{{{len(ticks)},}}", text[place:])
        if match:
            self._closing = ""
            return place + match.end()
        return len(text)

    def _checked(self, text: str) -> Iterator[Text | Cited]:
        place = 0
        for match in _MARKER.finditer(text):
            marker, keys = match.group(), _PART.findall(match.group())
            before = text[match.start() - 1] if match.start() else self._last
            if marker[0] == "[" and keys[0].isdigit() and (before.isalnum() or before in ("_", ")", "]")):
                continue  # `x[1]` is an index and not a citation
            yield Text(text[place : match.start()])
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
            if numbers:
                yield Text(marker[: len(marker) - len(marker.lstrip())])
                for number in dict.fromkeys(numbers):
                    yield Text(f"[{number}]", (Mark(0, number),))
        yield Text(text[place:])
        self._last = text[-1:] or self._last


def _joined(pieces: Sequence[Text]) -> Text:
    """One text of several, with their markers."""
    marks: list[Mark] = []
    length = 0
    for piece in pieces:
        marks += (Mark(length + mark.start, mark.number) for mark in piece.marks)
        length += len(piece.text)
    return Text("".join(piece.text for piece in pieces), tuple(marks))

"""Cuts a reply into sentences while it comes."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from preceptor.text.pieces import FENCE
from preceptor.text.sentences import split_sentences

_LONGEST_SENTENCE = 2000
_LONGEST_MARKER = 64

_WORD_AND_SPACE = re.compile(r"\s*\S+\s")
_OPENING = re.compile(r"\s*[\[(（【〔［]")
_MARKERS = re.compile(r"(?:\s*[\[(（【〔［]{1,2}[^\n\])）】〕］]{1,60}[\])）】〕］]{1,2}[.,;:]?)+\s*")
_FORMULA = "$$"
_NO_PROSE = re.compile(r"\s*(?:#{1,6}\s|\||\$\$|</?\w|>\s*\||```|~~~)")


class Unit(NamedTuple):
    """A sentence of a reply with the markers behind it, or a line that is none."""

    text: str
    is_prose: bool


class Sentences:
    """Cuts a reply into sentences while it comes; joined they are the reply, however it came."""

    def __init__(self, tag: str) -> None:
        """Begin a reply.

        Args:
            tag: BCP 47 tag of the language that it will probably be in.
        """
        self._tag = tag
        self._tail = ""
        self._fence = ""
        """The fence of the code or the formula that is open; empty: there is none."""
        self._line_begun = False

    @property
    def tail(self) -> str:
        """The sentence that is not finished."""
        return self._tail

    def feed(self, piece: str) -> Iterator[Unit]:
        """Take the next piece; gives what is finished."""
        self._tail += piece
        while (end := self._tail.find("\n") + 1) > 0:
            line, self._tail = self._tail[:end], self._tail[end:]
            yield from self._line(line, whole=True)
        if self._tail and any(char.isspace() for char in piece):
            line, self._tail = self._tail, ""
            yield from self._line(line, whole=False)

    def finish(self) -> Iterator[Unit]:
        """Take the end of the reply."""
        line, self._tail = self._tail, ""
        yield from self._line(line, whole=True)

    def _line(self, line: str, *, whole: bool) -> Iterator[Unit]:
        """Cuts a line; what may go on is put back."""
        if not line:
            return
        if self._fence or (not self._line_begun and _NO_PROSE.match(line)):
            if not whole:
                self._tail = line
                return
            self._fence = self._fence_behind(line)
            yield Unit(line, is_prose=False)
            return
        parts = split_sentences(line, self._tag)
        done = 0
        for part in parts[:-1]:
            end = done + len(part)
            if end < done or not (rest := line[end:]):
                break
            markers = _MARKERS.match(rest)
            if markers:
                end += markers.end()
            elif (not whole and _OPENING.match(rest) and len(rest) < _LONGEST_MARKER) or (
                not whole and not _WORD_AND_SPACE.match(rest)
            ):
                break
            yield Unit(line[done:end], is_prose=True)
            done = end
            self._line_begun = True
            if markers:
                # The rest is cut anew: the splitter has put the marker to the sentence behind it.
                yield from self._again(line[done:], whole=whole)
                return
        if whole:
            if done < len(line):
                yield Unit(line[done:], is_prose=True)
            self._line_begun = not line.endswith("\n")
        # Text that never ends a sentence must not be held back for ever.
        elif len(line) - done > _LONGEST_SENTENCE:
            self._line_begun = True
            yield Unit(line[done:], is_prose=False)
        else:
            self._tail = line[done:]

    def _fence_behind(self, line: str) -> str:
        """The fence of code or of a formula that is open behind a line that is no prose; empty: there is none."""
        said = line.strip()
        if self._fence == _FORMULA:
            return "" if said.endswith(_FORMULA) else _FORMULA
        if self._fence:
            return "" if said.startswith(self._fence) else self._fence
        if said.startswith(_FORMULA):
            return "" if said.count(_FORMULA) > 1 else _FORMULA
        opening = FENCE.match(line)
        return opening[1] if opening else ""

    def _again(self, rest: str, *, whole: bool) -> Iterator[Unit]:
        if rest:
            yield from self._line(rest, whole=whole)
        elif whole:
            self._line_begun = False

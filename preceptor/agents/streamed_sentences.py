"""Cuts a reply into sentences while it comes.

A reply may be of any form, and may come in one piece or a character at a time. So no step looks at more than what a
sentence may hold, and a sentence that goes on is looked at again only when it has grown by a part of its length.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from preceptor.text.pieces import FENCE
from preceptor.text.sentences import split_sentences

_LONGEST_SENTENCE = 2000
"""Characters of a sentence, or of a line that is none, after which it is cut."""
_STEP = 500
"""Characters that are taken at a time."""
_GROWTH = 16
"""A sentence is looked at again when it has grown by this part of its length."""
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
    is_code: bool = False
    """Whether it is a line of code or of a formula."""


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
        self._is_cut = False
        """Whether a part of this line was given, and it is no prose."""
        self._enough = 0
        """Length from which the tail is looked at again."""

    @property
    def tail(self) -> str:
        """The sentence that is not finished."""
        return self._tail

    def feed(self, piece: str) -> Iterator[Unit]:
        """Take the next piece; gives what is finished."""
        for place in range(0, len(piece), _STEP):
            yield from self._take(piece[place : place + _STEP])

    def finish(self) -> Iterator[Unit]:
        """Take the end of the reply."""
        line, self._tail = self._tail, ""
        yield from self._line(line, whole=True)

    def _take(self, piece: str) -> Iterator[Unit]:
        *lines, rest = piece.split("\n")
        for end in lines:
            line, self._tail, self._enough = f"{self._tail}{end}\n", "", 0
            yield from self._line(line, whole=True)
        self._tail += rest
        is_long = len(self._tail) > _LONGEST_SENTENCE
        if is_long or (len(self._tail) >= self._enough and any(char.isspace() for char in rest)):
            line, self._tail = self._tail, ""
            yield from self._line(line, whole=False)
            self._enough = len(self._tail) + len(self._tail) // _GROWTH

    def _line(self, line: str, *, whole: bool) -> Iterator[Unit]:
        """Cuts a line; what may go on is put back."""
        ended = line.endswith("\n")
        while line:
            if self._is_cut or self._fence or (not self._line_begun and _NO_PROSE.match(line)):
                yield from self._no_prose(line, whole=whole)
                return
            ends, is_marked = self._ends(line, whole=whole)
            for start, end in pairwise([0, *ends]):
                yield Unit(line[start:end], is_prose=True)
                self._line_begun = True
            line = line[ends[-1] :] if ends else line
            if not is_marked:
                break
        cut = 0
        if whole:
            cut, self._line_begun = len(line), not ended
        # Text that never ends a sentence must not be held back for ever.
        elif len(line) > _LONGEST_SENTENCE:
            cut, self._line_begun = line.rfind(" ") + 1 or len(line), True
        if cut:
            yield Unit(line[:cut], is_prose=True)
        self._tail = line[cut:]

    def _ends(self, line: str, *, whole: bool) -> tuple[list[int], bool]:
        """Returns where sentences of a line end, and whether markers stand at the last one.

        Behind them the line is to be cut anew: the splitter has put them to the next sentence.
        """
        ends, end = list[int](), 0
        for part in split_sentences(line, self._tag)[:-1]:
            end += len(part)
            rest = line[end : end + _LONGEST_SENTENCE]
            if not rest:
                break
            if markers := _MARKERS.match(rest):
                return [*ends, end + markers.end()], True
            waits = _OPENING.match(rest) and len(rest) < _LONGEST_MARKER
            if not whole and (waits or not _WORD_AND_SPACE.match(rest)):
                break
            ends.append(end)
        return ends, False

    def _no_prose(self, line: str, *, whole: bool) -> Iterator[Unit]:
        """A line of code, of a table or of a formula; of a long one a part."""
        if not whole and len(line) <= _LONGEST_SENTENCE:
            self._tail = line
            return
        before = self._fence
        if not self._is_cut:
            self._fence = self._fence_behind(line)
        elif self._fence == _FORMULA and line.rstrip().endswith(_FORMULA):
            self._fence = ""
        self._is_cut = not line.endswith("\n")
        is_code = bool(before or self._fence) or line.lstrip().startswith(_FORMULA)
        yield Unit(line, is_prose=False, is_code=is_code)

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

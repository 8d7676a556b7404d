"""Keeps the numbers of citations out of links that a model makes.

A number that stands in `[…](address)`, before `[a label]`, in a definition `[…]: address`, at the end of a bare address
or in `<a href>` would lead where the model wants. A space before the address, or the end of the `<a>`, is enough:
Markdown makes no link of `[1] (address)`.
"""

import re
from typing import Literal

_PIECE = re.compile(r"[^\[\]()\\<>:\n]+|.", re.DOTALL)
"""A sign that may make a link, or all text up to the next one."""
_LETTER = re.compile(r"[^\W\d_]")
_NUMBERS = re.compile(r"[\d\s,;]+")
_DIGIT = re.compile(r"\d")
_ADDRESS = ("://", "www.")


class Unlinked:
    """Reads an answer as it goes to the reader, and says what must stand between its pieces.

    It remembers how many brackets are open in the paragraph, not the text; so its work is that of reading once.
    """

    def __init__(self) -> None:
        """Begin an answer."""
        self._open = 0
        """Brackets that are open in this paragraph; CommonMark lets a link's text hold brackets in pairs."""
        self._with_number = 0
        """How many of them, from the outermost, hold a number."""
        self._with_mark = 0
        """How many of them hold a citation."""
        self._at_line_start = False
        """Whether the outermost of them began its line, as in a definition."""
        self._just_closed: frozenset[str] = frozenset()
        """The characters that would make a link of the bracket that was closed just now."""
        self._numeric: Literal["no", "empty", "yes"] = "no"
        """Whether the innermost bracket holds nothing but numbers."""
        self._escaped = False
        self._line: Literal["blank", "marked", "worded"] = "blank"
        self._address = False
        """Whether this run of characters is an address, which becomes a link by itself."""
        self._last = ""
        self._tag = ""
        self._anchor: Literal["none", "tag", "open"] = "none"

    def code(self, text: str) -> str:
        """Pass code, in which nothing is a link."""
        if text:
            self._just_closed = frozenset()
            self._numeric, self._line, self._tag = "no", "worded", ""
            self._escaped = self._address = False
            self._last = ""
        return text

    def mark(self) -> str:
        """Pass a citation `[number]`, and give the text that must stand before it."""
        # An address ends at a space, the text of an `<a>` only at its end tag.
        before = "</a>" if self._anchor == "open" else " " if self._address else ""
        self._anchor = "none" if self._anchor == "open" else self._anchor
        if not self._open:
            self._at_line_start = self._line != "worded"
        self._with_number = self._with_mark = self._open
        self._close(number=True, mark=True)
        self._numeric, self._line, self._tag = "no", "marked" if self._line == "blank" else self._line, ""
        self._escaped = self._address = False
        self._last = ""
        return before

    def text(self, text: str) -> str:
        """Pass other text, with a space where it would give an address to a number."""
        passed: list[str] = []
        for piece in _PIECE.findall(text):
            if piece in self._just_closed:
                passed.append(" ")
            self._just_closed = frozenset()
            self._read_address(piece)
            self._read_tag(piece)
            self._read_bracket(piece)
            passed.append(piece)
        return "".join(passed)

    def _read_bracket(self, piece: str) -> None:
        escaped, self._escaped = self._escaped, piece == "\\" and not self._escaped
        if piece == "\n":
            if self._line == "blank":
                self._open = self._with_number = self._with_mark = 0
                self._anchor = "none" if self._anchor == "tag" else self._anchor
            self._line = "blank"
        elif piece == "[" and not escaped:
            if not self._open:
                self._at_line_start = self._line != "worded"
            self._open += 1
            self._numeric = "empty"
        elif piece == "]" and not escaped and self._open:
            if self._numeric == "yes":
                self._with_number = self._open
            number, mark = self._with_number >= self._open, self._with_mark >= self._open
            self._open -= 1
            self._with_number = min(self._with_number, self._open)
            self._with_mark = min(self._with_mark, self._open)
            self._close(number=number, mark=mark)
            self._numeric = "no"
        elif not piece.isspace():
            if not _NUMBERS.fullmatch(piece):
                self._numeric = "no"
            elif self._numeric == "empty" and _DIGIT.search(piece):
                self._numeric = "yes"
            if self._line != "worded" and _LETTER.search(piece):
                self._line = "worded"
        if self._line == "blank" and not piece.isspace():
            self._line = "marked"

    def _close(self, *, number: bool, mark: bool) -> None:
        """Note which character may not follow the bracket."""
        defines = number and not self._open and self._at_line_start
        self._just_closed = frozenset("(" * number + "[" * mark + ":" * defines)

    def _read_address(self, piece: str) -> None:
        if piece[-1].isspace() or piece == "<":
            self._address, self._last = False, ""
            return
        *before, run = piece.split()
        if before or piece[0].isspace():
            self._address, self._last = False, ""
        run = self._last + run
        self._address = self._address or any(sign in run.lower() for sign in _ADDRESS)
        # Enough for a sign that comes in two pieces: `http:/` and `/host`.
        self._last = run[-3:]

    def _read_tag(self, piece: str) -> None:
        """Follow `<a …>` and `</a>`; the name may come in pieces."""
        if piece == "<":
            self._tag = "<"
        elif piece == ">" and self._anchor == "tag" and not self._tag:
            self._anchor = "open"
        elif self._tag:
            for char in piece:
                self._read_name(char)
                if not self._tag:
                    break

    def _read_name(self, char: str) -> None:
        ends = char.isspace() or char in ">/"
        if ends and self._tag.lower() == "<a":
            self._anchor, self._tag = "open" if char == ">" else "tag", ""
        elif ends and self._tag.lower() == "</a":
            self._anchor, self._tag = "none", ""
        elif char.isspace() or len(self._tag) == len("</a"):
            self._tag = ""
        else:
            self._tag += char

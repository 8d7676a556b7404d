r"""Finds code and formulas in streamed text, where a number in brackets is not a citation.

Code is a fenced block (three backticks or tildes), an indented block or a span in backticks; a formula is `$…$`,
`$$…$$`, `\(…\)` or `\[…\]`. A span and a formula end with their paragraph at the latest: a lone backtick must not
swallow the rest.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["prose", "code", "formula"]

UNDECIDED = r"[\s\\`$~]"
"""Matches a character that cannot end a piece, because the next one decides its meaning."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TOKEN = re.compile(r"`+|\$+|\\[^`]")
_TILDES = re.compile(r"~{3,}")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_CLOSES = {r"\(": r"\)", r"\[": r"\]", "$": "$", "$$": "$$"}
_INDENT = 4
"""Indentation that makes a line after a blank one code, unless a list continues."""


class TextSpan(NamedTuple):
    """Part of a piece."""

    kind: Kind
    start: int
    end: int


class Verbatim:
    """Splits one text, piece by piece, into prose and verbatim spans."""

    def __init__(self) -> None:
        """Initialise with an empty text."""
        self._fence = ""
        self._ticks = ""
        self._formula = ""
        """Delimiter that closes the open formula."""
        self._line = ""
        """The current line, as far as it has arrived."""
        self._whole = False
        """Whether the rest of this line is code."""
        self._blank = True
        """Whether the previous line is blank or indented code."""
        self._list = False

    @property
    def kind(self) -> Kind:
        """Kind of the next character."""
        if self._whole or self._fence or self._ticks:
            return "code"
        return "formula" if self._formula else "prose"

    def split(self, piece: str) -> Iterator[TextSpan]:
        """Returns the spans of the next piece in order; only the last may end with an `UNDECIDED` character."""
        last = TextSpan("prose", 0, 0)
        for line in _LINE.finditer(piece):
            for part in self._parts(line.group(), line.start()):
                if part.kind == last.kind:
                    last = last._replace(end=part.end)
                else:
                    yield last
                    last = part
        yield last

    def _parts(self, text: str, offset: int) -> Iterator[TextSpan]:
        """Yields the spans of a line or part of a line."""
        if not self._line:
            self._begin_line(text)
        self._line += text
        place = 0
        for token in () if self._whole or self._fence.startswith("~") else _TOKEN.finditer(text):
            before = self.kind
            self._take(token.group(), before=text[token.end() : token.end() + 1])
            if self.kind != before:
                # Delimiters belong to the code or formula: what is left alone must include them.
                begins = self.kind == "code" or before == "prose"
                cut = token.start() if begins else token.end()
                yield TextSpan(before, offset + place, offset + cut)
                place = cut
        yield TextSpan(self.kind, offset + place, offset + len(text))
        if text.endswith("\n"):
            self._end_line()

    def _begin_line(self, text: str) -> None:
        bare = text.lstrip(" \t")
        indent = len(text[: len(text) - len(bare)].expandtabs(_INDENT))
        if self._fence.startswith("~") and bare.startswith(self._fence):
            self._fence, self._whole = "", True
        # A blank line ends the paragraph, and with it an unclosed span or formula.
        elif not bare.strip():
            self._ticks = self._formula = ""
        elif self.kind != "code" and (tildes := _TILDES.match(bare)):
            self._fence = tildes.group()
        elif self.kind != "code" and indent >= _INDENT and self._blank and not self._list:
            self._whole = True

    def _take(self, run: str, *, before: str) -> None:
        """Open or close the code or formula that a run of characters delimits."""
        if self._fence:
            if run[0] == "`" and len(run) >= len(self._fence):
                self._fence = ""
        elif self._ticks:
            if run == self._ticks:
                self._ticks = ""
        elif run.startswith("```"):
            self._fence = run
        elif run[0] == "`":
            self._ticks = run
        elif self._formula:
            if run == self._formula:
                self._formula = ""
        # A formula does not begin with a space: `5 $ or 6 $` are prices.
        elif run != "$" or before.strip():
            self._formula = _CLOSES.get(run, "")

    def _end_line(self) -> None:
        bare = self._line.strip()
        self._blank = not bare or self._whole
        if bare and self.kind != "code":
            self._list = bool(_ITEM.match(self._line)) or (self._list and self._line[0] in " \t")
        self._line, self._whole = "", False

r"""Finds code and formulas in streamed text, where a number in brackets is not a citation.

Code is a fenced block (three backticks or tildes), an indented block or a span in backticks; a formula is `$…$`,
`$$…$$`, `\(…\)` or `\[…\]`. A span and a formula end with their paragraph at the latest: a lone backtick must not
swallow the rest.

The text is read in one pass. No step looks further than `WINDOW` characters, and nothing of the text is kept.
"""

import re
from typing import Literal

Kind = Literal["prose", "code", "formula"]

WINDOW = 96
"""Characters that one step may look at."""

_LONGEST_RUN = 64
"""Backticks, tildes or dollars that are read as one; the rest of a longer run is a run of its own."""
_RUN = re.compile(rf"`{{1,{_LONGEST_RUN}}}|\${{1,{_LONGEST_RUN}}}|\\[^`\n]|\\")
_BLANKS = re.compile(r"[^\S\n]+")
_TILDES = re.compile(rf"~{{3,{_LONGEST_RUN}}}")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s")
_LINE_BEGUN = re.compile(rf"~{{1,{_LONGEST_RUN - 1}}}|[-*+]|\d{{1,9}}[.)]?")
"""The beginning of a line that says what the line is only together with what follows."""
_CLOSES = {r"\(": r"\)", r"\[": r"\]", "$": "$", "$$": "$$"}
_INDENT = 4
"""Indentation that makes a line after a blank one code, unless a list continues."""


def look(pattern: re.Pattern[str], text: str, place: int) -> re.Match[str] | None:
    """Match a pattern at a place of a text that may be long. Every pattern is used through here, and so bounded."""
    return pattern.match(text, place, place + WINDOW)


class Verbatim:
    """Knows at every place of one text whether it is in prose, in code or in a formula."""

    def __init__(self) -> None:
        """Initialise with an empty text."""
        self._fence = ""
        self._ticks = ""
        self._formula = ""
        """Closes the formula that is open."""
        self._whole = False
        """Whether the rest of this line is code."""
        self._blank = True
        """Whether the previous line is blank or indented code."""
        self._list = False
        self._begin_line()

    def _begin_line(self) -> None:
        self._column = 0
        self._begun = False
        """Whether this line has something visible."""
        self._is_item = False

    @property
    def kind(self) -> Kind:
        """Tells where the next character is."""
        if self._whole or self._fence or self._ticks:
            return "code"
        return "formula" if self._formula else "prose"

    def begin(self, text: str, place: int, *, final: bool) -> bool:
        """Prepare for the character at `place`: the first visible one of a line decides what the line is.

        Returns:
            Whether that can be decided; if not, call again when more of the text is there.
        """
        if self._begun or text[place].isspace():
            return True
        if self.kind != "code" or self._fence.startswith("~"):
            begun = look(_LINE_BEGUN, text, place)
            if begun and begun.end() == len(text) and not final:
                return False
            tildes = look(_TILDES, text, place)
            if self._fence:
                if tildes and len(tildes.group()) >= len(self._fence):
                    self._fence, self._whole = "", True
            elif tildes:
                self._fence = tildes.group()
            elif self._column >= _INDENT and self._blank and not self._list:
                self._whole = True
            self._is_item = bool(look(_ITEM, text, place))
        self._begun = True
        return True

    def read(self, text: str, place: int, *, final: bool) -> int | None:
        """Read one character, or one run of those that open and close code and formulas.

        Returns:
            The index after it; None when more of the text is needed.
        """
        char = text[place]
        if char == "\n":
            self._end_line()
        elif char.isspace() and (blanks := look(_BLANKS, text, place)):
            if not self._begun:
                self._indent(blanks.group())
            return blanks.end()
        elif not (self._whole or self._fence.startswith("~")) and (run := look(_RUN, text, place)):
            if run.end() == len(text) and len(run.group()) < _LONGEST_RUN and not final:
                return None
            self._take(run.group(), after=text[run.end() : run.end() + 1])
            return run.end()
        return place + 1

    def _indent(self, blanks: str) -> None:
        # A tab reaches at least the first stop; where exactly makes no difference to what the line is.
        self._column += sum(_INDENT if char == "\t" else 1 for char in blanks)

    def _take(self, run: str, *, after: str) -> None:
        """Open or close what a run of characters opens or closes."""
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
        elif run != "$" or after.strip():
            self._formula = _CLOSES.get(run, "")

    def _end_line(self) -> None:
        if not self._begun:
            self._ticks = self._formula = ""
        if self._begun and self.kind != "code":
            self._list = self._is_item or (self._list and self._column > 0)
        self._blank = not self._begun or self._whole
        self._whole = False
        self._begin_line()

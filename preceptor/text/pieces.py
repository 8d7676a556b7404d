"""Splits a passage's text into pieces that can be quoted, and measures how much two texts share.

A piece is a sentence, a list, a table, a block of code or a formula. A sentence is not always enough by itself:
"It couples the two sides least." needs the sentence before it, "There are three layers:" opens the list behind
it. `whole` gives the run of pieces that a reader understands.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from preceptor.text.languages import Language, language
from preceptor.text.sentences import COLONS, split_sentences
from preceptor.text.tokens import stems

Kind = Literal["sentence", "list", "table", "code", "formula"]

FENCE = re.compile(r"\s*(`{3,}|~{3,})")
"""The beginning of a line that opens a block of code; its group is the fence."""
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
_RULE = re.compile(r"\s*\|[\s:|-]+\|?\s*$")
"""The line between a table's header and its rows."""
_ENDS = re.compile(r"[.!?…。！？।۔؟](?:[\"'”’»)\]*_`]|\[\^[^\]]*\])*$")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]")

_WORD = re.compile(r"[^\W_]+")
_LED_TO = ("list", "table", "code")
_TRAILS_OFF = ("...", "…")
"""Ends of a sentence that the block behind it completes: "You can also disable the timeout completely..."."""
_ANNOUNCES_ONLY = 8
"""Word count below which a sentence with a number word only announces a list."""
_BEFORE = 2
"""Largest number of sentences that come with the one that depends on them."""
_SAYS_LITTLE = 3
"""Word count below which a sentence is understood only after the previous one: "In the other case, it is not."."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a passage that is quoted as a whole or not at all."""

    kind: Kind
    text: str
    """The piece in Markdown, as it is quoted: a sentence on one line, a block with its lines."""
    label: str = ""
    """Title of an admonition or name of a tab that introduces the block."""
    parts: tuple[str, ...] = ()
    """Items of a list or rows of a table, each as a line of text with the column names."""
    opens: bool = False
    """Whether a sentence needs the following block."""
    leads: bool = False
    """Whether a sentence belongs to the block behind it, if there is one: "… with a few exceptions."."""
    depends_on_previous: bool = False
    """Whether a sentence needs the previous one."""
    defines: str = ""
    """Term that a sentence defines: "A node" of "A node is a process."."""

    @property
    def plain(self) -> tuple[str, ...]:
        """Text to compare with a sentence: the parts, or the text without fences."""
        if self.parts:
            return self.parts
        if self.kind == "code":
            return ("\n".join(self.text.split("\n")[1:-1]),)
        return (self.text.strip("$ \n"),) if self.kind == "formula" else (self.text,)


@lru_cache(maxsize=1024)
def pieces(text: str, tag: str) -> tuple[Piece, ...]:
    """Returns the pieces of a passage's text, in order."""
    return tuple(piece for block in _blocks(text) for piece in _pieces(block, tag))


def plain_sentences(text: str, tag: str) -> list[str]:
    """Returns the sentences of a text in order; each list item, row and code block counts as one sentence."""
    return [plain for piece in pieces(text, tag) for plain in piece.plain if plain]


def whole(run: Sequence[Piece], place: int, *, begins: bool) -> range | None:
    """Returns the positions of the pieces needed to understand the one at `place`; None if some are missing.

    Args:
        run: Pieces that follow each other.
        place: Position of the piece, from 0.
        begins: Whether the run is the beginning of a section, where a sentence can only depend on the heading.
    """
    start, end = place, place + 1
    if run[place].kind != "sentence" and place and (run[place - 1].opens or run[place - 1].leads):
        start -= 1  # the sentence that announces the block
    # Two sentences before it at most: a longer run is no quotation any more, and two explain enough.
    while run[start].depends_on_previous and place - start < _BEFORE and not (begins and start == 0):
        if start == 0 or run[start - 1].kind != "sentence":
            return None
        start -= 1
    while run[end - 1].opens:
        if end == len(run) or run[end].kind == "sentence":
            return None
        end += 1
        if run[end - 1].kind == "formula" and end < len(run) and run[end].text[:1].islower():
            end += 1  # "where x is …"
    if run[end - 1].leads and end < len(run) and run[end].kind in _LED_TO:
        end += 1
    return range(start, end)


def nearest(claim: str, text: str, tag: str) -> str:
    """Returns the sentence of `text` that shares most with `claim`; the first one if all share nothing."""
    candidates = plain_sentences(text, tag)
    if not candidates:
        return text.strip()
    wanted = stems(claim, tag)
    return max(candidates, key=lambda sentence: len(wanted & stems(sentence, tag)))


def _blocks(text: str) -> Iterator[list[str]]:
    """Yields the lines of each block; a fenced block may hold blank lines."""
    block: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opening = FENCE.match(line)
        if fence:
            block.append(line)
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if opening:
            fence = opening[1]
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _pieces(block: list[str], tag: str) -> Iterator[Piece]:
    start = 0
    while start < len(block) - 1 and block[start].rstrip().endswith(COLONS) and not _is_special(block[start]):
        start += 1
    label, body = "\n".join(block[:start]), block[start:]
    first, text = body[0], "\n".join(body)
    if FENCE.match(first):
        yield Piece("code", text, label)
    elif first.lstrip().startswith("|"):
        yield Piece("table", text, label, tuple(_rows(body)))
    elif first.lstrip().startswith("$$"):
        yield Piece("formula", text, label)
    elif _ITEM.match(first):
        yield Piece("list", text, label, tuple(_items(body)))
    else:
        yield from _sentences(text, label, tag)


def ends(sentence: str, record: Language | None = None) -> bool:
    """Whether a sentence has an end; in a language that marks none, it has one unless it announces what follows."""
    if record and record.unmarked_ends:
        return not sentence.endswith((":", "："))
    return bool(_ENDS.search(sentence))


def _is_special(line: str) -> bool:
    return bool(FENCE.match(line) or _ITEM.match(line)) or line.lstrip().startswith(("|", "$$"))


def _sentences(text: str, label: str, tag: str) -> Iterator[Piece]:
    record = language(tag)
    found = [" ".join(_FOOTNOTE.sub("", part).split()) for part in split_sentences(text, tag)]
    found = [sentence for sentence in found if sentence]
    for number, sentence in enumerate(found):
        content = len(stems(sentence, tag))
        yield Piece(
            "sentence",
            sentence,
            label,
            opens=not ends(sentence, record) or _announces(sentence, content, record),
            leads=number == len(found) - 1
            and (sentence.endswith(_TRAILS_OFF) or _leads(sentence, content, record)),
            depends_on_previous=_depends_on_previous(sentence, content, record, first=number == 0),
            defines=_defines(sentence, record),
        )


def _announces(sentence: str, content: int, record: Language) -> bool:
    """Whether a sentence only announces the next block: "ROS 2 gives you four things."."""
    return (
        bool(record.announcement)
        and content < _ANNOUNCES_ONLY
        and bool(re.search(record.announcement, sentence.lower()))
    )


def _leads(sentence: str, content: int, record: Language) -> bool:
    """Whether a short sentence speaks of what stands behind its paragraph."""
    return (
        bool(record.leads)
        and content < _ANNOUNCES_ONLY * (1 if record.spaced else 3)
        and bool(re.search(record.leads, sentence.lower()))
    )


def _depends_on_previous(sentence: str, content: int, record: Language, *, first: bool) -> bool:
    if not record.spaced and sentence.startswith(record.dependent_openers):
        return True
    word = _WORD.match(sentence)
    if word and (word[0].lower() in record.dependent_openers or (first and word[0].islower())):
        return True
    return not first and content < _SAYS_LITTLE


def _defines(sentence: str, record: Language) -> str:
    pattern = _definition(record.copulas)
    found = pattern.match(sentence) if pattern else None
    return found[1] if found else ""


@lru_cache(maxsize=64)
def _definition(copulas: str) -> re.Pattern[str] | None:
    """Matches a term, a remark on it, and a verb behind which its definition stands."""
    term, remark = r"[^.:;,()!?]{1,80}?", r",[^.:;]{1,80},| \([^)]{1,80}\)"
    return re.compile(rf"({term})(?:{remark})? (?:{copulas}) ") if copulas else None


def _items(lines: Sequence[str]) -> Iterator[str]:
    """Returns the items of a list as lines of text, each with its nested items."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    item: list[str] = []
    for line in lines:
        marker = _ITEM.match(line)
        if marker and len(line) - len(line.lstrip()) <= indent and item:
            yield " ".join(item)
            item = []
        item.append((line[marker.end() :] if marker else line).strip())
    yield " ".join(item)


def _rows(lines: Sequence[str]) -> Iterator[str]:
    """Returns the rows of a table, each cell with the name of its column."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    ruled = len(lines) > 1 and _RULE.match(lines[1])
    names = cells[0] if ruled else []
    for row in cells[2:] if ruled else cells:
        named = [*names, *[""] * len(row)]
        yield " · ".join(
            f"{name}: {cell}" if name else cell for name, cell in zip(named, row, strict=False) if cell
        )

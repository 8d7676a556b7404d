"""Splits a passage's text into pieces that can be quoted, and measures how much two texts share.

A piece is a sentence, a list, a table, a block of code or a formula. A sentence is not always enough by
itself: "It couples the two sides least." depends on the sentence before it, "There are three layers:" opens
the list behind it. `whole` returns the run of pieces that a reader understands.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

from preceptor.text.phrases import SMALL
from preceptor.text.tokens import tokens

Kind = Literal["sentence", "list", "table", "code", "formula"]

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+")
_RULE = re.compile(r"\s*\|[\s:|-]+\|?\s*$")
"""The line between a table's header and its rows."""
_ENDS = re.compile(r"[.!?…。！？।۔؟](?:[\"'”’»)\]*_`]|\[\^[^\]]*\])*$")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]")

# Lists of words and no model: the tutor quotes without a provider, and a wrong guess costs one sentence more
# or less.
_LEANING = {
    "en": "it its this that these those they them their he she his her such both neither so but and or however "
    "therefore thus hence then also instead otherwise moreover furthermore",
    "es": "ella ello ellos ellas esto eso este esta estos estas ese esa esos esas su sus pero y además así también",
    "fr": "il elle ils elles cela ceci cet cette ces son sa ses leur leurs mais et donc ainsi cependant aussi",
    "de": "er sie es dies diese dieser dieses diesen ihr ihre sein seine aber und daher deshalb dadurch jedoch auch",
    "pt": "ele ela eles elas isto isso este esta estes estas esse essa seu sua mas e assim porém portanto também",
    "id": "ini itu dia mereka tetapi namun",
    "tr": "bu o şu onlar bunlar ama ancak fakat",
    "ru": "он она оно они это этот эта эти но и однако поэтому",
    "ar": "هو هي هم هذا هذه ذلك تلك هؤلاء لكن",
    "fa": "این آن او آنها اما ولی",
    "hi": "यह वह ये वे इस उस इन उन लेकिन",
    "ur": "یہ وہ اس ان لیکن مگر تاہم لہٰذا",
}
"""Words that, at the beginning of a sentence, refer to the previous one."""
_LEANING_UNSPACED = {
    "zh": ("它", "他", "她", "这", "那", "但", "因此", "所以"),
    "ja": ("これ", "それ", "この", "その", "しかし"),
}
_OPENERS = {language: frozenset(words.split()) for language, words in _LEANING.items()}
_COPULAS = {
    "en": "is|are|was|were|means|denotes|refers to",
    "es": "es|son|era|eran|significa|se refiere a",
    "fr": "est|sont|était|étaient|signifie|désigne",
    "de": "ist|sind|war|waren|bedeutet|bezeichnet",
    "pt": "é|são|era|eram|significa|refere-se a",
    "it": "è|sono|era|erano|significa|indica",
    "nl": "is|zijn|was|waren|betekent",
    "id": "adalah|ialah|merupakan|berarti",
}
"""Verbs between a term and its definition, in languages whose verb comes second."""
# The term comes first and may carry an aside: `A node, in ROS 2, is …`, `A node (process) is …`. A comma or
# full stop before the verb ends it, so that a subordinate clause is not taken for a definition.
_DEFINITIONS = {
    language: re.compile(rf"([^.:;,()!?]{{1,80}}?)(?:,[^.:;]{{1,80}},| \([^)]{{1,80}}\))? (?:{copulas}) ")
    for language, copulas in _COPULAS.items()
}
_WORD = re.compile(r"[^\W_]+")
_ANNOUNCEMENT = re.compile(
    r"\b(?:two|three|four|five|six|seven|several|following)\b(?: [\w-]+)? "
    r"(?:things|parts|halves|pieces|ways|steps|kinds|types|sorts|versions|stages|stations|places|styles|families|sources|numbers|questions|options|cases|remedies)\b",
    re.IGNORECASE,
)
_ANNOUNCES_ONLY = 8
"""Word count below which a sentence with a number word only announces a list."""
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
def pieces(text: str, language: str) -> tuple[Piece, ...]:
    """Returns the pieces of a passage's text, in order."""
    return tuple(piece for block in _blocks(text) for piece in _pieces(block, language))


def sentences(text: str, language: str) -> list[str]:
    """Returns the sentences of a text in order; each list item, row and code block counts as one sentence."""
    return [plain for piece in pieces(text, language) for plain in piece.plain if plain]


def whole(run: Sequence[Piece], place: int) -> range | None:
    """Returns the positions of the pieces needed to understand the one at `place`; None if some are missing.

    Args:
        run: Pieces that follow each other.
        place: Position of the piece, from 0.
    """
    start, end = place, place + 1
    if run[place].kind != "sentence" and place and run[place - 1].opens:
        start -= 1  # the sentence that announces the block
    while run[start].depends_on_previous:
        # Two sentences back is the limit: a longer chain quotes the whole passage.
        if start == 0 or run[start - 1].kind != "sentence" or place - start == 2:
            return None
        start -= 1
    while run[end - 1].opens:
        if end == len(run) or run[end].kind == "sentence":
            return None
        end += 1
        if run[end - 1].kind == "formula" and end < len(run) and run[end].text[:1].islower():
            end += 1  # "where x is …"
    return range(start, end)


# Cached, because the offline tutor compares each sentence with the question many times.
@lru_cache(maxsize=8192)
def stems(text: str, language: str) -> frozenset[int]:
    """Returns the stemmed words of a text without stop words, as BM25 counts them."""
    return tokens(text, language) - _small(language)


def overlap(claim: str, sentence: str, language: str) -> float:
    """Returns the share of the claim's words that the sentence has, in [0, 1]."""
    wanted = stems(claim, language)
    return len(wanted & stems(sentence, language)) / len(wanted) if wanted else 0.0


def nearest(claim: str, text: str, language: str) -> str:
    """Returns the sentence of `text` that shares most with `claim`; the first one if all share nothing."""
    candidates = sentences(text, language)
    if not candidates:
        return text.strip()
    wanted = stems(claim, language)
    return max(candidates, key=lambda sentence: len(wanted & stems(sentence, language)))


@lru_cache(maxsize=64)
def _small(language: str) -> frozenset[int]:
    """Returns the tokens of a language's function words that BM25 does not drop as stop words."""
    return tokens(" ".join(SMALL.get(language.split("-")[0], ())), language)


def _blocks(text: str) -> Iterator[list[str]]:
    """Yields the lines of each block; a fenced block may hold blank lines."""
    block: list[str] = []
    fence = ""
    for line in text.split("\n"):
        opening = _FENCE.match(line)
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


def _pieces(block: list[str], language: str) -> Iterator[Piece]:
    start = 0
    while (
        start < len(block) - 1
        and block[start].rstrip().endswith((":", "："))
        and not _is_special(block[start])
    ):
        start += 1
    label, body = "\n".join(block[:start]), block[start:]
    first, text = body[0], "\n".join(body)
    if _FENCE.match(first):
        yield Piece("code", text, label)
    elif first.lstrip().startswith("|"):
        yield Piece("table", text, label, tuple(_rows(body)))
    elif first.lstrip().startswith("$$"):
        yield Piece("formula", text, label)
    elif _ITEM.match(first):
        yield Piece("list", text, label, tuple(_items(body)))
    else:
        yield from _sentences(text, label, language)


def _is_special(line: str) -> bool:
    return bool(_FENCE.match(line) or _ITEM.match(line)) or line.lstrip().startswith(("|", "$$"))


def _sentences(text: str, label: str, language: str) -> Iterator[Piece]:
    found = [" ".join(_FOOTNOTE.sub("", part).split()) for part in segment(language, text)]
    for number, sentence in enumerate(filter(None, found)):
        yield Piece(
            "sentence",
            sentence,
            label,
            opens=not _ENDS.search(sentence) or _announces(sentence, language),
            depends_on_previous=_depends_on_previous(sentence, language, first=number == 0),
            defines=_defines(sentence, language),
        )


def _announces(sentence: str, language: str) -> bool:
    """Whether a sentence only announces the next block: "ROS 2 gives you four things."."""
    return (
        language.startswith("en")
        and len(stems(sentence, language)) < _ANNOUNCES_ONLY
        and bool(_ANNOUNCEMENT.search(sentence))
    )


def _depends_on_previous(sentence: str, language: str, *, first: bool) -> bool:
    language = language.split("-")[0]
    if sentence.startswith(_LEANING_UNSPACED.get(language, ())):
        return True
    word = _WORD.match(sentence)
    if word and (word[0].lower() in _OPENERS.get(language, ()) or (first and word[0].islower())):
        return True
    return not first and len(stems(sentence, language)) < _SAYS_LITTLE


def _defines(sentence: str, language: str) -> str:
    pattern = _DEFINITIONS.get(language.split("-")[0])
    found = pattern.match(sentence) if pattern else None
    return found[1] if found else ""


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

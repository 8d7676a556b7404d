r"""Citations: every marker of an answer is checked while the answer passes by.

A tutor writes `[k7qd]`, the key of a passage it was shown. The reader sees `[1]`, with a link. A key that was
never shown is dropped and counted, and so is a number in brackets that would look like a checked citation.
Code is left alone, and so are the numbers of formulas, of an index and of an interval.

Models write keys in many ways: `(see k7qd)`, `[source: k7qd]`, `【1†k7qd】`, `\[k7qd/x9z1\]`. So a marker is known by
the key in it: a group in brackets of any script that holds a key and little else. A key that was shown is a citation
in every such group. One that was not can only be told from a word (`h264`, `h5py`) by its form and its company, which
must say more in parentheses, where words stand, than in square brackets. A group is read as a reader sees it: a
character reference is its character, a letter is a letter in any font, what nobody sees is not there, and letters that
stand apart are a word.

The text is read in one pass, in steps of at most `WINDOW` characters; what may be half a marker is held back until the
rest is there, and is no longer than that.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from preceptor.agents.unlinked import Unlinked
from preceptor.library.passage import KEY, Hit, is_key
from preceptor.text.verbatim import WINDOW, Verbatim, look

_STRONG = "[［【〔〖〘〚⟦⁅❲"
"""Brackets in which models cite; in the others words stand, too."""
_QUOTES = "„‚「」『』〝〞〟"
"""Quotation marks that Unicode calls brackets."""
_TICK = "`"

_PLAIN = re.compile(r"[^\W\d_]{2,}(?:[ ,.;!?'-][^\W\d_]{2,})*")
"""Words that can be no key, since no digit is in second place."""
_WORD = re.compile(r"\w{1,20}")
_WORDS = re.compile(r"\w+")
_CODE = re.compile(r"[^`\n]+")
_PARAGRAPH = re.compile(r"\n\s*\n")

_WRITTEN = re.compile(rf"(?i:{KEY})|[a-z][0-9][a-z0-9]{{2,4}}")
"""A word that a model may take for a key, whether or not it can be one."""
_LABEL = r"""(?ix:
    sources? | refs? | references? | keys? | ids? | cit(?:e[sd]?|ing|ations?) | passages? | quot(?:es?|ations?)
    | see | cf | also | from | per | in | and | or | siehe | vgl | quellen? | und | oder | voir | et | ou
    | fuentes? | véase | ver | y | fontes? | fonti? | vedi | e | bron(?:nen)? | zie | kaynak | sumber | источник | см
    | джерело | див | πηγή | ماخذ | حوالہ | دیکھیے | اور | المصدر | مصدر | منبع | מקור | 来源 | 來源 | 出处
    | 出處 | 出典 | 출처 | doc(?:uments?)? | chunks? | snippets? | excerpts? | contexts? )"""
_BESIDE = re.compile(rf"{_WRITTEN.pattern}|{_LABEL}")
"""A key, or a word beside keys that says nothing of its own."""
_SPELLED_BEGUN = re.compile(r"(?i:[a-z](?:[0-9][a-z0-9]{0,4})?)")
_SPELLS = {True: re.compile(r"[\s.·*-]{1,3}"), False: re.compile(r"\s{1,3}")}
"""Signs that may stand between the letters of a key, by whether the brackets are ones in which models cite."""
_MOST_OTHERS = 4
"""Other words that may stand beside a key in square brackets."""
_SETS_APART = re.compile(r"[,;:=#†§|，；：、،؛]")

# Possessive quantifiers (`+` behind another) give nothing back: a bracket that never closes costs one pass, where
# backtracking over the words in it would cost exponentially many.
_OPEN = r"(?P<open>(?:\\?[\[(]\s?){1,3}+)(?P<tick>`?)"
# Not `$`, which may open a formula, nor brackets, which may open another group.
_SIGNS_BETWEEN = r"[^\w\[\](`$]{0,8}+"
_GROUP = re.compile(
    rf"{_OPEN}(?P<content>(?:{_SIGNS_BETWEEN}\w{{1,20}}+(?!\w)){{1,16}}+{_SIGNS_BETWEEN})"
    r"(?P=tick)(?P<close>(?:\s?\\?\]){0,3}+)"
)
"""Words in up to three pairs of brackets, as `_Shapes` writes them."""
_HALF = re.compile(
    rf"\\\Z|{_OPEN}(?:{_SIGNS_BETWEEN}\w{{1,20}}+){{0,16}}+{_SIGNS_BETWEEN}`?(?P<close>(?:\s?\\?\]){{0,2}}+\s?\\?)\Z"
)
"""The same, not closed yet."""
_OPENINGS = re.compile(r"[\[(]")
_CLOSINGS = re.compile(r"\]")
_BEFORE_WORDS = re.compile(r"[^\w\n]{1,20}")
"""Brackets and signs, as many as a group may begin with."""
# A model at its limit of tokens stops anywhere, and nobody should read `[k7`.
_CUT_OFF = re.compile(r"[\[【]\s?[a-z][0-9]\w?")
"""Half a key at the end of an answer."""

_SOURCE = r"(?i:sources?|refs?|references?|cit(?:e|ation)s?|passages?|quot(?:e|ation)s?|doc(?:ument)?s?)"
# Three digits at most: `[2024]` is a year.
_NUMBERS = re.compile(
    rf"\[\s*(?P<named>{_SOURCE}[\s.:#]{{1,4}})?\d{{1,3}}(?:\s*[,;]\s*\d{{1,3}})*\s*\]"
    r"|\[(?P<dagger>\d{1,3}(?::\d{1,3})?\s?†[^\]]{0,20})\]"
)
"""Numbers as citations have them, in brackets as `_Shapes` writes them: `[1]`, `[Source 1]`, `【4:0†source】`."""
# What an index follows: `f(x)[1]`, `a[0][1]`, `` `arr`[1] ``.
_INDEXED = frozenset("_)]}`")
_SPACE_AFTER = re.compile(r"\s{0,8}")
_CLAUSE_ENDS = re.compile(r"\s{0,8}(?:\Z|[.,;:!?)。，；：！？۔؟،])|[ \t]{0,8}\n")

_KEY_BEGUN = re.compile(r"[a-z](?:[2-9][a-z2-9]{0,4})?")
# Behind these a word goes on: a path, an address, an option, a variable of a shell.
_NO_KEY_AFTER = frozenset(r"_/\.-@=#&?%+~$'’")
_SIGNS = re.compile(r"[*_]{0,3}[.,;:!?]{0,3}")
_KEY_ENDS = re.compile(r"""[*_]{0,3}(?:[.,;:!?]{1,3}(?:\s|\Z)|[。，；：！？۔؟،)\]}>"”»」』^|<]|\n|\Z)""")
"""The end of a clause: it follows a key that stands where a citation does."""

_LONGEST_SPACE = 64
"""Characters of space that are held back, for a marker that is dropped or for the answer's end."""


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


@dataclass(frozen=True, slots=True)
class _Group:
    """Words in brackets, which may be a marker."""

    text: str
    """The text as a reader sees it, in the shape that `_SHAPES` gives it."""
    end: int
    """Index after it in the text that is read."""
    words: Sequence[str]
    between: Sequence[str]
    """The signs between the words."""
    strong: bool
    """Whether the brackets are ones in which models cite."""
    plain: bool
    """Whether no backslash and no backtick belongs to the brackets."""
    closed: bool

    @property
    def keys(self) -> list[str]:
        """The words that may be keys."""
        return [word.lower() for word in self.words if _WRITTEN.fullmatch(word)]

    @property
    def others(self) -> list[str]:
        """The words that say something of their own."""
        return [word for word in self.words if not (word.isdecimal() or _BESIDE.fullmatch(word))]

    @property
    def sets_keys_apart(self) -> bool:
        """Whether punctuation stands between each key and the words that are none."""
        written = [bool(_WRITTEN.fullmatch(word)) for word in self.words]
        pairs = zip(pairwise(written), self.between, strict=True)
        return all(one == other or _SETS_APART.search(signs) for (one, other), signs in pairs)


class _Shapes(dict[int, str]):
    """A table for `str.translate`.

    It writes the brackets of all scripts as `[`, `(` and `]`, letters in any font as plain ones, `_` as `*`, and what
    nobody sees (marks on a letter, characters without a width) as `_HIDDEN`.
    """

    def __missing__(self, code: int) -> str:
        char = "*" if code == ord("_") else chr(code)
        category = "" if char in _QUOTES else unicodedata.category(char)
        plain = unicodedata.normalize("NFKC", char)
        if category == "Ps" or char in "<‹":
            self[code] = "[" if char in _STRONG else "("
        elif category == "Pe" or char in ">›":
            self[code] = "]"
        elif category in ("Cf", "Mn", "Me"):
            self[code] = _HIDDEN
        else:
            self[code] = plain if plain.isascii() and plain.isalnum() and len(plain) == 1 else char
        return self[code]


_HIDDEN = "\0"
_SHAPES = _Shapes()
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,23});")
"""A character reference of HTML, which Markdown has, too."""
_REFERENCE_BEGUN = re.compile(r"&(?:#(?:[xX][0-9a-fA-F]{0,6}|[0-9]{0,7})|[a-zA-Z][a-zA-Z0-9]{0,23})?")
_NOT_LITERAL = re.compile(rf"{_REFERENCE.pattern}|{_HIDDEN}")


@dataclass(frozen=True, slots=True)
class _Shape:
    """The text at a place as a reader sees it, with the brackets of all scripts as `[`, `(` and `]`."""

    seen: str
    ends: Sequence[int] = ()
    """Index in the text, from the place on, after each character; empty: each stands for one."""

    def end(self, index: int) -> int:
        """Index in the text, from the place on, after the characters before `index`."""
        return self.ends[index - 1] if self.ends else index


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
        self._unlinked = Unlinked()
        self._held = ""
        """The end of the text so far, which is not read yet."""
        self._before = ""
        """The character before it."""
        self._after_marker = False
        """Whether a marker ends there."""
        self._words: set[str] = set()
        """Words of the answer that look like keys."""
        self._space = ""
        """Space that the reader does not have yet."""
        self._run: list[str] = []
        """Text that the reader gets next."""
        self._is_code = False
        """Whether that is code."""
        self._out: list[Text | Cited] = []
        self.unknown = 0
        """Number of markers that were dropped."""

    @property
    def cited(self) -> list[str]:
        """Keys of the cited passages, in order of first use."""
        return list(self._numbers)

    @property
    def held(self) -> int:
        """Characters that wait for what follows, never more than one step may look at and `_LONGEST_SPACE`."""
        return len(self._held) + len(self._space)

    def feed(self, piece: str) -> Iterator[Text | Cited]:
        """Take the next piece of the model's text; what may be half a marker is held back."""
        return self._take(piece, final=False)

    def finish(self) -> Iterator[Text | Cited]:
        """Take the end of the answer."""
        if self._verbatim.kind == "prose" and _CUT_OFF.fullmatch(self._held):
            self._held = ""
        return self._take("", final=True)

    def _take(self, piece: str, *, final: bool) -> Iterator[Text | Cited]:
        text = self._held + piece
        place = 0
        while place < len(text):
            end = self._step(text, place, final=final)
            if end is None:
                break
            self._before = text[end - 1]
            place = end
        self._held = text[place:]
        self._give()
        out, self._out = self._out, []
        return _joined(out)

    def _step(self, text: str, place: int, *, final: bool) -> int | None:
        """Read what begins at `place`; the index after it, or None when more of the text is needed."""
        if not self._verbatim.begin(text, place, final=final):
            return None
        char = text[place]
        if self._verbatim.kind == "code":
            if not char.isspace() and (code := look(_CODE, text, place)):
                return self._pass(text, place, code.end())
        elif char.isspace():
            pass
        elif char.isalpha() and (plain := look(_PLAIN, text, place)):
            return self._pass(text, place, plain.end())
        elif char.isalnum() or char == "_":
            return self._word(text, place, final=final)
        elif char == "&" and not final and _is_begun(_REFERENCE_BEGUN, text, place):
            return None
        elif char in "\\&" or char.translate(_SHAPES) in "[(":
            shape = _shape(text, place)
            if not final and _is_half(text, place, shape):
                return None
            group = _group(text, place, shape, self._shown)
            if group and not final and _needs_more(text, group):
                return None
            if group and self._is_marker(text, group):
                self._mark(group)
                return group.end
        return self._signs(text, place, final=final)

    def _pass(self, text: str, place: int, end: int) -> int:
        """Give the reader text that opens and closes nothing."""
        self._say(text[place:end], code=self._verbatim.kind == "code")
        return end

    def _signs(self, text: str, place: int, *, final: bool) -> int | None:
        """Give the reader signs that may open or close code and formulas."""
        code = self._verbatim.kind == "code"
        end = self._verbatim.read(text, place, final=final)
        if end is not None:
            self._say(text[place:end], code=code or self._verbatim.kind == "code")
        return end

    def _word(self, text: str, place: int, *, final: bool) -> int | None:
        """Read a word; a shown key at the end of a clause is a citation without brackets, too."""
        found = look(_WORD, text, place)
        word, end = (found.group(), found.end()) if found else (text[place], place + 1)
        # In a path or an address nothing is a key: `/k7qd`, `node-k7qd`.
        is_inside = self._before.isalnum() or self._before in _NO_KEY_AFTER
        if is_inside or self._verbatim.kind == "formula":
            return self._pass(text, place, end)
        # The rest of the key may be in the next piece.
        if end == len(text) and not final and _KEY_BEGUN.fullmatch(word):
            return None
        if is_key(word) and self._shown(word):
            signs = look(_SIGNS, text, end)
            if signs and signs.end() == len(text) and not final:
                return None
            if look(_KEY_ENDS, text, end):
                self._cite([word])
                return end
        # The answer itself uses it as a word (a part number), so that it is none in brackets either.
        elif is_key(word):
            self._words.add(word)
        return self._pass(text, place, end)

    def _is_marker(self, text: str, group: _Group) -> bool:
        """Whether a group cites, or seems to."""
        keys = group.keys
        is_index = self._before.isalnum() or self._before in _INDEXED
        if not keys:
            return self._seems_checked(text, group, is_index=is_index and not self._after_marker)
        if group.closed and any(map(self._shown, keys)):
            return True
        is_formula = self._verbatim.kind == "formula"
        if group.strong:
            is_prose = group.plain and not is_formula and not is_index
            return _TICK not in group.text and (not group.others or (is_prose and group.sets_keys_apart))
        is_word = is_formula or (is_index and self._before != "]")  # `f(h5py)`, but not `[label](z9zz)`
        keys = [word for word in group.words if _is_no_designation(word) and word not in self._words]
        return group.plain and not is_word and bool(keys)

    def _seems_checked(self, text: str, group: _Group, *, is_index: bool) -> bool:
        """Whether numbers in brackets look like citations: not like an index, an interval or a vector."""
        found = _NUMBERS.fullmatch(group.text)
        if is_index or self._verbatim.kind == "formula" or not found:
            return False
        if found["named"] or found["dagger"]:
            return True
        # Sources are cited in the order of their numbers; `[2, 1]` and `[1, 1]` are vectors.
        if any(one >= other for one, other in pairwise([0, *map(int, group.words)])):
            return False
        return len(group.words) == 1 or bool(look(_CLAUSE_ENDS, text, group.end))

    def _mark(self, group: _Group) -> None:
        """Cite the passages of a marker that were shown, and drop the rest."""
        known = [key for key in group.keys if group.closed and self._shown(key)]
        # A group that never closes counts once: which of its words were meant as keys, nobody knows.
        self.unknown += (
            len(group.keys if group.closed else "1") - len(known)
            if group.keys
            else sum(map(str.isdecimal, group.words))
        )
        self._cite(known)

    def _cite(self, keys: Sequence[str]) -> None:
        """Give the reader the numbers of passages; a marker without any leaves no space behind."""
        if keys:
            self._flush()
            self._give()
        # A line break stays: the next paragraph would join this one.
        else:
            self._space = self._space.rstrip(" \t")
        for key in dict.fromkeys(keys):
            if key not in self._numbers and (hit := self._shown(key)):
                self._numbers[key] = len(self._numbers) + 1
                self._out.append(Cited(self._numbers[key], hit))
        for number in dict.fromkeys(self._numbers[key] for key in keys):
            apart = self._unlinked.mark()
            self._out.append(Text(f"{apart}[{number}]", (Mark(len(apart), number),)))
        self._after_marker = True

    def _say(self, text: str, *, code: bool) -> None:
        """Give the reader a text, but for the space at its end."""
        self._after_marker = False
        visible = text.rstrip()
        if visible:
            self._flush()
            self._emit(visible, code=code)
        self._space += text[len(visible) :]
        # A model that writes nothing but blanks must not fill the memory.
        if len(self._space) > _LONGEST_SPACE:
            self._emit(self._space[:-_LONGEST_SPACE], code=False)
            self._space = self._space[-_LONGEST_SPACE:]

    def _flush(self) -> None:
        space, self._space = self._space, ""
        self._emit(space, code=False)

    def _emit(self, text: str, *, code: bool) -> None:
        if code != self._is_code:
            self._give()
            self._is_code = code
        self._run.append(text)

    def _give(self) -> None:
        """Give the reader the text since the last marker or the last change between prose and code."""
        text, self._run = "".join(self._run), []
        self._out.append(Text(self._unlinked.code(text) if self._is_code else self._unlinked.text(text)))


def _shape(text: str, place: int) -> _Shape:
    """The text at a place as a reader sees it; empty if it is no group."""
    signs = look(_BEFORE_WORDS, text, place)
    if signs is None or (signs.end() < len(text) and not look(_WORD, text, signs.end())):
        return _Shape("")
    if text[place] == "&" and not look(_REFERENCE, text, place):
        return _Shape("")
    # The window alone: all that follows, at each bracket, would be quadratic.
    window = text[place : place + WINDOW]
    seen = window.translate(_SHAPES)
    if "&" not in seen and _HIDDEN not in seen:
        return _Shape(seen)
    parts: list[str] = []
    ends: list[int] = []
    at = 0
    for found in (*_NOT_LITERAL.finditer(seen), None):
        start, end = found.span() if found else (len(seen), len(seen))
        parts.append(seen[at:start])
        ends += range(at + 1, start + 1)
        if found and found.group() != _HIDDEN:
            named = html.unescape(window[start:end]).translate(_SHAPES).replace(_HIDDEN, "")
            parts.append(named)
            ends += [end] * len(named)
        at = end
    return _Shape("".join(parts), ends)


def _is_begun(pattern: re.Pattern[str], text: str, place: int) -> bool:
    """Whether what a pattern finds at a place goes on to the end of the text."""
    found = look(pattern, text, place)
    return bool(found and found.end() == len(text))


def _is_half(text: str, place: int, shape: _Shape) -> bool:
    """Whether a text ends within what may be a group."""
    begun = look(_HALF, shape.seen, 0)
    if begun is None or begun.end() < len(shape.seen) or place + WINDOW < len(text):
        return False
    opened = begun["open"] or ""
    if len(_CLOSINGS.findall(begun["close"] or "")) >= len(_OPENINGS.findall(opened)) > 0:
        return False
    words = _WORDS.findall(begun.group())
    if _SPELLED_BEGUN.fullmatch("".join(words)):
        return True
    if words and begun.group().endswith(words[-1]):
        words.pop()  # which may go on
    others = [word for word in words if not (word.isdecimal() or _BESIDE.fullmatch(word))]
    return len(others) <= (_MOST_OTHERS if "[" in opened else 0)


def _needs_more(text: str, group: _Group) -> bool:
    """Whether what follows a group tells whether it is a marker, and is not there yet."""
    space = look(_SPACE_AFTER, text, group.end)
    return len(group.words) > 1 and not group.keys and bool(space and space.end() == len(text))


def _group(text: str, place: int, shape: _Shape, shown: Callable[[str], Hit | None]) -> _Group | None:
    """The words in brackets at a place of a text, if there are any that may be a marker."""
    found = look(_GROUP, shape.seen, 0)
    if found is None:
        return None
    opened = len(_OPENINGS.findall(found["open"]))
    closings = [one.end() for one in _CLOSINGS.finditer(found["close"])]
    closed = len(closings) >= opened
    if not closed and place + shape.end(found.end()) < len(text):
        return None
    end = found.start("close") + closings[opened - 1] if closed else found.end()
    written = shape.seen[:end]
    # As in CommonMark, no bracket goes on behind its paragraph.
    if _PARAGRAPH.search(written):
        return None
    strong = "[" in found["open"]
    places = list(_WORDS.finditer(found["content"]))
    words = [word.group() for word in places]
    between = [found["content"][one.end() : other.start()] for one, other in pairwise(places)]
    if _is_spelled(words, between, shown, strong=strong):
        words, between = ["".join(words)], []
    group = _Group(
        text=written,
        end=place + shape.end(end),
        words=words,
        between=between,
        strong=strong,
        plain="\\" not in found["open"] and not found["tick"],
        closed=closed,
    )
    return group if len(group.others) <= (_MOST_OTHERS if group.strong else 0) else None


def _is_spelled(
    words: Sequence[str], between: Sequence[str], shown: Callable[[str], Hit | None], *, strong: bool
) -> bool:
    """Whether words are the letters of one key, or the parts of one that was shown."""
    key = "".join(words)
    if len(words) < 2 or not _WRITTEN.fullmatch(key) or not all(map(_SPELLS[strong].fullmatch, between)):
        return False
    return len(words) == len(key) or bool(shown(key.lower()))


def _is_no_designation(word: str) -> bool:
    """Whether a word is a key by its form; `h264` could be one, but is the name of something as a rule."""
    return bool(is_key(word)) and not word[1:].isdecimal()


def _joined(pieces: Sequence[Text | Cited]) -> Iterator[Text | Cited]:
    """The pieces, those of text that follow each other as one."""
    for is_text, run in groupby(pieces, key=lambda piece: isinstance(piece, Text)):
        if not is_text:
            yield from run
            continue
        texts: list[str] = []
        marks: list[Mark] = []
        length = 0
        for piece in run:
            assert isinstance(piece, Text)
            marks += (Mark(length + mark.start, mark.number) for mark in piece.marks)
            texts.append(piece.text)
            length += len(piece.text)
        if length:
            yield Text("".join(texts), tuple(marks))

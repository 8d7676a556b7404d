"""Holds a provider's tutor to the book, whatever the model does.

A reply is held back until its first finished sentence is borne by a passage that the run has shown: it cites one, or a
passage has its words. A reply without such a sentence is no answer (`uncited`), unless it is one of the few things that
need no passage: a question back, thanks for thanks, a plain refusal after a search. A reply that recites the
instructions is none either (`disclosed`). What of a reply rests on the book, once it does, `Attribution` tells.
"""

import asyncio
import html
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from preceptor.agents.attribution import Attribution
from preceptor.agents.bearing import Judged, invents_beside, is_borne, is_quoted, judge
from preceptor.agents.citations import Citations, Cited, Mark, Text
from preceptor.agents.offline import Likeness, answering
from preceptor.agents.passageless import is_greeting, needs_no_passage
from preceptor.agents.streamed_sentences import Sentences, Unit
from preceptor.agents.support import check_in_turns, is_too_short, unknown_names
from preceptor.errors import AnswerUnusable
from preceptor.library.passage import Hit, Passage
from preceptor.providers.failure import FailureClass
from preceptor.text.languages import language, language_of, words
from preceptor.text.questions import depends_on_previous
from preceptor.tools.plugin import Run

_GRAM = 8
"""Words in a row that nobody writes by chance as the instructions have them."""
_LETTERS = 26
_LEAST_PLAIN = 0.25
"""Share of Latin letters among words from which they may be ones of the instructions in disguise."""
_MOST_KEYS = 12
_LONGEST_MARKER = 64
_STEP = 500
"""Characters of a reply that are looked at together, however long its pieces are."""
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
"""Characters that nobody sees, and that would hide the instructions."""

RULE = """\
Answer the question now with a few sentences of the quotations above, as they stand there (translated where the reader \
asks in another language); begin with the one that answers it. Do not speak of the quotations or of the question. \
Behind each sentence write the key of its quotation, in square brackets. The keys are: {keys}."""
"""Reminder that stands behind the passages: a model forgets it where it stands before them.

A small model that may use words of its own turns a question round into a claim, or writes about the quotations."""


class Rules:
    """The instructions, to tell a reply that recites them."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Read the instructions.

        Args:
            texts: Their parts, without what the book says of itself (its title and its subject).
        """
        told = [words(text) for text in texts]
        self._grams = {tuple(map(_intervals, gram)) for each in told for gram in _grams(each)}
        self._last = {gram[-1] for gram in self._grams}
        self._told = "\n".join(f" {' '.join(each)} " for each in told)

    def recited(self, last: deque[str], found: Iterable[str]) -> bool:
        """Whether words of the instructions follow each other in a reply.

        Args:
            last: The words before; those that are found are added.
            found: The next words.
        """
        for word in found:
            last.append(word)
            if len(last) < _GRAM:
                continue
            ends_one = _intervals(word) in self._last and tuple(map(_intervals, last)) in self._grams
            if ends_one or self._looks_recited(last):
                return True
        return False

    def _looks_recited(self, last: Sequence[str]) -> bool:
        """Whether words look like those of the instructions, with letters of other scripts in the place of some."""
        text = " ".join(last)
        if text.isascii():
            return False
        plain = sum(char.isascii() for char in text) - text.count(" ")
        # Of a text in another script nothing is left to be compared.
        if plain < _LEAST_PLAIN * (len(text) - text.count(" ")):
            return False
        shape = "".join(char if char.isascii() else "." for char in text)
        return bool(re.search(f" {shape} ", self._told))


@lru_cache(maxsize=4096)
def _intervals(word: str) -> str | tuple[int, ...]:
    """How far each letter of a word is from the one before it: the same however the alphabet is shifted (ROT13)."""
    if not word.isascii():
        return word
    return tuple((ord(after) - ord(before)) % _LETTERS for before, after in pairwise(word))


def _grams(found: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(found) - _GRAM + 1):
        yield tuple(found[start : start + _GRAM])


class ShownText:
    """Whether a reply says anything once its citations are checked.

    Invented keys are dropped from an answer, and what is left of one that holds little else may be a full stop. Nor
    does a reader see comments, tags, the language of a block of code, or a note or a picture without a word beside it.
    """

    def __init__(self, shown: Callable[[str], Hit | None]) -> None:
        """Begin a reply.

        Args:
            shown: The passage with a key, or None when the conversation never showed it.
        """
        self._citations = Citations(shown)
        self._said = False
        self._begun = ""
        """The end of the reply so far, of which the reader may see nothing."""
        self._enough = 0
        """Length from which it is looked at again."""
        self._first = ""
        """The reply, up to a length from which it says something in any case."""

    def feed(self, piece: str) -> bool:
        """Whether the reader has been told something, now that `piece` has come."""
        if self._said and len(self._first) > _LONGEST_NOTHING:
            return True
        text = _unmarked(self._citations.feed(piece))
        self._first = f"{self._first}{text}"[: _LONGEST_NOTHING + 1]
        if not self._said:
            self._begun += text
            if len(self._begun) >= self._enough:
                seen = _seen(self._begun)
                begun = _BEGUN.search(seen)
                self._begun = begun.group() if begun else ""
                self._enough = int(_GROWTH * len(self._begun))
                self._said = _says(seen[: begun.start()] if begun else seen)
        return self._said

    def finish(self) -> bool:
        """Whether the reader has been told something, now that the reply has ended."""
        rest = _unmarked(self._citations.finish())
        if not self._said:
            # A comment that never ends is one all the same.
            self._said = _says(_seen(f"{self._begun}{rest}\n").partition(_COMMENT)[0])
        is_short = len(self._first) <= _LONGEST_NOTHING
        return self._said and not (is_short and _NOTHING.fullmatch(_seen(f"{self._first}{rest}\n")))


_NOTHING = re.compile(
    r"\W*(?:(?:[^\W_]{1,20}(?: [^\W_]{1,20})?\s?[:：]\W*)?(?:null|none|nil|nan|undefined|n/a)"
    r"|[^\W_]{1,20}(?: [^\W_]{1,20})?\s?[:：]|1[.)](?:\W+\d{1,2}[.)])*)\W*",
    re.IGNORECASE,
)
"""A word that programs write for nothing; a label such as `Answer:`, or a list's numbers, with nothing behind it."""
_LONGEST_NOTHING = 60
_COMMENT = "<!--"
_NOT_SEEN = re.compile(
    r"</?[a-z][\w-]{0,30}(?:[\s/][^<>]{0,300})?>|(?:```|~~~)[^`\n]{0,300}\n"
    r"|!\[[^\]\n]{0,300}\](?:\([^)\n]{0,300}\)|\[[^\]\n]{0,300}\]|(?=[^(\[]))|\[\^[^\]\s]{1,300}\]"
    r"|\[\s{0,9}\]\([^)\n]{0,300}\)|(?m:^ {0,3}\[[^\]\n]{1,300}\]:[ \t]{0,9}\S{1,300}(?=\s))",
    re.IGNORECASE,
)
"""Tags and marks of Markdown that have come whole, and of which a reader sees no word."""
_BEGUN = re.compile(
    r"(?:<!--[\s\S]*|<!?-?|</?(?:[a-z][^<>]{0,300})?|[`~]{1,3}[^`\n]{0,300}|!(?:\[[^\]\n]{0,300})?"
    r"|!\[[^\]\n]{0,300}\](?:[(\[][^)\]\n]{0,300})?|\[[^\]\n]{0,300}(?:\](?::[ \t]{0,9}\S{0,300})?)?"
    r"|\[\s{0,9}\]\([^)\n]{0,300}|&\#?\w{0,30})\Z",
    re.IGNORECASE,
)
"""The same, which may become whole; and what may become a character."""
_GROWTH = 1.25
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffd")
"""Letters and symbols that are blank, or stand for one that was lost."""


def _seen(text: str) -> str:
    """A text without what a reader never sees, as far as it has come whole."""
    kept, place = "", 0
    while (start := text.find(_COMMENT, place)) >= 0 and (end := text.find("-->", start)) >= 0:
        kept += f"{text[place:start]} "
        place = end + len("-->")
    return _NOT_SEEN.sub(" ", kept + text[place:])


def _unmarked(pieces: Iterable[Text | Cited]) -> str:
    """The text of an answer without its citations: one alone says nothing."""
    kept: list[str] = []
    for piece in pieces:
        if isinstance(piece, Text):
            place = 0
            for mark in piece.marks:
                kept.append(piece.text[place : mark.start])
                place = mark.end
            kept.append(piece.text[place:])
    return "".join(kept)


def _says(text: str) -> bool:
    """Whether there is a letter, a digit or a symbol; signs of Markdown say nothing."""
    return any(
        char not in _FILLERS
        and (char.isalnum() or (not char.isascii() and unicodedata.category(char)[0] == "S"))
        for char in html.unescape(text)
    )


@dataclass(slots=True)
class Gate:
    """Looks at one reply of a provider's tutor before the reader does."""

    run: Run
    rules: Rules
    holds: bool
    """Whether the answer must rest on the book."""
    longest: int
    """Characters after which nothing more is held back."""
    least_confidence: float = 0.0
    """Confidence that the answer must have; above 0 it is held back until it is whole."""
    least_support: float = 0.0
    """Support that a sentence must have from the passage that it cites."""
    of_book: str = "en"
    """BCP 47 tag of the book's language."""
    within: frozenset[str] | None = None
    """Keys of passages from which the answer must quote; None: it may rest on any that was shown, in its own words."""
    _shown: ShownText = field(init=False)
    _sentences: Sentences = field(init=False)
    _raw: list[str] = field(default_factory=list[str])
    _length: int = 0
    _may_be_shown: bool = False
    _words: deque[str] = field(default_factory=lambda: deque(maxlen=_GRAM))
    _half_word: str = ""
    _is_borne: bool = False
    _unborne: list[Judged] = field(default_factory=list[Judged])
    """The sentences before the first one that rests on the book."""
    _is_beside: bool = False
    """Whether one rests on other passages than it must, or on those in words of its own."""
    _is_reworded: bool = False
    """Whether it has begun in words of its own where it must quote."""

    def __post_init__(self) -> None:
        """Begin a reply."""
        self._shown = ShownText(self.run.ledger.get)
        self._sentences = Sentences(self._tag)

    @property
    def _tag(self) -> str:
        """Tag of the language that the reply will probably be in."""
        return language_of(self.run.question) or self.of_book

    def feed(self, piece: str) -> bool:
        """Whether the reply may be shown, now that `piece` has come.

        Raises:
            AnswerUnusable: It recites the instructions, or is long and rests on nothing.
        """
        for place in range(0, len(piece), _STEP):
            if self._length > self.longest:  # the reader is not shown more
                break
            self._may_be_shown = self._look(piece[place : place + _STEP])
        return self._may_be_shown

    def _look(self, piece: str) -> bool:
        self._length += len(piece)
        # Every piece, shown or not: instructions may be recited in mid-answer.
        self._look_for_rules(piece)
        said = self._shown.feed(piece)
        if not self.holds:
            return said
        if not self._is_borne:
            self._raw.append(piece)
            self._is_borne = self._bears(self._sentences.feed(piece))
            # Nobody waits for the end of an answer that would be cut there.
            if not self._is_borne and self._length > self.longest:
                raise AnswerUnusable("uncited", "nothing of a long answer rests on a passage")
        elif self.least_confidence:
            self._raw.append(piece)
        return said and self._is_borne and not self.least_confidence

    async def finish(self) -> FailureClass | None:
        """Why the reply is no answer, now that it has ended; None: it is one."""
        if not self._shown.finish():
            return "empty_answer"
        if self.holds:
            self._is_borne = self._is_borne or self._bears(self._sentences.finish())
            text = "".join(self._raw)
            if not self._is_borne:
                if needs_no_passage(text, self.run):
                    return None
                return "beside" if self._is_beside else "uncited"
            if self.least_confidence and not await self._is_sure(text):
                return "unsupported"
        return None

    def _look_for_rules(self, piece: str) -> None:
        if not piece.isascii():
            piece = _UNSEEN.sub("", unicodedata.normalize("NFKC", piece))
        text = self._half_word + piece
        cut = len(text)
        # A word may come in two pieces; a run of letters longer than any word is not waited for.
        while (
            cut and (text[cut - 1].isalnum() or text[cut - 1] in "_'’") and len(text) - cut < _LONGEST_MARKER
        ):
            cut -= 1
        self._half_word = text[cut:]
        if self.rules.recited(self._words, words(text[:cut])):
            raise AnswerUnusable("disclosed", "it recites the instructions")

    def _bears(self, units: Iterable[Unit]) -> bool:
        """Whether one of these sentences rests on the book, and none before it is an invention.

        Raises:
            AnswerUnusable: What rests on the book only stands behind an invention.
        """
        for unit in units:
            if not unit.is_prose:
                continue
            found = judge(unit.text, self.run)
            if self.within is not None and not is_too_short(found.claim):
                shown = [hit.passage for hit in self.run.ledger]
                self._is_reworded = self._is_reworded or not is_quoted(found.claim, shown)
            if not is_borne(found, self.run.ledger, least=self.least_support):
                self._unborne.append(found)
            elif self.within is None or (
                not self._is_reworded and any(hit.passage.key in self.within for hit in found.hits)
            ):
                return self._follows_nothing_else(found)
            else:
                self._is_beside = True
        return False

    def _follows_nothing_else(self, found: Judged) -> bool:
        # The true sentence behind an invention does not make the invention true.
        if any(invents_beside(one, found.hits) for one in self._unborne):
            raise AnswerUnusable("uncited", "it begins with what no passage says")
        return True

    async def _is_sure(self, text: str) -> bool:
        """Whether the answer's confidence is high enough; one that cannot be judged has to be believed."""
        ledger = self.run.ledger
        if unknown_names(self.run.question, [hit.passage for hit in ledger]):
            return False  # what is asked about is in no passage
        # Judged as the reader would see it, with the keys that are added on the way.
        attribution = Attribution(
            self.run, tag=self._tag, strict=True, least_support=self.least_support, within=self.within
        )
        citations = Citations(ledger.get)
        shown, marks, passages = "", list[Mark](), dict[int, Passage]()
        for place in range(0, len(text) + 1, _STEP):
            kept = attribution.feed(text[place : place + _STEP])
            pieces = [*citations.feed(kept)]
            if place + _STEP > len(text):
                pieces += [*citations.feed(attribution.finish()), *citations.finish()]
            for piece in pieces:
                if isinstance(piece, Cited):
                    passages[piece.number] = piece.hit.passage
                else:
                    marks += (Mark(len(shown) + mark.start, mark.number) for mark in piece.marks)
                    shown += piece.text
            await asyncio.sleep(0)  # others wait
        found = await check_in_turns(shown, marks, passages, without=attribution.claims)
        return found.confidence is None or found.confidence >= self.least_confidence


@dataclass(slots=True)
class BookRule:
    """The rule and the search that bind the providers' models to the book in one run; made when one is asked."""

    run: Run
    history: Sequence[tuple[str, str]]
    """The conversation before the question as (role, text), oldest first."""
    of_book: str
    """BCP 47 tag of the book's language."""
    likeness: Likeness
    """Computes cosines with the embedding model."""
    within: frozenset[str] | None = None
    """Keys of the passages that answer the question, once that was judged."""
    _judged: int = -1
    """Number of passages that had been shown by then: a tutor may search again."""

    async def covers(self) -> bool:
        """Whether the offline tutor would quote what was found for the question."""
        if is_greeting(self.run.question):
            return True
        if self._judged != len(self.run.ledger):
            self._judged = len(self.run.ledger)
            self.within = await answering(self.run, self._before, self.likeness, of_book=self.of_book)
        return bool(self.within)

    @property
    def _before(self) -> str:
        """The reader's previous question, or an empty string."""
        return next((text for role, text in reversed(self.history) if role == "user"), "")

    @property
    def query(self) -> str:
        """The question as the server itself searches for it; empty where only the tutor can put it."""
        own = language(self.of_book).tag
        asked = language_of(self.run.question) or own
        if asked != own:
            return ""
        dependent = self._before and depends_on_previous(self.run.question, asked)
        return f"{self._before} {self.run.question}" if dependent else self.run.question

    @property
    def searched(self) -> bool:
        """Whether the whole book was searched for the question."""
        return bool(self.run.searched)

    @property
    def rule(self) -> str:
        """The rule that stands behind the passages, with the keys that there are."""
        last = [hit.passage.key for hit in self.run.ledger][-_MOST_KEYS:]
        return RULE.format(keys=" ".join(f"[{key}]" for key in last)) if last else ""

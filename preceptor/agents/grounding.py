"""Holds a provider's tutor to the book, whatever the model does.

A reply is held back until its first finished sentence is borne by a passage that the run has shown: it cites one, or a
passage has its words. A reply without such a sentence is no answer (`uncited`), unless it is one of the few things that
need no passage: a question back, thanks for thanks, a plain refusal after a search. A reply that recites the
instructions is none either (`disclosed`). Sentences that a passage bears and that cite nothing get its key.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from preceptor.agents.citations import Citations, Cited, Mark, Text
from preceptor.agents.shown import ShownText
from preceptor.agents.support import are_comparable, check, claim_of, invents, names, support
from preceptor.errors import AnswerUnusable
from preceptor.library.passage import KEY, Hit, Passage
from preceptor.providers.failure import FailureClass
from preceptor.text.languages import language, language_of, languages, words
from preceptor.text.phrases import phrases
from preceptor.text.pieces import FENCE
from preceptor.text.questions import QUESTION_MARKS, depends_on_previous
from preceptor.text.sentences import split_sentences
from preceptor.text.tokens import stems
from preceptor.tools.ledger import Ledger
from preceptor.tools.plugin import Run

BEARS = 0.6
"""Support from which a passage is taken to bear a sentence that does not cite it."""
_CANDIDATES = 3
"""Passages that are looked at for a sentence: those that have most of its words."""
_HALF = 0.5
"""Share of a sentence's words that such a passage has at least."""
_LONGEST_SENTENCE = 2000
_GRAM = 8
"""Words in a row that nobody writes by chance as the instructions have them."""
_MOST_KEYS = 12
_SHORT = 12
"""Words of a reply that is as short as a greeting."""
_SHORT_QUESTION = 30

_ENDS = ".!?…。！？।۔؟։።"
# Behind the end of a sentence a key may still be added, so that nothing behind it is given on.
_AFTER_END = re.compile(rf"[{_ENDS}][\"'”’»)\]*_`]*(?=\s|[^\W\d_])(?P<rest>[\s\S]*)\Z")
_WORD_AND_SPACE = re.compile(r"\s*\S+\s")
_OPENING = re.compile(r"\s*[\[(（【〔［]")
_MARKERS = re.compile(r"(?:\s*[\[(（【〔［]{1,2}[^\n\])）】〕］]{1,60}[\])）】〕］]{1,2}[.,;:]?)+\s*")
_LONGEST_MARKER = 64
_NO_PROSE = re.compile(r"\s*(?:#{1,6}\s|\||\$\$|</?\w|>\s*\||```|~~~)")
_BOOK = "book textbook text passage quotation chapter material source excerpt"
_LIKE_A_KEY = re.compile(rf"\b{KEY}\b")
_DIGIT = re.compile(r"\d+")
_REFUSAL = (
    "the this that it book textbook text chapter section passage quotation excerpt material source tool answer "
    "question cover contain mention provide information discuss address find found nearest closest related topic "
    "subject about sorry apologize unfortunately specific any have be do can could give say tell show know here"
)
"""English words of a plain refusal; in other languages those of our own refusal."""


RULE = """\
Answer the question now, from the quotations above alone. Behind each sentence write the key of the quotation that \
says it, in square brackets. The keys are: {keys}."""
"""What a tutor is told once more, behind the passages: before them it is forgotten."""


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
        self._line_begun = False

    @property
    def tail(self) -> str:
        """The sentence that is not finished."""
        return self._tail

    @property
    def settled(self) -> int:
        """Characters of the tail before which no sentence can end any more."""
        if not self._is_prose_so_far():
            return len(self._tail.rstrip())
        found = _AFTER_END.search(self._tail)
        return found.start("rest") if found else len(self._tail.rstrip())

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

    def _is_prose_so_far(self) -> bool:
        return not self._fence and (self._line_begun or not _NO_PROSE.match(self._tail))

    def _line(self, line: str, *, whole: bool) -> Iterator[Unit]:
        """Cuts a line; what may go on is put back."""
        if not line:
            return
        fence = None if self._line_begun else FENCE.match(line)
        if self._fence or (not self._line_begun and _NO_PROSE.match(line)):
            if not whole:
                self._tail = line
                return
            if self._fence:
                self._fence = "" if line.strip().startswith(self._fence) else self._fence
            elif fence:
                self._fence = fence[1]
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
        elif len(line) - done > _LONGEST_SENTENCE:
            self._line_begun = True
            yield Unit(line[done:], is_prose=False)
        else:
            self._tail = line[done:]

    def _again(self, rest: str, *, whole: bool) -> Iterator[Unit]:
        if rest:
            yield from self._line(rest, whole=whole)
        elif whole:
            self._line_begun = False


@dataclass(slots=True)
class Judged:
    """What a sentence of a reply rests on."""

    claim: str
    """The sentence without markers; empty: it claims nothing."""
    cited: list[Hit]
    """Passages that it cites and that the conversation has shown."""
    bearer: Hit | None = None
    """The shown passage that bears it, where it cites none."""


def judge(sentence: str, ledger: Ledger) -> Judged:
    """Returns what a sentence of a reply rests on.

    Args:
        sentence: As the model wrote it, with keys.
        ledger: The passages that were shown.
    """
    citations = Citations(ledger.get)
    bare: list[str] = []
    cited: list[Hit] = []
    for piece in (*citations.feed(sentence), *citations.finish()):
        if isinstance(piece, Cited):
            cited.append(piece.hit)
        else:
            bare.append(_unmarked(piece))
    claim = claim_of("".join(bare))
    if claim.endswith((*QUESTION_MARKS, ":", "：")):
        claim = ""
    found = Judged(claim, cited)
    if claim and not cited:
        found.bearer = _bearer(claim, ledger)
    return found


def _keys(ledger: Ledger) -> set[str]:
    return {hit.passage.key for hit in ledger}


def _unmarked(piece: Text) -> str:
    kept, place = "", 0
    for mark in piece.marks:
        kept += piece.text[place : mark.start].rstrip()
        place = mark.end
    return kept + piece.text[place:]


def _bearer(claim: str, ledger: Ledger) -> Hit | None:
    """The passage of this run that bears a sentence best, if one clearly does."""
    shares: list[tuple[float, Hit]] = []
    for hit in ledger:
        tag = hit.passage.language
        wanted = stems(claim, tag)
        has = stems(hit.passage.embedded_text, tag)
        shares.append((len(wanted & has) / len(wanted) if wanted else 0.0, hit))
    shares.sort(key=lambda one: -one[0])
    judged = [
        (support(claim, [hit.passage]) or 0.0, hit) for share, hit in shares[:_CANDIDATES] if share >= _HALF
    ]
    best = max(judged, key=lambda one: one[0], default=None)
    return best[1] if best and best[0] >= BEARS else None


def is_borne(found: Judged, ledger: Ledger) -> bool:
    """Whether a sentence rests on the book: it cites a passage and adds no name or figure, or a passage bears it."""
    if not found.cited:
        return found.bearer is not None
    shown = _keys(ledger)
    passages = [hit.passage for hit in found.cited]
    if any(one.key not in shown for one in passages):
        return True  # of what an earlier answer cited only one sentence is known
    if not are_comparable(language_of(found.claim), passages):
        return True
    return not invents(found.claim, passages)


class Attribution:
    """Gives a sentence that cites nothing the key of the passage that bears it, while the reply passes by."""

    def __init__(self, ledger: Ledger, *, tag: str) -> None:
        """Begin a reply.

        Args:
            ledger: The passages that were shown.
            tag: BCP 47 tag of the language that the reply will probably be in.
        """
        self._ledger = ledger
        self._sentences = Sentences(tag)
        self._given = 0
        """Characters of the unfinished sentence that were given on."""
        self.claims: set[str] = set()
        """The sentences that were given a key."""

    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; gives on what is decided."""
        out = "".join(self._decided(unit) for unit in self._sentences.feed(piece))
        settled = max(self._sentences.settled, self._given)
        out += self._sentences.tail[self._given : settled]
        self._given = settled
        return out

    def finish(self) -> str:
        """Take the end of the reply."""
        return "".join(self._decided(unit) for unit in self._sentences.finish())

    def _decided(self, unit: Unit) -> str:
        given, self._given = self._given, 0
        if unit.is_prose and (found := judge(unit.text, self._ledger)).bearer:
            end = len(unit.text.rstrip())
            if given <= end:
                self.claims.add(found.claim)
                return f"{unit.text[given:end]} [{found.bearer.passage.key}]{unit.text[end:]}"
        return unit.text[given:]


class Rules:
    """The instructions, to tell a reply that recites them."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Read the instructions.

        Args:
            texts: Their parts, without what the book says of itself (its title and its subject).
        """
        self._grams = {gram for text in texts for gram in _grams(words(text))}

    def recited(self, last: deque[str], found: Iterable[str]) -> bool:
        """Whether words of the instructions follow each other in a reply.

        Args:
            last: The words before; those that are found are added.
            found: The next words.
        """
        for word in found:
            last.append(word)
            if len(last) == _GRAM and tuple(last) in self._grams:
                return True
        return False


def _grams(found: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(found) - _GRAM + 1):
        yield tuple(found[start : start + _GRAM])


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
    _shown: ShownText = field(init=False)
    _sentences: Sentences = field(init=False)
    _raw: list[str] = field(default_factory=list[str])
    _length: int = 0
    _words: deque[str] = field(default_factory=lambda: deque(maxlen=_GRAM))
    _half_word: str = ""
    _is_borne: bool = False

    def __post_init__(self) -> None:
        """Begin a reply."""
        self._shown = ShownText(self.run.ledger.get)
        self._sentences = Sentences(language_of(self.run.question) or "en")

    def feed(self, piece: str) -> bool:
        """Whether the reply may be shown, now that `piece` has come.

        Raises:
            AnswerUnusable: It recites the instructions, or is long and rests on nothing.
        """
        self._look_for_rules(piece)
        said = self._shown.feed(piece)
        if not self.holds:
            return said
        if not self._is_borne:
            self._length += len(piece)
            self._raw.append(piece)
            self._is_borne = self._bears(self._sentences.feed(piece)) or self._is_cited_already()
            if not self._is_borne and self._length > self.longest:
                raise AnswerUnusable("uncited", "nothing of a long answer rests on a passage")
        elif self.least_confidence:
            self._raw.append(piece)
        return said and self._is_borne and not self.least_confidence

    def finish(self) -> FailureClass | None:
        """Why the reply is no answer, now that it has ended; None: it is one."""
        if not self._shown.finish():
            return "empty_answer"
        if self.holds:
            self._is_borne = self._is_borne or self._bears(self._sentences.finish())
            text = "".join(self._raw)
            if not self._is_borne:
                return None if needs_no_passage(text, self.run) else "uncited"
            if self.least_confidence and not self._is_sure(text):
                return "unsupported"
        return None

    def _look_for_rules(self, piece: str) -> None:
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
        ledger = self.run.ledger
        return any(unit.is_prose and is_borne(judge(unit.text, ledger), ledger) for unit in units)

    def _is_cited_already(self) -> bool:
        """Whether the sentence that is not finished cites a passage, and all that it says so far is borne."""
        tail, ledger = self._sentences.tail, self.run.ledger
        if not any(word in _keys(ledger) for word in _LIKE_A_KEY.findall(tail[-_LONGEST_MARKER:])):
            return False
        found = judge(tail, ledger)
        return bool(found.cited) and is_borne(found, ledger)

    def _is_sure(self, text: str) -> bool:
        """Whether the answer's confidence is high enough; one that cannot be judged has to be believed."""
        ledger = self.run.ledger
        attribution = Attribution(ledger, tag=language_of(self.run.question) or "en")
        citations = Citations(ledger.get)
        pieces = [*citations.feed(attribution.feed(text) + attribution.finish()), *citations.finish()]
        shown, marks, passages = "", list[Mark](), dict[int, Passage]()
        for piece in pieces:
            if isinstance(piece, Cited):
                passages[piece.number] = piece.hit.passage
            else:
                marks += (Mark(len(shown) + mark.start, mark.number) for mark in piece.marks)
                shown += piece.text
        found = check(shown, marks, passages, without=attribution.claims).confidence
        return found is None or found >= self.least_confidence


def needs_no_passage(text: str, run: Run) -> bool:
    """Whether a reply may pass although it rests on nothing: it says nothing that a passage could bear.

    That is a short reply to a greeting, a question back, or a plain refusal after the whole book was searched; none of
    them may hold a name or a figure that the reader's question has not.

    Args:
        text: The reply.
        run: The question, and what was searched for it.
    """
    tag = language_of(run.question) or "en"
    bare = text
    for hit in run.ledger:
        for name in (hit.passage.title, hit.passage.chapter):
            bare = bare.replace(name, " ") if name else bare
    if _adds(bare, run.question, tag):
        return False
    sentences = [
        one.strip() for line in bare.splitlines() if line.strip() for one in split_sentences(line, tag)
    ]
    if not sentences or "```" in text:
        return False
    if len(words(bare)) < _SHORT and is_greeting(run.question):
        return True
    *before, last = sentences
    # An answer with a question behind it is no question back.
    if last.endswith(QUESTION_MARKS) and len(words(bare)) < _SHORT_QUESTION:
        return all(len(words(one)) < 4 for one in before)
    return bool(run.searched) and _refuses(sentences, run, tag)


def is_greeting(question: str) -> bool:
    """Whether a reader greets, thanks or takes leave, and asks nothing."""
    asked = words(question)
    return bool(asked) and all(word in _greetings() for word in asked)


@lru_cache(maxsize=1)
def _greetings() -> frozenset[str]:
    return frozenset().union(*(one.greetings for one in languages().values()))


def _adds(text: str, question: str, tag: str) -> bool:
    """Whether a text has a figure or a name that the question has not."""
    asked = question.casefold()
    added = (*_DIGIT.findall(text), *names(text, tag))
    return any(one.casefold() not in asked for one in added)


def _refuses(sentences: list[str], run: Run, tag: str) -> bool:
    """Whether sentences say that the book does not cover the question, in words that say nothing else."""
    say = phrases(run.question)
    ours = stems(say.not_covered, tag) | stems(say.nearest, tag)
    about = stems(say.not_covered, tag)
    if tag == "en":
        ours |= stems(_REFUSAL, tag)
        about = stems(_BOOK, tag)
    allowed = ours | stems(run.question, tag)
    if not all(stems(one, tag) <= allowed for one in sentences):
        return False
    negation = language(tag).negation or "(?!)"
    return any(re.search(negation, one.lower()) and stems(one, tag) & about for one in sentences)


@dataclass(slots=True)
class BookRule:
    """What the providers' models are told of the book in one run."""

    run: Run
    query: str
    """The question as the server itself searches for it; empty where only the tutor can put it."""

    @property
    def searched(self) -> bool:
        """Whether the whole book was searched for the question."""
        return bool(self.run.searched)

    @property
    def rule(self) -> str:
        """The rule that stands behind the passages, with the keys that there are."""
        keys = [hit.passage.key for hit in self.run.ledger][-_MOST_KEYS:]
        return RULE.format(keys=" ".join(f"[{key}]" for key in keys)) if keys else ""


def book_rule(run: Run, history: Iterable[tuple[str, str]], *, of_book: str) -> BookRule:
    """Returns the rule of one run.

    Args:
        run: The question.
        history: The conversation before it as (role, text), oldest first.
        of_book: BCP 47 tag of the book's language.
    """
    own = language(of_book).tag
    asked = language_of(run.question) or own
    if asked != own:
        return BookRule(run, "")
    before = [text for role, text in history if role == "user"][-1:]
    dependent = before and depends_on_previous(run.question, asked)
    return BookRule(run, " ".join([*before, run.question]) if dependent else run.question)

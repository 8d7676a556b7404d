"""Finds the passages on which a sentence of a reply rests: those that it cites, or the one that bears it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from preceptor.agents.citations import Citations, Cited, Text
from preceptor.agents.support import (
    SUPPORTED,
    are_comparable,
    casefolded,
    claim_of,
    hosts,
    invents,
    is_too_short,
    likelihood,
    stands_in,
    support,
    unknown_figures,
    unknown_names,
    untranslated_names,
)
from preceptor.library.passage import Hit, Passage
from preceptor.text.languages import language_of, words
from preceptor.text.pieces import FENCE
from preceptor.text.questions import QUESTION_MARKS
from preceptor.text.sentences import COLONS
from preceptor.text.tokens import stems
from preceptor.tools.plugin import Ledger, Run

BEARS = 0.6
"""Support from which a passage is taken to bear a sentence that does not cite it."""
_CLEARLY = 0.25
"""More support than the cited passage gives, from which another one is cited in its place."""
_CANDIDATES = 3
"""Passages that are looked at for a sentence: those that have most of its words."""
_HALF = 0.5
"""Share of a sentence's words that such a passage has at least."""
_COUNTED = 12
"""Largest figure by which a tutor may count what a passage only lists: "These 3 steps", "1) … 2) …"."""

_AS_WRITTEN = 0.75
"""Share of a sentence's words that follow each other as in a passage from which it is a sentence of the passage."""
_TOGETHER = 2
"""Words in a row that count as such: one by itself stands in any passage."""

_LEADS_ON = frozenset(
    ("is", "are", "was", "were", "be", "the", "a", "an", "of", "in", "at", "by", "from", "under", "as", "see")
)
"""English words with which a sentence does not end but before what it is about to say."""
_VERBATIM = re.compile(r"`[^`\n]+`|\$[^$\n]+\$")
"""Code or a formula within a sentence."""
_A_FEW = 3
"""Words of a question that no answer has in a row by chance."""


@dataclass(slots=True)
class Judged:
    """A sentence of a reply, and the passages on which it rests."""

    said: str
    """The sentence without markers."""
    claim: str
    """The same; empty: it claims nothing, since it asks, announces, or repeats the question."""
    cited: list[Hit]
    """Passages that it cites and that the conversation has shown."""
    bearer: Hit | None = None
    """The shown passage that bears it, where it cites none, or one that does not bear it."""

    @property
    def hits(self) -> list[Hit]:
        """The passages on which it rests."""
        return [self.bearer] if self.bearer else self.cited


def judge(sentence: str, run: Run) -> Judged:
    """Returns what a sentence of a reply rests on.

    Args:
        sentence: As the model wrote it, with keys.
        run: The question, and the passages that were shown for it.
    """
    ledger = run.ledger
    bare, cited = _read(sentence, ledger)
    said = claim_of(bare)
    claims = not said.endswith((*QUESTION_MARKS, *COLONS)) and not _repeats(said, run.question)
    found = Judged(said, said if claims else "", cited)
    if found.claim and not cited:
        found.bearer = _bearer(found.claim, ledger, least=BEARS)
    elif found.claim and len(cited) == 1 and _can_be_judged(found, ledger):
        has = support(found.claim, [cited[0].passage])
        if has is not None and has < SUPPORTED:
            found.bearer = _bearer(found.claim, ledger, least=max(BEARS, has + _CLEARLY))
    return found


def is_borne(found: Judged, ledger: Ledger, *, least: float) -> bool:
    """Whether a sentence rests on the book.

    It cites a passage, says something, and adds no name or figure; or it cites none, and a passage bears it.

    Args:
        found: The sentence.
        ledger: The passages that the run has shown.
        least: Support that the passages on which it rests must give it, if it can be judged.
    """
    if is_unlikely(found, ledger, least=least):
        return False
    if not found.cited or found.bearer:
        return found.bearer is not None
    if is_too_short(found.claim):
        return False
    if not _can_be_judged(found, ledger):
        return not adds(found, ledger)
    if _only_points(found):
        return False
    return not invents(found.claim, _passages(found.cited))


def is_unlikely(found: Judged, ledger: Ledger, *, least: float) -> bool:
    """Whether a claim rests on passages that hardly say it: the opposite, something else, something added.

    Args:
        found: The claim.
        ledger: The passages that the run has shown.
        least: Support that they must give it.
    """
    if not least or not found.claim or not found.hits or not (found.bearer or _can_be_judged(found, ledger)):
        return False
    passages = _passages(found.hits)

    def says_little_of(claim: str) -> bool:
        has = likelihood(claim, passages)
        return has is not None and has < least

    # Code and formulas in a sentence are not judged: the 2 of `$x_2$` is no figure of the passage's.
    return says_little_of(found.claim) and says_little_of(_VERBATIM.sub(" ", found.claim))


def adds(found: Judged, ledger: Ledger) -> bool:
    """Whether a sentence has a name or a figure that no passage has, of those that the run has shown.

    Small figures may count what a passage lists, where it is cited. Of what an earlier answer cited only one sentence
    is known, so that nothing can be said of it; and over languages names are written otherwise, but for those that
    keep their letters.
    """
    if not _is_known(found, ledger):
        return False
    shown = [hit.passage for hit in ledger]
    if _has_new_figure(found.said, shown, may_count=bool(found.cited)):
        return True
    spoken = language_of(found.said)
    if are_comparable(spoken, shown):
        return bool(unknown_names(found.said, shown))
    return any(
        not any(stems(name, one.language) <= stems(one.embedded_text, one.language) for one in shown)
        and not stands_in(name, shown)
        for name in untranslated_names(_VERBATIM.sub(" ", found.said), spoken or "")
    )


def is_quoted(text: str, passages: Iterable[Passage]) -> bool:
    """Whether a sentence stands in one of some passages, nearly word for word.

    True where all of them are in another language.
    """
    spoken = language_of(text)
    comparable = [one for one in passages if are_comparable(spoken, [one])]
    return not comparable or any(_stands(text, one) for one in comparable)


def line_is_quoted(line: str, passages: Iterable[Passage], ledger: Ledger) -> bool:
    """Whether a title, a row of a table or a line of HTML stands in one of some passages, nearly word for word."""
    bare, _ = _read(line, ledger)
    if not words(bare):
        # The rule below the head of a table.
        return not bare.strip() or bare.lstrip().startswith("|")
    return not is_too_short(bare) and any(_stands(bare, one) for one in passages)


def code_is_quoted(lines: Sequence[str], passages: Iterable[Passage]) -> bool:
    """Whether one of some passages has each line of a block of code or of a formula; fences aside."""
    inner = {line.strip() for line in lines if not FENCE.match(line)}
    return any(inner <= {"", *map(str.strip, one.text.splitlines())} for one in passages)


def _stands(text: str, passage: Passage) -> bool:
    said, (there, counted) = words(text), _words_of(passage.embedded_text)
    wanted = _AS_WRITTEN * len(said)
    # Counted before their order is looked at: a sentence of few words again and again would take a second.
    return (Counter(said) & counted).total() >= wanted and _in_order(said, there) >= wanted


@lru_cache(maxsize=256)
def _words_of(text: str) -> tuple[list[str], Counter[str]]:
    """The words of a passage, with which each sentence of a reply is compared twice, and how often it has each."""
    found = words(text)
    return found, Counter(found)


def _in_order(said: Sequence[str], there: Sequence[str]) -> int:
    """Number of words of a sentence that stand in a passage in their order, and about as near to each other."""
    same = SequenceMatcher(None, said, there, autojunk=False).get_matching_blocks()
    longest = max(same, key=lambda one: one.size)
    place = longest.b - longest.a
    return sum(one.size for one in same if one.size >= _TOGETHER and abs(one.b - one.a - place) <= len(said))


def line_adds(line: str, ledger: Ledger) -> bool:
    """Whether a title, a row of a table or a line of HTML has a figure or an address that no shown passage has.

    Words with capitals are no names there, and small figures count.
    """
    bare, _ = _read(line, ledger)
    shown = [hit.passage for hit in ledger]
    if _has_new_figure(bare, shown, may_count=True):
        return True
    texts = [casefolded(one.embedded_text) for one in shown]
    return any(not any(host.casefold() in text for text in texts) for host in hosts(bare))


def rests_on(found: Judged, hits: Sequence[Hit], *, least: float) -> bool:
    """Whether a sentence that cites nothing may rest on what the one beside it cites.

    Args:
        found: The sentence.
        hits: The passages on which that one rests.
        least: Support that they must give it, if it can be judged.
    """
    passages = _passages(hits)
    if not passages or not are_comparable(language_of(found.claim), passages):
        return bool(passages)
    has = support(found.claim, passages)
    return has is None or has >= least


def keys(ledger: Ledger) -> set[str]:
    """Keys of the passages that the run has shown."""
    return {hit.passage.key for hit in ledger}


def invents_beside(found: Judged, hits: Sequence[Hit]) -> bool:
    """Whether a claim that rests on nothing has a name or a figure that the passages have not, which follow it."""
    passages = _passages(hits)
    return (
        bool(found.claim)
        and bool(passages)
        and are_comparable(language_of(found.claim), passages)
        and bool(unknown_names(found.claim, passages) or unknown_figures(found.claim, passages))
    )


def _repeats(said: str, question: str) -> bool:
    """Whether a sentence only says again what the reader asked: "The reader's question: …"."""
    asked = " ".join(words(question))
    return len(asked.split()) >= _A_FEW and asked in " ".join(words(said))


def _passages(hits: Sequence[Hit]) -> list[Passage]:
    return [hit.passage for hit in hits]


def _is_known(found: Judged, ledger: Ledger) -> bool:
    return keys(ledger).issuperset(hit.passage.key for hit in found.cited)


def _can_be_judged(found: Judged, ledger: Ledger) -> bool:
    """Whether a sentence can be compared with what it cites."""
    return _is_known(found, ledger) and are_comparable(language_of(found.claim), _passages(found.cited))


def _only_points(found: Judged) -> bool:
    """Whether a key stands where the answer should: "The setting for late subscribers is [k7qd]."."""
    *_, last = words(found.claim) or [""]
    if last not in _LEADS_ON or language_of(found.claim) not in ("en", None):
        return False
    has = support(found.claim, _passages(found.cited))
    return has is not None and has < SUPPORTED


def _has_new_figure(text: str, shown: Sequence[Passage], *, may_count: bool) -> bool:
    """Whether a text has a figure that no passage has; a small one may count what a passage lists."""
    return any(
        not (may_count and one.isdecimal() and int(one) <= _COUNTED) for one in unknown_figures(text, shown)
    )


def _read(text: str, ledger: Ledger) -> tuple[str, list[Hit]]:
    """A text without its markers, and the passages that it cites."""
    citations = Citations(ledger.get)
    bare: list[str] = []
    cited: list[Hit] = []
    for piece in (*citations.feed(text), *citations.finish()):
        if isinstance(piece, Cited):
            cited.append(piece.hit)
        else:
            bare.append(_unmarked(piece))
    return "".join(bare), cited


def _unmarked(piece: Text) -> str:
    kept, place = "", 0
    for mark in piece.marks:
        kept += piece.text[place : mark.start].rstrip()
        place = mark.end
    return kept + piece.text[place:]


def _bearer(claim: str, ledger: Ledger, *, least: float) -> Hit | None:
    """The passage of this run that bears a sentence best, if one clearly does."""
    if is_too_short(claim):
        return None
    shares: list[tuple[float, Hit]] = []
    for hit in ledger:
        tag = hit.passage.language
        if wanted := stems(claim, tag):
            has = stems(hit.passage.embedded_text, tag)
            shares.append((len(wanted & has) / len(wanted), hit))
    shares.sort(key=lambda one: -one[0])
    judged = [
        (support(claim, [hit.passage]) or 0.0, hit) for share, hit in shares[:_CANDIDATES] if share >= _HALF
    ]
    best = max(judged, key=lambda one: one[0], default=None)
    return best[1] if best and best[0] >= least else None

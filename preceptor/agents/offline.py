"""The offline tutor: no provider; it searches, then quotes the best passages, each quotation with its key.

It refuses where the book does not cover the question. The score of the best passage shows how near it is, but not
whether it answers. Three corrections are added: the share of the question's words in a single sentence, weighted by
rarity; the embedding model's similarity of question and sentence; and, with a negative sign, the share of words that
only name the chapter, since they bring all of its passages near. Decision 0008 explains the weights. Three more speak
against an answer where a book treats the subject and not what is asked of it (decision 0029): a name that no passage
has, a number, a date or a name that is asked for in words that no sentence has together, and a question for steps.
The last part is the share of the question that one sentence says in whatever words (decision 0030).
"""

import json
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from agents import Handoff, Tool

from preceptor.agents.offer import tells_fact
from preceptor.agents.passageless import is_greeting
from preceptor.agents.quotation import (
    SHORT_LIST,
    Candidate,
    candidates,
    chosen,
    incomplete,
    nearer,
    quotations,
)
from preceptor.agents.support import unknown_names
from preceptor.errors import ProviderFailed
from preceptor.library.counterparts import Alike
from preceptor.library.passage import Hit
from preceptor.providers.local_model import Call, Items, LocalModel
from preceptor.text.languages import language, language_of, phrases, words
from preceptor.text.questions import depends_on_previous, kinds, names_subject, says_little
from preceptor.text.tokens import overlap, stems
from preceptor.tools.plugin import Run

current_run: ContextVar[Run] = ContextVar("current_run")
"""The question that is being answered: the SDK gives a model no context of its own."""

Likeness = Callable[[str, Sequence[str]], Awaitable[Sequence[Alike]]]
"""`Library.likeness`."""

_CHAPTERS = 3
_SAME = 0.5
"""Share of a question's words from which a query of another tutor searched for it."""

THRESHOLD = 0.5
"""Coverage below which the book is assumed not to answer."""

_FOUND = 5.0
_NAMED = 2.0
_LIKE = 14.0
_LIKENESS = 0.75
"""Cosine of the question and the best sentence that is evidence neither for nor against."""
_UNREAD = 0.65
"""Cosine assumed when the model cannot read the question's language; the words must then prove more."""
_UNKNOWN = 3.0
"""Weight of a name in the question that no passage has: "How do I install ROS 2 on Windows?"."""
_FACT = 1.5
"""Weight of the words that no sentence has beside the rest, where a number, a date or a name is asked for."""
_FACTS = frozenset({"count", "when", "who"})
_TOLD = frozenset({"count", "when"})
"""Facts that a sentence can be seen to have in every script with spaces; a name needs capitals."""
_UNTOLD = 3.0
"""Weight of the words that a sentence has beside the rest, but none with the number or the date that is asked for."""
_HOW = 1.5
"""Weight of a question for steps: a sentence on the subject has its words, too."""
_SAID = 3.0
"""Weight of the share of the question that one sentence says, in its words or in others."""
_MOSTLY = 0.5
"""Such a share that is evidence neither for nor against."""
_OTHERWISE = 0.4
"""Weight, in the choice, of what a candidate means beside the words that it has."""
_NO_COUNTERPART, _COUNTERPART = 0.4, 0.7
"""Cosine of a word and its counterpart up to which it is none, and from which it means the same."""
_NEEDED = -1.5
"""Evidence at which coverage is .5. It is low, because a wrong refusal annoys more than a poor quotation."""
_CERTAIN = 0.999
_TELLING = 0.2
"""Share of the question's words below which words cannot choose: over languages only the model can."""
_LONG_LIST = 2 * SHORT_LIST
"""Number of candidates that the embedding model reads."""
_UNSEARCHED = 0.5
"""Score of a text that the reader marked: no search had a say in it."""


class OfflineModel(LocalModel):
    """Calls `search_textbook`, reads on where a quotation is cut off, then quotes."""

    name = "offline"

    def __init__(self, likeness: Likeness, *, book_language: str) -> None:
        """Make ready.

        Args:
            likeness: Cosines of a question and texts.
            book_language: BCP 47 tag.
        """
        self._likeness = likeness
        self._language = language(book_language).tag

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str | Call:
        """Returns the next step: the search, a section to read, or the answer."""
        run = current_run.get()
        if is_greeting(run.question) and self._greets(run.question):
            return phrases(run.question).small_talk
        # Nothing is kept between the steps: what was done so far stands in the conversation, whoever did it.
        can, called = {tool.name for tool in tools}, _called(input)
        # What another tutor searched in one chapter, or in vain, was not looked for in the book.
        tried = {*run.searched, *called["search_textbook"]}
        spoken = language_of(run.question)
        asked = _Asked(run.question, _question_before(input), spoken or self._language)
        question, subject = asked.searched, asked.subject
        hits = _best_first(run)

        def search(query: str) -> Call | None:
            """Returns the search call, or None if the tool is missing or was already called with this query."""
            wanted = "search_textbook" in can and query not in tried
            return Call("search_textbook", json.dumps({"query": query})) if wanted else None

        # A provider that failed after its search has left hits. Searching again would cost the reader time
        # and change nothing. (Passages of a chapter have a score of 0: no search found them.)
        known = bool(hits and hits[0].score) and self._was_searched(question, run.searched)
        if not known and (call := search(question)):
            return call
        if not hits and not run.searched and "search_textbook" in run.failed:
            # That the book does not cover the question is more than a failed search tells.
            raise ProviderFailed(self.name, "other")
        covered, found = await judged(subject, hits, self._likeness)
        # Not before it was searched alone: most short questions name their subject ("What is URDF?"), and the words
        # of the question before would lead astray.
        if covered < THRESHOLD and asked.needs_previous:
            if call := search(asked.joined):
                return call
            question = subject = asked.joined
            covered, found = await judged(subject, hits, self._likeness)
        if covered < THRESHOLD:
            return self._refusal(run.question, hits, can)
        # At most one section is read: every call is a turn of the run, and readers wait.
        section = incomplete(found)
        if section and "get_chapter" in can and not called["get_chapter"]:
            return Call(
                "get_chapter", json.dumps({"chapter": section.chapter, "section": section.anchor or None})
            )
        said = _answer_before(input) if question == asked.joined else ""
        answer = "\n\n".join(quotations(subject, found, said=said))
        if not answer:
            return self._refusal(run.question, hits, can)
        quoted = language(hits[0].passage.language).tag
        if spoken and quoted and spoken != quoted:
            return f"{phrases(run.question).only_quotes}\n\n{answer}"
        return answer

    def _greets(self, question: str) -> bool:
        """Whether a greeting is one in the book's language or in English; "Tag" may be asked for."""
        own = language("en").greetings | language(self._language).greetings
        return not own.isdisjoint(words(question))

    def _was_searched(self, question: str, queries: Sequence[str]) -> bool:
        """Whether a failed provider already searched, in the question's words or in the book's language."""
        # A provider translates its query, so that words cannot be compared: any search counts.
        if language_of(question) not in (None, self._language):
            return bool(queries)
        return any(overlap(question, query, self._language) >= _SAME for query in queries)

    def _refusal(self, question: str, hits: Sequence[Hit], tools: Collection[str]) -> str:
        say = phrases(question)
        if is_greeting(question):
            return say.small_talk
        if "search_textbook" not in tools:
            # Beside a text that was marked there is no tool at all.
            return say.not_searchable if tools or not hits else say.not_selected
        said = say.not_covered if language_of(question) in (None, self._language) else say.not_searched
        chapters = list(dict.fromkeys(hit.passage.title for hit in hits))[:_CHAPTERS]
        return f"{said} {say.nearest} {', '.join(chapters)}." if chapters else said


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question and the one before it."""

    question: str
    before: str
    spoken: str
    """BCP 47 tag of the language that it is in."""

    @property
    def joined(self) -> str:
        """Both together."""
        return f"{self.before} {self.question}"

    @property
    def searched(self) -> str:
        """The question as the book is searched for it."""
        return (
            self.joined if self.before and depends_on_previous(self.question, self.spoken) else self.question
        )

    @property
    def subject(self) -> str:
        """The question as it is answered: one that names its own subject is answered by itself."""
        # What was asked before finds the place.
        return self.question if names_subject(self.question, self.spoken) else self.searched

    @property
    def needs_previous(self) -> bool:
        """Whether it may be understood only together with the one before."""
        return bool(self.before) and says_little(self.question, self.spoken)


def _best_first(run: Run) -> list[Hit]:
    return sorted(run.ledger, key=lambda hit: -hit.score)


def _called(input: Items) -> dict[str, list[str]]:
    """Returns the queries of this run's tool calls by tool, without those that were narrowed to a chapter."""
    called: dict[str, list[str]] = defaultdict(list)
    for item in input:
        if item.get("type") == "function_call":
            arguments = _arguments(str(item.get("arguments")))
            name = str(item.get("name"))
            if name != "search_textbook" or not arguments.get("chapter"):
                called[name].append(str(arguments.get("query")))
    return called


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _question_before(input: Items) -> str:
    """Returns the reader's previous question, or an empty string at the start of a conversation."""
    asked = [item.get("content") for item in input if item.get("role") == "user"]
    return str(asked[-2]) if len(asked) > 1 else ""


def _answer_before(input: Items) -> str:
    """Returns the answer to the reader's previous question."""
    said = [item.get("content") for item in input if item.get("role") == "assistant"]
    parts: Any = said[-1] if said else ""
    if isinstance(parts, str):
        return parts
    return "\n".join(str(part.get("text", "")) for part in cast("Sequence[dict[str, Any]]", parts or ()))


async def answering(run: Run, before: str, likeness: Likeness, *, of_book: str) -> frozenset[str]:
    """Returns the keys of the sections that the offline tutor would quote; none if it would decline.

    Args:
        run: The question, and the passages that were found for it.
        before: The reader's previous question, or an empty string.
        likeness: Computes cosines with the embedding model.
        of_book: BCP 47 tag of the book's language.
    """
    hits = _best_first(run)
    asked = _Asked(run.question, before, language_of(run.question) or language(of_book).tag)
    subject = asked.subject
    covered, found = await judged(subject, hits, likeness)
    if covered < THRESHOLD and asked.needs_previous:
        covered, found = await judged(asked.joined, hits, likeness)
    if covered < THRESHOLD:
        return frozenset()
    return frozenset(passage.key for one in chosen(found) for passage in one.section.passages)


async def judged(question: str, hits: Sequence[Hit], likeness: Likeness) -> tuple[float, list[Candidate]]:
    """Returns the evidence for an answer in the book, and the candidates for quotation, best first.

    Args:
        question: The reader's question.
        hits: Hits of the search, best first.
        likeness: Computes cosines with the embedding model.
    """
    found = candidates(question, hits)
    has_words = any(one.found >= _TELLING for one in found)
    alike = await likeness(question, [one.text for one in found[:_LONG_LIST]])
    # The choice needs more than the decision: the best six by words are often of one section (decision 0030).
    best = SHORT_LIST if has_words else _LONG_LIST
    cosines = [one.cosine for one in alike]
    more = [_meant(question, one, like.words) for one, like in zip(found, alike, strict=False)]
    says = [one.found + means for one, means in zip(found[:best], more, strict=False) if means is not None]
    covered = coverage(question, hits, found, cosines[:best], max(says, default=_MOSTLY))
    added = [cosine + _OTHERWISE * (means or 0.0) for cosine, means in zip(cosines, more, strict=True)]
    return covered, nearer(found, added)


def _meant(question: str, one: Candidate, counterparts: Sequence[tuple[str, float]]) -> float | None:
    """Returns the share of a question that a candidate means beside the words that it has; None if nobody can tell.

    Args:
        question: The reader's question.
        one: The candidate.
        counterparts: Each word of the question with the cosine of its counterpart in the candidate.
    """
    record = language(one.section.language)
    # Without spaces the words are not known, and over languages the model has its own middle for each.
    if not counterparts or not record.spaced or language_of(question) not in (None, record.tag):
        return None
    means: dict[int, float] = {}
    for word, cosine in counterparts:
        part = min(max((cosine - _NO_COUNTERPART) / (_COUNTERPART - _NO_COUNTERPART), 0.0), 1.0)
        means |= {stem: max(part, means.get(stem, 0.0)) for stem in stems(word, one.section.language)}
    return sum(weight * max(0.0, means.get(word, 0.0) - has) for word, weight, has in one.words)


def coverage(
    question: str,
    hits: Sequence[Hit],
    candidates: Sequence[Candidate],
    likeness: Sequence[float],
    said: float = _MOSTLY,
) -> float:
    """Evidence that the book answers the question, in [0, 1].

    Args:
        question: The reader's question.
        hits: Hits of the search, best first.
        candidates: Candidates for quotation from these hits.
        likeness: Cosines of the question and the best candidates; empty where the embedding model cannot read it.
        said: Largest share of the question that one of them says, in its words or in others.
    """
    if not hits:
        return 0.0
    best, passage = hits[0], hits[0].passage
    searched = best.dense is not None or best.bm25 is not None
    # Log-odds of 0 and 1 are infinite, and one part must not overrule the others.
    score = min(max(best.score, 1e-9), _CERTAIN) if searched else _UNSEARCHED
    asked = stems(question, passage.language)
    names = stems(
        " ".join(passage.breadcrumb[:-1] if passage.heading else passage.breadcrumb), passage.language
    )
    found = max((one.found for one in candidates), default=0.0)
    evidence = (
        math.log(score / (1 - score))
        + _FOUND * found
        - _missed(question, hits, candidates)
        - _NAMED * len(asked & names) / max(len(asked), 1)
        + _LIKE * (max(likeness, default=_UNREAD) - _LIKENESS)
        + _SAID * (said - _MOSTLY)
    )
    return 1 / (1 + math.exp(_NEEDED - evidence))


def _missed(question: str, hits: Sequence[Hit], candidates: Sequence[Candidate]) -> float:
    """Evidence that the passages treat the subject of a question and not what is asked of it, at least 0.

    Args:
        question: The reader's question.
        hits: Hits of the search, at least one.
        candidates: Candidates for quotation from these hits.
    """
    tag = hits[0].passage.language
    # Over languages no sentence has the question's words, answer or not.
    if language_of(question) not in (None, language(tag).tag):
        return 0.0
    asked = kinds(question, tag)
    # A question that was joined to the one before may begin in the middle: its "What" is no name.
    unknown = any(stems(name, tag) for name in unknown_names(question, [hit.passage for hit in hits]))
    found = max((one.found for one in candidates), default=0.0)
    # "How do I see how often …?" asks for steps.
    wanted = _HOW if "how" in asked else _FACT * (not _FACTS.isdisjoint(asked)) * max(0.0, 1 - found)
    # "How tall is the bridge?": a sentence that has all the other words and no number answers nothing. "Why … how big
    # …?" asks for none.
    if not _TOLD.isdisjoint(asked) and "why" not in asked and language(tag).spaced:
        told = (one.found for one in candidates if tells_fact(question, one.quoted, tag))
        wanted += _UNTOLD * (found - max(told, default=0.0))
    return _UNKNOWN * unknown + wanted

"""Tells replies that need no passage: a greeting to a greeting, a question back, a refusal after a search."""

import re
from collections.abc import Sequence
from functools import lru_cache

from preceptor.agents.support import SAYS_LITTLE, casefolded, names
from preceptor.text.languages import language, language_of, languages, phrases, words
from preceptor.text.questions import QUESTION_MARKS
from preceptor.text.sentences import COLONS, split_sentences
from preceptor.text.tokens import stems
from preceptor.tools.plugin import Run

_SHORT = 12
"""Words of a reply that is as short as a greeting."""
_SHORT_QUESTION = 30

_BOOK = "book textbook text passage quotation chapter material source excerpt"
_DIGIT = re.compile(r"\d+")
_REFUSAL = (
    "the this that it book textbook text chapter section passage quotation excerpt material source tool answer "
    "question cover contain mention provide information discuss address find found nearest closest related topic "
    "subject about sorry apologize unfortunately specific any have be do can could give say tell show know here"
)
"""English words of a plain refusal; in other languages those of our own refusal."""
_GREETING = (
    "hello hi hey welcome glad happy pleased nice good great fine thank meet see help assist tutor book textbook ask "
    "question answer anything something like want know would today here ready feel free let go start read study learn "
    "enjoy luck pleasure problem worry course sure day morning evening afternoon night bye goodbye soon take care need"
)
"""English words of a reply to a greeting."""
_ASKING = (
    "mean meant ask want wish like would could should can tell more say said which one kind sort type example interest "
    "refer specify clarify explain explanation describe other another else first second third former latter help show "
    "see look hear go going further continue either both instead part chapter section topic subject question "
    "particular specific detail exactly precisely version case context read start begin prefer give need please "
    "sure hello"
)
"""English words of a question back; what another word in it says, it claims."""
_TO_KNOW = re.compile(r"\b(?:want|like|wish|need|interested|care) to know\b", re.IGNORECASE)
_UNKNOWN_WORDS = (0, 3, 6)
"""Content words that a question back may have beside those of the reader's question: in English, whose words of asking
are known; in other languages; in those without spaces, pairs of characters."""
_UNKNOWN_BEHIND = (2, 4, 12)
"""The same, of a question behind what rests on a passage."""
_ANSWERS_NO = re.compile(r"^\W*no\b\W", re.IGNORECASE)
_PART_ENDS = r"[:;—]"
_WORD = re.compile(r"\w+")


def needs_no_passage(text: str, run: Run) -> bool:
    """Whether a reply may pass although it rests on nothing: it says nothing that a passage could bear.

    That is a short reply to a greeting, a question back, or a plain refusal after the whole book was searched; none of
    them may hold a name or a figure that the reader's question has not.

    Args:
        text: The reply.
        run: The question, and what was searched for it.
    """
    tag = language_of(run.question) or "en"
    bare = _without_titles(text, run)
    if _adds(bare, run.question, tag):
        return False
    sentences = [
        one.strip() for line in bare.splitlines() if line.strip() for one in split_sentences(line, tag)
    ]
    if not sentences or "```" in text:
        return False
    if len(words(bare)) < _SHORT and is_greeting(run.question):
        return _greets(bare, run.question)
    *before, last = sentences
    # An answer with a question behind it is no question back.
    if last.endswith(QUESTION_MARKS) and len(words(bare)) < _SHORT_QUESTION:
        known = (run.question, *(" ".join(hit.passage.breadcrumb) for hit in run.ledger))
        return all(len(words(one)) < 4 for one in before) and not _claims(last, known, tag, _UNKNOWN_WORDS)
    return bool(run.searched) and _refuses(sentences, run, tag)


def is_plain(sentence: str, run: Run) -> bool:
    """Whether a sentence says nothing that a passage could bear: it asks, announces, or has hardly a word.

    Args:
        sentence: A sentence without markers.
        run: The question, whose names and figures it may have, as those of the passages.
    """
    tag = language_of(run.question) or "en"
    texts = [hit.passage.embedded_text for hit in run.ledger]
    if sentence.endswith(QUESTION_MARKS):
        if _claims(sentence, (run.question, *texts), tag, _UNKNOWN_BEHIND):
            return False
    elif not sentence.endswith(COLONS) and len(stems(sentence, tag)) >= SAYS_LITTLE:
        return False
    return not _adds(sentence, run.question, tag, *texts)


def refuses(sentence: str, run: Run) -> bool:
    """Whether a sentence says that the book does not cover the question, and nothing else."""
    tag = language_of(run.question) or "en"
    bare = _without_titles(sentence, run)
    return not _adds(bare, run.question, tag) and _refuses([bare], run, tag)


def is_greeting(question: str) -> bool:
    """Whether a reader greets, thanks or takes leave, and asks nothing."""
    asked = words(question)
    return bool(asked) and all(word in _greetings() for word in asked)


def _greets(text: str, question: str) -> bool:
    """Whether a short reply to a greeting says nothing else; in other languages than English it is taken for one."""
    if not language("en").greetings.issuperset(words(question)):
        return True
    said = " ".join(word for word in words(text) if word not in _greetings())
    return stems(said, "en") <= stems(_GREETING, "en")


@lru_cache(maxsize=1)
def _greetings() -> frozenset[str]:
    return frozenset().union(*(one.greetings for one in languages().values()))


def _without_titles(text: str, run: Run) -> str:
    for hit in run.ledger:
        for name in (hit.passage.title, hit.passage.chapter):
            text = text.replace(name, " ") if name else text
    return text


def _claims(question: str, known: Sequence[str], tag: str, most: tuple[int, int, int]) -> bool:
    """Whether a question puts a claim: "Did you know that nodes bake bread?".

    Args:
        question: The question.
        known: Texts whose words may be asked about, first the reader's question.
        tag: BCP 47 tag of the language that it is presumed to be in.
        most: Further content words that it may have: in English, in other languages, and in those without spaces.
    """
    in_english, in_words, in_pairs = most
    spoken = language_of(question) or language_of(known[0])
    tag = spoken or tag
    has = frozenset[int]().union(*(stems(one, tag) for one in known))
    if spoken == "en":
        return len(stems(_TO_KNOW.sub(" ", question), tag) - has - stems(_ASKING, tag)) > in_english
    return len(stems(question, tag) - has) > (in_words if language(tag).spaced else in_pairs)


def _adds(text: str, question: str, tag: str, *others: str) -> bool:
    """Whether a text has a figure or a name that neither the question nor the other texts have."""
    added = (*_DIGIT.findall(text), *names(text, tag))
    there = [casefolded(one) for one in (question, *others)] if added else []
    return any(all(one.casefold() not in text for text in there) for one in added)


def _refuses(sentences: list[str], run: Run, tag: str) -> bool:
    """Whether sentences say that the book does not cover the question, in words that say nothing else."""
    say = phrases(run.question)
    ours = stems(say.not_covered, tag) | stems(say.nearest, tag)
    about = stems(say.not_covered, tag)
    if tag == "en":
        ours |= stems(_REFUSAL, tag)
        about = stems(_BOOK, tag)
    allowed = ours | stems(run.question, tag)
    if not all(stems(one, tag) <= allowed and _denies(one, ours, tag) for one in sentences):
        return False
    negation = language(tag).negation or "(?!)"
    return any(re.search(negation, one.lower()) and stems(one, tag) & about for one in sentences)


def _denies(sentence: str, ours: frozenset[int], tag: str) -> bool:
    """Whether a sentence says what the question asks about only to say no to it, before or behind.

    The question's own words make a claim, too: "Nodes do not share memory, the book says".
    """
    record = language(tag)
    if not record.spaced:
        return True
    ends = rf"{_PART_ENDS}|\b(?:{record.conjunctions})\b" if record.conjunctions else _PART_ENDS
    for part in re.split(ends, _ANSWERS_NO.sub("", sentence).lower()):
        own = [found for found in _WORD.finditer(part) if stems(found.group(), tag) - ours]
        if own and not re.search(
            record.negation or "(?!)", f"{part[: own[0].start()]} \0 {part[own[-1].end() :]}"
        ):
            return False
    return True

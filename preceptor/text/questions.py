"""Judges a question by its words: whether it needs the previous one, says enough, asks for code.

The offline tutor has no model that could put "And how does that differ from services?" in its own words. Small
words tell such a question: one that begins it and joins it to what was said, or one that points there.
"""

import re
from functools import lru_cache

from preceptor.text.languages import language, language_of, languages, words
from preceptor.text.tokens import stems

QUESTION_MARKS = ("?", "؟", "？")

_STANDS_ALONE = 5
"""Number of content words from which a question stands alone: "Is it possible to run ROS on a Mac?"."""
_PAIRS = 3
"""Number of character pairs that count as one word in unspaced scripts."""
_SAYS_LITTLE = 3


def depends_on_previous(question: str, tag: str) -> bool:
    """Whether a question depends on the previous question.

    Args:
        question: The reader's question.
        tag: BCP 47 tag of its language.
    """
    record, own = language(tag), len(stems(question, tag))
    if not record.spaced:
        return own < _STANDS_ALONE * _PAIRS and any(word in question for word in record.pointing)
    if own >= _STANDS_ALONE:
        return False
    asked = words(question)
    if asked and (asked[0] in record.joining or not record.pointing.isdisjoint(asked)):
        return True
    return bool(record.follow_up and re.search(record.follow_up, question.lower()))


def names_subject(question: str, tag: str) -> bool:
    """Whether a question that depends on the previous one still says what it asks for: "And what is a topic?".

    Such a question is searched with the previous one, but answered by itself.
    """
    record, own = language(tag), stems(question, tag)
    points = (
        not record.pointing.isdisjoint(words(question))
        if record.spaced
        else any(word in question for word in record.pointing)
    ) or (record.follow_up and re.search(record.follow_up, question.lower()))
    return bool(own) and not points and bool(kinds(question, tag))


def says_little(question: str, tag: str) -> bool:
    """Whether a question is too short to show its subject: "Why useful?"."""
    return len(stems(question, tag)) < _SAYS_LITTLE


def wants_code(question: str) -> bool:
    """Whether a question asks to be shown code or a command, in any language: "Wie sieht der Code aus?"."""
    return bool(_code_request().search(question))


@lru_cache(maxsize=1)
def _code_request() -> re.Pattern[str]:
    return re.compile(
        "|".join(filter(None, (one.code_request for one in languages().values()))), re.IGNORECASE
    )


@lru_cache(maxsize=1024)
def kinds(question: str, tag: str) -> frozenset[str]:
    """Returns what a question asks for: `what`, `why`, `how`, `count`, `compare`, `who`, `when`, `where`, `code`.

    Args:
        question: The reader's question, or a heading.
        tag: BCP 47 tag of the language that it is presumed to be in.
    """
    spoken = language_of(question, default=tag)
    found = kinds_of_heading(question, spoken)
    return found | {"code"} if wants_code(question) else found


@lru_cache(maxsize=1024)
def kinds_of_heading(heading: str, tag: str) -> frozenset[str]:
    """Returns what a heading asks for, as `kinds` does, but for code; `tag` is the language that it is in."""
    text = heading.lower()
    found = {kind for kind, pattern in language(tag).asks.items() if re.search(pattern, text)}
    # "How do they differ?" asks for no steps.
    return frozenset(found - {"how"} if "compare" in found else found)

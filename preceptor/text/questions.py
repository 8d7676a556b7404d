"""Judges a question by its words: whether it needs the previous one, says enough, asks for code.

The offline tutor has no model that could put "And how does that differ from services?" in its own words. Small
words tell such a question: one that begins it and joins it to what was said, or one that points there.
"""

import re
from functools import lru_cache

from preceptor.text.languages import language, languages, words
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

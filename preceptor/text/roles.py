"""Roles of sections and sentences: which of them teach, and which set tasks, speak of the book or ask.

A book repeats its subject where it does not teach it: in exercises, objectives, summaries, lists of links. These share
more words with a reader's question than the text that answers it. Headings tell such a section, and a few words such
a sentence, in the language of the page.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from preceptor.text.languages import language
from preceptor.text.questions import QUESTION_MARKS
from preceptor.text.tokens import stems

ROLES = ("tasks", "promises", "summaries", "references")
"""Roles that a section may have beside teaching: exercises and quizzes, objectives and what comes next, summaries, and
lists of links.
"""

_REFERENCES = "references"
_INLINE_CODE = re.compile(r"(`+).+?\1")


@lru_cache(maxsize=1024)
def roles_of(headings: tuple[str, ...], tag: str) -> frozenset[str]:
    """Returns the roles of a section that do not teach, by its heading and those above it.

    Args:
        headings: Headings of the section, outermost first.
        tag: BCP 47 tag of the page.
    """
    patterns = language(tag).roles
    return frozenset(
        role
        for role, pattern in patterns.items()
        if any(_tells(role, pattern, heading.lower(), tag) for heading in headings)
    )


def _tells(role: str, pattern: str, heading: str, tag: str) -> bool:
    """Whether the words of a role in a heading tell that its section has it."""
    found = bool(re.search(pattern, heading))
    if role != _REFERENCES or not found:
        return found
    # "References" lists links; "API reference", "Markdown links" and "Inline authors" teach.
    word = r"\w*" if language(tag).spaced else ""
    return not stems(re.sub(rf"{word}(?:{pattern}){word}|\d+", " ", heading), tag)


@lru_cache(maxsize=4096)
def is_aside(sentence: str, tag: str) -> bool:
    """Whether a sentence speaks of the book: "In this chapter we will …", "For more details see …"."""
    pattern = language(tag).asides
    return bool(pattern and re.search(pattern, sentence.lower()))


@lru_cache(maxsize=4096)
def sets_task(sentence: str, tag: str) -> bool:
    """Whether a sentence sets the reader a task, or asks a question."""
    pattern = language(tag).tasks
    if sentence.rstrip(" *_`").endswith(QUESTION_MARKS):
        return True
    # "`name`: The name of the module": what stands in code is no word of the author's.
    return bool(pattern and re.search(pattern, _INLINE_CODE.sub("x", sentence).lower()))


def limits_previous(sentence: str, tag: str) -> bool:
    """Whether a sentence takes back a part of the previous one: "However, …"."""
    pattern = language(tag).exceptions
    return bool(pattern and re.search(pattern, sentence.lower()))


def share(parts: Iterable[bool]) -> float:
    """Returns the share of those that are true, in [0, 1]."""
    found = list(parts)
    return sum(found) / len(found) if found else 0.0

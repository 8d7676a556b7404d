"""Questions that become cases: read from a list, each with the sections that the search proposes for it."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import CasesInvalid, why_unread
from preceptor.library.passage import FOOTNOTES, Chapter, Hit
from preceptor.text.pieces import plain_sentences
from preceptor.text.tokens import overlap

_BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
_MOST = 6
"""Sections that are proposed for a question: one screen."""
PASSAGES = 20
"""Passages that are searched for them: several may be of one section."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A section that may answer a question."""

    section: str
    """`chapter#anchor`."""
    title: str
    """The section's place in the book: `Module › Chapter › Section`."""
    sentence: str
    """Its sentence that shares most words with the question."""


@dataclass(frozen=True, slots=True)
class QuestionList:
    """The questions of a list."""

    questions: tuple[str, ...]
    headings: tuple[str, ...]
    """Lines that were left out because the book has them as headings."""


def read_questions(path: Path, chapters: Iterable[Chapter]) -> QuestionList:
    """Reads a text file with a question in each line; empty lines and those that begin with `#` are none.

    A heading of the book is no question of a reader's: the search finds its section by the very same words, and cases
    made of headings would say that every search is good.

    Args:
        path: The file.
        chapters: The book's outline.

    Raises:
        CasesInvalid: The file cannot be read, or there is no question in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CasesInvalid(path, [f"the list of questions cannot be read: {why_unread(error)}"]) from None
    asked = [_BULLET.sub("", line).strip() for line in lines if not line.lstrip().startswith("#")]
    asked = list(dict.fromkeys(line for line in asked if any(map(str.isalnum, line))))
    if not asked:
        raise CasesInvalid(path, ["there is no question in it; write one in each line"])
    named = {
        _plain(name)
        for chapter in chapters
        for name in (chapter.title, *(section.heading for section in chapter.sections))
    }
    headings = [line for line in asked if _plain(line) in named]
    if len(headings) == len(asked):
        raise CasesInvalid(
            path,
            [
                "it holds only headings of the book, which the search finds by their very words; write the questions "
                "as readers ask them"
            ],
        )
    return QuestionList(tuple(line for line in asked if line not in headings), tuple(headings))


async def propose(question: str, search: Callable[[str], Awaitable[Sequence[Hit]]]) -> list[Proposed]:
    """Returns the sections that a search finds for a question, best first; a page's footnotes are none of the author's.

    Args:
        question: The question.
        search: Finds passages.
    """
    by_section: dict[str, list[Hit]] = {}
    for hit in await search(question):
        if hit.passage.anchor == FOOTNOTES:
            continue
        by_section.setdefault(f"{hit.passage.chapter}#{hit.passage.anchor}", []).append(hit)
    return [
        Proposed(
            section,
            " › ".join(hits[0].passage.breadcrumb[1:]) or hits[0].passage.title,
            _nearest_sentence(question, hits),
        )
        for section, hits in list(by_section.items())[:_MOST]
    ]


def _nearest_sentence(question: str, hits: Sequence[Hit]) -> str:
    sentences = [
        (sentence, hit.passage.language)
        for hit in hits
        for sentence in plain_sentences(hit.passage.text, hit.passage.language)
    ]
    best = max(sentences, key=lambda one: overlap(question, *one), default=("", ""))
    return best[0]


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))

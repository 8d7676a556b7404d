"""Questions about open books, with the sentences that answer them: `answers.jsonl`, which README.md explains.

Whoever learns or judges the choice of quotations reads it here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bench.retrieval import BeirSet, write_pages
from tests.sample import SOURCE

HERE = Path(__file__).parent
SHARED = HERE.parent.parent.parent / "shared"
"""Real books and evaluation sets, beside the checkout."""

Kind = Literal[
    "what", "how", "why", "which", "how_many", "compare", "code", "who", "when", "follow_up",
    "near_miss", "off_topic",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
UNANSWERED: tuple[Kind, ...] = ("near_miss", "off_topic")

_MARKERS = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+|^\s*(?:```|~~~).*$", re.MULTILINE)
_INNER_MARKERS = re.compile(r"(?<=\s)(?:[-*+•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Book:
    """A book that is asked about."""

    name: str
    language: str
    folder: Path
    """Its pages; of an evaluation set, the folder of `corpus.jsonl`, whose documents become pages."""

    @property
    def is_there(self) -> bool:
        """Whether its files are on this machine: those of `../shared` may not be."""
        return self.folder.is_dir()

    def source(self, work: Path) -> Path:
        """Returns a folder that can be indexed.

        Args:
            work: Where the pages of an evaluation set are written.
        """
        if not (self.folder / "corpus.jsonl").is_file():
            return self.folder
        pages = work / self.name
        if not pages.is_dir():
            write_pages(BeirSet(self.folder).corpus(), pages)
        return pages


BOOKS: Mapping[str, Book] = {
    book.name: book
    for book in (
        Book("physical-ai", "en", SOURCE),
        Book("physical-ai-textbook", "en", SHARED / "books/physical-ai-textbook"),
        Book("deep-rl-course", "en", SHARED / "books/deep-rl-course"),
        Book("redux-docs", "en", SHARED / "books/redux-docs"),
        Book("docusaurus-website", "en", SHARED / "books/docusaurus-website/website"),
        Book("xquad-en", "en", SHARED / "evalsets/xquad-en"),
        Book("xquad-es", "es", SHARED / "evalsets/xquad-es"),
        Book("zh", "zh", HERE / "zh"),
        Book("ur", "ur", HERE / "ur"),
    )
}


@dataclass(frozen=True, slots=True)
class Place:
    """A text of a book, as a passage of the index holds it, except that all space is folded to one blank."""

    chapter: str
    text: str
    """One sentence, list, row of a table, or piece of code without its fences."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question as a reader types it, and the texts of the book that answer it."""

    id: str
    book: str
    lang: str
    """Language of the question, which is not always that of the book."""
    question: str
    kind: Kind
    answers: tuple[Place, ...]
    """Each of them alone answers the question; empty where the book does not."""
    near: tuple[str, ...]
    """Texts of the book that share words with the question and do not answer it."""
    after: str | None
    """Id of the question before, of a follow-up."""

    @property
    def is_answered(self) -> bool:
        """Whether the book answers it. Where it does not, to decline is right."""
        return bool(self.answers)

    def answered_by(self, quoted: str) -> bool:
        """Whether one of the answers stands in a text; markers of lists and fences of code do not count."""
        # "… in 1960. The state …" has no marker: a sentence that ends with a number is looked for as it is, too.
        said, whole = plain(quoted), folded(quoted)
        return any(plain(answer.text) in said or folded(answer.text) in whole for answer in self.answers)


def labelled() -> list[Labelled]:
    """Returns all questions, in the order of the file: follow-ups behind the question that they follow."""
    lines = (HERE / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    return [_read(json.loads(line)) for line in lines]


def folded(text: str) -> str:
    """Returns the text with all space folded to single blanks."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Returns the text without markers of lists and fences of code, its space folded."""
    return _INNER_MARKERS.sub("", folded(_MARKERS.sub(" ", text)))


def _read(row: dict[str, Any]) -> Labelled:
    return Labelled(
        id=row["id"],
        book=row["book"],
        lang=row["lang"],
        question=row["question"],
        kind=row["kind"],
        answers=tuple(Place(**answer) for answer in row["answers"]),
        near=tuple(row["near"]),
        after=row.get("after"),
    )

"""Finds what an edit of the book took from its cases: the page, the heading, the passage or the sentence that answered.

Two editions of the book are compared section by section, without an index and without a tutor. Of a section that a
case expects, the sentences that are most like the question are those that answer it; each of them must still be said
there. An edit elsewhere cannot touch the case, except by outranking its passage in the search: `preceptor evaluate` and
`--compare` show that.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import pairwise
from typing import Literal

from preceptor.agents.support import SUPPORTED, support
from preceptor.evaluation.dataset import Cases, Expected
from preceptor.library.passage import Passage
from preceptor.text.pieces import plain_sentences
from preceptor.text.tokens import overlap, stems

Kind = Literal["page", "anchor", "passage", "answer"]

Likeness = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""Cosines of a question and texts; empty where the question cannot be read."""

_NEAR = 0.06
"""Cosine by which a sentence may be less like the question than the most like one, and still answer it."""
_MOST = 4
"""Most sentences that are taken to answer a question."""
_SAME = 0.6
"""Share of a section's words from which another one is the same, under another name."""


@dataclass(frozen=True, slots=True)
class BookSection:
    """The text under one heading of an edition."""

    id: str
    """`chapter#anchor`."""
    heading: str
    text: str
    file: str
    """Path of its page below the book's folder."""
    language: str


class Edition:
    """The book at one time."""

    def __init__(self, sections: Iterable[BookSection], files: Mapping[str, str]) -> None:
        """Take the sections in reading order.

        Args:
            sections: Its sections; of two with the same id, the texts are joined.
            files: Text of each page by its path.
        """
        self.files = files
        self.sections: dict[str, BookSection] = {}
        for section in sections:
            before = self.sections.get(section.id)
            text = f"{before.text}\n\n{section.text}" if before else section.text
            self.sections[section.id] = BookSection(
                section.id, section.heading, text, section.file, section.language
            )

    @cached_property
    def chapters(self) -> set[str]:
        """Ids of the chapters."""
        return {name.partition("#")[0] for name in self.sections}

    def expected(self, name: str) -> list[BookSection]:
        """Returns the sections that a case expects by `chapter#anchor` or `chapter`."""
        if "#" in name:
            return [self.sections[name]] if name in self.sections else []
        return [section for known, section in self.sections.items() if known.partition("#")[0] == name]

    def line_of(self, file: str, text: str, language: str) -> int:
        """Returns the number, from 1, of the line of a page that shares most words with the beginning of a text."""
        wanted = " ".join(text.split()[:_FIRST_WORDS])
        lines = self.files.get(file, "").split("\n")
        shares = [
            overlap(wanted, line, language) + 0.1 * _agreement(wanted, line) if line.strip() else 0.0
            for line in lines
        ]
        best = max(range(len(lines)), key=lambda number: shares[number])
        return best + 1


_FIRST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that a case lost by the edit."""

    case: str
    question: str
    kind: Kind
    section: str
    """The expected section."""
    file: str
    line: int
    """Line of the edit, from 1, in the page as it is now; where the page is gone, as it was."""
    message: str

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Changes:
    """Result of comparing two editions."""

    touched: tuple[str, ...]
    """Names of the cases whose sections were edited."""
    losses: tuple[Loss, ...]
    unknown: tuple[tuple[str, str], ...]
    """Case and section, where the section is in neither edition."""

    def to_json(self) -> str:
        """Returns the result for machines."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


async def compare_editions(cases: Cases, old: Edition, new: Edition, likeness: Likeness) -> Changes:
    """Finds what an edit of the book took from the cases that it can touch.

    Args:
        cases: The cases; those that expect to be declined are left out.
        old: The book before.
        new: The book after.
        likeness: Says which sentences answer a question.
    """
    touched: list[str] = []
    losses: list[Loss] = []
    unknown: list[tuple[str, str]] = []
    for case in cases.cases:
        expected = case.expected_output or Expected(in_book=False)
        name, question = case.name or "", case.inputs.question
        unknown += [
            (name, section)
            for section in expected.sections
            if not old.expected(section) and not new.expected(section)
        ]
        edited = [section for section in expected.sections if old.expected(section) != new.expected(section)]
        if not edited:
            continue
        touched.append(name)
        compared = _Compared(name, question, old, new)
        for section in edited:
            losses += compared.gone(section)
        if not any(loss.case == name for loss in losses):
            losses += await compared.unsaid(expected.sections, likeness)
    return Changes(tuple(touched), tuple(losses), tuple(unknown))


@dataclass(frozen=True, slots=True)
class _Compared:
    """One case in both editions."""

    case: str
    question: str
    old: Edition
    new: Edition

    def gone(self, name: str) -> Iterator[Loss]:
        """Yields the expected sections that are there no more."""
        there = {section.id for section in self.new.expected(name)}
        if "#" not in name and there:
            return  # any section of the chapter will do
        for section in self.old.expected(name):
            if section.id in there:
                continue
            page = section.id.partition("#")[0]
            kind: Kind = "anchor" if page in self.new.chapters else "page"
            what = f"the heading `{section.id}`" if kind == "anchor" else f"the page `{page}`"
            moved = self._now(section)
            if moved:
                now = f"it is now `{moved.id}`" + ("" if moved.file == section.file else f" in {moved.file}")
            else:
                now = "nothing like its text is left"
            yield self._loss(kind, name, section, section.heading or section.text, f"{what} is gone; {now}")
            if "#" not in name:
                return

    async def unsaid(self, names: Sequence[str], likeness: Likeness) -> list[Loss]:
        """Returns the sentences that answered the question and are said in no expected section any more."""
        before = [(name, section) for name in names for section in self.old.expected(name)]
        after = [section for name in names for section in self.new.expected(name)]
        said = [
            (name, section, sentence)
            for name, section in before
            for sentence in plain_sentences(section.text, section.language)
        ]
        lost = {
            place
            for place, (_, section, sentence) in enumerate(said)
            if not _says(after, sentence, section.language)
        }
        if not lost:
            return []
        headed = [f"{section.heading}: {sentence}" for _, section, sentence in said]
        answering = _answering(await likeness(self.question, headed), len(said))
        return [self._unsaid(*said[place]) for place in sorted(lost & answering)]

    def _unsaid(self, name: str, section: BookSection, sentence: str) -> Loss:
        elsewhere = [one for one in self.new.sections.values() if one.text != self._text(one.id)]
        moved = next((one for one in elsewhere if _says([one], sentence, section.language)), None)
        told = f"“{sentence if len(sentence) <= _SHOWN else sentence[:_SHOWN] + '…'}”"
        if moved:
            message = f"{told} is no longer under `{name}`; it is now under `{moved.id}`"
            return self._loss("passage", name, section, sentence, message)
        return self._loss(
            "answer", name, section, sentence, f"{told} is no longer said, or with other numbers or names"
        )

    def _text(self, name: str) -> str:
        known = self.old.sections.get(name)
        return known.text if known else ""

    def _now(self, section: BookSection) -> BookSection | None:
        """Returns the section that holds the text of one that is gone; None if there is none."""
        others = [one for one in self.new.sections.values() if one.id not in self.old.sections]
        shares = {one.id: overlap(section.text, one.text, section.language) for one in others}
        best = max(others, key=lambda one: shares[one.id], default=None)
        return best if best and shares[best.id] >= _SAME else None

    def _loss(self, kind: Kind, name: str, section: BookSection, text: str, message: str) -> Loss:
        line = self.old.line_of(section.file, text, section.language)
        if section.file in self.new.files:
            line = _line_now(self.old.files[section.file], self.new.files[section.file], line)
        return Loss(self.case, self.question, kind, name, section.file, line, message)


_SHOWN = 120


def _answering(cosines: Sequence[float], number: int) -> set[int]:
    """Returns the places of the sentences that answer; all of them where the question cannot be read."""
    if not cosines:
        return set(range(number))
    least = max(cosines) - _NEAR
    best = sorted(range(number), key=lambda place: -cosines[place])[:_MOST]
    return {place for place in best if cosines[place] >= least}


def _says(sections: Iterable[BookSection], sentence: str, language: str) -> bool:
    """Whether any section says a sentence, if in other words or over two sentences."""
    plain = _letters(sentence)
    for section in sections:
        if plain in _letters(section.text):
            return True
        said = plain_sentences(section.text, language)
        for one in (*said, *(f"{first} {second}" for first, second in pairwise(said))):
            if not stems(sentence, language) & stems(one, language):
                continue
            found = support(sentence, [_passage(section, one)])
            if found is not None and found >= SUPPORTED:
                return True
    return False


def _letters(text: str) -> str:
    """Returns a text without all that a change of its setting changes: spaces, marks and capitals."""
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _passage(section: BookSection, text: str) -> Passage:
    chapter, _, anchor = section.id.partition("#")
    return Passage(
        id=section.id,
        key="",
        book="",
        chapter=chapter,
        title="",
        breadcrumb=(),
        url="",
        anchor=anchor,
        heading="",
        position=0,
        order=0,
        ordinal=0,
        text=text,
        language=section.language,
    )


def _agreement(text: str, line: str) -> float:
    return SequenceMatcher(None, text[:60], line.strip()[:60], autojunk=False).ratio()


def _line_now(old: str, new: str, line: int) -> int:
    """Returns the line of the new text at which the given line of the old one stands, or was removed."""
    before, after = old.split("\n"), new.split("\n")
    for kind, start, end, now, now_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if start < line <= end:
            place = now + (line - 1 - start)
            if kind == "equal":
                return place + 1
            place = min(place, max(now, now_end - 1))
            # Behind what was removed there often is an empty line, which shows a reader nothing.
            return next((at for at in range(place, len(after)) if after[at].strip()), place) + 1
    return line

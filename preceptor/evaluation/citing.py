"""Citation recall and precision of an answer, judged without a model.

As in ALCE (Gao et al. 2023, doi:10.18653/v1/2023.emnlp-main.398): recall is the share of the statements that their
citations support; precision is the share of the citations that are needed: they support a statement alone, or the
others do not support it without them. Support is that of `preceptor.agents.support`, which every reader is told.

One thing differs: a citation at the end of a paragraph also stands for the sentences before it, as readers take it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from preceptor.agents.citations import Mark
from preceptor.agents.support import SUPPORTED, are_comparable, is_too_short, likelihood, paragraphs
from preceptor.evaluation.outcome import Cited, Outcome
from preceptor.library.passage import Passage
from preceptor.text.languages import language_of

_MARKER = re.compile(r"`[^`\n]*`|\[(\d{1,3})\]")
"""A marker, or code, in which there is none."""

_Place = tuple[int, int, int]
"""A citation: number of the paragraph, number of the sentence in it, number of the source."""


@dataclass(frozen=True, slots=True)
class Citing:
    """Judgement on the citations of one answer."""

    recall: float
    """Share of the statements that are supported, in [0, 1]."""
    precision: float
    """Share of the citations that are needed, in [0, 1]; 0 where there are none."""
    unsupported: tuple[str, ...]
    """The other statements."""
    needless: tuple[str, ...]
    """The other citations, each as `[2]` with the statement that it stands behind."""


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    places: tuple[_Place, ...]
    """Citations that it rests on."""


def judge_citations(outcome: Outcome) -> Citing | None:
    """Returns how well an answer is cited; None where there is no answer from the book or nothing can be judged.

    Statements that are too short to be judged, or in another language than the passages, are left out.

    Args:
        outcome: An outcome whose sources have their texts.
    """
    if not outcome.in_book or not outcome.answer or (outcome.cited and not outcome.sources):
        return None
    passages = {source.number: _passage(source) for source in outcome.sources}
    marks = list(_marks(outcome.answer, passages))
    if passages and not marks:
        return None  # its citations are not in the text: that they fit a statement cannot be seen
    spoken = language_of(outcome.answer)
    supported, unsupported = list[_Statement](), list[_Statement]()
    needs: dict[_Place, bool] = {}
    for statement in _statements(outcome.answer, marks):
        cited = [passages[number] for _, _, number in statement.places]
        if is_too_short(statement.text) or not are_comparable(spoken, cited):
            continue
        holds = _support(statement.text, cited)
        (supported if holds else unsupported).append(statement)
        for at, place in enumerate(statement.places):
            needed = holds and (
                _support(statement.text, [cited[at]])
                or not _support(statement.text, cited[:at] + cited[at + 1 :])
            )
            needs[place] = needs.get(place, False) or needed
    judged = len(supported) + len(unsupported)
    if not judged or (marks and not needs):
        return None
    return Citing(
        recall=len(supported) / judged,
        precision=sum(needs.values()) / len(needs) if needs else 0.0,
        unsupported=tuple(one.text for one in unsupported),
        needless=tuple(
            f"[{place[2]}] {next(one.text for one in (*supported, *unsupported) if place in one.places)}"
            for place, needed in needs.items()
            if not needed
        ),
    )


def _support(claim: str, passages: Sequence[Passage]) -> bool:
    """Whether the passages together, or one of them alone, support a claim."""
    together = [passages] if passages else []
    alone = ([one] for one in passages) if len(passages) > 1 else ()
    return any((likelihood(claim, some) or 0.0) >= SUPPORTED for some in chain(together, alone))


def _statements(text: str, marks: Sequence[Mark]) -> Iterator[_Statement]:
    for number, paragraph in enumerate(paragraphs(text, marks)):
        cited = [place for place, claim in enumerate(paragraph) if claim.sources]
        for place, claim in enumerate(paragraph):
            if claim.text:
                # Its own citations, else the next ones in the paragraph, else the last ones.
                at = next((one for one in cited if one >= place), cited[-1] if cited else None)
                sources = () if at is None else paragraph[at].sources
                yield _Statement(claim.text, tuple((number, at or 0, source) for source in sources))


def _marks(text: str, passages: Mapping[int, Passage]) -> Iterator[Mark]:
    for found in _MARKER.finditer(text):
        if found[1] and int(found[1]) in passages:
            yield Mark(found.start(), int(found[1]))


def _passage(source: Cited) -> Passage:
    chapter, _, anchor = source.section.partition("#")
    return Passage(
        id=source.section, key="", book="", chapter=chapter, title="", breadcrumb=(source.header,), url="",
        anchor=anchor, heading="", position=0, order=0, ordinal=0, text=source.text, language=source.language,
    )  # fmt: skip

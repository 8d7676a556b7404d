"""Whether an answer says a fact, judged without a model by the words on which the fact turns.

An answer says a fact if one to three of its sentences, or a paragraph, have every key word of it (`**so marked**`) or
an alias, in any form, and do not turn the rest around: no negation or opposite that the fact lacks, and the reverse.

Measured against 300 pairs of an answer and a fact, labelled by hand (`tests/evaluation/data/facts.jsonl`): κ is .91 on
the facts with which choices were made and .83 on the other half. Without aliases it is .53 and .33: they are what tells
another wording from another fact. Those of the pairs are by the author of the answers; a stranger's may do worse. By
all words of a fact and no key words κ is .53 and .39. A cosine of fact and sentence adds nothing, since a model puts
"until 2027" beside "until 2029" and "a reducer" beside "a selector".
"""

import re
from collections.abc import Iterator, Sequence

from preceptor.agents.evidence import is_form
from preceptor.agents.support import MEASURES, measures
from preceptor.evaluation.dataset import Fact
from preceptor.library.passage import Passage
from preceptor.text.languages import language_of
from preceptor.text.pieces import plain_sentences
from preceptor.text.tokens import folded, stems

_TURNED = 0.3
"""How surely a fact is turned around, from which it is not said; chosen with the first half of the pairs."""
_AGAINST = tuple(MEASURES.index(name) for name in ("turned_and_covered", "opposite_and_covered"))
_MARKER = re.compile(r"\s*\[\d{1,3}\]")
_BLANK_LINE = re.compile(r"\n\s*\n")
_WORD = re.compile(r"[\w\u0900-\u0dff]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_TOGETHER = 3
"""Sentences at most over which a fact may be spread within a paragraph; or the paragraph is a short one."""
_SHORT = 8
"""Sentences and list items of a paragraph that is looked at as a whole."""
_WITH_FORMS = 4
"""Letters from which a word has forms that begin alike."""


def is_said(fact: Fact, answer: str) -> bool:
    """Whether an answer says a fact.

    Args:
        fact: The fact, in the language of the answer.
        answer: The answer as the reader sees it.
    """
    plain = fact.plain
    text = _MARKER.sub("", answer)
    tag = language_of(text) or language_of(plain) or "en"
    return any(
        all(
            any(_has(window, word, tag) for word in (key, *fact.aliases.get(key, ())))
            for key in fact.key_words
        )
        and not _is_turned_around(plain, window, tag)
        for window in _windows(text, tag)
    )


def _windows(text: str, tag: str) -> Iterator[str]:
    for paragraph in _BLANK_LINE.split(text):
        sentences = plain_sentences(paragraph, tag)
        sizes = [
            *range(1, _TOGETHER + 1),
            *([len(sentences)] if _TOGETHER < len(sentences) <= _SHORT else []),
        ]
        for size in sizes:
            for start in range(len(sentences) - size + 1):
                yield " ".join(sentences[start : start + size])


def _has(text: str, phrase: str, tag: str) -> bool:
    """Whether a text has each word of a phrase, if in another form."""
    there = _words(text)
    return all(any(_is_same(word, other, tag) for other in there) for word in _words(phrase))


def _words(text: str) -> Sequence[str]:
    return [word.lower() for word in _WORD.findall(_THOUSANDS.sub("", folded(text)))]


def _is_same(word: str, other: str, tag: str) -> bool:
    if word == other or word.isdigit():
        return word == other
    if len(word) >= _WITH_FORMS and is_form(word, other, tag):
        return True
    own = stems(word, tag)
    return bool(own) and own == stems(other, tag)


def _is_turned_around(fact: str, text: str, tag: str) -> bool:
    measured = measures(fact, [_passage(text, tag)])
    return measured is not None and max(measured[place] for place in _AGAINST) >= _TURNED


def _passage(text: str, tag: str) -> Passage:
    return Passage(
        id="", key="", book="", chapter="", title="", breadcrumb=(), url="", anchor="", heading="",
        position=0, order=0, ordinal=0, text=text, language=tag,
    )  # fmt: skip

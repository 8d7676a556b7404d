"""Whether the book covers a question, judged from what a search found.

The score of the best passage says how near it is. Two things correct it. Words of the question that the passage
has speak for it. Words that the chapter is named for speak against it: they bring every passage of the chapter
near, whether it answers or not. The weights are fitted on questions with and without an answer: decision 0008.
"""

import math
from collections.abc import Sequence

from preceptor.agents.sentences import stems
from preceptor.library.passage import Hit

THRESHOLD = 0.4
"""Coverage below which the book is taken not to answer; a wrong refusal annoys more than a poor quotation."""

_FOUND = 3.0
_NAMED = 2.5
_LIKE = 8.0
_LIKENESS = 0.75
"""Cosine of a question and the best sentence that says neither yes nor no."""
_CERTAIN = 0.999


def coverage(question: str, hits: Sequence[Hit], *, likeness: Sequence[float] = ()) -> float:
    """How likely it is that the book answers a question, in [0, 1].

    Args:
        question: In the reader's words.
        hits: What was found, best first.
        likeness: Cosines of the question and the sentences that may answer it; empty where the embedding
            model cannot read it.
    """
    if not hits:
        return 0.0
    score, passage = min(hits[0].score, _CERTAIN), hits[0].passage
    asked = stems(question, passage.language)
    above = passage.breadcrumb[:-1] if passage.heading else passage.breadcrumb
    found = stems(passage.text, passage.language) | stems(passage.heading, passage.language)
    named = stems(" ".join(above), passage.language)
    evidence = math.log(max(score, 1e-9) / (1 - score))
    if asked:
        evidence += (_FOUND * len(asked & found) - _NAMED * len(asked & named)) / len(asked)
    if likeness:
        evidence += _LIKE * (max(likeness) - _LIKENESS)
    return 1 / (1 + math.exp(-evidence))

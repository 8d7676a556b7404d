"""Whether the book covers a question, judged from what a search found.

The score of the best passage says how near it is, but not whether it answers. Three things correct it: how many of
the question's words a single sentence has, rare ones counting more; how like the question the embedding model
finds a sentence; and, against it, how many of the words only name the chapter, which brings all of its passages
near. How the weights were chosen is in decision 0008.
"""

import math
from collections.abc import Sequence

from preceptor.agents.quotation import Candidate
from preceptor.library.passage import Hit
from preceptor.text.tokens import stems

THRESHOLD = 0.5
"""Coverage below which the book is taken not to answer."""

_FOUND = 5.0
_NAMED = 2.0
_LIKE = 14.0
_LIKENESS = 0.75
"""Cosine of a question and the best sentence that says neither yes nor no."""
_UNREAD = 0.65
"""What it is taken to be where the embedding model cannot read the question: the words have to prove more."""
_NEEDED = -1.25
"""Evidence at which coverage is .5. It is low, because a wrong refusal annoys more than a poor quotation."""
_CERTAIN = 0.999
_UNSEARCHED = 0.5
"""Score of a text that the reader marked: no search had a say in it."""


def coverage(
    question: str, hits: Sequence[Hit], candidates: Sequence[Candidate], likeness: Sequence[float]
) -> float:
    """How much speaks for an answer in the book, in [0, 1].

    Args:
        question: In the reader's words.
        hits: What was found, best first.
        candidates: What may be quoted from them.
        likeness: Cosines of the question and the best candidates; empty where the embedding model cannot read it.
    """
    if not hits:
        return 0.0
    best, passage = hits[0], hits[0].passage
    searched = best.dense is not None or best.bm25 is not None
    score = min(max(best.score, 1e-9), _CERTAIN) if searched else _UNSEARCHED
    asked = stems(question, passage.language)
    names = stems(
        " ".join(passage.breadcrumb[:-1] if passage.heading else passage.breadcrumb), passage.language
    )
    evidence = (
        math.log(score / (1 - score))
        + _FOUND * max((one.found for one in candidates), default=0.0)
        - _NAMED * len(asked & names) / max(len(asked), 1)
        + _LIKE * (max(likeness, default=_UNREAD) - _LIKENESS)
    )
    return 1 / (1 + math.exp(_NEEDED - evidence))

"""Whether the book covers a question, judged from what a search found.

The score of the best passage shows how near it is, but not whether it answers. Three corrections are added:
the share of the question's words in a single sentence, weighted by rarity; the embedding model's similarity
of question and sentence; and, with a negative sign, the share of words that only name the chapter, since they
bring all of its passages near. Decision 0008 explains the weights.
"""

import math
from collections.abc import Sequence

from preceptor.agents.quotation import Candidate
from preceptor.library.passage import Hit
from preceptor.text.tokens import stems

THRESHOLD = 0.5
"""Coverage below which the book is assumed not to answer."""

_FOUND = 5.0
_NAMED = 2.0
_LIKE = 14.0
_LIKENESS = 0.75
"""Cosine of the question and the best sentence that is evidence neither for nor against."""
_UNREAD = 0.65
"""Cosine assumed when the model cannot read the question's language; the words must then prove more."""
_NEEDED = -1.25
"""Evidence at which coverage is .5. It is low, because a wrong refusal annoys more than a poor quotation."""
_CERTAIN = 0.999
_UNSEARCHED = 0.5
"""Score of a text that the reader marked: no search had a say in it."""


def coverage(
    question: str, hits: Sequence[Hit], candidates: Sequence[Candidate], likeness: Sequence[float]
) -> float:
    """Evidence that the book answers the question, in [0, 1].

    Args:
        question: The reader's question.
        hits: Hits of the search, best first.
        candidates: Candidates for quotation from these hits.
        likeness: Cosines of the question and the best candidates; empty where the embedding model cannot read it.
    """
    if not hits:
        return 0.0
    best, passage = hits[0], hits[0].passage
    searched = best.dense is not None or best.bm25 is not None
    # Log-odds of 0 and 1 are infinite, and one part must not overrule the others.
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

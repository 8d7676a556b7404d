"""Fuses the two halves of a hybrid search, and estimates the relevance of the best hit.

Both halves are read as evidence on one scale, that of log-odds. A BM25 score is a sum of log-odds by its
derivation; it grows with the logarithm of the book's size, which is taken out. A cosine becomes log-odds when it
is divided by a temperature, as in the training of the embedding model. So no half is stretched to the other's
range: where its scores hardly differ, it has little say. Two things make a half worth less than its scores: words
that the embedding model has to spell, and a BM25 match that covers little of the question. What was tried is in
decision 0004.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preceptor.library.embedding import MULTILINGUAL
from preceptor.library.protocol import Scores

_COVERED = 0.3
"""BM25 score per token of the question at which a match has half its weight."""
_DECAY = 0.6
"""Difference in evidence that makes a hit e times less likely than the best."""
BEST = 3
"""Hits that tell what else a question may mean."""
_TOWARDS = 0.3
"""How far a question's vector is moved towards their mean."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Meaning of an embedding model's cosines; one trained with another temperature has another (decision 0004)."""

    evidence: float = 8.0
    """Log-odds for one unit of cosine, beside BM25 in the order of the hits."""
    relevance: float = 14.0
    """Log-odds for one unit of cosine of the best hit."""
    per_token: float = 3.0
    """Log-odds for one unit of BM25 per token of the best hit."""
    irrelevance: float = 11.0
    spelled: tuple[float, float] = (0.65, 0.2)
    """(intercept, slope) of the cosine predicted from BM25 per token."""
    foreign: float = 0.0
    """Cosine that is missing where question and passage are in different languages."""
    like: tuple[float, float] = (0.0, 1.0)
    """(intercept, slope) of the cosine that the shipped English model would give."""
    feedback: bool = True
    """Whether a question is moved towards its best hits; over languages they lead away."""

    def likeness(self, cosine: float) -> float:
        """Returns a cosine on the scale of the shipped English model."""
        start, slope = self.like
        return start + slope * cosine


_FAMILY = MULTILINGUAL.removesuffix("small")
"""Beginning of the names of all models that were trained in the same way."""
_ENGLISH_SCALE = Scale()
_MULTILINGUAL_SCALE = Scale(
    evidence=32.0,
    relevance=40.0,
    per_token=4.0,
    irrelevance=35.2,
    spelled=(0.83, 0.045),
    foreign=0.045,
    like=(-1.62, 2.71),
    feedback=False,
)


def scale(model: str) -> Scale:
    """Returns the scale of an embedding model: of those fitted for the shipped ones, the one for its family."""
    return _MULTILINGUAL_SCALE if model.startswith(_FAMILY) else _ENGLISH_SCALE


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place, known by its id alone."""

    id: str
    score: float
    """See `Hit.score`."""
    dense: float | None
    bm25: float | None


def moved(question: Sequence[float], best: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Returns a question's vector moved towards those of its best hits (Rocchio's feedback, without a reader's word).

    Args:
        question: Its vector, of length 1.
        best: The vectors of its first `BEST` hits, of length 1.
    """
    vector = np.asarray(question) + _TOWARDS * np.mean(best, axis=0)
    return tuple((vector / np.linalg.norm(vector)).tolist())


def rank(
    dense: Scores,
    bm25: Scores,
    feedback: Scores | None = None,
    *,
    tokens: int,
    points: int,
    coverage: float = 1.0,
    scale: Scale = _ENGLISH_SCALE,
    is_foreign: bool = False,
    limit: int | None = None,
) -> list[Ranked]:
    """Returns the candidates, best first; ties in the order of their ids.

    Args:
        dense: Cosines of the dense half's candidates, by id.
        bm25: BM25 scores of the other half's.
        feedback: Cosines with the question's vector that was moved, of the candidates nearest to that; None: it was
            not. They alone tell the order then, and those of the question itself what the score means.
        tokens: Different BM25 tokens of the question.
        points: Passages in the index.
        coverage: How well the embedding model reads the question's language, in [0, 1].
        scale: Meaning of the cosines.
        is_foreign: Whether the question is in another language than the book.
        limit: Candidates at most; default: all.

    Returns:
        Candidates whose `score` can be compared from question to question: about .05 for the best of a question
        that has nothing to do with the book, above .3 for nearly all that it answers.
    """
    if not dense and not bm25:
        return []
    # What a half did not bring is at most as good as the last that it did; a list of matches that ended
    # before the other did has brought all there are.
    dense_floor = min(dense.values(), default=0.0)
    near = dense if feedback is None else feedback
    near_floor = min(near.values(), default=0.0)
    bm25_floor = min(bm25.values()) if bm25 and len(bm25) >= len(dense) else 0.0
    rarest = math.log(max(points, 1) + 1)  # about the IDF of a token that a single passage has
    per_token = max(bm25.values(), default=0.0) / rarest / max(tokens, 1)
    # A match of one frequent word out of ten says little, however high it ranks among its like.
    trust = per_token / (per_token + _COVERED)

    evidence = {
        one: scale.evidence * coverage * near.get(one, near_floor)
        + trust * bm25.get(one, bm25_floor) / rarest
        for one in {**near, **bm25}
    }
    # Equal evidence in the order of the cosines, then of the ids: the same for every engine.
    ranked = sorted(evidence, key=lambda one: (-evidence[one], -near.get(one, near_floor), one))[:limit]
    best = ranked[0]
    certainty = _certainty(
        dense.get(best, dense_floor) + scale.foreign * is_foreign,
        bm25.get(best, bm25_floor) / rarest / max(tokens, 1),
        coverage,
        scale,
    )
    return [
        Ranked(
            one,
            score=_logistic(certainty - (evidence[best] - evidence[one]) / _DECAY),
            dense=dense.get(one),
            bm25=bm25.get(one),
        )
        for one in ranked
    ]


def _certainty(cosine: float, per_token: float, coverage: float, scale: Scale) -> float:
    """Log-odds that the best hit is relevant to the question."""
    start, slope = scale.spelled
    # Where the tokenizer has to spell, high cosines mean nothing; the one that BM25 predicts takes their
    # place, so that the score keeps its scale.
    cosine = coverage * cosine + (1 - coverage) * (start + slope * per_token)
    return scale.relevance * cosine + scale.per_token * per_token - scale.irrelevance


def _logistic(log_odds: float) -> float:
    # `math.exp` overflows from 710 on.
    return 1 / (1 + math.exp(-max(log_odds, -700)))

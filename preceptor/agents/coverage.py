"""Whether the book covers a question, judged from what a search found."""

from collections.abc import Sequence

from preceptor.library.passage import Hit

THRESHOLD = 0.35
"""Relevance of the best passage below which the book is taken not to cover the question."""


def covered(question: str, hits: Sequence[Hit]) -> bool:
    """Whether the best of the passages is near enough to the question."""
    return bool(hits) and max(hit.score for hit in hits) >= THRESHOLD

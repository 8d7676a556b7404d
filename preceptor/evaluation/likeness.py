"""Groups questions by likeness, so that the same thing asked in many words is one line of a report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.library.fusion import scale
from preceptor.text.languages import language_of
from preceptor.text.tokens import stems

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

LIKE = 0.78
"""Mean likeness from which two groups of questions ask the same. With it, 19 or 20 of the twenty made-up gaps of
`tests/evaluation/gap-questions.yaml` are found and at most one group mixes two of them, in five samples of a thousand
questions; with .74 it is 17 or 18, with .82 18 to 20. A lower one would mix gaps, a higher one splits them: about a
third of the groups are a second one for the same subject.
"""
_WORDS = 0.1
"""Weight of the words in common, beside the cosine: a model puts "ROS 2 on Windows" near "ROS 2 on macOS"."""
MOST = 3000
"""Most questions that can be compared all with all."""

Embedded = tuple[str, Sequence[float]]
"""Name of an embedding model, and a vector of length 1 by it."""


def groups(questions: Sequence[str], vectors: Sequence[Embedded]) -> list[list[int]]:
    """Joins the two groups with the highest mean likeness, again and again, as long as it reaches `LIKE`.

    Args:
        questions: At most `MOST`.
        vectors: Their vectors; questions whose vectors are of different models are never joined.

    Returns:
        Places of the questions in each group, the largest group first.
    """
    if not questions:
        return []
    members = _joined(_likeness(questions, vectors))
    return sorted(members, key=lambda places: (-len(places), places[0]))


def _likeness(questions: Sequence[str], vectors: Sequence[Embedded]) -> "NDArray[float64]":
    """Returns the likeness of each pair, (questions, questions)."""
    # Here and not above: the command line starts without it.
    import numpy as np

    said = [stems(question, language_of(question, default="en")) for question in questions]
    column = {word: place for place, word in enumerate(sorted(frozenset[int]().union(*said)))}
    has = np.zeros((len(said), len(column)))
    for row, words in enumerate(said):
        has[row, [column[word] for word in words]] = 1.0
    # A word that everybody uses ("robot") tells nothing.
    weighed = has * np.log1p(len(said) / np.maximum(has.sum(axis=0), 1.0))
    weighed /= np.maximum(np.linalg.norm(weighed, axis=1, keepdims=True), 1e-9)
    like = np.full((len(said), len(said)), -np.inf)
    for model in {name for name, _ in vectors}:
        places = [place for place, (name, _) in enumerate(vectors) if name == model]
        block = np.asarray([vectors[place][1] for place in places], dtype=np.float64)
        start, slope = scale(model).like
        cosines = start + slope * (block @ block.T)
        words = weighed[places] @ weighed[places].T
        like[np.ix_(places, places)] = (1 - _WORDS) * cosines + _WORDS * words
    return like


def _joined(like: "NDArray[float64]") -> list[list[int]]:
    """Average linkage: the mean of two groups is kept up to date by their sizes (Lance and Williams 1967)."""
    import numpy as np

    mean = like.copy()
    np.fill_diagonal(mean, -np.inf)
    sizes = np.ones(len(mean))
    members: list[list[int]] = [[place] for place in range(len(mean))]
    nearest = mean.argmax(axis=1)
    best = mean[np.arange(len(mean)), nearest]
    while True:
        one = int(best.argmax())
        if best[one] < LIKE:
            return [sorted(places) for places in members if places]
        other = int(nearest[one])
        joined = (sizes[one] * mean[one] + sizes[other] * mean[other]) / (sizes[one] + sizes[other])
        joined[[one, other]] = -np.inf
        mean[one], mean[:, one] = joined, joined
        mean[other], mean[:, other] = -np.inf, -np.inf
        sizes[one] += sizes[other]
        members[one] += members[other]
        members[other] = []
        # Only rows that pointed to either of the two, or that the joined one is nearer to, can have changed.
        changed = np.flatnonzero((nearest == one) | (nearest == other) | (joined > best))
        for row in {one, other, *changed.tolist()}:
            nearest[row] = mean[row].argmax()
            best[row] = mean[row, nearest[row]]

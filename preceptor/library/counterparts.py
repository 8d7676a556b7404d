"""Finds for each word of a question its counterpart in a text: the token whose state in the embedding model is nearest.

An embedding model has a state for each token before it pools them into one vector. Of "Which licence is MoveIt released
under?" a sentence may have every word but one, and its vector is near to the question's all the same; the states tell
which word it lacks, whatever word it has for the others (decision 0030).
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Alike:
    """How near a text is to a question."""

    cosine: float
    """Cosine of the two, on the scale of the English model whichever made it."""
    words: tuple[tuple[str, float], ...] = ()
    """Each word of the question, in order, with the cosine of its counterpart; empty where the model has no centre."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A text as an embedding model read it."""

    text: str
    vector: tuple[float, ...]
    places: tuple[tuple[int, int], ...] = ()
    """Beginning and end of each token in the text."""
    states: "NDArray[floating] | None" = None
    """(tokens, dimensions) states, less the model's centre: all of them lean to one side, so that those of any two
    words have a high cosine."""


def counterparts(question: Read, text: Read) -> tuple[tuple[str, float], ...]:
    """Returns each word of a question with the largest cosine of it and a token of a text; nothing without states."""
    import numpy as np  # heavy: the command line starts without it

    if question.states is None or text.states is None or not len(text.states):
        return ()
    found: list[tuple[str, NDArray[floating]]] = []
    for match in _WORD.finditer(question.text):
        inside = [
            place
            for place, (start, end) in enumerate(question.places)
            if start < match.end() and end > match.start()
        ]
        if inside:
            found.append((match.group(), question.states[inside].mean(axis=0)))
    if not found:
        return ()

    def unit(vectors: "NDArray[floating]") -> "NDArray[floating]":
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)

    nearest = (unit(np.stack([state for _, state in found])) @ unit(text.states).T).max(axis=1)
    return tuple((word, float(cosine)) for (word, _), cosine in zip(found, nearest, strict=True))

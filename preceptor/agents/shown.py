"""What is left of a reply for the reader: told before the reply counts as an answer."""

import unicodedata
from collections.abc import Callable, Iterable

from preceptor.agents.citations import Citations, Cited, Text
from preceptor.library.passage import Hit


class ShownText:
    """Whether a reply says anything once its citations are checked.

    Invented keys are dropped from an answer, and what is left of one that holds little else may be a full stop.
    """

    def __init__(self, shown: Callable[[str], Hit | None]) -> None:
        """Begin a reply.

        Args:
            shown: The passage with a key, or None when the conversation never showed it.
        """
        self._citations = Citations(shown)
        self._said = False

    def feed(self, piece: str) -> bool:
        """Whether the reader has been told something, now that `piece` has come."""
        self._said = self._said or _says(self._citations.feed(piece))
        return self._said

    def finish(self) -> bool:
        """Whether the reader has been told something, now that the reply has ended."""
        self._said = self._said or _says(self._citations.finish())
        return self._said


def _says(pieces: Iterable[Text | Cited]) -> bool:
    """Whether there is a letter, a digit or a symbol; a citation alone says nothing, nor do signs of Markdown."""
    for piece in pieces:
        if isinstance(piece, Cited):
            continue
        marked = {place for mark in piece.marks for place in range(mark.start, mark.end)}
        for place, character in enumerate(piece.text):
            if place not in marked and (
                character.isalnum() or (not character.isascii() and unicodedata.category(character)[0] == "S")
            ):
                return True
    return False

"""The few sentences that Preceptor itself says to readers, in their language."""

from dataclasses import dataclass
from functools import lru_cache

from preceptor.text.languages import language, language_of


@dataclass(frozen=True, slots=True)
class Phrases:
    """Preceptor's sentences in one language."""

    not_covered: str
    """Says that the book has no answer."""
    not_searched: str
    """Says that the question is in another language than the book, and only a model could translate it."""
    not_selected: str
    """Says that the marked text has no answer, and nothing else was searched."""
    unclear: str
    """Says that the question was not understood."""
    small_talk: str
    """Says to a reader who asks nothing of the book that it may be asked about."""
    nearest: str
    """Introduces the names of chapters."""
    only_quotes: str
    """Introduces quotations in the book's language."""
    begun_again: str
    """Introduces an answer that another tutor starts over."""


def phrases(question: str) -> Phrases:
    """Returns the phrases in the question's language; in English if that has none or is unknown."""
    return _phrases(language_of(question) or "en")


@lru_cache(maxsize=64)
def _phrases(tag: str) -> Phrases:
    return Phrases(**(language(tag).phrases or language("en").phrases))

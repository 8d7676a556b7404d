"""Detects a page's language when its script shows that it is not the book's."""

import re
from dataclasses import dataclass

_SAMPLE = 4000
_SHARE = 0.3
"""Least share of a page's letters: code and names in Latin script are common in any language."""


@dataclass(frozen=True, slots=True)
class _Script:
    letters: re.Pattern[str]
    languages: frozenset[str]
    """Languages written in this script."""
    likely: tuple[tuple[str, str], ...]
    """Letters that only one language uses, with that language; the last entry is the default."""


_SCRIPTS = tuple(
    _Script(re.compile(f"[{letters}]"), frozenset(languages.split()), likely)
    for letters, languages, likely in (
        (
            "\u0600-\u06ff\u0750-\u077f",
            "ar fa ur ps sd ug ckb pa",
            (("ٹڈڑںھے", "ur"), ("پچژگ", "fa"), ("", "ar")),
        ),
        ("\u4e00-\u9fff\u3040-\u30ff", "zh ja yue", (("\u3040-\u30ff", "ja"), ("", "zh"))),
        ("\uac00-\ud7af", "ko", (("", "ko"),)),
        ("\u0900-\u097f", "hi mr ne sa", (("", "hi"),)),
        ("\u0400-\u04ff", "ru uk bg sr be mk kk ky mn tg", (("іїєґ", "uk"), ("", "ru"))),
        ("\u0590-\u05ff", "he yi", (("", "he"),)),
        ("\u0370-\u03ff", "el", (("", "el"),)),
        ("\u0980-\u09ff", "bn as", (("", "bn"),)),
        ("\u0e00-\u0e7f", "th", (("", "th"),)),
    )
)


def language_of(text: str, book_language: str) -> str:
    """Returns the tag of the page's language: the book's, unless the page is in a script that it does not use."""
    sample = text[:_SAMPLE]
    letters = sum(map(str.isalpha, sample))
    for script in _SCRIPTS:
        if not letters or len(script.letters.findall(sample)) < _SHARE * letters:
            continue
        if book_language.split("-")[0] in script.languages:
            return book_language
        return next(language for own, language in script.likely if not own or re.search(f"[{own}]", sample))
    return book_language

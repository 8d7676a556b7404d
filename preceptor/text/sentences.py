"""Finds where sentences end: the one place that cuts prose, in the language that it is told.

`sentencex` knows the ends of sentences in every script and abbreviations in many languages. The records of
`preceptor.text.languages` add those that it does not know, or takes apart: "p. ex.", "Abb. 3", "डॉ.".
"""

import re
from functools import lru_cache
from itertools import pairwise

from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - a compiled module without stubs

from preceptor.text.languages import Language, language

COLONS = (":", "：")
"""Signs at the end of a sentence that announces what follows."""

_MAY_END = re.compile(r"[^\w ,'-]")
"""A character that an ASCII text of two sentences has; while an answer comes, a sentence is looked at word by word."""
_WORD_GOES_ON = re.compile(r"[\w./-]")
"""A character behind a full stop that makes it part of a name or a path: "BehaviorTree.CPP"."""
_CODE = re.compile(r"(?<!`)(`++)(?:(?!\n\s*\n)[^`]|(?!\1(?!`))`++)+?\1(?!`)")
"""Code within a sentence: a half of it would have a mark without its partner, which takes what follows for code."""
_SPACE = re.compile(r"\s*")


def split_sentences(text: str, tag: str) -> list[str]:
    """Returns the sentences of a text in order, with the space behind each: joined they are the text.

    Args:
        text: Prose; line breaks that are no end of a paragraph do not end a sentence.
        tag: BCP 47 tag of its language.
    """
    if text.isascii() and not _MAY_END.search(text):
        return [text] if text else []
    record = language(tag)
    found: list[str] = segment(record.tag, text)
    if len(found) < 2:
        return found
    pattern = _going_on(record)
    inside = (
        {place for match in pattern.finditer(text) for place in _places(match)} if pattern else set[int]()
    )
    if "`" in text:
        for code in _CODE.finditer(text):
            # Behind the code of "The `?` operator calls …" the splitter sees an end, too.
            behind = _SPACE.match(text, code.end())
            goes_on = behind and text[behind.end() : behind.end() + 1].islower()
            inside.update(range(code.start() + 1, behind.end() + 1 if behind and goes_on else code.end()))
    cuts, place = [0], 0
    for sentence in found[:-1]:
        place += len(sentence)
        within_word = record.spaced and sentence[-1] == "." and _WORD_GOES_ON.match(text, place)
        if not within_word and place not in inside:
            # Two backticks of three look like a closing quotation mark.
            cut = len(text[:place].rstrip("`")) if text[place] == "`" else place
            if cut > cuts[-1]:
                cuts.append(cut)
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def _places(match: re.Match[str]) -> range:
    return range(match.start() + 1, match.end() + 1)


@lru_cache(maxsize=64)
def _going_on(record: Language) -> re.Pattern[str] | None:
    """Matches an abbreviation behind which the sentence goes on, and the space behind it."""
    always = _any_of(record.abbreviations)
    before = _any_of(record.abbreviations_before_numbers)
    kinds = [rf"(?:{always})\s+" if always else "", rf"(?:{before})\s+(?=\d)" if before else ""]
    return re.compile(rf"(?<!\w)(?:{'|'.join(filter(None, kinds))})", re.IGNORECASE) if any(kinds) else None


def _any_of(abbreviations: tuple[str, ...]) -> str:
    """An alternation, the longest first; the space within an abbreviation may be left out."""
    longest_first = sorted(abbreviations, key=len, reverse=True)
    return "|".join(r"\s?".join(map(re.escape, one.split())) for one in longest_first)

"""Languages: one record for each, by BCP 47 tag, the detection of a text's language, and what is said to readers in it.

The records are in `languages.json`, read on first use. JSON because its parser is compiled: 0.5 ms, where TOML takes
31 ms and YAML 34 ms.
"""

import json
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

_FILE = Path(__file__).with_name("languages.json")
_LATIN = "Latn"
_SHARE = 0.3
"""Least share of a text's letters: code and names in Latin letters are common in any language."""
_SAMPLE = 4000
"""Characters of a text that are looked at."""
_SURE = 10
"""Function words by which another language must lead before a text is not in the language it is presumed to be in."""
_CODE = re.compile(r"^[ \t]*(`{3,}|~{3,}).*?(?:^[ \t]*\1|\Z)|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language as Preceptor knows it; whatever is empty is not known of it.

    The fields that are said to be regular expressions are matched against lower-case text.
    """

    tag: str
    """First part of its BCP 47 tag, in lower case."""
    name: str
    """English name."""
    scripts: tuple[str, ...] = ()
    """ISO 15924 codes of the scripts it is written in, the usual one first."""
    spaced: bool = True
    """Whether spaces stand between its words."""
    unmarked_ends: bool = False
    """Whether no mark stands at the end of its sentences."""
    stemmer: str = ""
    """Name of its stemmer and stop words in the engine's BM25."""
    letters: frozenset[str] = frozenset()
    """Letters that it uses and its neighbours use seldom or never."""
    function_words: frozenset[str] = frozenset()
    dependent_openers: tuple[str, ...] = ()
    """Words that, at the beginning of a sentence, refer to the previous one."""
    joining: frozenset[str] = frozenset()
    """Words that join a question to the conversation when they begin it."""
    pointing: frozenset[str] = frozenset()
    """Words that refer to the conversation, anywhere in a question."""
    follow_up: str = ""
    """Regular expression of other signs that a question depends on the previous one."""
    announcement: str = ""
    """Regular expression of the words with which a sentence announces a list."""
    copulas: str = ""
    """Regular expression of the verbs between a term and its definition, where the verb comes second."""
    negation: str = ""
    """Regular expression."""
    conjunctions: str = ""
    """Regular expression of the words that begin another clause."""
    opposites: tuple[str, ...] = ()
    """Words of opposite meaning, "more greater : less fewer" each; `increas*` is any word that begins so."""
    negating_prefixes: tuple[str, ...] = ()
    """Beginnings that turn a word into its opposite: "un" of "unsafe"."""
    absolutes: frozenset[str] = frozenset()
    """Words that leave no exception: "always"."""
    contrast: str = ""
    """Regular expression of the words between two things of which one is set against the other: "rather than". Only
    where the order of the words tells the two apart."""
    instead: str = ""
    """Regular expression of the words that deny what follows: "rather than"."""
    numbers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Number words that mean nothing else, with their figures."""
    code_request: str = ""
    """Regular expression of the words that ask for code or a command."""
    abbreviations: tuple[str, ...] = ()
    """Abbreviations that do not end a sentence, beside those that the sentence splitter knows."""
    abbreviations_before_numbers: tuple[str, ...] = ()
    """Abbreviations that do not end a sentence before a figure: "Abb. 3"."""
    leads: str = ""
    """Regular expression of the words of a short sentence that belongs to the block behind it, if there is one."""
    roles: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Regular expressions of the headings whose sections do not teach, by the role of the section."""
    asides: str = ""
    """Regular expression of the words with which a sentence speaks of the book and its chapters."""
    tasks: str = ""
    """Regular expression of a sentence that sets the reader a task: "Explain why …"."""
    asks: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Regular expressions of the words that ask for something, by the kind of the question."""
    tells: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Regular expressions of the words of a sentence that answers, by the kind of the question."""
    exceptions: str = ""
    """Regular expression of the beginning of a sentence that limits the previous one."""
    greetings: frozenset[str] = frozenset()
    """Words of which a greeting, thanks or a farewell is made."""
    phrases: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """The sentences of `Phrases`."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """The few sentences that Preceptor itself says to readers, in one language."""

    not_covered: str
    """Says that the book has no answer."""
    not_searched: str
    """Says that the question is in another language than the book, and only a model could translate it."""
    not_selected: str
    """Says that the marked text has no answer, and nothing else was searched."""
    not_searchable: str
    """Says that the book cannot be searched here, as where the operator has taken the tool away."""
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


@dataclass(frozen=True, slots=True)
class _Script:
    """A range of the letters of a script."""

    code: str
    first: str
    last: str
    usual: str
    """The language that a text is in when nothing but its script tells."""


def languages() -> Mapping[str, Language]:
    """The languages with a record, by the first part of their tags."""
    return _read()[1]


@lru_cache(maxsize=256)
def language(tag: str) -> Language:
    """The record of a language; one that has little more than the tag if there is none.

    Args:
        tag: BCP 47 tag, such as `en-GB`: what follows its first part does not matter here.
    """
    first = re.split("[-_]", tag, maxsplit=1)[0].lower()
    return languages().get(first) or Language(first, f"the language `{tag}`")


@overload
def language_of(text: str) -> str | None: ...
@overload
def language_of(text: str, *, default: str) -> str: ...
def language_of(text: str, *, default: str | None = None) -> str | None:
    """The tag of the language that a text is in.

    Its script decides first; among languages of one script the function words do, of which every sentence has a few.

    Args:
        text: A question or a page, in Markdown.
        default: Tag of the language that it is presumed to be in, such as the book's: it is given back unless
            another script or many function words of another language speak against it.

    Returns:
        A BCP 47 tag; `default` where nothing tells ("qos depth").
    """
    return _language_of(text[:_SAMPLE], default)


# The question and each sentence of an answer are asked for several times while an answer is judged.
@lru_cache(maxsize=256)
def _language_of(text: str, default: str | None) -> str | None:
    prose = _CODE.sub(" ", text)
    script = _script_of(prose)
    presumed = language(default) if default else None
    usual = script.usual if script else None
    code = script.code if script else _LATIN
    if presumed and not presumed.scripts:
        presumed = Language(presumed.tag, presumed.name, (_LATIN,))
    candidates = [one for one in languages().values() if code in one.scripts]
    score = _scores(prose, candidates)
    best, second = ([*sorted(score.values(), reverse=True), 0.0, 0.0])[:2]
    # Two that lead together tell nothing; then the script has to.
    found = max(score, key=lambda tag: score[tag]) if best > second else usual
    if presumed is None or default is None:
        return found or default
    if code not in presumed.scripts:
        return found or default
    can_tell = bool(presumed.function_words or presumed.letters)
    return found if found and can_tell and best > score[presumed.tag] + _SURE else default


def phrases(question: str) -> Phrases:
    """Returns the phrases in the question's language; in English if that has none or is unknown."""
    return _phrases(language_of(question) or "en")


@lru_cache(maxsize=64)
def _phrases(tag: str) -> Phrases:
    return Phrases(**(language(tag).phrases or language("en").phrases))


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """A word; `re` takes the vowel signs within one, in Hindi or Bengali, for what separates words."""
    marks = [code for code in range(0x300, 0x1100) if unicodedata.category(chr(code))[0] == "M"]
    runs = groupby(enumerate(marks), key=lambda pair: pair[1] - pair[0])
    ranges = [[code for _, code in run] for _, run in runs]
    inside = "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in ranges)
    return re.compile(rf"[^\W\d_](?:[^\W\d_]|[{inside}])*")


def words(text: str) -> list[str]:
    """The words of a text in lower case, as far as spaces tell them."""
    return _word().findall(text.lower())


def _script_of(text: str) -> _Script | None:
    """The script of a good part of the letters, if it is not the Latin one."""
    if text.isascii():
        return None
    scripts = _read()[0]
    count: Counter[str] = Counter()
    letters = 0
    for character, times in Counter(text).items():
        letters += times * character.isalpha()
        place = bisect_right(scripts, character, key=lambda one: one.first) - 1
        if place >= 0 and character <= scripts[place].last:
            count[scripts[place].code] += times
    if not count or count.most_common(1)[0][1] < _SHARE * letters:
        return None
    code = count.most_common(1)[0][0]
    return next(one for one in scripts if one.code == code)


def _scores(text: str, candidates: Sequence[Language]) -> dict[str, float]:
    """How much speaks for each language; a word of several languages counts for each in part."""
    score = dict.fromkeys((one.tag for one in candidates), 0.0)
    for word, count in Counter(words(text)).items():
        having = [one.tag for one in candidates if word in one.function_words]
        for tag in having:
            score[tag] += count / len(having)
    for one in candidates:
        score[one.tag] += 0.5 * len(one.letters.intersection(text))
    return score


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[_Script, ...], Mapping[str, Language]]:
    data: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    scripts = [
        _Script(code, first, last, row["usual"])
        for code, row in data["scripts"].items()
        for first, last in (part.split("-") for part in row["letters"].split())
    ]
    scripts.sort(key=lambda one: one.first)
    return tuple(scripts), MappingProxyType(
        {tag: _record(tag, row) for tag, row in data["languages"].items()}
    )


_SETS = ("greetings", "function_words", "joining", "pointing", "absolutes")
_MAPPINGS = ("numbers", "roles", "asks", "tells", "phrases")
_TUPLES = ("scripts", "dependent_openers", "negating_prefixes")


def _record(tag: str, row: Mapping[str, Any]) -> Language:
    """The record of a row of the file, where lists of words are written as one string.

    Raises:
        TypeError: The row has a field that there is none of.
    """
    values = dict(row)
    values["letters"] = frozenset(row.get("letters", ""))
    values |= {name: frozenset(row[name].split()) for name in _SETS if name in row}
    values |= {name: tuple(row[name].split()) for name in _TUPLES if name in row}
    values |= {name: MappingProxyType(row[name]) for name in _MAPPINGS if name in row}
    values |= {
        name: tuple(row[name])
        for name in ("abbreviations", "abbreviations_before_numbers", "opposites")
        if name in row
    }
    return Language(tag, **values)

"""BM25: the tokens of a text, which are its words, stemmed and without stop words, and the vectors made of them.

The engine's own embedder stems and drops stop words of the languages it knows. This module adds one form for
letters that are written in several ways (Arabic, Persian and Urdu keyboards, digits, full width), and
two-character tokens for scripts without spaces between words.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

from qdrant_edge import Bm25 as EdgeBm25
from qdrant_edge import Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType
from qdrant_edge import SparseVector as EdgeVector

from preceptor.text.languages import language

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\uac00-\ud7af"  # Korean has spaces, but its words carry their particles
)
"""The characters of scripts without spaces between words, as a regular expression's set has them."""
_UNSPACED = re.compile(f"[{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A BM25 vector, named `bm25`: token ids and their weights, of the same length."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


class Bm25:
    """Makes BM25 vectors. Passages and questions of one index must use the same language."""

    def __init__(self, language: str, avg_len: float) -> None:
        """Initialise for a language.

        Args:
            language: BCP 47 tag of the book's language.
            avg_len: Mean `length` of the book's passages.
        """
        self._language = language
        self._weighing = embedder(language, avg_len=max(avg_len, 1.0))

    def question(self, text: str) -> SparseVector:
        """Returns each token of a question once, with weight 1; the engine multiplies by its IDF."""
        return _sparse(self._weighing.embed_query(folded(text)))

    def passage(self, text: str) -> SparseVector:
        """Returns each token of a passage with its frequency, saturated and normalised by length."""
        found = _sparse(self._weighing.embed_document(folded(text)))
        if not (single := characters(text)):
            return found
        more = _sparse(self._weighing.embed_document(single))
        both = dict(zip(more.indices, more.values, strict=True)) | dict(
            zip(found.indices, found.values, strict=True)
        )
        return SparseVector(tuple(both), tuple(both.values()))

    def length(self, text: str) -> int:
        """Returns the number of tokens of a passage, repetitions included."""
        return round(sum(self._counting.embed_document(folded(text)).values))

    @cached_property
    def _counting(self) -> EdgeBm25:
        # Without normalisation, and with saturation put off, a token weighs as often as it occurs.
        return embedder(self._language, avg_len=1.0, b=0.0, k=1e6)


class _Forms(dict[int, str]):
    """Normalised form of a character by code point; a table for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            form = str(digit)
        elif unicodedata.combining(character) or unicodedata.category(character) == "Cf":
            form = ""  # vowel signs, viramas, tone marks; joiners, direction marks, soft hyphens
        else:
            form = character
        self[code] = form
        return form


_FORMS = _Forms(
    str.maketrans(
        {
            **dict.fromkeys("أإآٱ", "ا"),
            **dict.fromkeys("یىېےۓئ", "ي"),
            **dict.fromkeys("ہھۀۂۃە", "ه"),
            "ک": "ك",
            "ؤ": "و",
            "ۆ": "و",
            "\u0640": "",  # the stroke that stretches a word
            "\u200c": " ",  # what Persian writes between a word and its ending
        }
    )
)
"""Arabic letters as the Arabic stemmer knows them; Persian, Urdu and other keyboards have their own."""


def embedder(tag: str, *, avg_len: float, b: float | None = None, k: float | None = None) -> EdgeBm25:
    """Returns the engine's BM25 embedder for a language, by its BCP 47 tag; `b` and `k` are BM25's parameters."""
    record = language(tag)
    # A Latin word in a text of another script is treated as English.
    name = record.stemmer or ("english" if record.scripts and "Latn" not in record.scripts else None)
    return EdgeBm25(
        Bm25Config(
            k=k,
            b=b,
            avg_len=avg_len,
            tokenizer=TokenizerType.Word,
            language=name,
            ascii_folding=True,
            stemmer=None if name else DisabledStemmer(),
            stopwords=None if name else StopwordsSet(),
        )
    )


def tokens(text: str, tag: str) -> frozenset[int]:
    """Returns the ids of a text's tokens, without repeats."""
    return frozenset(_of_questions(tag).embed_query(folded(text)).indices)


@lru_cache(maxsize=8192)
def stems(text: str, tag: str) -> frozenset[int]:
    """Returns the stemmed words of a text without stop words, as BM25 counts them."""
    return tokens(text, tag) - _small(tag)


def overlap(claim: str, sentence: str, tag: str) -> float:
    """Returns the share of the claim's words that the sentence has, in [0, 1]."""
    wanted = stems(claim, tag)
    return len(wanted & stems(sentence, tag)) / len(wanted) if wanted else 0.0


@lru_cache(maxsize=64)
def _small(tag: str) -> frozenset[int]:
    """Returns the tokens of a language's function words that BM25 does not drop as stop words."""
    return tokens(" ".join(language(tag).function_words), tag)


@lru_cache(maxsize=64)
def _of_questions(tag: str) -> EdgeBm25:
    return embedder(tag, avg_len=1.0)


def folded(text: str) -> str:
    """Returns `text` with variants of letters unified, and unspaced scripts in pairs of characters."""
    # A lone surrogate, which no tokenizer reads.
    text = text.encode("utf-8", "replace").decode("utf-8")
    if text.isascii():
        return text
    return _UNSPACED.sub(_pairs, unicodedata.normalize("NFKC", text).translate(_FORMS))


def characters(text: str) -> str:
    """Returns the characters of the unspaced scripts in a text, separated by spaces.

    Pairs alone would hide a word of one character ("水") from those who ask for it.
    """
    if text.isascii():
        return ""
    runs = _UNSPACED.findall(unicodedata.normalize("NFKC", text).translate(_FORMS))
    return " ".join(one for run in runs for one in run)


def _pairs(run: re.Match[str]) -> str:
    characters = run.group()
    pairs = [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]
    return f" {' '.join(pairs)} "


def _sparse(vector: EdgeVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))

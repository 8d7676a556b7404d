"""BM25 vectors of questions and passages: the engine's own embedder, on text made comparable first.

The engine stems and drops stop words where it knows the language. What it leaves out is done here: one form
for letters that are written in several ways (Arabic, Persian and Urdu keyboards, digits, full width), and
two-character tokens for scripts that put no spaces between words.
"""

import re
import unicodedata
from functools import cached_property

from qdrant_edge import Bm25 as EdgeBm25
from qdrant_edge import Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType
from qdrant_edge import SparseVector as EdgeVector

from preceptor.library.protocol import SparseVector

LANGUAGES = {
    "ar": "arabic",
    "az": "azerbaijani",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "id": "indonesian",
    "it": "italian",
    "kk": "kazakh",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sl": "slovene",
    "sv": "swedish",
    "tg": "tajik",
    "tr": "turkish",
}
"""Those whose stop words the engine knows, most with a stemmer, by the first part of their tags."""

_is_other_script = re.compile(
    "am|be|bg|bn|fa|gu|he|hi|hy|ja|ka|km|kn|ko|lo|mk|ml|mr|my|ne|pa|ps|sd|si|sr|ta|te|th|ug|uk|ur|yi|zh"
).fullmatch
"""Languages without a stemmer that are not in Latin letters: a Latin word among them is taken as English."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\uac00-\ud7af]+"  # Korean has spaces, but its words carry their particles
)


class _Forms(dict[int, str]):
    """The one form of a character, by code point; a table for `str.translate` that fills itself."""

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


class Bm25:
    """The sparse half. Passages and questions of one index must be made with the same language."""

    def __init__(self, language: str, avg_len: float) -> None:
        """Make ready for a language.

        Args:
            language: BCP 47 tag of the book's language.
            avg_len: Mean `length` of the book's passages.
        """
        self._language = language.split("-")[0].lower()
        self._weighing = self._embedder(avg_len=max(avg_len, 1.0))

    def question(self, text: str) -> SparseVector:
        """Each token of a question once, with weight 1; the engine multiplies by its IDF."""
        return _sparse(self._weighing.embed_query(folded(text)))

    def passage(self, text: str) -> SparseVector:
        """Each token of a passage with its frequency, saturated and normalised by length."""
        return _sparse(self._weighing.embed_document(folded(text)))

    def length(self, text: str) -> int:
        """Tokens of a passage, repetitions included."""
        return round(sum(self._counting.embed_document(folded(text)).values))

    @cached_property
    def _counting(self) -> EdgeBm25:
        # Without normalisation, and with saturation put off, a token weighs as often as it occurs.
        return self._embedder(avg_len=1.0, b=0.0, k=1e6)

    def _embedder(self, *, avg_len: float, b: float | None = None, k: float | None = None) -> EdgeBm25:
        name = LANGUAGES.get(self._language) or ("english" if _is_other_script(self._language) else None)
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


def folded(text: str) -> str:
    """`text` with one form for what is written in several, and unspaced scripts in pairs of characters."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if text.isascii():
        return text
    return _UNSPACED.sub(_pairs, unicodedata.normalize("NFKC", text).translate(_FORMS))


def _pairs(run: re.Match[str]) -> str:
    characters = run.group()
    pairs = [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]
    return f" {' '.join(pairs)} "


def _sparse(vector: EdgeVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))

"""BM25 vectors of questions and passages."""

from functools import cached_property

from qdrant_edge import Bm25 as EdgeBm25
from qdrant_edge import SparseVector as EdgeVector

from preceptor.library.protocol import SparseVector
from preceptor.text.tokens import characters, embedder, folded


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


def _sparse(vector: EdgeVector) -> SparseVector:
    return SparseVector(tuple(vector.indices), tuple(vector.values))

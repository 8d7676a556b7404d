"""Dense vectors of questions and passages, made by a fastembed model on this machine.

The default model comes with Preceptor (see PROVENANCE.md beside it) and is checked when it is loaded. It has
two graphs over the same weights: one for passages, whose vectors do not depend on what else is embedded, and
one for single questions, which takes 2.6 times less CPU. A server loads the second alone.

A session runs each call on one thread, and several threads call it at once: that costs less CPU than
spreading every text over the cores, and fills them all the same.
"""

import asyncio
import hashlib
import importlib
import os
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from difflib import get_close_matches
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.errors import EmbeddingModelDamaged, EmbeddingModelUnavailable
from preceptor.settings import EmbeddingSettings, shipped

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Tokenizer

Vector = tuple[float, ...]

_SHIPPED_MODEL = "BAAI/bge-small-en-v1.5"
_SHIPPED_FOLDER = "library/models/bge-small-en-v1.5-int8"
_SHIPPED_DIMENSIONS = 384
_SHIPPED_LIMIT = 512
_QUESTION_GRAPH = "questions.onnx"
_SHIPPED_SHA256 = {
    "model_optimized.onnx": "9106520809115167557a0bcc7b235b0c940459ba789c27d5aefcd24813f21e47",
    _QUESTION_GRAPH: "fc4c2007749eeda3c968f1ad8f0fbf301a8a970184ca393cb03d7df1b25948aa",
}

_BATCH = 16
"""Largest number of texts in one call of the model: 256 of them take 2.75 GB and are slower."""
_WINDOW = 16
"""Number of batches for each thread whose texts are sorted by length together, to save padding."""
_is_english = re.compile(r"-en(-|$)|all-minilm", re.IGNORECASE).search
_words = re.compile(r"[^\W\d_]{2,}").findall
_UNKNOWN = "[UNK]"
_HUB_SECONDS = 1.5
"""Longest wait for the hub's first response; fastembed alone would try for 39 s."""

_RETRIEVAL = "Represent this sentence for searching relevant passages: "
_PREFIXES = {
    "baai/bge-": (_RETRIEVAL, ""),
    "mixedbread-ai/mxbai-embed-large": (_RETRIEVAL, ""),
    "snowflake/snowflake-arctic-embed": (_RETRIEVAL, ""),
    "intfloat/multilingual-e5": ("query: ", "passage: "),
    "nomic-ai/nomic-embed-text": ("search_query: ", "search_document: "),
}
"""Prefixes for questions and passages by model family; fastembed adds none."""


class DenseEmbedder:
    """Embedding model: call `load` before use and `close` at the end."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self.model = settings.model
        self._settings = settings
        self._threads = settings.threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embedding")
        self._asked: OrderedDict[str, Vector] = OrderedDict()
        self._before_question, self._before_passage = next(
            (both for family, both in _PREFIXES.items() if self.model.lower().startswith(family)), ("", "")
        )

    def load(self) -> None:
        """Read and check the files that questions need, and embed a word to warm up.

        Raises:
            EmbeddingModelUnavailable: An unknown name, missing or wrong files, or no network.
            EmbeddingModelDamaged: A shipped file is not the one that was shipped.
        """
        found = len(self._question("warm"))
        if found != self.dimensions:
            raise EmbeddingModelUnavailable(
                self.model,
                f"its files give {found} dimensions, but a model of this name has {self.dimensions}",
            )
        self.vocabulary_coverage("warm")

    def close(self) -> None:
        """Stop the threads; calls that have not started are dropped."""
        self._pool.shutdown(cancel_futures=True)

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return _SHIPPED_DIMENSIONS if self._is_shipped else self._of_questions.embedding_size

    @cached_property
    def limit(self) -> int:
        """Most tokens of a passage that the model reads, its own special tokens included."""
        own: Any = None if self._is_shipped else self._of_questions.model
        limit = own.tokenizer.truncation["max_length"] if own else _SHIPPED_LIMIT
        return limit - len(self.tokenizer.encode(self._before_passage, add_special_tokens=False).ids)

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The model's tokenizer without truncation and padding, for counting the tokens of any text."""
        from tokenizers import Tokenizer  # heavy: the command line starts without it

        if self._is_shipped:  # without the model, which takes twenty times as long to load
            tokenizer = Tokenizer.from_file(str(shipped(_SHIPPED_FOLDER) / "tokenizer.json"))
        else:
            own: Any = self._of_questions.model
            tokenizer = Tokenizer.from_str(own.tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    async def question(self, text: str) -> Vector:
        """Returns the vector of a question, with the prefix that the model expects.

        Returns:
            (dimensions,) of length 1. The last `embedding.cache_size` questions are remembered.
        """
        known = self._asked.get(text)
        if known is not None:
            self._asked.move_to_end(text)
            return known
        vector = await asyncio.get_running_loop().run_in_executor(self._pool, self._question, text)
        self._asked[text] = vector
        while len(self._asked) > self._settings.cache_size:
            self._asked.popitem(last=False)
        return vector

    async def text(self, text: str) -> Vector:
        """Returns the vector of one sentence by the graph for single texts; it is not cached."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._vector, self._before_passage + cleaned(text)
        )

    def vocabulary_coverage(self, text: str) -> float:
        """Share of a text's letters in words that the tokenizer keeps whole: how well the model reads it.

        A word in n pieces counts 1/n; an unknown word, or one spelled letter by letter, counts 0. Vectors of
        such text carry little information, but have high cosines. English is at about .95, Spanish at .6,
        other scripts near 0. For models of other languages the result is always 1.
        """
        if not _is_english(self.model):
            return 1.0
        words = _words(cleaned(text))
        if not words:
            return 1.0
        encoded = self.tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
        pieces = Counter(encoded.word_ids)
        unknown = {
            place for place, token in zip(encoded.word_ids, encoded.tokens, strict=True) if token == _UNKNOWN
        }
        known = sum(
            len(word) / pieces[place]
            for place, word in enumerate(words)
            if 0 < pieces[place] < len(word) and place not in unknown
        )
        return known / sum(map(len, words))

    def passages(self, texts: Iterable[str], *, batch_size: int = _BATCH) -> Iterator[Vector]:
        """Yields the vectors of passages in the order of `texts`, computed by all threads.

        Args:
            texts: Read a window at a time, so there may be more than fit in memory. What a text has beyond
                the model's own limit is not read.
            batch_size: Texts in one call of the model, at most 16.
        """
        self._of_passages  # noqa: B018 - loaded here, not by several threads at once
        size = min(batch_size, _BATCH)
        remaining = iter(texts)
        under_way: deque[Iterator[Vector]] = deque()
        while window := list(islice(remaining, size * _WINDOW * self._threads)):
            under_way.append(self._begin(window, size))
            if len(under_way) > 1:
                yield from under_way.popleft()
        yield from chain.from_iterable(under_way)

    def _begin(self, window: Sequence[str], size: int) -> Iterator[Vector]:
        """Start embedding on the threads; the returned iterator waits for the results."""
        order = sorted(range(len(window)), key=lambda i: len(window[i]), reverse=True)
        batches = [[window[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
        return _in_order(order, [self._pool.submit(self._passages, batch) for batch in batches])

    def _question(self, text: str) -> Vector:
        return self._vector(self._before_question + cleaned(text))

    def _vector(self, text: str) -> Vector:
        (vector,) = self._of_questions.query_embed([text])
        return tuple(vector.tolist())

    def _passages(self, texts: Sequence[str]) -> list[Vector]:
        prepared = [self._before_passage + cleaned(text) for text in texts]
        return [tuple(vector.tolist()) for vector in self._of_passages.passage_embed(prepared)]

    @cached_property
    def _of_questions(self) -> "TextEmbedding":
        return _question_graph(self._shipped_folder) if self._is_shipped else self._of_passages

    @cached_property
    def _of_passages(self) -> "TextEmbedding":
        if self._is_shipped:
            return _opened(self.model, self._shipped_folder, download=False)
        return _opened(self.model, self._settings.path, download=self._settings.download)

    @property
    def _is_shipped(self) -> bool:
        return self._settings.path is None and self.model.lower() == _SHIPPED_MODEL.lower()

    @cached_property
    def _shipped_folder(self) -> Path:
        """Returns the folder of the shipped model after checking its files."""
        folder = shipped(_SHIPPED_FOLDER)
        digests = {name: self._pool.submit(_sha256, folder / name) for name in _SHIPPED_SHA256}
        importlib.import_module("fastembed")  # 0.3 s, in which the digests are taken
        for name, expected in _SHIPPED_SHA256.items():
            if digests[name].result() != expected:
                raise EmbeddingModelDamaged(folder / name, expected=expected, found=digests[name].result())
        return folder


def cleaned(text: str) -> str:
    """Returns `text` in a form that every tokenizer can read: a lone surrogate becomes `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _opened(model: str, folder: Path | None, *, download: bool) -> "TextEmbedding":
    from fastembed import TextEmbedding  # heavy: the command line starts without it
    from loguru import logger

    logger.disable("fastembed")  # what it prints, the error raised here says
    known = {str(one["model"]).lower(): one for one in TextEmbedding.list_supported_models()}
    found = known.get(model.lower())
    if found is None:
        close = ", ".join(get_close_matches(model.lower(), known, n=3, cutoff=0.4)) or "none"
        raise EmbeddingModelUnavailable(model, f"fastembed has no model of this name (closest: {close})")
    options: dict[str, Any] = {"model_name": found["model"], "threads": 1}
    try:
        if folder is not None:
            return TextEmbedding(**options, specific_model_path=str(folder))
        try:
            return TextEmbedding(**options, local_files_only=True)
        except ValueError:
            if not download:
                raise
        _ask_hub(found["sources"]["hf"])
        return TextEmbedding(**options)
    except Exception as error:  # onnxruntime and tokenizers raise bare ones
        raise EmbeddingModelUnavailable(model, str(error).partition("\n")[0].rstrip(".")) from error


def _question_graph(folder: Path) -> "TextEmbedding":
    """Describes the shipped model's graph for single questions to fastembed."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    name = f"{_SHIPPED_MODEL}:questions"
    if not any(one["model"] == name for one in TextEmbedding.list_supported_models()):
        TextEmbedding.add_custom_model(
            model=name,
            pooling=PoolingType.CLS,
            normalization=True,
            sources=ModelSource(url="shipped"),  # it wants one, and does not ask it
            dim=TextEmbedding.get_embedding_size(_SHIPPED_MODEL),
            model_file=_QUESTION_GRAPH,
        )
    return _opened(name, folder, download=False)


def _ask_hub(repository: str) -> None:
    """Return if the hub answers within seconds; raise its client's error otherwise."""
    from huggingface_hub import HfApi

    HfApi().model_info(repository, timeout=_HUB_SECONDS)


def _in_order(order: Sequence[int], batches: Sequence[Future[list[Vector]]]) -> Iterator[Vector]:
    made = chain.from_iterable(batch.result() for batch in batches)
    by_place = dict(zip(order, made, strict=True))
    yield from (by_place[place] for place in range(len(order)))


def _sha256(file: Path) -> str:
    if not file.exists():
        return "missing"
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

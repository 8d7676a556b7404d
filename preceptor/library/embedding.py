"""Dense vectors of questions and passages, made on this machine by models in ONNX.

Two models come with Preceptor (see PROVENANCE.md beside each) and are checked when they are loaded: one that reads
English, and one that reads a hundred languages. The English one has two graphs over the same weights: one for
passages, whose vectors do not depend on what else is embedded, and one for single questions, which takes 2.6 times
less CPU. A server loads the second alone. fastembed makes the vectors of passages, and all vectors of other models.

A session runs each call on one thread, and several threads call it at once: that costs less CPU than
spreading every text over the cores, and fills them all the same.
"""

import asyncio
import hashlib
import importlib
import json
import os
import re
import threading
from array import array
from collections import Counter, OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from preceptor.errors import EmbeddingModelDamaged, EmbeddingModelUnavailable
from preceptor.library.counterparts import Read
from preceptor.settings import EmbeddingSettings, shipped
from preceptor.text.languages import language, language_of, words
from preceptor.text.tokens import characters

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from numpy import floating
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from preceptor.library.graph import Graph

Vector = tuple[float, ...]

ENGLISH = "BAAI/bge-small-en-v1.5"
MULTILINGUAL = "intfloat/multilingual-e5-small"
AUTO = "auto"
"""Value of `embedding.model` with which the book's language chooses one of the two."""


@dataclass(frozen=True, slots=True)
class _Shipped:
    """A model that comes with Preceptor."""

    folder: str
    sha256: Mapping[str, str]
    """Digests by file."""
    graph: str
    """File of the graph for single texts."""
    averages: bool = False
    """Whether the vector is the mean of all tokens' states, and not the state of the first."""
    dimensions: int = 384
    limit: int = 512
    """Most tokens of a text that it reads."""


_QUESTION_GRAPH = "questions.onnx"
_MULTILINGUAL_GRAPH = "model.onnx"
_CENTRE = "centre.json"
"""The mean of the token states of some books' sentences; `bench/centre.py` makes it."""
_SHIPPED = {
    ENGLISH.lower(): _Shipped(
        "library/models/bge-small-en-v1.5-int8",
        {
            "model_optimized.onnx": "9106520809115167557a0bcc7b235b0c940459ba789c27d5aefcd24813f21e47",
            _QUESTION_GRAPH: "fc4c2007749eeda3c968f1ad8f0fbf301a8a970184ca393cb03d7df1b25948aa",
            _CENTRE: "b0c8988290ed5767ba50cb4eb9afcf38f204d0c1116649861645eafae9894fae",
        },
        graph=_QUESTION_GRAPH,
    ),
    MULTILINGUAL.lower(): _Shipped(
        "library/models/multilingual-e5-small-int4",
        {
            _MULTILINGUAL_GRAPH: "427a22d777d465942d14d909b703e4b6515f7ba44ca617e36fd35e28407ee1ac",
            "tokenizer.json": "2438532435d4b7fa05b353d5b5068981deb5960d69211f716c76a347b15c6689",
            _CENTRE: "9568f862d7584d9a997b2b7ff1182860c8adaa3e636600ee7d948665dbe312b6",
        },
        graph=_MULTILINGUAL_GRAPH,
        averages=True,
    ),
}

_BATCH = 16
"""Largest number of texts in one call of the model: 256 of them take 2.75 GB and are slower."""
_WINDOW = 16
"""Number of batches for each thread whose texts are sorted by length together, to save padding."""
_is_english = re.compile(
    r"-en(-|$)|all-minilm|mxbai-embed|arctic-embed-(xs|s|m|l)\b(?!-v2)|/gte-(base|large)$|nomic-embed-text-v1",
    re.IGNORECASE,
).search
_words = re.compile(r"[^\W\d_]{2,}").findall
_SPELLED = 0.2
_SPELLED_ACCENTED = 0.6
_SPELLED_ENGLISH = 0.25
"""Vocabulary coverage below which an English model does not read a text whose function words tell no language, such
a text with letters beyond a to z, and one with English function words: names of code are spelled, too.
"""
_OTHER_LANGUAGE = 0.95
_PERHAPS_OTHER_LANGUAGE = 0.7
"""The same for a text with function words of another language, and with a single one, as "function" may be in a
technical text.
"""
_UNKNOWN = "[UNK]"
_WORD_BEGINS = "▁"
_PIECES = (1.6, 2.1)
"""Letters per piece at which the multilingual model spells a text, and at which it reads it: languages that it knows
are at 2.2 to 5, texts transcribed into a script that they are not written in at .8 to 1.8.
"""
_describing = threading.Lock()
_NAMED = 5
"""Number of models that are named in the place of an unknown one."""
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

    def __init__(self, settings: EmbeddingSettings, *, model: str | None = None, tag: str = "en") -> None:
        """Initialise without loading anything.

        Args:
            settings: The settings of all models.
            model: Name of the model; default: the one in the settings, the English one for `auto`.
            tag: BCP 47 tag of the book's language: where there is no such model, those for it are named.
        """
        chosen = ENGLISH if settings.model == AUTO else settings.model
        self.model = model or chosen
        self._path = settings.path if self.model == chosen else None
        self._settings = settings
        self._tag = tag
        self._threads = settings.threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embedding")
        self._asked: OrderedDict[str, array[float]] = OrderedDict()
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
        return self._shipped.dimensions if self._shipped else self._of_passages.embedding_size

    @cached_property
    def limit(self) -> int:
        """Most tokens of a passage that the model reads, its own special tokens included."""
        if self._shipped:
            limit = self._shipped.limit
        else:
            own: Any = self._of_passages.model
            limit = own.tokenizer.truncation["max_length"]
        return limit - len(self.tokenizer.encode(self._before_passage, add_special_tokens=False).ids)

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The model's tokenizer without truncation and padding, for counting the tokens of any text."""
        from tokenizers import Tokenizer  # heavy: the command line starts without it

        # The model takes twenty times as long to load as its tokenizer alone.
        if self._shipped and "_graph" not in vars(self):
            tokenizer = Tokenizer.from_file(str(shipped(self._shipped.folder) / "tokenizer.json"))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return tokenizer
        own = self._graph.tokenizer if self._shipped else cast("Any", self._of_passages.model).tokenizer
        # Its vocabulary is shared and not read again: that of the multilingual model takes 270 MiB and 0.6 s.
        tokenizer = Tokenizer(own.model)
        tokenizer.normalizer = own.normalizer
        tokenizer.pre_tokenizer = own.pre_tokenizer
        tokenizer.post_processor = own.post_processor
        tokenizer.decoder = own.decoder
        added = own.get_added_tokens_decoder().values()
        tokenizer.add_special_tokens([one for one in added if one.special])
        tokenizer.add_tokens([one for one in added if not one.special])
        return tokenizer

    async def question(self, text: str) -> Vector:
        """Returns the vector of a question, with the prefix that the model expects.

        Returns:
            (dimensions,) of length 1. The last `embedding.cache_size` questions are remembered.
        """
        known = self._asked.get(text)
        if known is not None:
            self._asked.move_to_end(text)
            return tuple(known)
        vector = await asyncio.get_running_loop().run_in_executor(self._pool, self._question, text)
        # In the model's own precision: as a tuple it takes eight times as much memory.
        self._asked[text] = array("f", vector)
        while len(self._asked) > self._settings.cache_size:
            self._asked.popitem(last=False)
        return vector

    async def read(self, text: str, *, is_question: bool = False) -> Read:
        """Returns how the graph for single texts reads a question or a sentence; it is not cached.

        A model that does not come with Preceptor gives no states of tokens.
        """
        before = self._before_question if is_question else self._before_passage
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, before, cleaned(text))

    async def text(self, text: str) -> Vector:
        """Returns the vector of one sentence by the graph for single texts; it is not cached."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._vector, self._before_passage + cleaned(text)
        )

    def vocabulary_coverage(self, text: str) -> float:
        """Share of a text's letters in words that the tokenizer keeps whole: how well the model reads it.

        A word in n pieces counts 1/n; an unknown word, or one spelled letter by letter, counts 0. Vectors of
        such text carry little information, but have high cosines. English is at about .95, Spanish at .6,
        other scripts near 0. The shipped multilingual model has pieces of every language that it knows, of 2.2
        letters and more, but for scripts whose letters are syllables: the result is 1 there, and 0 for what it
        spells. For other models the result is always 1.
        """
        if self.model == MULTILINGUAL:
            return self._length_of_pieces(text)
        if not self.is_english:
            return 1.0
        found = _words(cleaned(text))
        if not found:
            return 1.0
        encoded = self.tokenizer.encode(found, is_pretokenized=True, add_special_tokens=False)
        pieces = Counter(encoded.word_ids)
        unknown = {
            place for place, token in zip(encoded.word_ids, encoded.tokens, strict=True) if token == _UNKNOWN
        }
        known = sum(
            len(word) / pieces[place]
            for place, word in enumerate(found)
            if 0 < pieces[place] < len(word) and place not in unknown
        )
        return known / sum(map(len, found))

    @property
    def is_english(self) -> bool:
        """Whether the model reads English only."""
        return bool(_is_english(self.model))

    def reads(self, text: str) -> bool:
        """Whether the model reads the language of a text, so that its vector says something.

        The coverage by the vocabulary alone cannot tell: that of "Ly6C hi monocytes" is below that of Spanish. The
        function words decide how much of it is asked for.
        """
        if not self.is_english:
            return True
        coverage, found = self.vocabulary_coverage(text), language_of(text)
        if found is None:
            is_accented = any(one.isalpha() and not one.isascii() for one in text)
            return coverage >= (_SPELLED_ACCENTED if is_accented else _SPELLED)
        if found == "en":
            return coverage >= _SPELLED_ENGLISH
        record, asked = language(found), {one for one in words(text) if len(one) > 1}
        signs = len(record.function_words & asked) + bool(record.letters.intersection(text))
        if signs <= len(language("en").function_words & asked):
            return coverage >= _SPELLED_ENGLISH
        return coverage >= (_OTHER_LANGUAGE if signs > 1 else _PERHAPS_OTHER_LANGUAGE)

    def _length_of_pieces(self, text: str) -> float:
        found = words(cleaned(text))
        letters = sum(map(len, found))
        if not found or len(characters(text)) > letters:  # each character and a space
            return 1.0
        encoded = self.tokenizer.encode(found, is_pretokenized=True, add_special_tokens=False)
        pieces = sum(token.strip(_WORD_BEGINS) != "" for token in encoded.tokens)
        least, enough = _PIECES
        return min(max((letters / max(pieces, 1) - least) / (enough - least), 0.0), 1.0)

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
            # One window ahead: the threads need not wait for the writer, and memory stays bounded.
            if len(under_way) > 1:
                yield from under_way.popleft()
        yield from chain.from_iterable(under_way)

    def _begin(self, window: Sequence[str], size: int) -> Iterator[Vector]:
        """Start embedding on the threads; the returned iterator waits for the results."""
        # A batch is padded to its longest text.
        order = sorted(range(len(window)), key=lambda i: len(window[i]), reverse=True)
        batches = [[window[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
        return _in_order(order, [self._pool.submit(self._passages, batch) for batch in batches])

    def _question(self, text: str) -> Vector:
        return self._vector(self._before_question + cleaned(text))

    def _vector(self, text: str) -> Vector:
        if self._shipped:
            return tuple(self._graph.vector(text).tolist())
        (vector,) = self._of_passages.query_embed([text])
        return tuple(vector.tolist())

    def _read(self, before: str, text: str) -> Read:
        if self._shipped is None:
            return Read(text, self._vector(before + text))
        states, places = self._states(before, text)
        pooled = states.mean(axis=0) if self._shipped.averages else states[0]
        vector = tuple((pooled / (pooled @ pooled) ** 0.5).tolist())
        own = tuple((start - len(before), end - len(before)) for start, end in places.values())
        return Read(text, vector, own, states[list(places)] - self._centre)

    def _states(self, before: str, text: str) -> "tuple[NDArray[floating], dict[int, tuple[int, int]]]":
        """Returns the states of all tokens, and of those of the text itself the beginning and the end by their row."""
        states, tokens = self._graph.states(before + text)
        # Special tokens have no length, and those of the prefix begin before the text.
        first = len(before.rstrip())
        return states, {row: (a, b) for row, (a, b) in enumerate(tokens.offsets) if first <= a < b}

    @cached_property
    def _centre(self) -> "NDArray[floating]":
        """Mean of the token states of texts of all kinds."""
        import numpy as np

        return np.asarray(
            json.loads((self._shipped_folder / _CENTRE).read_text(encoding="ascii")), np.float32
        )

    def _passages(self, texts: Sequence[str]) -> list[Vector]:
        prepared = [self._before_passage + cleaned(text) for text in texts]
        return [tuple(vector.tolist()) for vector in self._of_passages.passage_embed(prepared)]

    @cached_property
    def _graph(self) -> "Graph":
        """The tokenizer and the graph of a shipped model that read single texts."""
        assert self._shipped
        file = self._shipped_folder / self._shipped.graph
        from preceptor.library import graph  # heavy: the command line starts without it

        with _named(self.model):
            return graph.opened(file, limit=self._shipped.limit, averages=self._shipped.averages)

    @cached_property
    def _of_passages(self) -> "TextEmbedding":
        if self._shipped:
            return _opened(self.model, self._shipped_folder, download=False)
        return _opened(self.model, self._path, download=self._settings.download, tag=self._tag)

    @property
    def _shipped(self) -> _Shipped | None:
        return _SHIPPED.get(self.model.lower()) if self._path is None else None

    @cached_property
    def _shipped_folder(self) -> Path:
        """Returns the folder of the shipped model after checking its files."""
        sums = self._shipped.sha256 if self._shipped else {}
        folder = shipped(self._shipped.folder if self._shipped else "")
        digests = {name: self._pool.submit(_sha256, folder / name) for name in sums}
        importlib.import_module("onnxruntime")  # 0.1 s, in which the digests are taken
        for name, expected in sums.items():
            if digests[name].result() != expected:
                raise EmbeddingModelDamaged(folder / name, expected=expected, found=digests[name].result())
        return folder


def cleaned(text: str) -> str:
    """Returns `text` in a form that every tokenizer can read: a lone surrogate becomes `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def models_for(tag: str) -> list[str]:
    """Returns the models that read a language, each with its size: the shipped ones, then fastembed's, smallest first.

    Args:
        tag: BCP 47 tag of the language.
    """
    from fastembed import TextEmbedding

    name = language(tag).name
    reads = re.compile(rf"\b{name}\b|\b(?i:multi-?lingual)\b(?! \([A-Z])").search
    fetched = sorted(
        (float(one["size_in_GB"]), str(one["model"]))
        for one in TextEmbedding.list_supported_models()
        if one["model"] not in (ENGLISH, MULTILINGUAL)
        and reads(one["description"])
        and "image" not in one["description"]
    )
    return [
        *([f"`{ENGLISH}` (comes with Preceptor, 35 MB)"] if name == "English" else []),
        f"`{MULTILINGUAL}` (comes with Preceptor, 83 MB)",
        *(f"`{one}` ({size:.2f} GB to fetch, and as much memory)" for size, one in fetched),
    ]


def _opened(model: str, folder: Path | None, *, download: bool, tag: str = "en") -> "TextEmbedding":
    from fastembed import TextEmbedding  # heavy: the command line starts without it
    from loguru import logger

    logger.disable("fastembed")  # what it prints, the error raised here says
    _describe_multilingual()
    known = {str(one["model"]).lower(): one for one in TextEmbedding.list_supported_models()}
    found = known.get(model.lower())
    if found is None:
        fitting = ", ".join(models_for(tag)[:_NAMED])
        raise EmbeddingModelUnavailable(
            model, f"fastembed has no model of this name; models that read {language(tag).name}: {fitting}"
        )
    options: dict[str, Any] = {"model_name": found["model"], "threads": 1}
    with _named(model):
        if folder is not None:
            return TextEmbedding(**options, specific_model_path=str(folder))
        try:
            # What was fetched once serves without a network.
            return TextEmbedding(**options, local_files_only=True)
        except ValueError:
            if not download:
                raise
        _ask_hub(found["sources"]["hf"])
        return TextEmbedding(**options)


@contextmanager
def _named(model: str) -> Generator[None]:
    """Names the exceptions of what opens a model."""
    try:
        yield
    except Exception as error:  # onnxruntime and tokenizers raise bare ones
        raise EmbeddingModelUnavailable(model, str(error).partition("\n")[0].rstrip(".")) from error


def _describe_multilingual() -> None:
    """Describes to fastembed the shipped model that it does not know."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    with _describing:  # registering a name twice is an error
        if MULTILINGUAL not in {one["model"] for one in TextEmbedding.list_supported_models()}:
            TextEmbedding.add_custom_model(
                model=MULTILINGUAL,
                pooling=PoolingType.MEAN,
                normalization=True,
                sources=ModelSource(url="shipped"),  # it wants one, and does not ask it
                dim=_SHIPPED[MULTILINGUAL.lower()].dimensions,
                model_file=_MULTILINGUAL_GRAPH,
            )


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

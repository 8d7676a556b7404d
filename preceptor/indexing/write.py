"""Embeds passages and stores them batch by batch; a batch is stored while the next ones are embedded."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice, repeat

from preceptor.indexing.plan import Plan
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.passage import Passage
from preceptor.library.protocol import IndexWriter, Vectors, Written
from preceptor.text.tokens import Bm25

_WINDOW = 512
"""Number of passages sorted by length together: enough that texts of similar length share a batch."""
_UNDER_WAY = 48 * (os.cpu_count() or 1)
"""Number of passages embedded ahead of storage: enough for every core, and no more to lose."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Passages that are stored together."""

    passages: Sequence[Passage]
    known: Mapping[str, Vectors]
    """Vectors that the index already has, by passage id."""

    @property
    def embedded(self) -> int:
        """Number of passages that need new vectors."""
        return len(self.passages) - len(self.known)


class Embedding:
    """Makes the vectors of passages."""

    def __init__(self, dense: DenseEmbedder, bm25: Bm25, multilingual: DenseEmbedder | None = None) -> None:
        self._dense = dense
        self._bm25 = bm25
        self._multilingual = multilingual

    def vectors(self, batch: Batch) -> list[Vectors]:
        """Returns the vectors of a batch, in order."""
        texts = {one.id: one.embedded_text for one in batch.passages if one.id not in batch.known}
        dense = self._dense.passages(texts.values()) if texts else ()
        second = self._multilingual.passages(texts.values()) if texts and self._multilingual else repeat(())
        made = {
            point: Vectors(vector, self._bm25.passage(text), other)
            for (point, text), vector, other in zip(texts.items(), dense, second, strict=False)
        }
        return [batch.known.get(one.id) or made[one.id] for one in batch.passages]


async def write(
    writer: IndexWriter,
    plan: Plan,
    ids: Collection[str],
    there: Mapping[str, Written],
    *,
    embedding: Embedding,
    batch_size: int,
) -> AsyncGenerator[Batch, None]:
    """Stores passages with their vectors; yields each batch as soon as it is stored.

    Args:
        writer: Writer of the collection.
        plan: Holds the passages.
        ids: Ids of the passages to store.
        there: Passages that the writer already has; vectors of the same text are reused.
        embedding: Makes the others.
        batch_size: Passages that are embedded and stored at once.
    """
    ahead = max(1, _UNDER_WAY // batch_size)
    under_way: deque[tuple[Batch, asyncio.Task[list[Vectors]]]] = deque()
    model_is_loaded = False
    async with aclosing(_batches(writer, plan.passages(ids), there, batch_size)) as batches:
        try:
            while True:
                # One batch at first: several threads would load the model at once.
                while len(under_way) <= (ahead if model_is_loaded else 0):
                    batch = await anext(batches, None)
                    if batch is None:
                        break
                    under_way.append(
                        (batch, asyncio.create_task(asyncio.to_thread(embedding.vectors, batch)))
                    )
                if not under_way:
                    return
                batch, made = under_way.popleft()
                await writer.put(batch.passages, await made)
                model_is_loaded = model_is_loaded or batch.embedded > 0
                yield batch
        finally:
            for _, made in under_way:
                made.cancel()
            await asyncio.gather(*(made for _, made in under_way), return_exceptions=True)


async def _batches(
    writer: IndexWriter, passages: Iterator[Passage], there: Mapping[str, Written], size: int
) -> AsyncGenerator[Batch, None]:
    """Yields batches of passages of similar length, with vectors that the index has under any id."""
    place_of = {written.fingerprint: point for point, written in there.items()}
    overwritten: set[str] = set()
    while window := list(islice(passages, _WINDOW)):
        sources = {one.id: _source(one, there, place_of) for one in window}
        wanted = {source for source in sources.values() if source is not None and source not in overwritten}
        stored = {point: vectors async for point, vectors in writer.vectors(list(wanted))}
        # When the next window is read, the index may hold other vectors under these ids.
        overwritten.update(sources)
        window.sort(key=lambda one: len(one.text), reverse=True)
        for start in range(0, len(window), size):
            batch = window[start : start + size]
            known = {one.id: stored[source] for one in batch if (source := sources[one.id]) in stored}
            yield Batch(batch, known)


def _source(passage: Passage, there: Mapping[str, Written], place_of: Mapping[str, str]) -> str | None:
    """Returns the id under which the index has a passage of the same text, preferably its own."""
    own = there.get(passage.id)
    if own is not None and own.fingerprint == passage.fingerprint:
        return passage.id
    return place_of.get(passage.fingerprint)

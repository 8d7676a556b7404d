"""Both engines as the indexer and the server use them, for the tests."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.library.passage import Passage
from preceptor.library.protocol import Engine, Index, IndexInfo, Scores, Vectors, Written
from tests.library.books import INFO, vectors


def engine_at(where: Path | str) -> Engine:
    """The embedded engine in a folder, or the cloud engine at an address, with `#NAME` in a shared collection."""
    if isinstance(where, Path):
        from preceptor.library.embedded import Embedded

        return Embedded(where)

    from preceptor.library.cloud import (
        QdrantCloud,
    )  # takes a second: a process that writes files does without

    address, _, shared = where.partition("#")
    return QdrantCloud(address, shared=shared)


async def publish(
    engine: Engine,
    passages: Sequence[Passage],
    *,
    info: IndexInfo = INFO,
    collection: str = "robots",
    rebuild: bool = False,
) -> int:
    """Write a book as the indexer does; give back how many passages had to be put."""
    writer = await engine.write(collection, info, rebuild=rebuild)
    try:
        known = await writer.written()
        new = [passage for passage in passages if known.get(passage.id) != Written.of(passage)]
        for start in range(0, len(new), 7):
            batch = new[start : start + 7]
            made = vectors(batch, dimensions=info.dimensions)
            if info.multilingual_model:
                second = vectors(batch, dimensions=info.multilingual_dimensions)
                made = [replace(one, multilingual=two.dense) for one, two in zip(made, second, strict=True)]
            await writer.put(batch, made)
        await writer.publish(info, [passage.id for passage in passages])
        return len(new)
    finally:
        await writer.close()


async def everything(engine: Engine, collection: str = "robots") -> list[Passage]:
    """Passages that a reader who opens the index now finds in it, in reading order."""
    index = await engine.open(collection)
    found = [passage for chapter in await index.chapters() for passage in await index.passages(chapter.id)]
    await index.close()
    return found


@dataclass(frozen=True, slots=True)
class Candidates:
    """Hits of both halves of a hybrid search, as (passage, raw score), best first."""

    dense: Sequence[tuple[Passage, float]]
    bm25: Sequence[tuple[Passage, float]]


async def candidates(index: Index, vectors: Vectors, *, chapter: str | None, limit: int) -> Candidates:
    """Everything that may be chosen, from a search that chooses all of it."""
    halves: list[Scores] = []

    def all_of_them(dense: Scores, bm25: Scores, _: Scores | None) -> Sequence[str]:
        halves[:] = dense, bm25
        return list({**dense, **bm25})

    chosen = await index.chosen(vectors, all_of_them, chapter=chapter, limit=limit)
    passages = {passage.id: passage for passage in chosen}
    return Candidates(*([(passages[one], score) for one, score in half.items()] for half in halves))

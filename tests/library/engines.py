"""Both engines as the indexer and the server use them, for the tests."""

from collections.abc import Sequence
from pathlib import Path

from preceptor.library.passage import Passage
from preceptor.library.protocol import Engine, IndexInfo, Written
from tests.library.books import INFO, vectors


def engine_at(where: Path | str) -> Engine:
    """The embedded engine in a folder, or the cloud engine at an address."""
    if isinstance(where, Path):
        from preceptor.library.embedded import Embedded

        return Embedded(where)

    from preceptor.library.cloud import (
        QdrantCloud,
    )  # takes a second: a process that writes files does without

    return QdrantCloud(where)


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
            await writer.put(batch, vectors(batch, dimensions=info.dimensions))
        await writer.publish(info, [passage.id for passage in passages])
        return len(new)
    finally:
        await writer.close()


async def everything(engine: Engine, collection: str = "robots") -> list[Passage]:
    """What a reader who opens the index now finds in it, in reading order."""
    index = await engine.open(collection)
    found = [passage for chapter in await index.chapters() for passage in await index.passages(chapter.id)]
    await index.close()
    return found

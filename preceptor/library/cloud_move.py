"""Moving books between the layouts of Qdrant Cloud, with the vectors that they have."""

from preceptor.errors import IndexNotFound
from preceptor.library import schema
from preceptor.library.cloud import QdrantCloud
from preceptor.library.cloud_writer import vectors_of
from preceptor.library.passage import Passage
from preceptor.library.protocol import IndexInfo


async def move(collection: str, source: QdrantCloud, target: QdrantCloud) -> IndexInfo:
    """Copy the published version of a book into another layout and publish it there.

    Nothing is embedded again, and what an interrupted move has copied is not copied again. The book stays where it
    was, so that services that still read it there go on; `preceptor index --delete` removes it.

    Args:
        collection: Name under which the book is read, in both layouts.
        source: The cluster in the layout that has the book.
        target: The same cluster in the other layout.

    Raises:
        IndexNotFound: There is no such book.
        IndexLocked: Another process is writing it.
    """
    version = await source.published(collection)
    info, ids = version.info(), list[str]()
    writer = await target.write(collection, info)
    try:
        known = await writer.written()
        async for page in source.points(version):
            passages = [
                (Passage.from_payload(version.place.passage(one), one.payload or {}), one) for one in page
            ]
            ids += [passage.id for passage, _ in passages]
            lacking = [
                both for both in passages if known.get(both[0].id) != schema.written(both[1].payload or {})
            ]
            if lacking:
                await writer.put(
                    [passage for passage, _ in lacking], [vectors_of(one.vector) for _, one in lacking]
                )
        await writer.publish(info, ids)
    finally:
        await writer.close()
    return info


async def move_all(source: QdrantCloud, target: QdrantCloud) -> list[str]:
    """Move every book that is in one layout and not in the other; returns their names.

    Raises:
        IndexNotFound: There is no book to move.
    """
    there, names = set(await target.collections()), await source.collections()
    moved = [name for name in names if name not in there]
    if not names:
        raise IndexNotFound("*", source.where, sorted(there))
    for name in moved:
        await move(name, source, target)
    return moved

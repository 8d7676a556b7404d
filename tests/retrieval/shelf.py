"""Small books that are really embedded and indexed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from preceptor.library.embedded import Embedded
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.passage import Passage, passage_id, passage_key
from preceptor.library.protocol import SCHEMA_VERSION, IndexInfo, Vectors
from preceptor.text.tokens import Bm25

ROBOTS = {
    "middleware/nodes": (
        "A node is a process that computes. Nodes of one robot exchange messages over topics, so that a camera "
        "driver knows nothing of the planner that uses its pictures."
    ),
    "middleware/services": "A service answers a request once, like a function call over the network.",
    "simulation/isaac": "Isaac Sim needs a graphics card of the RTX series with at least 8 GB of video memory.",
    "simulation/latency": "The latency trap: a robot that is steered from a far data centre reacts too late.",
    "learning/policies": (
        "On-policy methods learn from the actions of the policy that they improve. Off-policy methods may learn "
        "from a replay buffer that another policy has filled."
    ),
    "humanoids/balance": "A biped falls unless its zero-moment point stays inside the soles of its feet.",
}
KITCHEN = {
    "bread/sourdough": "Feed the starter twice a day and let the dough rest overnight in a cool place.",
    "soup/stock": "Bones, onions and bay leaves simmer for six hours; skim the fat before you strain the stock.",
}


def passages(book: str, pages: dict[str, str], *, language: str = "en") -> list[Passage]:
    """A page with one section for each text."""
    made: list[Passage] = []
    taken: set[str] = set()
    for position, (chapter, text) in enumerate(pages.items()):
        point = passage_id(book, chapter, "", 0)
        key = passage_key(point, taken)
        taken.add(key)
        title = chapter.rpartition("/")[2].capitalize()
        made.append(
            Passage(
                id=point,
                key=key,
                book=book,
                chapter=chapter,
                title=title,
                breadcrumb=(book.capitalize(), title),
                url=f"/docs/{chapter}",
                anchor="",
                heading="",
                position=position,
                order=0,
                ordinal=0,
                text=text,
                language=language,
            )
        )
    return made


def describe(
    book: str,
    embedder: DenseEmbedder,
    *,
    second: DenseEmbedder | None = None,
    language: str = "en",
    avg_len: float = 30.0,
) -> IndexInfo:
    """Description of an index of such a book."""
    return IndexInfo(
        book=book,
        title=book.capitalize(),
        subject="",
        language=language,
        embedding_model=embedder.model,
        dimensions=embedder.dimensions,
        schema_version=SCHEMA_VERSION,
        chunk_size=200,
        chunk_overlap=0,
        bm25_avg_len=avg_len,
        built_at=datetime(2026, 1, 2, tzinfo=UTC),
        points=0,
        multilingual_model=second.model if second else "",
        multilingual_dimensions=second.dimensions if second else 0,
    )


async def publish(
    folder: Path,
    collection: str,
    info: IndexInfo,
    book: Sequence[Passage],
    embedder: DenseEmbedder,
    second: DenseEmbedder | None = None,
) -> None:
    """Embed passages and publish them as a collection in the folder."""
    bm25 = Bm25(info.language, info.bm25_avg_len)
    texts = [passage.embedded_text for passage in book]
    other = second.passages(texts) if second else [()] * len(texts)
    vectors = [
        Vectors(vector, bm25.passage(text), two)
        for text, vector, two in zip(texts, embedder.passages(texts), other, strict=True)
    ]
    engine = Embedded(folder)
    writer = await engine.write(collection, info)
    try:
        if book:
            await writer.put(book, vectors)
        await writer.publish(info, [passage.id for passage in book])
    finally:
        await writer.close()
        await engine.close()

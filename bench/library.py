"""Many made-up books: do searches stay in their book, and what does one among many cost more than one alone?

`embedded`: a folder for each book, in the product's own engine. `shared`: one collection for all of them, in the
loopback stand-in of Qdrant Cloud, which looks at every point of every book for each search; its times say nothing, so
that only hits and results are compared there, at a size that it can bear.

    python bench/library.py [--books 500] [--passages 1000] [--questions 10000] [--layout embedded]

Exit code 1 when a search finds another book's passage, when replacing one book changes another's results, or when (by
`--ratio`) the 95th percentile of a search within one book is too many times that of the same book alone.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from scale import (
    BATCH,
    MEAN_LENGTH,
    PER_CHAPTER,
    GivenVectors,
    Words,
    described,
    memory,
    place_of,
    since,
    vectors,
)

from preceptor.library.embedded import Embedded
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.library import Embedders, Library
from preceptor.library.passage import Hit, Passage, passage_id, passage_key
from preceptor.library.protocol import Engine, Vectors
from preceptor.settings import EmbeddingSettings, load_settings
from preceptor.text.tokens import Bm25

BLOCK = 20
"""Searches in a row, before the other index has its turn: what else the machine does then falls on both."""


def passages(book: str, size: int, seed: int) -> Iterator[Passage]:
    """The passages of a book; all books have their sentences from one source, so that each may be taken for another."""
    words, keys = Words(seed), set[str]()
    for number in range(size):
        chapter, anchor, ordinal = place_of(number)
        point = passage_id(book, chapter, anchor, ordinal)
        keys.add(key := passage_key(point, keys))
        yield Passage(
            id=point,
            key=key,
            book=book,
            chapter=chapter,
            title=chapter,
            breadcrumb=(book, chapter, anchor),
            url=f"/docs/{chapter}#{anchor}",
            anchor=anchor,
            heading=anchor,
            position=number // PER_CHAPTER,
            order=number % PER_CHAPTER,
            ordinal=ordinal,
            text=words.passage(size),
            language="en",
        )


async def build(engine: Engine, book: str, size: int, seed: int) -> None:
    """Write a book, as the indexer does."""
    bm25, made, ids = Bm25("en", MEAN_LENGTH), passages(book, size, seed), list[str]()
    info = replace(described(), book=book, title=book)
    writer = await engine.write(book, info)
    known = await writer.written()
    while batch := list(islice(made, BATCH)):
        dense = vectors(len(batch), seed * 1_000_003 + len(ids))
        await writer.put(
            batch, [Vectors(one, bm25.passage(p.embedded_text)) for one, p in zip(dense, batch, strict=True)]
        )
        ids += [one.id for one in batch]
    await writer.publish(info, ids)
    await writer.close()
    assert len({*known, *ids}) >= size


class VectorsByText(GivenVectors):
    """In the place of the embedding model: the same question has the same vector each time."""

    async def question(self, text: str) -> tuple[float, ...]:
        """The vector of a text."""
        return self._vectors[crc32(text.encode()) % len(self._vectors)]


class Asked:
    """Books that are open, and questions in their words."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self._engine = engine
        self._words = Words(seed)
        self._settings = load_settings("demo").search
        self._embedders = Embedders(EmbeddingSettings(), [cast("DenseEmbedder", VectorsByText(500))])
        self._open: dict[str, Library] = {}

    async def open(self, book: str) -> Library:
        """An open book."""
        if book not in self._open:
            index = await self._engine.open(book)
            self._open[book] = Library([index], self._embedders, settings=self._settings)
        return self._open[book]

    def questions(self, count: int) -> list[str]:
        """Questions in words of the books."""
        return [self._words.question() for _ in range(count)]

    async def close(self) -> None:
        """Close all books."""
        for one in self._open.values():
            await one.close()


async def block(library: Library, questions: Sequence[str], times: list[float]) -> list[list[Hit]]:
    """Ask some questions, and note how long each search takes, in milliseconds."""
    found: list[list[Hit]] = []
    for question in questions:
        began = time.perf_counter()
        found.append(await library.search(question))
        times.append((time.perf_counter() - began) * 1000)
    return found


async def against_alone(many: Asked, alone: Asked, book: str, count: int) -> dict[str, Any]:
    """Times of searches within a book among many, and of the same book alone, in turn."""
    one, other, times = await many.open(book), await alone.open(book), (list[float](), list[float]())
    cpu = [0.0, 0.0]
    for library in (one, other):
        await block(library, many.questions(BLOCK), [])
    for _ in range(count // BLOCK):
        asked = many.questions(BLOCK)
        for place, library in enumerate((one, other)):
            began = time.process_time()
            await block(library, asked, times[place])
            cpu[place] += time.process_time() - began
    among, single = (percentile(each, 0.95) for each in times)
    return {
        "search_p95_ms": round(among, 2),
        "alone_p95_ms": round(single, 2),
        "ratio": round(among / single, 2),
        # What a busy machine does not change.
        "search_cpu_ms": round(cpu[0] / len(times[0]) * 1000, 2),
        "alone_cpu_ms": round(cpu[1] / len(times[1]) * 1000, 2),
        "cpu_ratio": round(cpu[0] / cpu[1], 2),
    }


def disk(folder: Path) -> float:
    """Space that the files take, in MiB."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 2**20


def percentile(times: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


def results(found: Sequence[Sequence[Hit]]) -> list[list[tuple[str, float]]]:
    """Returns what a reader would see of each search."""
    return [[(hit.passage.id, round(hit.score, 5)) for hit in hits] for hits in found]


async def measure(
    engine: Engine, lone: Engine, args: argparse.Namespace, folder: Path | None
) -> dict[str, Any]:
    """Build the books, ask, replace one, ask again."""
    chosen, began = random.Random(3), time.perf_counter()
    names = [f"book-{number:03}" for number in range(args.books)]
    for seed, name in enumerate(names):
        await build(engine, name, args.passages, seed)
    row: dict[str, Any] = {"build_s": round(since(began))}
    await build(lone, names[0], args.passages, 0)
    if folder is not None:
        row["disk_mib_per_book"] = round(disk(folder) / args.books, 2)
    many, alone = Asked(engine, 7), Asked(lone, 7)
    await block(await many.open(names[0]), many.questions(BLOCK), [])  # what all of them have in common
    before, own, began = memory("VmRSS"), memory("RssAnon"), time.perf_counter()
    for name in names:
        await many.open(name)
    row["open_ms_per_book"] = round((time.perf_counter() - began) * 1000 / args.books, 1)
    row["memory_mib_per_book"] = round((memory("VmRSS") - before) / (args.books - 1), 2)
    if folder is not None:
        row |= await against_alone(many, alone, names[0], min(args.questions, 1000))
    strangers, times = 0, list[float]()
    for _ in range(args.questions // BLOCK):
        name = chosen.choice(names)
        for hits in await block(await many.open(name), many.questions(BLOCK), times):
            strangers += sum(hit.passage.book != name for hit in hits)
    row |= {"questions": len(times), "hits_of_another_book": strangers}
    row["searched_memory_mib_per_book"] = round((memory("VmRSS") - before) / (args.books - 1), 2)
    # The rest are pages of the index's files, which the system takes back when it needs them.
    row["own_memory_mib_per_book"] = round((memory("RssAnon") - own) / (args.books - 1), 2)
    watched, asked = names[1:11], many.questions(BLOCK)
    seen = [results(await block(await many.open(name), asked, [])) for name in watched]
    await build(engine, names[0], args.passages, 10**6)
    again = [results(await block(await many.open(name), asked, [])) for name in watched]
    row["books_changed_by_replacing_another"] = sum(one != two for one, two in zip(seen, again, strict=True))
    if folder is None:
        # Scores are those of the book alone only if words are counted in the book alone.
        await build(lone, names[1], args.passages, 1)
        pairs = [await block(await each.open(names[1]), asked, []) for each in (many, alone)]
        row["searches_unlike_the_book_alone"] = sum(
            one != two for one, two in zip(*map(results, pairs), strict=True)
        )
    await many.close()
    await alone.close()
    return row


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one layout."""
    with ExitStack() as stack:
        if args.layout == "embedded":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            lone = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            async with Embedded(folder) as engine, Embedded(lone) as single:
                return await measure(engine, single, args, folder)
        sys.path.insert(0, str(Path(__file__).parent.parent))
        from preceptor.library.cloud import QdrantCloud
        from tests.standins.qdrant import QdrantStandIn

        qdrant, other = (stack.enter_context(QdrantStandIn()) for _ in range(2))
        # Patient: the stand-in computes in Python.
        async with (
            QdrantCloud(qdrant.url, shared="library", timeout=60) as engine,
            QdrantCloud(other.url, timeout=60) as single,
        ):
            return await measure(engine, single, args, None)


def main() -> None:
    """Print a JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--books", type=int, default=500)
    parser.add_argument("--passages", type=int, default=1000, help="of a book")
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--layout", choices=("embedded", "shared"), default="embedded")
    parser.add_argument("--ratio", type=float, default=1.3, help="largest p95 of one among many to one alone")
    args = parser.parse_args()
    head = {"bench": "library", "layout": args.layout, "books": args.books, "passages": args.passages}
    row = {**head, **asyncio.run(run(args))}
    print(json.dumps(row))
    wrong = (
        row["hits_of_another_book"]
        or row["books_changed_by_replacing_another"]
        or row.get("searches_unlike_the_book_alone", 0)
        or row.get("ratio", 0) > args.ratio
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

"""How the embedded library grows: made-up books of any size through the product's own writer and its own search.

A passage has sentences of the sample book, a few words that hardly another one has (a real vocabulary grows with the
book), and a random vector, so nothing here says how good the results are, only which share of the nearest passages
is found. Each index is opened in a process of its own. Of a question only its embedding is left out; its vector is
random, too. 1,000,000 passages take about 15 min and 8 GB.

    python bench/scale.py [--sizes 1000 10000] [--searches 200]
"""

import argparse
import asyncio
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from qdrant_edge import Query

from preceptor.library import edge
from preceptor.library.embedded import Embedded
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.library import Embedders, Library
from preceptor.library.passage import Passage, passage_id, passage_key
from preceptor.library.protocol import SCHEMA_VERSION, IndexInfo, Vectors
from preceptor.library.schema import DENSE, TIES
from preceptor.settings import EmbeddingSettings, load_settings, shipped
from preceptor.text.tokens import Bm25

MODEL, DIMENSIONS, MEAN_LENGTH = "BAAI/bge-small-en-v1.5", 384, 70.0
PER_CHAPTER = 40
BATCH = 256


class Words:
    """Sentences of the sample book in random order."""

    def __init__(self, seed: int) -> None:
        pages = sorted(shipped("examples/physical-ai").glob("docs/**/*.md"))
        text = " ".join(page.read_text(encoding="utf-8") for page in pages)
        self.sentences = [one for one in re.split(r"(?<=[.!?])\s+", text) if 20 < len(one) < 400]
        self.random = random.Random(seed)

    def passage(self, size: int) -> str:
        """Text of a passage in a book of `size`."""
        chosen = self.random.choices(self.sentences, k=self.random.randint(4, 8))
        rare = (f"term{int(self.random.paretovariate(0.4)) % size}" for _ in range(4))
        return " ".join([*chosen, *rare])

    def question(self) -> str:
        """A question in words of the book."""
        words = self.random.choice(self.sentences).split()
        start = self.random.randrange(max(1, len(words) - 10))
        return f"What is {' '.join(words[start : start + self.random.randint(4, 10)])}?"


def vectors(count: int, seed: int) -> list[tuple[float, ...]]:
    """Random directions."""
    made = np.random.default_rng(seed).standard_normal((count, DIMENSIONS))
    return [tuple(one.tolist()) for one in made / np.linalg.norm(made, axis=1, keepdims=True)]


class GivenVectors:
    """In the place of the embedding model."""

    model, dimensions, tokenizer = MODEL, DIMENSIONS, None

    def __init__(self, count: int) -> None:
        self._vectors = vectors(count, 10**9)
        self._next = 0

    async def question(self, text: str) -> tuple[float, ...]:
        """The next vector."""
        self._next += 1
        return self._vectors[self._next % len(self._vectors)]

    def vocabulary_coverage(self, text: str) -> float:
        """All of it."""
        return 1.0

    def close(self) -> None:
        """Do nothing."""


def described() -> IndexInfo:
    """The description of the made-up book."""
    now = datetime.now(UTC)
    return IndexInfo(
        "scale", "Scale", "", "en", MODEL, DIMENSIONS, SCHEMA_VERSION, 200, 0, MEAN_LENGTH, now, 0
    )


def place_of(number: int) -> tuple[str, str, int]:
    """Chapter, anchor and ordinal of a passage."""
    order = number % PER_CHAPTER
    return f"part-{number // PER_CHAPTER}", f"s{order // 2}", order % 2


def passages(size: int) -> Iterator[Passage]:
    """The passages of a book."""
    words, keys = Words(1), set[str]()
    for number in range(size):
        order = number % PER_CHAPTER
        chapter, anchor, ordinal = place_of(number)
        place = passage_id("scale", chapter, anchor, ordinal)
        keys.add(key := passage_key(place, keys))
        yield Passage(
            id=place,
            key=key,
            book="scale",
            chapter=chapter,
            title=chapter,
            breadcrumb=("Scale", chapter, anchor),
            url=f"/docs/{chapter}#{anchor}",
            anchor=anchor,
            heading=anchor,
            position=number // PER_CHAPTER,
            order=order,
            ordinal=ordinal,
            text=words.passage(size),
            language="en",
        )


async def build(folder: Path, size: int) -> dict[str, Any]:
    """Write a book."""
    began, cpu = time.perf_counter(), time.process_time()
    engine, bm25, made = Embedded(folder), Bm25("en", MEAN_LENGTH), passages(size)
    writer, ids = await engine.write("scale", described()), list[str]()
    while batch := list(islice(made, BATCH)):
        dense = vectors(len(batch), len(ids))
        both = [Vectors(one, bm25.passage(p.embedded_text)) for one, p in zip(dense, batch, strict=True)]
        await writer.put(batch, both)
        ids += [one.id for one in batch]
    await writer.publish(described(), ids)
    await writer.close()
    await engine.close()
    return {"build_s": since(began), "build_cpu_s": round(time.process_time() - cpu, 1)}


def recall(collection: Path, size: int, searches: int, wanted: int = 100) -> float:
    """Share of the true nearest passages among the dense half's candidates."""
    version = json.loads((collection / "current.json").read_text("utf-8"))["current"]
    shard = edge.load(collection / version / "shard")
    number = {passage_id("scale", *place_of(one)): one for one in range(size)}
    batches = [vectors(min(BATCH, size - start), start) for start in range(0, size, BATCH)]
    every = np.concatenate([np.asarray(one, dtype=np.float32) for one in batches])
    found = 0
    for question in vectors(searches, 10**9):
        nearest = np.argpartition(every @ np.asarray(question, dtype=np.float32), -wanted)[-wanted:]
        request = edge.nearest(Query.Nearest([*question], using=DENSE), within=None, limit=wanted + TIES)
        hits = shard.query(request)[:wanted]
        found += len({number[str(hit.id)] for hit in hits} & set(nearest.tolist()))
    shard.close()
    return round(found / wanted / searches, 4)


async def search(folder: Path, size: int, searches: int) -> dict[str, Any]:
    """Open a book and search it."""
    before, began, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    engine = Embedded(folder)
    index = await engine.open("scale")
    row = {"open_ms": since(began) * 1000, "open_cpu_ms": round((time.process_time() - cpu) * 1000)}
    row["open_mib"] = round(memory("VmRSS") - before)
    embedders = Embedders(EmbeddingSettings(), [cast("DenseEmbedder", GivenVectors(searches))])
    library = Library([index], embedders, settings=load_settings("demo").search)
    words = Words(2)
    row |= await timed(library.search, [words.question() for _ in range(searches)])
    for name in ("outline_cpu_ms", "outline_again_cpu_ms"):
        cpu = time.process_time()
        await index.chapters()
        row[name] = round((time.process_time() - cpu) * 1000, 1)
    row["peak_mib"] = round(memory("VmHWM"))
    row["recall"] = recall(folder / "scale", size, searches)
    await library.close()
    await engine.close()
    return row


async def timed(call: Callable[[str], Awaitable[Any]], questions: Sequence[str]) -> dict[str, Any]:
    """Milliseconds of a search, and of its CPU, at the median and at the 95th percentile."""
    await call(questions[0])
    clock, cpu = list[float](), list[float]()
    for question in questions:
        began, used = time.perf_counter(), time.process_time()
        await call(question)
        clock.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - used) * 1000)
    return {
        f"search_{name}p{share}_ms": round(sorted(times)[math.ceil(share / 100 * len(times)) - 1], 2)
        for name, times in (("", clock), ("cpu_", cpu))
        for share in (50, 95)
    }


def since(began: float) -> float:
    """Seconds."""
    return round(time.perf_counter() - began, 3)


def memory(what: str) -> float:
    """A line of the process's status, in MiB."""
    return int(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def main() -> None:
    """Print a JSON line for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], help="passages")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.open:
        print(json.dumps(asyncio.run(search(args.open, args.sizes[0], args.searches))))
        return
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            row = {"bench": "scale", "passages": size, **asyncio.run(build(Path(folder), size))}
            command = [
                sys.executable,
                __file__,
                "--open",
                folder,
                "--sizes",
                str(size),
                "--searches",
                str(args.searches),
            ]
            row |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

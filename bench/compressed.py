"""Ways to keep the dense vectors of a book in the embedded engine: what each finds, takes in memory, and costs.

Random vectors, of which nothing is near anything: real ones are kinder. Each way is opened in a process of its own,
which asks for the 100 nearest of each question, as a search does, and says how many of the true 6 nearest are the
first 6 of them. Compressed vectors are looked at again by the true ones, three times as many as are wanted.

    python bench/compressed.py [--passages 100000] [--searches 100]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeOptimizersConfig,
    EdgeShard,
    EdgeVectorParams,
    HnswIndexConfig,
    Memory,
    Point,
    Query,
    ScalarQuantizationConfig,
    ScalarType,
    TurboQuantBitSize,
    TurboQuantQuantizationConfig,
)
from scale import BATCH, DIMENSIONS, memory, since, vectors

from preceptor.library import edge
from preceptor.library.schema import DENSE

SHOWN, WANTED = 6, 100
QUESTIONS = 10**9
"""Seed of the questions."""
WAYS: dict[str, tuple[Any, Any]] = {
    "as they are": (None, None),
    "on disk": (Memory.Cold, None),
    "on disk, one byte a number in memory": (
        Memory.Cold,
        ScalarQuantizationConfig(type=ScalarType.Int8, quantile=0.99, memory=Memory.Pinned),
    ),
    "on disk, four bits a number in memory": (
        Memory.Cold,
        TurboQuantQuantizationConfig(bits=TurboQuantBitSize.Bits4, memory=Memory.Pinned),
    ),
}


def build(folder: Path, way: str, size: int) -> None:
    """Write the vectors."""
    place, compression = WAYS[way]
    dense = EdgeVectorParams(
        size=DIMENSIONS,
        distance=Distance.Cosine,
        memory=place,
        hnsw_config=HnswIndexConfig(m=0, payload_m=0, ef_construct=16, full_scan_threshold=0),
        quantization_config=compression,
    )
    config = EdgeConfig(
        vectors={DENSE: dense},
        optimizers=EdgeOptimizersConfig(default_segment_number=2, indexing_threshold=1),
        wal_enabled=False,
    )
    folder.mkdir()
    shard = EdgeShard.create(str(folder), config)
    for start in range(0, size, BATCH):
        made = vectors(min(BATCH, size - start), start)
        edge.upsert(
            shard,
            [Point(str(UUID(int=start + place)), {DENSE: [*one]}, {}) for place, one in enumerate(made)],
        )
    shard.optimize()
    shard.close()


def nearest(size: int, searches: int) -> list[list[int]]:
    """The true nearest of each question, best first."""
    every = np.concatenate(
        [
            np.asarray(vectors(min(BATCH, size - start), start), dtype=np.float32)
            for start in range(0, size, BATCH)
        ]
    )
    asked = np.asarray(vectors(searches, QUESTIONS), dtype=np.float32)
    return [np.argsort(every @ one)[::-1][:SHOWN].tolist() for one in asked]


def search(folder: Path, searches: int) -> dict[str, Any]:
    """Open the shard and ask."""
    before = {what: memory(what) for what in ("RssAnon", "RssFile")}
    shard = edge.load(folder)
    asked = vectors(searches, QUESTIONS)
    cpu = time.process_time()
    found = [
        [
            UUID(str(hit.id)).int
            for hit in shard.query(
                edge.nearest(Query.Nearest([*one], using=DENSE), within=None, limit=WANTED)
            )
        ][:SHOWN]
        for one in asked
    ]
    used = time.process_time() - cpu
    row = {
        "search_cpu_ms": round(used / searches * 1000, 2),
        "own_mib": round(memory("RssAnon") - before["RssAnon"]),
        "file_pages_mib": round(memory("RssFile") - before["RssFile"]),
        "found": found,
    }
    shard.close()
    return row


def main() -> None:
    """Print a JSON line for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.open:
        print(json.dumps(search(args.open, args.searches)))
        return
    true = nearest(args.passages, args.searches)
    for way in WAYS:
        with tempfile.TemporaryDirectory() as made:
            folder, began = Path(made) / "shard", time.perf_counter()
            build(folder, way, args.passages)
            row: dict[str, Any] = {"bench": "compressed", "way": way, "passages": args.passages}
            row["build_s"] = since(began)
            command = [sys.executable, __file__, "--open", str(folder), "--searches", str(args.searches)]
            row |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            hits = [len({*one} & {*other}) for one, other in zip(row.pop("found"), true, strict=True)]
            row["recall_at_6"] = round(sum(hits) / SHOWN / len(hits), 4)
            files = [file for file in folder.rglob("*") if file.is_file()]
            row["disk_mib"] = round(sum(file.stat().st_blocks * 512 for file in files) / 2**20)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

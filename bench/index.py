"""Indexing a book: speed beside bare fastembed, what an unchanged book costs, and memory for growing books.

`ratio`: passages per second of a whole run (read, split, embed, write, publish) over those of fastembed alone
embedding the same texts with the same model and threads; both in this process, in turn. fastembed is given batches
of `index.batch_size` texts as they come, a run embeds 16 of similar length at a time: which of both sizes makes
little difference in CPU, and the smaller one takes much less memory. fastembed's model is loaded before its clock
starts, ours is not. `cpu_ratio`: the same by CPU time of all threads, which says
more on a machine that has other work to do.

`unchanged_share`: the time of `preceptor index` over a book that did not change over that of the first run, both
as processes of their own, start included.

`--pages`: books of so many small pages are made up; each is indexed by `preceptor index` in a process of its own,
every passage embedded; `mb` is that process's peak memory.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastembed import TextEmbedding

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.library.embedding import ENGLISH
from preceptor.settings import Settings, load_settings, shipped

_MODEL = "library/models/bge-small-en-v1.5-int8"


def settings_in(folder: Path) -> Settings:
    """The demo's, with the index in a folder."""
    return load_settings("demo", overrides={"index": {"path": str(folder)}})


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def index(book: Path, settings: Settings) -> None:
    """A whole run."""

    async def run() -> None:
        engine = open_engine(settings)
        await Indexing(book, settings).into(engine)
        await engine.close()

    asyncio.run(run())


def throughput(book: Path, rounds: int) -> dict[str, Any]:
    """Both sides in turn; passages per second by the best round, since other work can only slow one down."""
    settings = load_settings("demo")
    texts = [one.embedded_text for _, made in Indexing(book, settings).pages() for one in made]
    model = TextEmbedding(
        ENGLISH, specific_model_path=str(shipped(_MODEL)), threads=settings.embedding.threads
    )
    list(model.passage_embed(texts[:1]))

    def embed() -> None:
        for _ in model.passage_embed(texts, batch_size=settings.index.batch_size):
            pass

    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    for _ in range(rounds):
        bare.append(timed(embed))
        with tempfile.TemporaryDirectory() as folder:
            in_folder = settings_in(Path(folder))
            ours.append(timed(lambda settings=in_folder: index(book, settings)))
    by_clock, by_cpu = (
        statistics.median(one[side] / other[side] for one, other in zip(bare, ours, strict=True))
        for side in (0, 1)
    )
    return {
        "passages": len(texts),
        "bare_passages_per_s": round(len(texts) / min(clock for clock, _ in bare), 1),
        "run_passages_per_s": round(len(texts) / min(clock for clock, _ in ours), 1),
        "ratio": round(by_clock, 2),
        "cpu_ratio": round(by_cpu, 2),
    }


def process(book: Path, folder: Path) -> tuple[float, float, dict[str, Any]]:
    """One `preceptor index`: seconds, peak MiB, and its summary."""
    command = [
        sys.executable,
        "-m",
        "preceptor",
        "index",
        "--quiet",
        "--json",
        "--env",
        "demo",
        "--source",
        str(book),
    ]
    began = time.perf_counter()
    environment = {**os.environ, "PRECEPTOR_INDEX__PATH": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        summary = json.loads(running.stdout.read())
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - began, used.ru_maxrss / 1024, summary


def unchanged(book: Path, rounds: int) -> dict[str, Any]:
    """The first run and those that follow."""
    with tempfile.TemporaryDirectory() as folder:
        first, _, _ = process(book, Path(folder))
        again = [process(book, Path(folder)) for _ in range(rounds)]
    assert all(summary["embedded"] == 0 for _, _, summary in again)
    seconds = statistics.median(seconds for seconds, _, _ in again)
    return {
        "first_s": round(first, 2),
        "unchanged_s": round(seconds, 2),
        "unchanged_share": round(seconds / first, 4),
    }


def memory(pages: int) -> dict[str, Any]:
    """Peak memory of a run over a book of this number of pages."""
    with tempfile.TemporaryDirectory() as folder:
        docs = Path(folder) / "book/docs"
        docs.mkdir(parents=True)
        for number in range(pages):
            what = f"has {number % 97} joints and {number % 13} sensors, and works for {number % 7} hours"
            (docs / f"robot-{number}.md").write_text(f"# Robot {number}\n\nRobot {number} {what}.\n")
        seconds, peak, summary = process(docs.parent, Path(folder) / "index")
        again, peak_again, _ = process(docs.parent, Path(folder) / "index")
    assert summary["embedded"] == pages
    return {
        "pages": pages,
        "mb": round(peak),
        "s": round(seconds, 1),
        "unchanged_mb": round(peak_again),
        "unchanged_s": round(again, 1),
    }


def measure(book: Path | None, rounds: int, sizes: Sequence[int]) -> dict[str, Any]:
    """All that was asked for."""
    # First, while this process is small: the system counts a process's peak from that of the one that starts it.
    memories = [memory(pages) for pages in sizes]
    result: dict[str, Any] = {"bench": "index", "memory": memories} if sizes else {"bench": "index"}
    if book is not None:
        result |= {"book": book.name, **unchanged(book, rounds), **throughput(book, rounds)}
    return result


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("book", type=Path, nargs="?", help="folder of a book")
    parser.add_argument("--pages", type=int, nargs="+", default=[], help="sizes of made-up books")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON line")
    args = parser.parse_args()
    if args.book is None and not args.pages:
        parser.error("give a book, --pages, or both")
    result = measure(args.book, args.rounds, args.pages)
    if args.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22} {value}")


if __name__ == "__main__":
    main()

"""How well the offline tutor tells whether the book answers a question.

The file has a question, a passage and a label (`answerable` or not) in each line, as JSON. All passages become the
pages of one book under their titles, which goes the product's own way: split, embedded, written to an embedded
index. Each question is then asked of the whole book, as a reader would: its own passage is mostly what comes up,
and either answers it or is only about the same thing.

`auc`: how often an answerable question has more coverage than one that is not; one half would be guessing.
`auc_score`: the same of the search's score alone.
`answered`, `refused`: shares at the tutor's threshold, of those with an answer and of those without one.

    python bench/abstain.py ../shared/evalsets/agent/clapnq-answerability-half.jsonl
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval import guess_language, index, write_pages

from preceptor.agents.offline import THRESHOLD, judged
from preceptor.library.embedded import Embedded
from preceptor.library.library import open_library
from preceptor.settings import load_settings


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


async def measure(file: Path, work: Path) -> dict[str, Any]:
    """Index the passages, ask all questions, compare."""
    rows = read(file)
    pages = [
        {"_id": number, "title": row.get("title"), "text": row["passage"]} for number, row in enumerate(rows)
    ]
    book = work / "book"
    write_pages(pages, book)
    language = guess_language("\n".join(row["passage"] for row in rows[:50]))
    overrides = {
        "book": {"language": language, "title": file.stem},
        "site": {"preset": "plain"},
        "index": {"collection": "book", "path": work / "index", "backend": "embedded"},
    }
    settings = load_settings("local", overrides=overrides, folder=work)
    passages = await index(book, settings)
    engine = Embedded(settings.index.path)
    library = await open_library(engine, settings)
    scores: list[float] = []
    coverages: list[float] = []
    began = time.process_time()
    try:
        for row in rows:
            hits = await library.search(row["question"])
            covered, _ = await judged(row["question"], hits, library.likeness)
            scores.append(hits[0].score if hits else 0.0)
            coverages.append(covered)
    finally:
        await library.close()
        await engine.close()
    cpu = (time.process_time() - began) / len(rows)
    answerable = [row["label"] == "answerable" for row in rows]
    return {
        "bench": "abstain",
        "set": file.stem,
        "language": language,
        "passages": passages,
        "answerable": sum(answerable),
        "unanswerable": len(rows) - sum(answerable),
        "auc": round(auc(coverages, answerable), 4),
        "auc_score": round(auc(scores, answerable), 4),
        "answered": share([one >= THRESHOLD for one, yes in zip(coverages, answerable, strict=True) if yes]),
        "refused": share(
            [one < THRESHOLD for one, yes in zip(coverages, answerable, strict=True) if not yes]
        ),
        "cpu_ms": round(1000 * cpu, 1),
    }


def auc(values: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve: the share of pairs in the right order, ties counting half."""
    higher = [value for value, label in zip(values, labels, strict=True) if label]
    lower = [value for value, label in zip(values, labels, strict=True) if not label]
    won = sum((one > other) + (one == other) / 2 for one in higher for other in lower)
    return won / max(len(higher) * len(lower), 1)


def share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON line for each file")
    args = parser.parse_args()
    for file in args.files:
        with tempfile.TemporaryDirectory() as work:
            result = asyncio.run(measure(file, Path(work)))
        if args.json:
            print(json.dumps(result), flush=True)
        else:
            print("\n".join(f"{name:14} {value}" for name, value in result.items()), flush=True)


if __name__ == "__main__":
    main()

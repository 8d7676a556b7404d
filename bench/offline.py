"""How good the offline tutor's answers are: the gold answer stands in what it quotes, and it quotes little.

Each folder is a set in BEIR form whose questions have `answers`. Its documents become the pages of a book, which
goes the product's own way, and every question is asked of the offline tutor as a reader asks it. An answer counts
when a gold answer stands in its text, whole words, letter case and punctuation aside.

`found`: share of all questions; a refusal counts as not found.
`found_first`: the same of the first quotation alone. `found_quoted`: among the questions that were not refused.
`refused`: share that the tutor declined, though the book has the answer.
`quotations`, `words`: what is quoted for a question, in the mean of the answered ones.
`passage`: for comparison, what quoting the whole best passage would give, which finds more and says less.

    python bench/offline.py ../shared/evalsets/xquad-en ../shared/evalsets/xquad-es
"""

import argparse
import asyncio
import json
import re
import tempfile
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import set_trace_processors
from retrieval import guess_language, index, write_pages

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.settings import load_settings

MARKER = re.compile(r"\s*\[\d+\]")


async def measure(folder: Path, work: Path, limit: int | None) -> dict[str, Any]:
    """Index the documents, ask all questions, look for their answers."""
    corpus, questions = rows(folder / "corpus.jsonl"), rows(folder / "queries.jsonl")[:limit]
    write_pages(corpus, work / "book")
    language = guess_language("\n".join(document["text"] for document in corpus[:50]))
    overrides = {
        "book": {"language": language, "title": folder.name},
        "site": {"preset": "plain"},
        "index": {"collection": "book", "path": work / "index", "backend": "embedded"},
        "session": {"url": f"sqlite:///{work}/sessions.db"},
    }
    settings = load_settings("demo", overrides=overrides, folder=work)
    passages = await index(work / "book", settings)
    set_trace_processors([])
    async with open_preceptor(settings) as preceptor:
        began = time.process_time()
        answers = [await preceptor.ask(Question(text=question["text"])) for question in questions]
        cpu = (time.process_time() - began) / len(questions)
        found = [await preceptor.library.search(question["text"], limit=1) for question in questions]
    best = [hits[0].passage.text if hits else "" for hits in found]
    quoted = [MARKER.sub("", answer.text) if answer.in_book else "" for answer in answers]
    gold = [question["answers"] for question in questions]
    answered = [(text, right) for text, right in zip(quoted, gold, strict=True) if text]
    return {
        "bench": "offline",
        "set": folder.name,
        "language": language,
        "passages": passages,
        "questions": len(questions),
        "found": mean([holds(text, right) for text, right in zip(quoted, gold, strict=True)]),
        "found_first": mean(
            [holds(text.split("\n\n")[0], right) for text, right in zip(quoted, gold, strict=True)]
        ),
        "found_quoted": mean([holds(text, right) for text, right in answered]),
        "refused": mean([not text for text in quoted]),
        "quotations": mean([len(text.split("\n\n")) for text, _ in answered]),
        "words": mean([len(text.split()) for text, _ in answered]),
        "passage": {
            "found": mean([holds(text, right) for text, right in zip(best, gold, strict=True)]),
            "words": mean([len(text.split()) for text in best]),
        },
        "cpu_ms": round(1000 * cpu, 1),
    }


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def holds(text: str, gold: Sequence[str]) -> bool:
    """Whether one of the gold answers stands in a text."""
    words = f" {plain(text)} "
    return any(f" {plain(answer)} " in words for answer in gold)


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON line for each folder")
    parser.add_argument("--limit-queries", type=int, metavar="N", help="only the first N questions")
    args = parser.parse_args()
    for folder in args.folders:
        with tempfile.TemporaryDirectory() as work:
            result = asyncio.run(measure(folder, Path(work), args.limit_queries))
        if args.json:
            print(json.dumps(result), flush=True)
        else:
            print("\n".join(f"{name:14} {value}" for name, value in result.items()), flush=True)


if __name__ == "__main__":
    main()

"""How well the right document is found: BM25 alone, the dense half alone, both fused, and reranked where asked for.

Each folder is a set in BEIR form (corpus.jsonl, queries.jsonl, qrels.tsv). Its documents become the pages of a
book, which goes the product's own way: split, embedded, written to an embedded index, searched. A document
scores as its best passage. `--index` keeps the indexes, so that the next run embeds only what has changed.
`--reranker` names the folder of a cross-encoder (`model.onnx` and its tokenizer): the best passages of the fusion
are put into its order, those behind them keep theirs; `rerank_ms` is the CPU time of that for one question.
`--model` names another embedding model than the one that the documents choose, `--readers` the languages of the
questions.

    python bench/retrieval.py ../shared/evalsets/scifact ../shared/evalsets/xquad-es
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ir_measures
from fastembed.common.model_description import ModelSource
from fastembed.rerank.cross_encoder import TextCrossEncoder
from ir_measures import RR, R, nDCG

from preceptor.indexing.run import Indexing
from preceptor.library.embedded import Embedded
from preceptor.library.embedding import cleaned
from preceptor.library.library import open_library
from preceptor.library.passage import Hit
from preceptor.settings import Settings, load_settings
from preceptor.text.languages import language_of, languages
from preceptor.text.tokens import Bm25

MEASURES = {"nDCG@10": nDCG @ 10, "R@5": R @ 5, "R@10": R @ 10, "MRR": RR}
ALL = 1_000_000
STOP_WORDS = 0.2
"""Share of the tokens of a text that are stop words when its language is the right one, at least."""

RERANKED = 20
"""Passages that the cross-encoder reads for each question."""
FUSION_RERANK = "fusion + rerank"

SCORES: dict[str, Callable[[Hit], float | None]] = {
    "bm25": lambda hit: hit.bm25,
    "dense": lambda hit: hit.dense,
    "fusion": lambda hit: hit.score,
}

Runs = dict[str, dict[str, dict[str, float]]]
"""By ranking, then by query: documents and their scores."""


@dataclass(frozen=True)
class BeirSet:
    """A set of documents, questions and judgements."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's."""
        return self.folder.name

    def corpus(self) -> list[dict[str, Any]]:
        """Documents with `_id`, `title` and `text`."""
        return list(_rows(self.folder / "corpus.jsonl"))

    def queries(self, limit: int | None) -> dict[str, str]:
        """The first `limit` questions by their ids."""
        return {str(row["_id"]): row["text"] for row in list(_rows(self.folder / "queries.jsonl"))[:limit]}

    def qrels(self) -> Iterator[ir_measures.Qrel]:
        """Which document answers which question."""
        for line in (self.folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            query, document, grade = line.split("\t")
            yield ir_measures.Qrel(query, document, int(grade))


class Reranker:
    """A cross-encoder of the folder's, and the time it takes."""

    def __init__(self, folder: Path) -> None:
        """Load it.

        Raises:
            ValueError: The folder holds no such model.
        """
        for name in ("model.onnx", "tokenizer.json", "tokenizer_config.json"):
            if not (folder / name).is_file():
                raise ValueError(f"`{folder}` is no folder of a reranker: it has no `{name}`")
        name = f"local/{folder.name}"
        # It wants a source, and asks none: the files are here.
        TextCrossEncoder.add_custom_model(name, sources=ModelSource(url="local"), model_file="model.onnx")
        try:
            self._model = TextCrossEncoder(name, specific_model_path=str(folder), local_files_only=True)
            self.scores("warm", ["up"])
        except Exception as error:  # onnxruntime and tokenizers raise bare ones
            raise ValueError(f"`{folder}` is no folder of a reranker: {error}") from error
        self.cpu_ms: list[float] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the query; they are read by length, so that little padding is."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        read = self._model.rerank(cleaned(query), [cleaned(texts[place]) for place in order], batch_size=4)
        by_place = dict(zip(order, read, strict=True))
        return [by_place[place] for place in range(len(texts))]

    def reordered(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits, the best of them by the cross-encoder; `score` only tells the order."""
        began = time.process_time()
        scores = self.scores(query, [hit.passage.embedded_text for hit in hits[:RERANKED]])
        self.cpu_ms.append((time.process_time() - began) * 1000)
        best = sorted(zip(scores, range(len(scores)), strict=True), key=lambda one: (-one[0], one[1]))
        order = [*(hits[place] for _, place in best), *hits[RERANKED:]]
        return [replace(hit, score=-float(place)) for place, hit in enumerate(order)]


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def guess_language(text: str) -> str:
    """By its script; in Latin script by whose stop words it is full of."""
    by_script = language_of(text, default="und")
    if by_script != "und":
        return by_script
    words = Bm25("und", 1).length(text)
    stemmed = (one.tag for one in languages().values() if one.stemmer)
    share, language = max((1 - Bm25(one, 1).length(text) / words, one) for one in stemmed)
    return language if share > STOP_WORDS else "und"


def write_pages(corpus: Sequence[dict[str, Any]], book: Path) -> dict[str, str]:
    """A Markdown page for each document.

    Returns:
        The document's id by that of its chapter.
    """
    book.mkdir(parents=True)
    for number, document in enumerate(corpus):
        title = (document.get("title") or "").strip() or book.name
        (book / f"d{number}.md").write_text(
            f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\n---\n\n{document['text']}\n",
            encoding="utf-8",
        )
    return {f"d{number}": str(document["_id"]) for number, document in enumerate(corpus)}


async def index(source: Path, settings: Settings) -> int:
    """Bring the index up to date; give back how many passages there are."""

    def tell(stage: str, done: int, whole: int) -> None:
        if sys.stderr.isatty() or done == whole:
            print(f"\r{source.name}: {stage} {done}/{whole}  ", end="", file=sys.stderr)

    engine = Embedded(settings.index.path)
    try:
        summary = await Indexing(source, settings, progress=tell).into(engine)
    finally:
        await engine.close()
    print(file=sys.stderr)
    for failure in summary.failed:
        print(f"{source.name}/{failure.source}: {failure.reason}", file=sys.stderr)
    return summary.passages


async def search(
    queries: dict[str, str], document_of: dict[str, str], settings: Settings, reranker: Reranker | None
) -> Runs:
    """Every ranking of every query, at the level of documents."""
    engine = Embedded(settings.index.path)
    library = await open_library(engine, settings)
    runs: Runs = {name: {} for name in (*SCORES, *([FUSION_RERANK] if reranker else []))}
    try:
        for query, text in queries.items():
            hits = await library.search(text, limit=ALL)
            for name, score in SCORES.items():
                runs[name][query] = pooled(hits, score, document_of)
            if reranker:
                hits = reranker.reordered(text, hits)
                runs[FUSION_RERANK][query] = pooled(hits, SCORES["fusion"], document_of)
    finally:
        await library.close()
        await engine.close()
    return runs


def pooled(
    hits: Sequence[Hit], score: Callable[[Hit], float | None], document_of: dict[str, str]
) -> dict[str, float]:
    """The best score of each document's passages."""
    best: dict[str, float] = {}
    for hit in hits:
        found = score(hit)
        if found is not None:
            document = document_of[hit.passage.chapter]
            best[document] = max(found, best.get(document, found))
    return best


async def measure(
    data: BeirSet, args: argparse.Namespace, work: Path, reranker: Reranker | None
) -> dict[str, Any]:
    """All measures of all rankings of one set."""
    corpus = data.corpus()
    language = args.language or guess_language("\n".join(document["text"] for document in corpus[:50]))
    document_of = write_pages(corpus, work / "books" / data.name)
    overrides: dict[str, dict[str, Any]] = {
        "book": {"language": language, "title": data.name},
        "site": {"preset": "plain"},
        "index": {"collection": data.name, "path": args.index or work / "index", "backend": "embedded"},
    }
    if args.chunk_size:
        overrides["index"]["chunk_size"] = args.chunk_size
    if args.model:
        overrides["embedding"] = {"model": args.model}
    if args.readers:
        overrides["book"]["readers"] = args.readers
    settings = load_settings("local", overrides=overrides, folder=work)
    passages = await index(work / "books" / data.name, settings)
    queries = data.queries(args.limit_queries)
    runs = await search(queries, document_of, settings, reranker)
    qrels = [qrel for qrel in data.qrels() if qrel.query_id in queries]
    result: dict[str, Any] = {
        "set": data.name,
        "language": language,
        "documents": len(corpus),
        "passages": passages,
        "queries": len({qrel.query_id for qrel in qrels}),
        **{name: evaluate(qrels, run) for name, run in runs.items()},
    }
    if reranker:
        result["rerank_ms"] = round(statistics.mean(reranker.cpu_ms[-len(queries) :]))
    return result


def evaluate(qrels: Sequence[ir_measures.Qrel], run: dict[str, dict[str, float]]) -> dict[str, float]:
    """Means over the queries that have a judgement."""
    found = ir_measures.calc_aggregate(list(MEASURES.values()), qrels, run)
    return {name: round(found[measure], 4) for name, measure in MEASURES.items()}


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """One line for each set and ranking; `gain` is over the better half."""
    head = " ".join(f"{name:>8}" for name in MEASURES)
    print(f"{'set':18} {'passages':>8} {'queries':>7}  {'ranking':15} {head} {'gain':>7}")
    for result in results:
        better = max(result["bm25"]["nDCG@10"], result["dense"]["nDCG@10"])
        for name in (name for name in (*SCORES, FUSION_RERANK) if name in result):
            numbers = " ".join(f"{result[name][measure]:8.4f}" for measure in MEASURES)
            gain = f" {result[name]['nDCG@10'] - better:+7.4f}" if name.startswith("fusion") else ""
            cost = f" {result['rerank_ms']:6} ms" if name == FUSION_RERANK else ""
            of = f"{result['set']:18} {result['passages']:8} {result['queries']:7}"
            print(f"{of}  {name:15} {numbers}{gain}{cost}")


async def main() -> None:
    """Measure each folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="one JSON line for each set instead of a table")
    parser.add_argument("--limit-queries", type=int, metavar="N", help="only the first N questions")
    parser.add_argument("--language", help="BCP 47 tag for all sets; default: guessed from the documents")
    parser.add_argument("--chunk-size", type=int, help="default: `index.chunk_size`")
    parser.add_argument(
        "--model", help="name of the embedding model; default: the one that reads the documents"
    )
    parser.add_argument(
        "--readers", nargs="+", metavar="TAG", help="languages of the questions, as `book.readers` has them"
    )
    parser.add_argument("--index", type=Path, metavar="FOLDER", help="keep the indexes here")
    parser.add_argument(
        "--reranker", type=Path, metavar="FOLDER", help=f"a cross-encoder for the best {RERANKED} passages"
    )
    args = parser.parse_args()
    try:
        reranker = Reranker(args.reranker) if args.reranker else None
    except ValueError as error:
        parser.error(str(error))
    results: list[dict[str, Any]] = []
    for folder in args.folders:
        with tempfile.TemporaryDirectory() as work:
            results.append(await measure(BeirSet(folder), args, Path(work), reranker))
        if args.json:
            print(json.dumps(results[-1]), flush=True)
    if not args.json:
        print_table(results)


if __name__ == "__main__":
    asyncio.run(main())

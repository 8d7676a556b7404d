"""Make retrieval sets that are hard in one way each, out of the open ones: `bench/retrieval.py` measures them.

    python bench/more_sets.py ../shared /tmp/sets && python bench/retrieval.py /tmp/sets/*

Made are: questions on passages of another language (x); questions without their rarest words that the right
document has (gap); with letters swapped (typo); cut to two keywords (keys); sets transcribed letter by letter
into a script that the embedding model does not know (cipher); ClapNQ's questions on its passages; headings
(head) and sentences (ict) of the books as questions for the pages that they were taken out of.
"""

import argparse
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.text.languages import language_of
from preceptor.text.sentences import split_sentences

Rows = list[dict[str, str]]
SCRIPTS = {"armenian": 0x561, "ethiopic": 0x1200, "arabic": 0x671, "cyrillic": 0x430, "georgian": 0x10D0}
BOOKS = {
    "drl": "deep-rl-course",
    "redux": "redux-docs",
    "docusaurus": "docusaurus-website/website/docs",
    "urdu": "physical-ai-textbook/i18n/ur/docusaurus-plugin-content-docs/current",
}
MOST = 300
"""Questions on a book."""


@dataclass(frozen=True)
class Set:
    """Documents, questions, and which document answers which question."""

    corpus: Rows
    queries: Rows
    qrels: list[tuple[str, str, str]]

    def part(self, start: int, step: int) -> "Set":
        """Every `step`-th question, from `start` on."""
        return self.asked(self.queries[start::step])

    def asked(self, queries: Rows) -> "Set":
        """With these questions alone."""
        ids = {query["_id"] for query in queries}
        return replace(self, queries=queries, qrels=[one for one in self.qrels if one[0] in ids])

    def written(self, change: Callable[[str], str]) -> "Set":
        """With every text changed."""
        fields = ("title", "text")
        corpus, queries = (
            [
                {**row, **{field: change(row.get(field) or "") for field in fields if field in row}}
                for row in rows
            ]
            for rows in (self.corpus, self.queries)
        )
        return replace(self, corpus=corpus, queries=queries)


def read(folder: Path) -> Set:
    """A set in BEIR form."""
    qrels = [tuple(line.split("\t")) for line in (folder / "qrels.tsv").read_text().splitlines()[1:]]
    return Set(_rows(folder / "corpus.jsonl"), _rows(folder / "queries.jsonl"), qrels)  # type: ignore[arg-type]


def write(data: Set, folder: Path) -> None:
    """A set in BEIR form."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus", data.corpus), ("queries", data.queries)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in data.qrels)]
    (folder / "qrels.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{folder.name}: {len(data.corpus)} documents, {len(data.queries)} questions")


def _rows(file: Path) -> Rows:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def words(text: str) -> list[str]:
    """In lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())


def frequencies(data: Set) -> Counter[str]:
    """In how many documents a word is."""
    return Counter(
        word for row in data.corpus for word in set(words(f"{row.get('title') or ''} {row['text']}"))
    )


def clapnq(file: Path) -> Set:
    """The questions that have an answer, on all passages."""
    first: dict[str, dict[str, str]] = {}
    rows = _rows(file)
    for row in rows:
        first.setdefault(row["passage"], row)
    answered = [row for row in rows if row["label"] == "answerable"]
    return Set(
        [{"_id": row["id"], "title": row["title"], "text": text} for text, row in first.items()],
        [{"_id": row["id"], "text": row["question"]} for row in answered],
        [(row["id"], first[row["passage"]]["id"], "1") for row in answered],
    )


def gap(data: Set, size: int) -> Set:
    """Questions without the `size` rarest words that they share with a right document."""
    frequency, by_id = frequencies(data), {row["_id"]: row for row in data.corpus}
    right: dict[str, set[str]] = defaultdict(set)
    for query, document, _ in data.qrels:
        row = by_id[document]
        right[query] |= set(words(f"{row.get('title') or ''} {row['text']}"))
    queries: Rows = []
    for query in data.queries:
        shared = set(words(query["text"])) & right[query["_id"]]
        gone = set(sorted(shared, key=lambda word: (frequency[word], word))[:size])
        text = " ".join(word for word in query["text"].split() if not gone & set(words(word)))
        if len(text.split()) > 2:
            queries.append({"_id": query["_id"], "text": text})
    return data.asked(queries)


def typos(data: Set, chance: random.Random) -> Set:
    """Questions with two letters swapped in every second longer word."""

    def swapped(word: str) -> str:
        if len(word) < 4 or chance.random() < 0.5:
            return word
        at = chance.randrange(1, len(word) - 1)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return data.asked(
        [
            {"_id": query["_id"], "text": " ".join(map(swapped, query["text"].split()))}
            for query in data.queries
        ]
    )


def keywords(data: Set) -> Set:
    """Questions cut to their two rarest words."""
    frequency = frequencies(data)
    return data.asked(
        [
            {
                "_id": query["_id"],
                "text": " ".join(
                    sorted(set(words(query["text"])), key=lambda word: (frequency[word] or 1e9, word))[:2]
                ),
            }
            for query in data.queries
        ]
    )


def cipher(start: int) -> Callable[[str], str]:
    """Each Latin letter as one of another script."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    table = {
        ord(form): chr(start + i) for i, letter in enumerate(letters) for form in (letter, letter.upper())
    }
    return lambda text: text.translate(table)


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of every page of some length, without front matter, imports and tags."""
    for path in sorted(root.glob("**/*.md*")):
        text = path.read_text(errors="replace").replace("\r", "") if path.is_file() else ""
        text = re.sub(r"^---\n.*?\n---\n", "", text, flags=re.DOTALL)
        text = re.sub(r"^(import|export) .*$|<[^>\n]+>", "", text, flags=re.MULTILINE)
        if len(text.split()) > 60:
            yield str(path.relative_to(root)), text


def sections(text: str) -> list[tuple[str, str]]:
    """(heading, text below it)."""
    found = [("", "")]
    in_code = False
    for line in text.split("\n"):
        in_code ^= line.strip().startswith("```")
        heading = None if in_code else re.match(r"#{1,5}\s+(.*)", line)
        if heading:
            found.append((re.sub(r"\{#.*?\}|[*`_]", "", heading[1]).strip(), ""))
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}")
    return found


def headings(root: Path, chance: random.Random) -> Set:
    """Headings as questions for the pages that they were taken out of."""
    corpus: Rows = []
    queries: Rows = []
    for page, text in pages(root):
        parts = sections(text)
        corpus.append({"_id": page, "title": "", "text": "\n\n".join(below for _, below in parts)})
        queries += [
            {"_id": f"{page}#{number}", "text": heading}
            for number, (heading, below) in enumerate(parts)
            if len(heading.split()) > 1 and len(below.split()) > 30
        ]
    return _of_pages(corpus, queries, chance)


def sentences(root: Path, chance: random.Random) -> Set:
    """Up to three sentences of each page as questions for what is left of it."""
    corpus: Rows = []
    queries: Rows = []
    for page, text in pages(root):
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        found = [one.strip() for one in split_sentences(prose, language_of(prose) or "en")]
        found = [one for one in found if 8 <= len(one.split()) <= 30 and "\n" not in one]
        taken = chance.sample(found, min(3, len(found)))
        title = next((heading for heading, _ in sections(text) if heading), "")
        for number, sentence in enumerate(taken):
            queries.append({"_id": f"{page}#{number}", "text": sentence})
            text = text.replace(sentence, " ")
        corpus.append({"_id": page, "title": title, "text": text})
    return _of_pages(corpus, queries, chance)


def _of_pages(corpus: Rows, queries: Rows, chance: random.Random) -> Set:
    chosen = chance.sample(queries, min(MOST, len(queries)))
    return Set(corpus, chosen, [(row["_id"], row["_id"].rpartition("#")[0], "1") for row in chosen])


def main() -> None:
    """Write all sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="folder that holds evalsets/ and books/")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    chance = random.Random(7)
    english, spanish, scifact, quiz = (
        read(args.shared / "evalsets" / name)
        for name in ("xquad-en", "xquad-es", "scifact", "hf-deep-rl-quiz")
    )
    nq = clapnq(args.shared / "evalsets/agent/clapnq-answerability-half.jsonl")
    made = {
        "clapnq": nq,
        "clapnq-notitle": replace(nq, corpus=[{**row, "title": ""} for row in nq.corpus]),
        "x-en2es": replace(english, corpus=spanish.corpus).part(0, 2),
        "x-es2en": replace(spanish, corpus=english.corpus).part(0, 2),
        "gap1-xquad": gap(english.part(0, 3), 1),
        "gap2-clapnq": gap(nq, 2),
        "gap3-scifact": gap(scifact, 3),
        "typo-xquad": typos(english.part(1, 3), chance),
        "keys-xquad": keywords(english.part(2, 3)),
        "cipher-armenian": english.part(0, 3).written(cipher(SCRIPTS["armenian"])),
        "cipher-cyrillic": english.part(1, 3).written(cipher(SCRIPTS["cyrillic"])),
        "cipher-arabic": quiz.written(cipher(SCRIPTS["arabic"])),
        "cipher-ethiopic": nq.written(cipher(SCRIPTS["ethiopic"])),
        "cipher-georgian": nq.written(cipher(SCRIPTS["georgian"])),
    }
    for name, folder in BOOKS.items():
        made[f"head-{name}"] = headings(args.shared / "books" / folder, chance)
        made[f"ict-{name}"] = sentences(args.shared / "books" / folder, chance)
    for name, data in made.items():
        write(data, args.out / name)


if __name__ == "__main__":
    main()

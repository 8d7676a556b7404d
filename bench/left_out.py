"""Words of a book's pages that are in no passage of it, and what the run says that it left out.

    python bench/left_out.py BOOK[=ORACLE] [BOOK[=ORACLE] …] [--site NAME=VALUE …] [--words N] [--json]

Words that a reader sees are, where there is an oracle (see bench/links.py), the visible text of the real build; else
those of the source without what no reader sees: front matter, imports and exports, comments, tags with their
attributes, frames, `{code}`, addresses of links, the marks of directives, lists, emoji and lines of code, and what
stands after a fence. `left_out` is the share of them that the page's passages and headings lack, as a multiset;
`--words` shows the most frequent ones, each with a page.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from preceptor.indexing.discover import Book, discover
from preceptor.indexing.missing import Kind, Missing, by_kind
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.indexing.split import passages
from preceptor.settings import SiteSettings

_TOKENIZER = Path(__file__).parent.parent / "preceptor/library/models/bge-small-en-v1.5-int8/tokenizer.json"
_FENCED = re.compile(
    r"^[ \t>]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)^[ \t>]*(?P=fence)", re.DOTALL | re.MULTILINE
)
_SHELTER = re.compile(
    r"^[ \t]*(?P<fence>`{3,4})[ \t]*mdx-code-block\n(?P<inside>.*?)^[ \t]*(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_LINE_MARK = re.compile(r"^[^\n\w]*(?:REM )?highlight-(?:next-line|start|end)\b.*$", re.MULTILINE)
_UNSEEN = tuple(
    re.compile(pattern, re.DOTALL | re.MULTILINE)
    for pattern in (
        r"\A---\n.*?\n---\n",
        r"<!--.*?-->|\{/\*.*?\*/\}",
        r"^(?:import|export)\b.*?(?=\n\s*\n|\Z)",
        r"<(?:style|script|svg|iframe)\b.*?</(?:style|script|svg|iframe)>",
        r"</?[A-Za-z][\w.:-]*(?:\s+[\w:@.-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|\{(?:[^{}]|\{[^{}]*\})*\}|[^\s\"'>]+))?)*\s*/?>",
        r"\]\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+\"[^\"]*\"|\s+'[^']*')?\)|^\[[^\]\n]+\]:\s*\S+.*?$|<https?://[^>]*>",
        r"\{#[^}\n]*\}|\[\[[\w-]+\]\]",
        r"^[ \t]*:{3,}[\w-]*|^[ \t]*--8<--.*?$|\{\{#.*?\}\}",
        r"&\w+;|(?<![\w:]):\w+:(?![\w:])|^[ \t>]*\d+[.)](?=\s)",
    )
)


@dataclass(slots=True)
class Found:
    """Words of a book that its passages lack."""

    words: int = 0
    lacking: Counter[str] = field(default_factory=Counter[str])
    pages: dict[str, str] = field(default_factory=dict[str, str])
    """A page for each word."""
    kinds: list[Kind] = field(default_factory=list[Kind])
    repeated: Counter[str] = field(default_factory=Counter[str])

    @property
    def share(self) -> float:
        """Share of the words that readers see which the passages lack."""
        return self.lacking.total() / self.words if self.words else 0.0


def measure(folder: Path, oracle: Path | None, site: SiteSettings, tokenizer: Tokenizer) -> Found:
    """Hold a book's passages against what its readers see."""
    book = discover(folder, site)
    truths = _truths(oracle) if oracle else {}
    found, taken = Found(), set[str]()
    missing: dict[Missing, None] = dict.fromkeys(book.missing)
    for file in book.files:
        if file.status != "published" or file.path.suffix not in (".md", ".mdx", ".markdown"):
            continue
        page = read_page(book, file)
        missing |= dict.fromkeys(page.missing)
        if oracle and page.source not in truths:
            continue
        shown = (
            truths[page.source]
            if oracle
            else _visible(file.path.read_text(encoding="utf-8-sig", errors="replace"))
        )
        there, here = _words(shown), _words(" ".join(_held(page, book, tokenizer, taken, found)))
        lacking = there - here
        found.words += there.total()
        found.lacking += lacking
        found.pages.update(dict.fromkeys(lacking, page.source))
    found.kinds = by_kind(missing)
    return found


def _held(page: Page, book: Book, tokenizer: Tokenizer, taken: set[str], found: Found) -> Iterator[str]:
    """Texts of the page's passages, and its headings."""
    made = passages(
        page,
        book=book.id,
        book_title=book.title,
        tokenizer=tokenizer,
        chunk_size=200,
        chunk_overlap=0,
        taken=taken,
    )
    for passage in made:
        found.repeated[passage.text] += 1
        yield passage.text
    yield from (text for _, _, text in page.headings)


def _truths(oracle: Path) -> dict[str, str]:
    pages: list[dict[str, Any]] = json.loads(oracle.read_text(encoding="utf-8"))
    return {page["source"]: page.get("text", "") for page in pages}


def _visible(text: str) -> str:
    """The source without what no reader sees; code stays as it is."""
    text, codes = text.replace("\r\n", "\n"), list[str]()

    def aside(match: re.Match[str]) -> str:
        codes.append(_LINE_MARK.sub("", match["code"]))
        return "\n\n"

    text = _SHELTER.sub(lambda match: match["inside"], text)
    text = _FENCED.sub(aside, _UNSEEN[0].sub("", text))
    for pattern in _UNSEEN[1:]:
        text = pattern.sub(" ", text)
    return "\n".join([text, *codes])


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W_]+", text.lower()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("books", nargs="+", metavar="BOOK[=ORACLE]")
    parser.add_argument("--site", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--words", type=int, default=0, metavar="N")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    site = SiteSettings.model_validate(dict(option.split("=", 1) for option in args.site))
    tokenizer = Tokenizer.from_file(str(_TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    books: dict[str, Any] = {}
    for name in args.books:
        folder, _, oracle = name.partition("=")
        found = measure(Path(folder), Path(oracle) if oracle else None, site, tokenizer)
        repeats = sum(number - 1 for number in found.repeated.values() if number > 10)
        books[folder] = {
            "against": "the build" if oracle else "the source",
            "words": found.words,
            "lacking": found.lacking.total(),
            "left_out": round(found.share, 5),
            "repeats": repeats,
            "kinds": [str(kind) for kind in found.kinds],
        }
        if args.json:
            continue
        print(folder, *(f"{key} {value}" for key, value in books[folder].items() if key != "kinds"), sep="  ")
        for kind in found.kinds:
            print(f"    not taken in: {kind}")
        for word, number in found.lacking.most_common(args.words):
            print(f"    {number} {word} ({found.pages[word]})")
    if args.json:
        print(json.dumps({"bench": "left_out", "books": books}, ensure_ascii=False))


if __name__ == "__main__":
    main()

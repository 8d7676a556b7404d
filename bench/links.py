"""Links and headings of books against real builds of their sites.

    python bench/links.py BOOK ORACLE [BOOK ORACLE …] [--builds FOLDER] [--site NAME=VALUE …] [--json]

Books of any generator; without `--site` as their own files say. An oracle is a JSON list with, for each page of the
built site, `source` (below the book's folder), `permalink` (with or without the site's address), `headings` ([level, id
or null, text], in order) and `text` (what is visible, if it is known). A folder of builds holds JSON files with both,
the book's `files` and its `pages`, as tests/indexing/real-builds does. Reported are shares of what the oracle
has; `headings` are those with an id, and a page's count only where all of them are there, in order, and no other.
`recall` and `precision` compare words of the text, for a rough look: components are built by the site's own code.
"""

import argparse
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from preceptor.indexing.discover import discover
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.settings import SiteSettings


@dataclass(slots=True)
class Found:
    """How much of a book's oracle was met."""

    pages: int = 0
    permalinks: int = 0
    headings: int = 0
    headings_met: int = 0
    exact_pages: int = 0
    """Pages with all headings, those without an id included."""
    words: int = 0
    words_met: int = 0
    words_written: int = 0
    seconds: float = 0.0

    def add(self, page: Page | None, truth: dict[str, Any]) -> None:
        """Compare one page of the oracle."""
        wanted = [(level, anchor or "") for level, anchor, *_ in truth["headings"]]
        linked = [heading for heading in wanted if heading[1]]
        self.pages += 1
        self.headings += len(linked)
        if page is None:
            return
        got = [(level, anchor) for level, anchor, _ in page.headings]
        whole = urlsplit(truth["permalink"]).scheme != ""
        parts = urlsplit(page.url)
        path = page.url.removeprefix(f"{parts.scheme}://{parts.netloc}") if parts.scheme else page.url
        self.permalinks += (page.url if whole else path) == truth["permalink"]
        self.headings_met += len(linked) if [heading for heading in got if heading[1]] == linked else 0
        self.exact_pages += got == wanted
        here = _words(page.text) + Counter(
            word for _, _, text in page.headings for word in _words(text).elements()
        )
        there = _words(truth.get("text", ""))
        if not there:
            return
        self.words += there.total()
        self.words_met += (here & there).total()
        self.words_written += here.total()

    def shares(self) -> dict[str, float | int]:
        """The report on a book."""
        return {
            "pages": self.pages,
            "permalinks": round(self.permalinks / self.pages, 5),
            "headings": round(self.headings_met / self.headings, 5) if self.headings else 1.0,
            "pages_with_exact_headings": round(self.exact_pages / self.pages, 5),
            "recall": round(self.words_met / self.words, 4) if self.words else 1.0,
            "precision": round(self.words_met / self.words_written, 4) if self.words_written else 1.0,
            "pages_per_second": round(self.pages / self.seconds, 1),
        }


def compare(book: Path, truths: list[dict[str, Any]], site: SiteSettings) -> Found:
    """Read a book and hold it against its oracle."""
    found, began = Found(), time.process_time()
    found_book = discover(book, site)
    pages = {
        file.source: read_page(found_book, file) for file in found_book.files if file.status == "published"
    }
    found.seconds = time.process_time() - began
    for truth in truths:
        if not truth.get("draft") and not truth.get("unlisted"):
            found.add(pages.get(truth["source"]), truth)
    return found


def build(file: Path, site: SiteSettings) -> Found:
    """Compare a book that lies in one file with its oracle."""
    made: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder:
        for name, text in made["files"].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return compare(Path(folder), made["pages"], site)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="BOOK ORACLE")
    parser.add_argument("--builds", type=Path, metavar="FOLDER")
    parser.add_argument("--site", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if len(args.paths) % 2:
        parser.error("give each book with its oracle")
    site = SiteSettings.model_validate(dict(option.split("=", 1) for option in args.site))
    pairs = zip(args.paths[::2], args.paths[1::2], strict=True)
    shares = {
        book.name: compare(book, json.loads(oracle.read_text(encoding="utf-8")), site).shares()
        for book, oracle in pairs
    }
    for file in sorted(args.builds.glob("*.json")) if args.builds else ():
        shares[file.stem] = build(file, site).shares()
    if args.json:
        print(json.dumps({"bench": "links", "books": shares}))
        return
    for name, found in shares.items():
        print(name, *(f"{key} {value}" for key, value in found.items()), sep="  ")


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


if __name__ == "__main__":
    main()

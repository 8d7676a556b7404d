"""Small books on disk, and what their pages become."""

from collections.abc import Mapping
from pathlib import Path

from tokenizers import Tokenizer

from preceptor.indexing.discover import Book, discover
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.indexing.split import passages
from preceptor.library.passage import Passage
from preceptor.settings import SiteSettings

ROOT = Path(__file__).parent.parent.parent
SITE = SiteSettings()
TOKENIZER = ROOT / "preceptor/library/models/bge-small-en-v1.5-int8/tokenizer.json"


def model_tokenizer() -> Tokenizer:
    """The shipped embedding model's, without truncation and padding."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def book_of(folder: Path, files: Mapping[str, str | bytes], site: SiteSettings = SITE) -> Book:
    """A book that holds these files, by their paths."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return discover(folder, site)


def pages_of(folder: Path, files: Mapping[str, str | bytes], site: SiteSettings = SITE) -> dict[str, Page]:
    """The pages of a book that holds these files, by source, in reading order."""
    book = book_of(folder, files, site)
    return {file.source: read_page(book, file) for file in book.files}


def page_of(folder: Path, text: str | bytes, site: SiteSettings = SITE, *, name: str = "page.mdx") -> Page:
    """The page that this text becomes."""
    return pages_of(folder, {name: text}, site)[name]


def cut(page: Page, tokenizer: Tokenizer, *, size: int = 200, overlap: int = 0) -> list[Passage]:
    """The passages of a page of the book `Robots`."""
    return passages(
        page,
        book="robots",
        book_title="Robots",
        tokenizer=tokenizer,
        chunk_size=size,
        chunk_overlap=overlap,
        taken=set(),
    )

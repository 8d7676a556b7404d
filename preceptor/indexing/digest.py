"""One hash of everything that decides what an index holds: the same one, and there is nothing to do."""

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from preceptor import __version__
from preceptor.indexing.discover import CONVERTED, Book, files_below
from preceptor.library.protocol import SCHEMA_VERSION
from preceptor.settings import Settings

_READ = {".md", ".mdx", ".markdown", *CONVERTED}


def digest_of(book: Book, settings: Settings) -> str:
    """Of the book's files, the settings that passages depend on, and the code that makes them.

    Returns:
        32 hexadecimal digits; nothing when a file cannot be read.
    """
    index = settings.index
    decided = (
        __version__,
        SCHEMA_VERSION,
        book.id,
        book.title,
        settings.book.model_dump_json(),
        settings.site.model_dump_json(),
        settings.embedding.model,
        index.chunk_size,
        index.chunk_overlap,
        [(file.source, file.status) for file in book.files],
    )
    digest = hashlib.blake2b(repr(decided).encode(), digest_size=16)
    try:
        for name, content in chain(_contents(Path(__file__).parent, {".py"}), _contents(book.source, _READ)):
            digest.update(f"\n{name!r} {len(content)}\n".encode())
            digest.update(content)
    except OSError:
        return ""
    return digest.hexdigest()


def _contents(folder: Path, suffixes: set[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file that reading a page may take up."""
    for file in sorted(files_below(folder)):
        if (file.suffix in suffixes or file.name.startswith("_category_.")) and file.is_file():
            yield str(file.relative_to(folder)), file.read_bytes()

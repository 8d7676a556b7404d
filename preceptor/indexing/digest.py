"""A digest of everything that determines an index: if it is unchanged, there is nothing to do."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from preceptor import __version__
from preceptor.indexing.discover import Book, files_below
from preceptor.indexing.formats import FORMATS
from preceptor.indexing.include import references
from preceptor.indexing.sites.record import Part
from preceptor.library.protocol import SCHEMA_VERSION
from preceptor.settings import Settings

_LENGTH = 32
"""Length of the digest without the model's part."""
_UNKNOWN = "-" * _LENGTH
_PAGES = (".md", ".mdx", ".markdown")
_CONFIGURATIONS = ("book.toml", "mkdocs.yml", "mkdocs.yaml")
"""Files at the site's root that decide how pages take in others."""
_LARGEST = 1_000_000
"""Largest file that another takes in, in bytes."""


def digest_of(book: Book, settings: Settings) -> str:
    """Hashes the book's files, the settings that affect passages, and the code that makes them.

    Returns:
        32 hexadecimal digits (hyphens when a file cannot be read), and 32 of the model's files where the settings
        name it by its folder.
    """
    index = settings.index
    decided = (
        __version__,
        SCHEMA_VERSION,
        book.id,
        book.title,
        settings.book.model_dump_json(),
        book.language,
        [_decided(part, book.source) for part in book.parts],
        settings.embedding.model,
        index.chunk_size,
        index.chunk_overlap,
        [(file.source, file.status) for file in book.files],
    )
    digest = hashlib.blake2b(repr(decided).encode(), digest_size=16)
    apart = (folder for part in book.parts for folder in (part.docs, part.behind) if folder)
    folders = [book.source, *(folder for folder in apart if not folder.is_relative_to(book.source))]
    try:
        for name, content in chain(
            # The code, too: a page is read anew once its reader is fixed.
            _contents(Path(__file__).parent, {".py"}),
            *(_contents(folder, {*_PAGES, *FORMATS}) for folder in folders),
            _taken_in(book),
        ):
            digest.update(f"\n{name!r} {len(content)}\n".encode())
            digest.update(content)
    except OSError:
        # Equal to no digest, so that the next run reads the book again.
        return _UNKNOWN + _model(settings)
    return digest.hexdigest() + _model(settings)


def _decided(part: Part, source: Path) -> tuple[object, ...]:
    """Returns what decides a part's passages, wherever the book lies."""
    docs, site = os.path.relpath(part.docs, source), part.site.model_dump_json()
    extensions = part.dialect.extensions if part.dialect else {}
    return docs, site, part.contents, part.left_out, part.chapters, extensions


def incomplete(digest: str) -> str:
    """Digest of an incomplete index: model part only, so pages are re-read."""
    return _UNKNOWN + digest[_LENGTH:]


def is_unchanged(known: str, digest: str) -> bool:
    """Whether a run with the other digest would produce the index with the digest `known`."""
    return known == digest and not known.startswith(_UNKNOWN)


def same_model(known: str, digest: str) -> bool:
    """Whether a run can reuse the vectors of an index with the digest `known`."""
    return known[_LENGTH:] == digest[_LENGTH:]


def _model(settings: Settings) -> str:
    """Returns a hash of the model's files, for a model that the settings name by its folder."""
    folder = settings.embedding.path
    if folder is None:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted((*folder.glob("**/*.onnx*"), *folder.glob("**/*.json"))):
        with suppress(OSError), file.open("rb") as content:  # the model cannot read it either
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _contents(folder: Path, suffixes: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each file that a page may include."""
    for file in sorted(files_below(folder)):
        if (file.suffix in suffixes or file.name.startswith("_category_.")) and file.is_file():
            yield str(file.relative_to(folder)), file.read_bytes()


def _taken_in(book: Book) -> Iterator[tuple[str, bytes]]:
    """Yields name and content of each file that pages take in, and of the configuration that decides how."""
    for file in (book.root / name for name in _CONFIGURATIONS):
        if file.is_file():
            yield file.name, file.read_bytes()
    pages = {file.path: book.of(file) for file in book.files if file.path.suffix in _PAGES}
    waiting = list(pages.items())
    seen = {path.resolve() for path in pages}
    while waiting:
        path, part = waiting.pop()
        content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
        for found in references(content.decode(errors="replace"), path, part.reach, part.site.preset):
            if found not in seen:
                seen.add(found)
                waiting.append((found, part))
                if found.stat().st_size <= _LARGEST:
                    yield part.reach.name(found), found.read_bytes()

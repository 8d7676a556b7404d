"""Make `centre.json` beside each shipped model: the mean of the token states of some books' sentences.

    python -m bench.centre

Of each book 32 sentences at equal distances are read, by the graph for single texts, and each book counts the same. Any
books will do: with those of one book alone, or without the book that is asked about, the offline tutor decides and
chooses nearly the same (decision 0030).
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.indexing.split import passages
from preceptor.library.embedding import ENGLISH, MULTILINGUAL, DenseEmbedder
from preceptor.settings import EmbeddingSettings, SiteSettings, shipped
from preceptor.text.pieces import pieces
from tests.offline.labelled import BOOKS

OF: Mapping[str, tuple[str, Sequence[str]]] = {
    ENGLISH: (
        "bge-small-en-v1.5-int8",
        ("physical-ai", "physical-ai-textbook", "deep-rl-course", "xquad-en"),
    ),
    MULTILINGUAL: ("multilingual-e5-small-int4", ("zh", "ur", "xquad-es")),
}
SENTENCES = 32


def sentences(source: Path, embedder: DenseEmbedder, tag: str) -> list[str]:
    """Sentences at equal distances over a book."""
    book, taken, found = discover(source, SiteSettings()), set[str](), list[str]()
    for file in book.files:
        if file.status != "published" or file.path.suffix not in (".md", ".mdx"):
            continue
        made = passages(
            read_page(book, file),
            book=book.id,
            book_title=book.title,
            tokenizer=embedder.tokenizer,
            chunk_size=200,
            chunk_overlap=0,
            taken=taken,
        )
        found += [piece.text for one in made for piece in pieces(one.text, tag) if piece.kind == "sentence"]
    return [found[place * len(found) // SENTENCES] for place in range(SENTENCES)]


def states(embedder: DenseEmbedder, text: str) -> NDArray[np.float32]:
    """(tokens, dimensions) states of a sentence, without those of special tokens and of the prefix."""
    every, own = embedder._states(embedder._before_passage, text)
    return every[list(own)]


def main() -> None:
    """Write the files."""
    for name, (folder, books) in OF.items():
        embedder = DenseEmbedder(EmbeddingSettings(), model=name)
        means: list[NDArray[np.float32]] = []
        with tempfile.TemporaryDirectory() as work:
            for book in (BOOKS[one] for one in books):
                found = sentences(book.source(Path(work)), embedder, book.language)
                means.append(np.concatenate([states(embedder, one) for one in found]).mean(axis=0))
        embedder.close()
        centre = [round(float(value), 4) for value in np.mean(means, axis=0)]
        file = shipped(f"library/models/{folder}") / "centre.json"
        file.write_text(f"{json.dumps(centre)}\n", encoding="ascii")


if __name__ == "__main__":
    main()

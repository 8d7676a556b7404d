"""Small books with vectors for the tests of the engines: made from a seed, no embedding model needed."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from preceptor.library.passage import Image, Passage, passage_id, passage_key
from preceptor.library.protocol import SCHEMA_VERSION, IndexInfo, Vectors
from preceptor.text.tokens import SparseVector

DIMENSIONS = 384
"""Length of the dense vectors, as those of the shipped model have it."""

INFO = IndexInfo(
    book="robots",
    title="Robots",
    subject="robotics",
    language="en",
    embedding_model="made-up/model",
    dimensions=DIMENSIONS,
    schema_version=SCHEMA_VERSION,
    chunk_size=200,
    chunk_overlap=0,
    bm25_avg_len=87.3,
    built_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    points=0,
)


def book(chapters: int = 3, sections: int = 2, pieces: int = 2, *, edition: str = "first") -> list[Passage]:
    """Passages in reading order: an introduction without a heading, then sections of several pieces.

    Args:
        chapters: Pages.
        sections: Headings of a page.
        pieces: Passages of a section.
        edition: Part of every text; another edition has the same ids and other fingerprints.
    """
    passages: list[Passage] = []
    taken: set[str] = set()
    for position in range(chapters):
        chapter = f"part-{position % 2}/chapter-{position}"
        order = 0
        for section in range(sections + 1):
            anchor, heading = (f"section-{section}", f"Section {section}") if section else ("", "")
            for ordinal in range(pieces if section else 1):
                point = passage_id("robots", chapter, anchor, ordinal)
                key = passage_key(point, taken)
                taken.add(key)
                passages.append(
                    Passage(
                        id=point,
                        key=key,
                        book="robots",
                        chapter=chapter,
                        title=f"Chapter {position}",
                        breadcrumb=("Robots", f"Chapter {position}", *([heading] if heading else [])),
                        url=f"/docs/{chapter}#{anchor}" if anchor else f"/docs/{chapter}",
                        anchor=anchor,
                        heading=heading,
                        position=position,
                        order=order,
                        ordinal=ordinal,
                        text=f"Was „{heading}“ sagt — {edition} edition, piece {ordinal}. یہ روبوٹ ہے۔",
                        language="en",
                        images=() if order else (Image("/img/a%20b.png", "ایک بازو"), Image("/c.png", "„C“")),
                    )
                )
                order += 1
    return passages


def vectors(passages: Sequence[Passage], *, dimensions: int = DIMENSIONS) -> list[Vectors]:
    """A vector for each, a function of its fingerprint."""
    return [_vectors(passage.fingerprint, dimensions) for passage in passages]


def again(passages: Sequence[Passage], *, edition: str) -> list[Passage]:
    """The same passages with another text."""
    return [replace(passage, text=f"{passage.text} {edition}") for passage in passages]


def _vectors(seed: str, dimensions: int) -> Vectors:
    chance = random.Random(seed)
    dense = tuple(chance.gauss(0, 1) for _ in range(dimensions))
    tokens = sorted(chance.sample(range(50), 8))
    return Vectors(dense, SparseVector(tuple(tokens), tuple(chance.uniform(0.5, 2) for _ in tokens)))

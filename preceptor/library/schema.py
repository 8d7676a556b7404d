"""The stored form of a book in both engines: vectors, payload, metadata, outline. See docs/index-schema.md."""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby, islice
from typing import Any, TypeVar
from urllib.parse import urldefrag

from preceptor.errors import IndexIncompatible, VectorInvalid
from preceptor.library.passage import Chapter, Passage, Section
from preceptor.library.protocol import SCHEMA_VERSION, IndexInfo, Vectors, Written

_T = TypeVar("_T")

DENSE = "dense"
MULTILINGUAL = "multilingual"
BM25 = "bm25"

CHAPTER = "chapter"
ORDINAL = "ordinal"
"""One of the two indexed payload fields, with `CHAPTER`: nothing else is filtered on."""

WRITTEN_FIELDS = ["fingerprint", "payload_hash"]
"""Payload fields that `written` needs."""
OUTLINE_FIELDS = ["book", "chapter", "title", "url", "anchor", "heading", "breadcrumb", "position", "order"]
"""Payload fields of each section's first passage that `outline` needs."""

BATCH = 256
"""Number of points in one request."""
TIES = 16
"""Number of candidates beyond the limit: among equal scores the smaller id wins, on every engine."""

_DECIDE_VECTORS = (
    "embedding_model",
    "dimensions",
    "schema_version",
    "chunk_size",
    "chunk_overlap",
    "language",
    "bm25_avg_len",
    "multilingual_model",
    "multilingual_dimensions",
)


is_collection_name = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch


class Draft:
    """Passages known to a writer, from which the next version is made."""

    def __init__(self, published: Mapping[str, Written], staged: Mapping[str, Written]) -> None:
        self.published = published
        """Passages of the version on which this one builds; empty if it starts from scratch."""
        self.staged = dict(staged)
        """Passages put in this run or an interrupted one; they override published ones."""

    def written(self) -> dict[str, Written]:
        """Hashes by passage id."""
        return {**self.published, **self.staged}

    def split(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Splits ids into staged ones and ones that are only published; others are left out."""
        staged = [one for one in ids if one in self.staged]
        return staged, [one for one in ids if one in self.published and one not in self.staged]

    def put(self, passages: Iterable[Passage]) -> None:
        """Register staged passages."""
        self.staged.update({passage.id: Written.of(passage) for passage in passages})

    def changes(self, ids: Collection[str]) -> bool:
        """Whether an index of exactly these passages differs from the published one.

        Raises:
            ValueError: One of them was never put.
        """
        known = self.written()
        missing = [one for one in ids if one not in known]
        if missing:
            raise ValueError(f"{len(missing)} passages were never put, {missing[0]} among them")
        return {one: known[one] for one in ids} != dict(self.published)


def batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Yields `items` in lists of at most `BATCH`."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def stored(passage: Passage) -> dict[str, Any]:
    """Returns the payload of a point."""
    return {**passage.payload(), "payload_hash": Written.of(passage).payload_hash}


def written(payload: Mapping[str, Any]) -> Written:
    """Reads the hashes from a stored payload."""
    return Written(payload["fingerprint"], payload["payload_hash"])


def best_first(found: Iterable[tuple[str, float]], *, limit: int) -> list[tuple[str, float]]:
    """Returns the best `limit` of (id, score), ties by id.

    Scores that agree to five decimals count as equal: the last bits of a sum depend on the hardware.
    """
    # A round to decimals goes by way of a string, and takes five times as long.
    return sorted(found, key=lambda one: (-round(one[1] * 1e5), one[0]))[:limit]


def in_order(found: Iterable[tuple[str, dict[str, Any]]]) -> list[Passage]:
    """Returns the passages of (id, payload) in reading order."""
    passages = [Passage.from_payload(point, payload) for point, payload in found]
    return sorted(passages, key=lambda passage: (passage.position, passage.order))


def outline(first_passages: Iterable[Mapping[str, Any]]) -> list[Chapter]:
    """Returns the chapters in reading order.

    Args:
        first_passages: Payloads (of at least `OUTLINE_FIELDS`) of the first passage of each section.
    """
    rows = sorted(first_passages, key=lambda row: (row["position"], row["chapter"], row["order"]))
    return [_chapter(list(group)) for _, group in groupby(rows, key=lambda row: row["chapter"])]


def _chapter(rows: Sequence[Mapping[str, Any]]) -> Chapter:
    first = rows[0]
    return Chapter(
        id=first["chapter"],
        book=first["book"],
        title=first["title"],
        url=urldefrag(first["url"]).url,
        position=first["position"],
        sections=tuple(
            Section(row["anchor"], row["heading"], tuple(row["breadcrumb"]), row["url"])
            for row in rows
            if row["heading"]
        ),
    )


def chapter_from_json(found: Mapping[str, Any]) -> Chapter:
    """Reads a chapter of an outline that was kept as JSON."""
    sections = (
        Section(one["anchor"], one["heading"], tuple(one["breadcrumb"]), one["url"])
        for one in found["sections"]
    )
    return Chapter(
        found["id"], found["book"], found["title"], found["url"], found["position"], tuple(sections)
    )


def dense_sizes(info: IndexInfo) -> dict[str, int]:
    """Returns the lengths of an index's dense vectors by name."""
    sizes = {DENSE: info.dimensions, MULTILINGUAL: info.multilingual_dimensions}
    return {name: size for name, size in sizes.items() if name == DENSE or info.multilingual_model}


def dense_vectors(vectors: Vectors) -> dict[str, tuple[float, ...]]:
    """Returns the dense vectors that there are by name."""
    both = {DENSE: vectors.dense, MULTILINGUAL: vectors.multilingual}
    return {name: vector for name, vector in both.items() if vector}


def asked(vectors: Vectors, *, collection: str, sizes: Mapping[str, int]) -> tuple[str, tuple[float, ...]]:
    """Returns the dense vector of a question and its name.

    Refuses vectors that an engine would refuse or silently answer with nothing.

    Raises:
        IndexIncompatible: The dense one is not as long as those of the index.
        VectorInvalid: See `_check`.
    """
    name, vector = next(iter(dense_vectors(vectors).items()), (DENSE, ()))
    if len(vector) != sizes.get(name):
        raise IndexIncompatible(
            collection, "vectors of dimension", found=sizes.get(name, 0), wanted=len(vector)
        )
    _check(vectors, "the question")
    return name, vector


def check_passages(
    passages: Sequence[Passage], vectors: Sequence[Vectors], *, sizes: Mapping[str, int]
) -> None:
    """Refuse vectors that an engine would refuse or silently store.

    Raises:
        VectorInvalid: A vector has the wrong length; see `_check`.
        ValueError: There is not one for each passage.
    """
    for passage, both in zip(passages, vectors, strict=True):
        of = f"the passage `{passage.key}` ({passage.url})"
        for name, size in sizes.items():
            found = len(dense_vectors(both).get(name, ()))
            if found != size:
                raise VectorInvalid(of, f"it has {found} dimensions, the index has {size}")
        _check(both, of)


def _check(vectors: Vectors, of: str) -> None:
    bm25 = vectors.bm25
    if not all(map(math.isfinite, (*vectors.dense, *vectors.multilingual, *bm25.values))):
        raise VectorInvalid(of, "it holds a value that is not a finite number")
    if len(bm25.indices) != len(bm25.values):
        raise VectorInvalid(
            of, f"its BM25 half has {len(bm25.indices)} tokens and {len(bm25.values)} weights"
        )
    if len(set(bm25.indices)) != len(bm25.indices):
        raise VectorInvalid(of, "its BM25 half names a token twice")


def same_vectors(one: IndexInfo, other: IndexInfo) -> bool:
    """Whether the vectors are interchangeable."""
    return all(_equal(getattr(one, name), getattr(other, name)) for name in _DECIDE_VECTORS)


def same_index(one: IndexInfo, other: IndexInfo) -> bool:
    """Whether both descriptions agree, apart from build time and size."""
    return same_vectors(one, other) and (
        replace(one, built_at=other.built_at, points=0, bm25_avg_len=0.0)
        == replace(other, points=0, bm25_avg_len=0.0)
    )


def _equal(one: object, other: object) -> bool:
    # A server may give a number back with another last digit.
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def as_metadata(info: IndexInfo) -> dict[str, Any]:
    """Returns the description as JSON values."""
    return {**asdict(info), "built_at": info.built_at.isoformat()}


def from_metadata(collection: str, metadata: Mapping[str, Any]) -> IndexInfo:
    """Reads a description that `as_metadata` wrote.

    Raises:
        IndexIncompatible: It is of another schema.
        KeyError, TypeError, ValueError: The metadata is not a description.
    """
    if metadata["schema_version"] != SCHEMA_VERSION:
        raise IndexIncompatible(
            collection, "schema version", found=metadata["schema_version"], wanted=SCHEMA_VERSION
        )
    fields: dict[str, Any] = {
        name: metadata[name] for name in IndexInfo.__dataclass_fields__ if name in metadata
    }
    fields["built_at"] = datetime.fromisoformat(fields["built_at"])
    return IndexInfo(**fields)

"""A passage: the piece of one section of the book that is embedded, retrieved and cited.

A passage's id is a function of its place (book, chapter, anchor, ordinal); its key is a short form of the id
that a model can write as `[k7qd]`.
"""

import hashlib
import re
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

KEY = r"[a-hjkmnp-z][2-9][a-hjkmnp-z2-9]{2,4}"
"""A key as a regular expression. The digit in second place distinguishes it from words and from `[1]`."""

FOOTNOTES = "footnote-label"
"""Anchor of the section that a site makes of a page's footnotes; the author has written no such heading."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_DIGITS = "23456789"
_BOTH = _LETTERS + _DIGITS
_FILLER = "z"
_MARKS = _BOTH.replace(_FILLER, "")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:preceptor:passage")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that the book shows beside a text."""

    url: str
    alt: str
    """Its alternative text, which the passage's text has in its place."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one section, as the index keeps it. Its payload is documented in docs/index-schema.md."""

    id: str
    """uuid5 of (book, chapter, anchor, ordinal)."""
    key: str
    """Key of 4 to 6 characters, unique in the book; for passages of a `Library`, unique in all its books."""
    book: str
    chapter: str
    """Id of the page: its path without number prefixes and suffix."""
    title: str
    """Title of the chapter."""
    breadcrumb: tuple[str, ...]
    """Book, module(s), chapter, section(s); the last is the heading (or the chapter's title)."""
    url: str
    """Address of the section, its anchor included."""
    anchor: str
    """Id of the heading on the site; empty above the first heading."""
    heading: str
    """Text of the heading; empty above the first one."""
    position: int
    """Position of the chapter in the book's reading order, from 0."""
    order: int
    """Position of the passage in its chapter, from 0."""
    ordinal: int
    """Position of the passage in its section, from 0."""
    text: str
    language: str
    images: tuple[Image, ...] = ()

    @property
    def header(self) -> str:
        """The breadcrumb as one line, `Book › Module › Chapter › Section`."""
        return " › ".join(self.breadcrumb)

    @property
    def embedded_text(self) -> str:
        """Text from which both vectors are made: the header, then the text."""
        return f"{self.header}\n{self.text}"

    @property
    def fingerprint(self) -> str:
        """Hash of `embedded_text`: passages with the same fingerprint have the same vectors."""
        return hashlib.blake2b(self.embedded_text.encode(), digest_size=12).hexdigest()

    def payload(self) -> dict[str, Any]:
        """Returns the passage as stored beside the vectors, without its id."""
        stored = asdict(self)
        del stored["id"]
        stored["breadcrumb"] = list(self.breadcrumb)
        stored["fingerprint"] = self.fingerprint
        # Left out where there are none: such a passage is stored as it was before there were images.
        if not stored.pop("images"):
            return stored
        stored["images"] = [asdict(image) for image in self.images]
        return stored

    @classmethod
    def from_payload(cls, point_id: str, payload: dict[str, Any]) -> "Passage":
        """Returns the passage in `payload`.

        Raises:
            KeyError: A field is missing.
        """
        fields = {
            name: payload[name]
            for name in cls.__dataclass_fields__
            if name not in ("id", "breadcrumb", "images")
        }
        images = tuple(Image(**image) for image in payload.get("images", ()))
        return cls(id=point_id, breadcrumb=tuple(payload["breadcrumb"]), images=images, **fields)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found."""

    passage: Passage
    score: float
    """Fused relevance in [0, 1]; hits are ordered by it."""
    dense: float | None
    """Cosine of question and passage; None if the dense half did not return the passage."""
    bm25: float | None
    """BM25 score (unbounded); None if the sparse half did not return the passage."""
    tool: str = ""
    """Tool that gave the text, which is not in the index; empty: it is a passage of the book."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a chapter, as an outline lists it."""

    anchor: str
    heading: str
    breadcrumb: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A page of the book, in reading order."""

    id: str
    book: str
    title: str
    url: str
    position: int
    sections: tuple[Section, ...]


def origin_of(url: str) -> str:
    """Returns scheme, host and port of an address; empty if it is a path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else ""


def passage_id(book: str, chapter: str, anchor: str, ordinal: int) -> str:
    """Returns the deterministic id of the passage at this place."""
    return str(uuid.uuid5(_NAMESPACE, f"{book}\n{chapter}\n{anchor}\n{ordinal}"))


def passage_key(point_id: str, taken: Collection[str]) -> str:
    """Returns a short name for the passage with this id that is not in `taken`.

    Raises:
        ValueError: Every form of it is taken (practically: more than some millions of passages).
    """
    number = int.from_bytes(hashlib.blake2b(point_id.encode(), digest_size=16).digest(), "big")
    digits: list[str] = []
    for alphabet in (_LETTERS, _DIGITS, *[_BOTH] * 20):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    head, tail = "".join(digits[:2]), "".join(digits[2:])
    # The shortest free one; past six characters, further windows of the same digits.
    for start, length in [(0, 2), (0, 3), *((start, 4) for start in range(len(tail) - 3))]:
        key = head + tail[start : start + length]
        if key not in taken:
            return key
    raise ValueError(f"no free key for the passage {point_id}")


def key_beside(key: str, place: int) -> str:
    """Returns a key for a passage that is unique among several open books.

    The first book's keys stay unchanged. Keys of other books, with 4 or 5 characters, are extended to 6 by a
    character for the book and a filler that never stands for a book. (Keys of 6, which a book of 10,000
    passages has only in rare cases, have no room for it.)

    Args:
        key: Unique in its book.
        place: Position of the book among them, from 0.
    """
    return key if place == 0 else (key + _MARKS[(place - 1) % len(_MARKS)] + _FILLER)[:6]


is_key = re.compile(KEY).fullmatch

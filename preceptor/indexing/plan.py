"""Desired index state: hashes in memory, payloads on disk."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile

from preceptor.library.passage import Passage
from preceptor.library.protocol import Written

_ID = 36
"""Length of a passage's id, in characters."""


_MANY = 10
"""Most pages on which a text may be repeated."""
_SHOWN = 60
"""Longest excerpt of a repeated text, in characters."""


@dataclass(slots=True)
class _Text:
    """Occurrences of a passage's text."""

    first: str
    """Id of the first passage."""
    chapters: set[str] = field(default_factory=set[str])
    others: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """Id and BM25 tokens of the other passages."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A text that is kept once because too many pages repeat it."""

    text: str
    """The beginning of the text."""
    place: str
    """Link of the passage that is kept."""
    pages: int
    left_out: int
    """Number of passages with the same text that are left out."""


class Plan:
    """All passages that the index should hold, in reading order. Close it to free the disk."""

    def __init__(self) -> None:
        self.wanted: dict[str, Written] = {}
        """Hashes by passage id."""
        self.bm25_tokens = 0
        self._texts: dict[bytes, _Text] = {}
        # A book may be larger than memory, and its files may change before they are read again.
        self._passages = TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - `close` closes it

    @property
    def avg_len(self) -> float:
        """Mean length of a passage, in tokens of BM25."""
        return self.bm25_tokens / len(self.wanted) if self.wanted else 0.0

    def add(self, passage: Passage, *, bm25_tokens: int) -> None:
        """Adds a passage and its number of tokens."""
        self.wanted[passage.id] = Written.of(passage)
        self.bm25_tokens += bm25_tokens
        digest = hashlib.blake2b(passage.text.encode(), digest_size=12).digest()
        text = self._texts.setdefault(digest, _Text(passage.id))
        text.chapters.add(passage.chapter)
        if passage.id != text.first:
            text.others.append((passage.id, bm25_tokens))
        self._passages.write(f"{passage.id}{json.dumps(passage.payload())}\n")

    def without_repeats(self) -> list[Repeated]:
        """Removes all but the first passage of each text that many pages repeat, and returns these texts."""
        many = {one.first: one for one in self._texts.values() if len(one.chapters) > _MANY}
        self._texts.clear()
        for text in many.values():
            for point, tokens in text.others:
                del self.wanted[point]
                self.bm25_tokens -= tokens
        return [
            Repeated(
                _beginning(passage.text),
                passage.url,
                len(many[passage.id].chapters),
                len(many[passage.id].others),
            )
            for passage in self.passages(many)
        ]

    def passages(self, ids: Collection[str]) -> Iterator[Passage]:
        """Yields the passages with these ids, in reading order."""
        self._passages.seek(0)
        for line in self._passages:
            if line[:_ID] in ids:
                yield Passage.from_payload(line[:_ID], json.loads(line[_ID:]))

    def close(self) -> None:
        """Delete the file."""
        self._passages.close()


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"

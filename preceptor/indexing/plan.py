"""Desired index state: hashes in memory, payloads on disk."""

import json
from collections.abc import Collection, Iterator
from tempfile import TemporaryFile

from preceptor.library.passage import Passage
from preceptor.library.protocol import Written

_ID = 36
"""Length of a passage's id, in characters."""


class Plan:
    """All passages that the index should hold, in reading order. Close it to free the disk."""

    def __init__(self) -> None:
        self.wanted: dict[str, Written] = {}
        """Hashes by passage id."""
        self.bm25_tokens = 0
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
        self._passages.write(f"{passage.id}{json.dumps(passage.payload())}\n")

    def passages(self, ids: Collection[str]) -> Iterator[Passage]:
        """Yields the passages with these ids, in reading order."""
        self._passages.seek(0)
        for line in self._passages:
            if line[:_ID] in ids:
                yield Passage.from_payload(line[:_ID], json.loads(line[_ID:]))

    def close(self) -> None:
        """Delete the file."""
        self._passages.close()

"""Answers that grow, and the work that the citation filter has with them, for tests and for `bench/citations.py`."""

import re
from collections.abc import Mapping

from preceptor.agents.citations import Citations
from preceptor.text.verbatim import WINDOW, look
from tests.agents.quoting import hits, passage

FULL_OF: Mapping[str, str] = {
    "spaces": " ",
    "newlines": "\n",
    "backticks": "`",
    "backticks in lines": "`\n",
    "dollars": "$",
    "backslashes": "\\",
    "tildes": "~",
    "numbers": "[1]",
    "keys": "[k7qd]",
    "invented keys": "(z9zz) ",
    "keys without brackets": "k7qd, ",
    "open brackets": "[",
    "open parentheses": "((",
    "open groups": "[see k7qd ",
    "half groups": "[[k7qd] ",
    "numbers that wait": "[1, 2]       ",
    "escaped brackets": "\\[",
    "fences": "```\n````\n",
    "tilde fences": "~~~\n~~~~\n",
    "one long word": "a",
    "one long line": "word [k7qd](a) ",
    "list items": "1. a\n",
    "anchors": "<a href=x>[k7qd]",
    "prose": "A node is a process [k7qd]. It talks to *others* (over topics) in `code`.\n",
}
"""By name, the text that an answer repeats to its end."""

MOST_HELD = WINDOW + 64
"""Characters that wait for what follows: a marker, and the space before it."""


def full_of(kind: str, length: int) -> str:
    """An answer of this length."""
    return (FULL_OF[kind] * (length // len(FULL_OF[kind]) + 1))[:length]


class Work:
    """Counts, in characters, what a filter reads."""

    def __init__(self) -> None:
        self.looked_at = 0
        """By patterns: what each match read, or its whole window where nothing matched."""
        self.copied = 0
        """From piece to piece: what came and what was held back."""
        self.most_held = 0

    def look(self, pattern: re.Pattern[str], text: str, place: int) -> re.Match[str] | None:
        """Do what the filter's `look` does, and count it."""
        found = look(pattern, text, place)
        self.looked_at += found.end() - place + 1 if found else min(WINDOW, len(text) - place)
        return found

    def filter(self, written: str, *, size: int) -> int:
        """Pass a text in pieces of a size; the work that it was."""
        before = self.looked_at + self.copied
        [hit] = hits(passage("Text."))
        citations = Citations({hit.passage.key: hit}.get)
        for place in range(0, len(written), size):
            piece = written[place : place + size]
            self.copied += citations.held + len(piece)
            list(citations.feed(piece))
            self.most_held = max(self.most_held, citations.held)
        list(citations.finish())
        return self.looked_at + self.copied - before

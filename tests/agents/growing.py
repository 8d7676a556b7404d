"""Answers that grow, and the work that they are, for tests and for `bench/citations.py`.

`Work` is the citation filter's, `HeldWork` that of holding an answer to the book.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress

from preceptor.agents.attribution import Attribution
from preceptor.agents.bearing import Judged, judge
from preceptor.agents.citations import Citations
from preceptor.agents.grounding import Gate, Rules
from preceptor.agents.streamed_sentences import Sentences
from preceptor.errors import AnswerUnusable
from preceptor.text.sentences import split_sentences
from preceptor.text.verbatim import WINDOW, look
from preceptor.tools.plugin import Ledger, Run
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
    "asterisks": "**",
    "angles": "<",
    "two backslashes": "\\\\",
    "pipes": "|",
    "dashes": "- ",
    "ampersands": "&",
    "character references": "&#91;",
    "references of keys": "&#91;k7qd&#93; ",
    "half references": "[k7qd&#9 ",
    "letters apart": "[k 7 q d] ",
    "letters of other fonts": "[ｋ７ｑｄ",
    "characters without a width": "[\u200b",
    "marks on letters": "[k\u0332",
    "marks alone": "\u0332",
    "emoji": "😀",
    "nested brackets": "[[[]",
    "rows of a table": "| a | [k7qd] |\n",
    "quoted lines": "> a [k7qd]\n",
    "short sentences": "Ab! ",
    "questions": "Is a node a process? ",
    "announcements": "A node is: ",
    "invented sentences": "Bread costs 12 dollars in Paris. ",
    "borne sentences": "A node is a process that computes. ",
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


class HeldWork:
    """Counts, in characters, what is looked at to hold an answer to the book."""

    def __init__(self) -> None:
        self.read = 0
        self.most_held = 0
        """Characters of the sentence that is not finished."""

    def split(self, text: str, tag: str) -> list[str]:
        """Do what `split_sentences` does, and count it."""
        self.read += len(text)
        return split_sentences(text, tag)

    def judge(self, sentence: str, run: Run) -> Judged:
        """Do what `judge` does, and count it."""
        self.read += len(sentence)
        return judge(sentence, run)

    def hold(self, written: str, *, size: int) -> int:
        """Pass a text through the gate, and one that rests on the book before it through the filter behind."""
        before = self.read
        gate = Gate(_run(), Rules(()), holds=True, longest=len(written))
        with suppress(AnswerUnusable):
            for place in range(0, len(written), size):
                gate.feed(written[place : place + size])
                self._note(gate._sentences)  # pyright: ignore[reportPrivateUsage]
            asyncio.run(gate.finish())
        attribution = Attribution(_run(), tag="en")
        attribution.feed("A node is a process that computes [k7qd]. ")
        for place in range(0, len(written), size):
            attribution.feed(written[place : place + size])
            self._note(attribution._sentences)  # pyright: ignore[reportPrivateUsage]
        attribution.finish()
        return self.read - before

    def _note(self, sentences: Sentences) -> None:
        self.most_held = max(self.most_held, len(sentences.tail))


def _run() -> Run:
    ledger = Ledger()
    ledger.note(hits(passage("A node is a process that computes. Nodes do not share memory.")))
    return Run("What is a node?", ledger=ledger)

"""Filters of the list of runs, and the words for which questions, answers and passages are searched."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

WEAK = 0.5
"""Confidence below which an answer counts as weakly supported, unless the caller says otherwise."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts without spaces between words: SQLite would take a whole sentence for one word."""
_TERM = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Conditions on runs; a run is listed when all that are set hold."""

    search: str | None = None
    """Words that all stand in the question and answer, or all in one passage; `"…"` is a phrase."""
    session_id: str | None = None
    book: str | None = None
    """Id of the book that was asked, of several."""
    unanswered: bool = False
    """The book did not answer, or nobody did."""
    weak: float | None = None
    """The book answered, and the confidence is below this."""
    fell_over: bool = False
    """A tutor failed or was passed over."""
    left: str | None = None
    """Tutor that failed or was passed over."""
    reason: str | None = None
    """Reason why a tutor was left, such as `rate_limited`."""
    degraded: bool = False
    """The offline tutor stood in for a provider."""
    slower: float | None = None
    """Shortest duration, in seconds."""
    dearer: float | None = None
    """Least cost, in US dollars."""
    disliked: bool = False
    """The reader's thumb is down."""
    failed: bool = False
    """There is no answer, but an error."""
    troubled: bool = False
    """An error, a tutor that was left, or a reader who was not content."""
    provider: str | None = None
    tool: str | None = None
    """Name of a tool that was called."""
    noted: Literal["good", "bad", "any"] | None = None
    """An operator's mark."""
    before: str | None = None
    """Only runs that began before the run with this trace id: the next page of a list."""

    def match(self) -> str | None:
        """Returns the FTS5 expression of the search; None if there is none."""
        return _match(self.search) if self.search else None

    def where(self, *, in_many_passages: bool = False) -> tuple[str, dict[str, object]]:
        """Returns the SQL condition and its parameters.

        Args:
            in_many_passages: Whether the words of the search stand in so many passages that it is quicker to look at
                what each run has shown, newest run first, than to gather all runs that have shown one of them.
        """
        found = _FOUND_AMONG_MANY if in_many_passages else _FOUND
        chosen = [
            (condition, value)
            for condition, value in ((found, self.match()), *self._conditions())
            if value is not None and value is not False
        ]
        parameters: dict[str, object] = {}
        conditions: list[str] = []
        for number, (condition, value) in enumerate(chosen):
            conditions.append(f"({condition.replace('?', f':p{number}')})")
            parameters[f"p{number}"] = value
        return " AND ".join(conditions) or "TRUE", parameters

    def _conditions(self) -> Sequence[tuple[str, object]]:
        tutor = f'"from":"{self.left}"' if self.left else None
        reason = f'"reason":"{self.reason}"' if self.reason else None
        return (
            ("session_id = ?", self.session_id),
            ("json_extract(facts, '$.book') = ?", self.book),
            ("seconds IS NOT NULL AND (in_book = 0 OR error IS NOT NULL)", self.unanswered),
            ("in_book AND confidence < ?", self.weak),
            ("failover IS NOT NULL", self.fell_over),
            ("instr(failover, ?)", tutor),
            ("instr(failover, ?)", reason),
            ("degraded", self.degraded),
            ("seconds >= ?", self.slower),
            ("cost >= ?", self.dearer),
            ("rating < 0", self.disliked),
            ("error IS NOT NULL", self.failed),
            ("error IS NOT NULL OR failover IS NOT NULL OR rating < 0", self.troubled),
            ("provider = ?", self.provider),
            ("instr(tools, ?)", f'"{self.tool}"' if self.tool else None),
            ("verdict IS NOT NULL", self.noted == "any"),
            ("verdict = ?", self.noted if self.noted != "any" else None),
            ("started < (SELECT started FROM runs WHERE trace_id = ?)", self.before),
        )


_FOUND = """number IN (
    SELECT rowid FROM words WHERE words MATCH ?
    UNION SELECT run FROM shown WHERE passage IN (SELECT rowid FROM passage_words WHERE passage_words MATCH ?)
)"""
_FOUND_AMONG_MANY = """number IN (SELECT rowid FROM words WHERE words MATCH ?) OR EXISTS (
    SELECT 1 FROM shown WHERE run = number
    AND +passage IN (SELECT rowid FROM passage_words WHERE passage_words MATCH ?))"""
MANY_PASSAGES = 200
"""Number of passages from which a search is one in many passages."""


def spaced(text: str | None) -> str:
    """Returns a text with a space around each letter of a script that has none."""
    if not text or text.isascii():
        return text or ""
    return _UNSPACED.sub(r" \g<0> ", text)


def _match(search: str) -> str:
    """Returns the FTS5 expression for what a person typed; nothing of it is FTS5 syntax of theirs."""
    terms = [phrase or word for phrase, word in _TERM.findall(search.replace("\0", " "))]
    quoted = [_quoted(spaced(term)) for term in terms if any(map(str.isalnum, term))]
    # A search for signs alone finds no run, as SQLite would take an empty expression for an error.
    return " AND ".join(quoted) or '"\uffff"'


def _quoted(term: str) -> str:
    doubled = term.strip().replace('"', '""')
    # What is being typed may be the beginning of a word.
    return f'"{doubled}"*'

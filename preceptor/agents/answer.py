"""A question and its answer, and the events between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from preceptor.agents.citations import Mark
from preceptor.library.passage import Hit, Passage
from preceptor.providers.failure import FailureNote, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a reader asks, and what the reader narrows it to."""

    text: str
    session_id: str | None = None
    """None begins a new session."""
    chapter: str | None = None
    """Answer only from this chapter."""
    book: str | None = None
    """Answer only from this book."""
    page: str | None = None
    """Path of the page the reader is on; a hint."""
    selection: str | None = None
    """Text the reader marked on the page."""
    selection_only: bool = False
    """Answer only from the marked text."""
    history: Sequence[tuple[Literal["user", "assistant"], str]] = ()
    """What was said before, as (role, text), oldest first: a new session begins with it."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the client wants to find in the trace again."""


@dataclass(frozen=True, slots=True)
class Source:
    """A passage that the answer cites, as the reader sees it."""

    number: int
    key: str
    book: str
    chapter: str
    anchor: str
    title: str
    breadcrumb: tuple[str, ...]
    url: str
    quote: str
    """The sentence of the passage that is nearest to what the answer says."""
    relevance_score: float
    """In [0, 1], of the passage to what was searched."""
    support: float | None = None
    """In [0, 1], how well the passage bears the sentences that cite it; None while the answer streams."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a run's time went, in seconds."""

    first_token: float | None
    """From the question to the first text that the reader saw."""
    phases: Mapping[str, float]
    """By phase (`starting`, then those of `Status`), in the order in which they began; they add up to the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished run."""

    text: str
    """With markers `[1]`, which are the sources' numbers."""
    sources: Sequence[Source]
    also_relevant: Sequence[Source]
    """Passages that were shown to the tutor and that the answer does not cite."""
    in_book: bool
    """Whether the answer rests on the book: it cites at least one passage."""
    confidence: float | None
    """Share of the answer's claims that the cited passages support."""
    provider: str
    """Who answered: `gemini`, `openai` or `offline`."""
    model: str
    degraded: bool
    """Whether the offline tutor stood in for a provider."""
    failures: Sequence[FailureNote]
    unknown_keys: int
    """Markers that were dropped."""
    usage: Usage
    seconds: float
    timings: Timings
    session_id: str
    response_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Started:
    """The run has begun."""

    response_id: str
    session_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """What the tutor is doing."""

    phase: Literal["searching", "reading", "answering"]
    detail: str


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    content: str
    marks: Sequence[Mark] = ()
    """The markers of sources in it."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source, before the first token that cites it."""

    source: Source


@dataclass(frozen=True, slots=True)
class Restart:
    """What was shown is void: another tutor begins anew."""

    reason: str
    provider: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a run that gave an answer."""

    answer: Answer


Event = Started | Status | Token | NewSource | Restart | Done


def source(number: int, hit: Hit, quote: str) -> Source:
    """The source that shows `hit` to the reader."""
    passage = hit.passage
    return Source(
        number=number,
        key=passage.key,
        book=passage.book,
        chapter=passage.chapter,
        anchor=passage.anchor,
        title=passage.title,
        breadcrumb=passage.breadcrumb,
        url=passage.url,
        quote=quote,
        relevance_score=round(hit.score, 4),
    )


def hit(source: Source) -> Hit:
    """The passage behind a source, as far as the source tells of it: its text is the quote."""
    passage = Passage(
        id=source.key,
        key=source.key,
        book=source.book,
        chapter=source.chapter,
        title=source.title,
        breadcrumb=source.breadcrumb,
        url=source.url,
        anchor=source.anchor,
        heading=source.breadcrumb[-1],
        position=0,
        order=0,
        ordinal=0,
        text=source.quote,
        language="",
    )
    return Hit(passage=passage, score=source.relevance_score, dense=None, bm25=None)

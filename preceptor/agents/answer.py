"""A question and its answer, and the events between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from preceptor.agents.citations import Mark
from preceptor.library.passage import Hit, Image, Passage
from preceptor.providers.failure import FailureNote, Usage
from preceptor.tools.plugin import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A reader's question, and the part of the book that it is limited to."""

    text: str
    session_id: str | None = None
    """Session to continue; None begins a new one."""
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
    """Earlier turns as (role, text), oldest first; a new session begins with them."""
    keeps_history: bool = True
    """Whether a new session also keeps `history`; False where the client keeps it and sends it each time."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Data of the client, kept in the trace to find the run again."""


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
    """Sentence of the passage that is nearest to the answer's text."""
    relevance_score: float
    """Relevance of the passage to the search, in [0, 1]."""
    support: float | None = None
    """How well the passage supports the sentences that cite it, in [0, 1]; None while the answer streams."""
    tool: str = ""
    """Tool that gave the text; empty: it is a passage of the book."""
    images: tuple[Image, ...] = ()
    """Images of the passage."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Duration of a run and of its phases, in seconds."""

    first_token: float | None
    """Time from the question to the first visible text."""
    phases: Mapping[str, float]
    """Duration of each phase (`starting`, then the phases of `Status`), in order; they add up to the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished run."""

    text: str
    """The answer, with markers `[1]` that are the sources' numbers."""
    sources: Sequence[Source]
    also_relevant: Sequence[Source]
    """Passages that the tutor was shown but the answer does not cite."""
    artifacts: Sequence[Artifact] = ()
    """Things that tools made beside the text, such as an image or a table."""
    in_book: bool
    """Whether the answer rests on the book: it cites at least one passage of it."""
    confidence: float | None
    """Share of the answer's claims that the cited passages support."""
    provider: str
    """Provider that answered: `gemini`, `openai` or `offline`."""
    model: str
    degraded: bool
    """Whether the offline tutor stood in for a provider."""
    truncated: bool
    """Whether the text was cut off before its end."""
    failures: Sequence[FailureNote]
    unknown_keys: int
    """Number of markers that were dropped because no passage has their key."""
    tools: Sequence[str] = ()
    """Names of the tools that were called, in order; those that a tutor called before it failed are among them."""
    left_out: int = 0
    """Number of sentences that were left out because they rest on no passage."""
    usage: Usage
    seconds: float
    timings: Timings
    session_id: str
    response_id: str
    trace_id: str

    @property
    def told(self) -> str:
        """The text for those who see nothing else: one that was cut off says so."""
        return f"{self.text}\n\n(The answer was cut off here.)" if self.truncated else self.text


@dataclass(frozen=True, slots=True)
class Started:
    """The run has begun."""

    response_id: str
    session_id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Status:
    """The current phase of the run."""

    phase: Literal["searching", "reading", "computing", "answering"]
    detail: str
    about: str = ""
    """The words searched for, or the chapter that is read; empty where there are none."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    content: str
    marks: Sequence[Mark] = ()
    """The source markers in the text."""


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source, before the first token that cites it."""

    source: Source


@dataclass(frozen=True, slots=True)
class Restart:
    """The text shown so far is void: the answer begins anew, mostly by another tutor."""

    reason: str
    provider: str


@dataclass(frozen=True, slots=True)
class Done:
    """The run has ended with an answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A tool has made something beside the text."""

    artifact: Artifact


Event = Started | Status | Token | NewSource | NewArtifact | Restart | Done


def source(number: int, hit: Hit, quote: str) -> Source:
    """Returns the source that shows `hit` to the reader."""
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
        tool=hit.tool,
        images=passage.images,
    )


def hit(source: Source) -> Hit:
    """Rebuilds a passage from a source, with the quote as its text; other fields of the passage are lost."""
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
        images=source.images,
    )
    return Hit(passage=passage, score=source.relevance_score, dense=None, bm25=None, tool=source.tool)

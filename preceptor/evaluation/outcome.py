"""Outcome of asking one question once: everything that judging it needs, so that it can be judged again later."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cited(_Model):
    """A source of an answer, with all that it says."""

    number: int
    """Number of its markers in the answer: `[1]`."""
    section: str
    text: str
    language: str
    header: str = ""
    """Book, chapter and headings above the text, which count as said; empty in a report of an older version."""


class Failed(_Model):
    """A tutor that failed or was passed over, and the reason."""

    tutor: str
    reason: str


class SaidFact(_Model):
    """A fact of a case, and whether the answer says it."""

    text: str
    importance: Literal["vital", "okay"]
    said: bool


class Verdict(_Model):
    """A judge's verdict on an answer."""

    good: bool | None = None
    """The judge's verdict; None: it was not judged."""
    reason: str
    """The judge's reason, in a sentence; where it did not judge, why not."""
    asked: str = ""
    """Digest of all that the judge was told: with another question, answer or judge the verdict is void."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """US dollars; None where no price is known."""


class Label(_Model):
    """A person's verdict on an answer."""

    verdict: Literal["good", "bad"]
    why: str = ""


class Outcome(_Model):
    """Outcome of a question. Sections are written `chapter#anchor`."""

    found: tuple[str, ...] = ()
    """Sections of the first k passages of the search, best first."""
    cited: tuple[str, ...] = ()
    """Sections of the answer's sources, in order."""
    in_book: bool | None = None
    """Whether the answer rests on the book; if not, the question was declined. None if the case raised."""
    answer: str | None = None
    sources: tuple[Cited, ...] = ()
    """Sources whose text was at hand."""
    provider: str | None = None
    """Provider that answered; None if whatever answered does not say."""
    model: str | None = None
    degraded: bool = False
    """Whether the offline tutor answered in the place of a provider."""
    failover: tuple[Failed, ...] = ()
    """Tutors that should have answered before this one, and why they did not."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """US dollars; None where no price is known."""
    seconds: float | None = None
    trace_id: str | None = None
    tools: tuple[str, ...] | None = None
    """Names of the tools that were called for the answer, in order; None if whatever answered does not say."""

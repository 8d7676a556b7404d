"""The HTTP contract: the models of requests and responses.

Existing widgets use other names for the same things; these names are aliases here and nowhere else.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import to_json

from preceptor.agents.answer import Answer, Question, Source
from preceptor.agents.sessions import Turn
from preceptor.library.passage import Chapter, Hit, Passage
from preceptor.server.history import said_in, trimmed
from preceptor.text.languages import language_of

_SELECTION_ONLY = frozenset(
    {
        "selected_text_only",
        "text_selection",
        "selected",
        "selected_text",
        "selectedtext",
        "selection",
        "selection_only",
    }
)
_WHOLE_BOOK = frozenset(
    {
        "normal",
        "full_text",
        "full_book",
        "full",
        "book",
        "whole_book",
        "default",
        "general",
        "global",
        "auto",
        "all",
    }
)
_QUESTIONS = (
    "content",
    "query",
    "question",
    "message",
    "question_text",
    "prompt",
    "user_message",
    "userMessage",
    "user_query",
    "userQuery",
    "user_input",
    "input",
    "text",
    "q",
)
_HISTORIES = (
    "history",
    "chat_history",
    "chatHistory",
    "conversation_history",
    "conversationHistory",
    "messages",
)
_SMALL = 1000
"""Largest size of the metadata that a client may keep with a run, in bytes of JSON."""


def not_too_long(text: str, info: ValidationInfo) -> str:
    """Checks a question against the settings' limit, which the validation context holds as `longest`."""
    longest = (info.context or {}).get("longest")
    if longest is not None and len(text) > longest:
        raise ValueError(f"it has {len(text)} characters, and at most {longest} are taken")
    return text


def _whole(value: object) -> object:
    """Accepts a whole number with a fraction of zero, which JSON does not distinguish: 3.0 is 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _nulls_are_absent(body: Any) -> Any:
    """Removes nulls from a body and its `context`, so that a null never hides a value under another name."""
    if not isinstance(body, dict):
        return body
    present = {name: value for name, value in body.items() if value is not None}
    context = present.get("context")
    if isinstance(context, dict):
        present["context"] = {name: value for name, value in context.items() if value is not None}
    return present


def _asks_last(body: Any) -> Any:
    """Takes the last message of a history for the question, where there is no other."""
    if isinstance(body, dict) and not any(name in body for name in _QUESTIONS):
        said = next((said for name in _HISTORIES if (said := said_in(body.get(name)))), [])
        if said and said[-1][0] == "user":
            return {**body, "content": said[-1][1]}
    return body


def _text_alone(value: Any) -> Any:
    """Takes the text out of a selection that is an object, `{"text": …}`."""
    if not isinstance(value, dict):
        return value
    texts = (value.get(name) for name in ("text", "content", "selectedText", "selected_text", "value"))
    return next((text for text in texts if isinstance(text, str)), value)


VISIBLE = r"[^\s\x85]"
"""A character that is not space, as a regular expression; `\\s` matches U+0085 in some engines only."""
Whole = BeforeValidator(_whole)
"""Validator for an `int`, listed after its bounds."""

_Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, pattern=rf"{VISIBLE}[\s\S]*{VISIBLE}"),
    AfterValidator(not_too_long),
]
_Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
_Path = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class RequestBody(BaseModel):
    """Base of request bodies. Unknown fields are ignored; a quoted number is not a number."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


class ChatRequest(RequestBody):
    """Body of `POST /api/v1/chat`. A null counts as absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"mode": {"const": "selected_text_only"}}, "required": ["mode"]},
            "then": {
                "properties": {"selected_text": {"type": "string", "pattern": VISIBLE}},
                "required": ["selected_text"],
            },
        }
    )

    content: _Question = Field(
        validation_alias=AliasChoices(*_QUESTIONS),
        description="The question, of 2 to 4,000 characters (`server.max_question`).",
    )
    session_id: _Short | None = Field(
        default=None, description="Of the conversation to go on with; absent: a new one."
    )
    source_page: _Path | None = Field(
        default=None,
        validation_alias=AliasChoices(
            "source_page",
            "current_page",
            "source_doc_path",
            "currentPage",
            "sourcePage",
            AliasPath("context", "file_path"),
            AliasPath("context", "current_page"),
            AliasPath("context", "currentPage"),
        ),
        description="Path of the page the reader is on; a hint.",
    )
    mode: Literal["normal", "selected_text_only"] | None = Field(
        default="normal",
        validation_alias=AliasChoices(
            "mode", "query_type", "context_mode", "retrieval_mode", "retrievalMode"
        ),
        description="`selected_text_only`: answer from the selected text alone, which must be there then.",
    )
    selected_text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=8000)] | None = Field(
        default=None,
        validate_default=True,
        validation_alias=AliasChoices(
            "selected_text",
            "selection",
            "highlighted_context",
            "selected_context",
            "selectedText",
            "selectedContext",
            "highlighted_text",
            "highlightedText",
            AliasPath("context", "selectedText"),
            AliasPath("context", "selected_text"),
            AliasPath("context", "selection"),
        ),
        description="Text the reader marked on the page.",
    )
    history: Any = Field(
        default=None,
        validation_alias=AliasChoices(*_HISTORIES),
        description="What was said before, with roles, as far as it can be read; a session's own turns win.",
    )
    conversation_id: Any = Field(
        default=None,
        validation_alias=AliasChoices(
            "conversation_id", "sessionId", "conversationId", "chat_id", "chatId", "thread_id", "threadId"
        ),
        description="Yours, of a conversation: counts where `server.dialect` has `sessions`.",
    )
    chapter: _Short | None = Field(default=None, description="Answer from the chapter with this id alone.")
    book: _Short | None = Field(default=None, description="Answer from the book with this id alone.")
    stream: bool | None = Field(
        default=False, description="Answer as a stream of events, as with `Accept: text/event-stream`."
    )
    query_id: Any = Field(
        default=None, description="Yours: comes back with the answer. Kept with the run, if small."
    )
    timestamp: Any = Field(default=None, description="Kept with the run, if small.")
    user_context: Any = Field(default=None, description="Kept with the run, if small.")

    # The last one is the first to be called.
    _question_in_history = model_validator(mode="before")(_asks_last)
    _without_nulls = model_validator(mode="before")(_nulls_are_absent)

    @field_validator("mode", mode="before")
    @classmethod
    def _known_modes(cls, value: object) -> object:
        """Maps `full_text`, `FULL_BOOK`, `full` and `text_selection`, `SELECTED_TEXT`, `selected` to the two modes."""
        if not isinstance(value, str):
            return value
        folded = value.casefold().replace("-", "_")
        if folded in _SELECTION_ONLY:
            return "selected_text_only"
        return "normal" if folded in _WHOLE_BOOK else value

    @field_validator("selected_text", mode="before")
    @classmethod
    def _selection_of_an_object(cls, value: object) -> object:
        return _text_alone(value)

    @field_validator("session_id", "chapter", "book", "source_page", "selected_text")
    @classmethod
    def _empty_is_absent(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("selected_text")
    @classmethod
    def _there_if_alone(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("mode") == "selected_text_only":
            raise ValueError("it is empty, and `mode` says that the answer must come from it alone")
        return value

    @field_validator("query_id", "timestamp", "user_context")
    @classmethod
    def _large_is_absent(cls, value: Any) -> Any:
        try:
            return value if len(to_json(value)) <= _SMALL else None
        except ValueError:  # nested too deep, or half a surrogate pair
            return None

    @property
    def session_name(self) -> str | None:
        """Name that the client gives its conversation."""
        name = self.session_id or self.conversation_id
        return (
            str(name)[:500] if isinstance(name, str | int) and not isinstance(name, bool) and name else None
        )

    def question(self, *, session_id: str | None = None) -> Question:
        """Returns the question for the tutors.

        Args:
            session_id: Session that the client's name for it stands for.
        """
        said = said_in(self.history)
        # Front ends append the question to their history before they send it, or after.
        if said and said[-1] == ("user", self.content):
            del said[-1]
        return Question(
            text=self.content,
            history=trimmed(said),
            keeps_history=not said,
            session_id=session_id or self.session_id,
            chapter=self.chapter,
            book=self.book,
            page=self.source_page,
            selection=self.selected_text,
            selection_only=self.mode == "selected_text_only",
            metadata=self.model_dump(include={"query_id", "timestamp", "user_context"}, exclude_none=True),
        )


class ImageBody(BaseModel):
    """An image of the book."""

    url: str
    alt: str


class SourceBody(BaseModel):
    """A source of an answer; the last fields repeat others under the names of existing widgets."""

    n: int
    key: str
    title: str
    breadcrumb: Sequence[str]
    url: str
    quote: str
    relevance_score: float
    support: float | None
    tool: str | None = Field(description="Tool that gave the text; null: it is a passage of the book.")
    images: Sequence[ImageBody] = Field(
        description="Images of the passage: of the book's site and `site.image_origins`."
    )
    page: str
    page_reference: str
    source_path: str
    text_snippet: str
    section: str
    score: float
    citation_id: str
    response_id: str
    content_id: str

    @classmethod
    def of(cls, source: Source, response_id: str) -> "SourceBody":
        """Returns the body for `source`."""
        page = source.url.partition("#")[0]
        return cls(
            n=source.number,
            key=source.key,
            title=source.title,
            breadcrumb=source.breadcrumb,
            url=source.url,
            quote=source.quote,
            relevance_score=source.relevance_score,
            support=source.support,
            tool=source.tool or None,
            images=[ImageBody(url=image.url, alt=image.alt) for image in source.images],
            page=page,
            page_reference=source.title,
            source_path=page,
            text_snippet=source.quote,
            section=source.breadcrumb[-1] if source.breadcrumb else source.title,
            score=source.relevance_score,
            citation_id=f"{response_id}-{source.number}",
            response_id=response_id,
            content_id=source.key,
        )


class ArtifactBody(BaseModel):
    """Something that a tool made beside the text."""

    model_config = ConfigDict(from_attributes=True)

    kind: str = Field(description="`image`, `table`, `quiz`, or a name of the plug-in's own.")
    title: str
    data: dict[str, Any] = Field(description="By kind, see docs/tools.md.")
    tool: str


class FailoverBody(BaseModel):
    """A tutor that failed or was passed over, and the reason."""

    from_: str = Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")
    reason: str


class UsageBody(BaseModel):
    """Tokens and requests of the run's model calls."""

    input_tokens: int
    output_tokens: int
    requests: int


class ChatResponse(BaseModel):
    """Body of a 200 of `POST /api/v1/chat`, and of the stream's `done`."""

    answer: str
    language: str | None = Field(
        description="Language of the answer, as a BCP 47 tag, where its words tell it."
    )
    response_id: str
    query_id: Any
    session_id: str
    trace_id: str
    sources: Sequence[SourceBody]
    also_relevant: Sequence[SourceBody]
    artifacts: Sequence[ArtifactBody]
    in_book: bool
    confidence_score: float | None
    provider: str
    model: str
    degraded: bool
    truncated: bool
    left_out: int = Field(description="Sentences that were left out because they rest on no passage.")
    failover: Sequence[FailoverBody]
    usage: UsageBody
    processing_time_ms: float
    timestamp: datetime

    @classmethod
    def of(cls, answer: Answer, *, query_id: Any = None) -> "ChatResponse":
        """Returns the body for `answer`, with the id that the client gave its question."""
        return cls(
            answer=answer.text,
            language=language_of(answer.text),
            response_id=answer.response_id,
            query_id=answer.response_id if query_id is None else query_id,
            session_id=answer.session_id,
            trace_id=answer.trace_id,
            sources=[SourceBody.of(source, answer.response_id) for source in answer.sources],
            also_relevant=[SourceBody.of(source, answer.response_id) for source in answer.also_relevant],
            artifacts=[ArtifactBody.model_validate(artifact) for artifact in answer.artifacts],
            in_book=answer.in_book,
            confidence_score=answer.confidence,
            provider=answer.provider,
            model=answer.model,
            degraded=answer.degraded,
            truncated=answer.truncated,
            left_out=answer.left_out,
            failover=[FailoverBody(from_=note.tutor, reason=note.reason) for note in answer.failures],
            usage=UsageBody(
                input_tokens=answer.usage.input_tokens,
                output_tokens=answer.usage.output_tokens,
                requests=answer.usage.requests,
            ),
            processing_time_ms=round(answer.seconds * 1000, 1),
            timestamp=datetime.now(UTC),
        )


class ErrorBody(BaseModel):
    """Body of every answer that is not a 2xx."""

    error: str = Field(description="What happened and what to do.")
    code: str
    details: dict[str, Any] | None = Field(default=None, description="By field, what is wrong with it.")
    error_id: str | None = Field(
        default=None, description="Of an unexpected error: finds it in the service's log."
    )


class StartBody(BaseModel):
    """Data of `start`: the run has begun."""

    model_config = ConfigDict(from_attributes=True)

    response_id: str
    session_id: str
    trace_id: str


class StatusBody(BaseModel):
    """Data of `status`: the current phase of the run."""

    model_config = ConfigDict(from_attributes=True)

    phase: Literal["searching", "reading", "computing", "answering"]
    detail: str = Field(description="The tool that it calls, or its name.")
    about: str = Field(default="", description="The words searched for, or the chapter that is read.")


class TokenBody(BaseModel):
    """Data of `token`: a piece of the answer."""

    content: str


class RestartBody(BaseModel):
    """Data of `restart`: the text shown so far is void, and the answer begins anew."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    provider: str = Field(description="Who answers now.")


class StreamErrorBody(ErrorBody):
    """Data of `error`: there will be no answer."""

    retry_after: float | None = Field(default=None, description="Seconds to wait before the next try.")


class ChatEvent(BaseModel):
    """An event of a stream; it ends with one `done` or `error`."""

    event: Literal["start", "status", "token", "source", "artifact", "restart", "done", "error"]
    id: str = Field(description="Number of the event, from 1.")
    data: Json[
        StartBody
        | StatusBody
        | TokenBody
        | SourceBody
        | ArtifactBody
        | RestartBody
        | ChatResponse
        | StreamErrorBody
    ]


class SearchRequest(RequestBody):
    """Body of `POST /api/v1/search`."""

    query: _Question = Field(description="What to look for.")
    chapter: _Short | None = Field(default=None, description="Only in the chapter with this id.")
    book: _Short | None = Field(default=None, description="Only in the book with this id.")
    limit: Annotated[int, Field(ge=1, le=20), Whole] | None = Field(
        default=None, description="Passages at most; absent: `search.limit`."
    )


class PassageBody(BaseModel):
    """A passage of the book."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    book: str
    chapter: str
    title: str
    heading: str
    breadcrumb: Sequence[str]
    url: str
    text: str
    language: str


class FoundPassageBody(PassageBody):
    """A passage that a search found."""

    relevance_score: float = Field(description="In [0, 1]; comes with the order.")


class SearchResponse(BaseModel):
    """Body of a 200 of `POST /api/v1/search`, best first."""

    passages: Sequence[FoundPassageBody]

    @classmethod
    def of(cls, hits: Sequence[Hit]) -> "SearchResponse":
        """Returns the body for `hits`."""
        passages = [(PassageBody.model_validate(hit.passage), round(hit.score, 4)) for hit in hits]
        return cls(
            passages=[
                FoundPassageBody(**body.model_dump(), relevance_score=score) for body, score in passages
            ]
        )


class BookBody(BaseModel):
    """A book of the service."""

    id: str
    title: str
    subject: str
    language: str
    url: str = Field(description="Its page for readers, as seen from the service's address.")


class BooksResponse(BaseModel):
    """Body of a 200 of `GET /api/v1/books`."""

    books: Sequence[BookBody]


class SectionBody(BaseModel):
    """A heading of a chapter."""

    model_config = ConfigDict(from_attributes=True)

    anchor: str
    heading: str
    breadcrumb: Sequence[str]
    url: str


class ChapterBody(BaseModel):
    """A chapter and its outline."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    book: str
    title: str
    url: str
    sections: Sequence[SectionBody]


class ChaptersResponse(BaseModel):
    """Body of a 200 of `GET /api/v1/chapters`, in reading order."""

    chapters: Sequence[ChapterBody]


class ChapterResponse(ChapterBody):
    """Body of a 200 of `GET /api/v1/chapters/{id}`; the passages are in reading order."""

    passages: Sequence[PassageBody]

    @classmethod
    def of(cls, chapter: Chapter, passages: Sequence[Passage]) -> "ChapterResponse":
        """Returns the body for a chapter and its text."""
        return cls(
            **ChapterBody.model_validate(chapter).model_dump(),
            passages=[PassageBody.model_validate(passage) for passage in passages],
        )


class TurnBody(BaseModel):
    """A question and its answer, as the reader saw them."""

    question: str
    answer: str
    sources: Sequence[SourceBody]
    response_id: str | None = Field(description="For feedback; null for what a client brought along.")

    @classmethod
    def of(cls, turn: Turn) -> "TurnBody":
        """Returns the body for `turn`."""
        return cls(
            question=turn.question,
            answer=turn.answer,
            sources=[SourceBody.of(source, turn.response_id or "") for source in turn.sources],
            response_id=turn.response_id,
        )


class SessionResponse(BaseModel):
    """Body of a 200 of `GET /api/v1/sessions/{id}`, oldest turn first."""

    session_id: str
    turns: Sequence[TurnBody]


class FeedbackRequest(RequestBody):
    """Body of `POST /api/v1/feedback`."""

    response_id: _Short = Field(
        validation_alias=AliasChoices("response_id", "message_id"), description="Of the answer."
    )
    rating: Literal[1, -1, "up", "down"]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] | None = None

    _without_nulls = model_validator(mode="before")(_nulls_are_absent)

    @field_validator("rating", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object) -> object:
        return str(value) if isinstance(value, bool) else _whole(value)


class CheckBody(BaseModel):
    """State of one part of the service; further fields give details."""

    model_config = ConfigDict(extra="allow")

    status: Literal["healthy", "degraded", "unhealthy"]
    detail: str


class HealthResponse(BaseModel):
    """Body of `GET /api/v1/health`."""

    status: Literal["healthy", "degraded", "unhealthy"]
    checks: dict[str, CheckBody]
    version: str
    timestamp: datetime


class MetricsResponse(BaseModel):
    """Body of `GET /api/v1/metrics`; further fields give details."""

    model_config = ConfigDict(extra="allow")

    query_latency_p50_ms: float | None = Field(description="Null before the first answer.")
    query_latency_p95_ms: float | None
    query_latency_p99_ms: float | None
    error_rate: float = Field(description="Share of the questions that got an error.")
    total_queries: int
    uptime_seconds: float

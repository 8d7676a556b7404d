"""Models of OpenAI's chat completions, as far as clients of Preceptor need them.

Fields that control generation (`temperature`, `tools`, …) are accepted and have no effect: the service has its own
tutors, tools and settings. What a client would notice by its absence (a form, a call of its own tool) is refused.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Json,
    StringConstraints,
    Tag,
    ValidationInfo,
)

from preceptor.agents.answer import Question
from preceptor.server.contract import VISIBLE, ErrorBody, RequestBody, Whole, not_too_long
from preceptor.server.history import as_readable, text_of, trimmed
from preceptor.server.side_requests import is_side_request

MODEL = "preceptor"
"""Name of the model that searches every open book; `preceptor/BOOK` searches only this book."""

_OUR_LINK = re.compile(r"(?<!\s)\s*\[\[\d{1,3}\]\]\([^()\s]*\)")
Text = Annotated[str, StringConstraints(pattern=VISIBLE)]
Short = Annotated[str, StringConstraints(max_length=500)]
ModelName = Annotated[
    Short,
    Field(description=f"`{MODEL}/BOOK` searches this book alone; `{MODEL}`, or any other name, all of them."),
]


def book_of(model: str) -> str | None:
    """Returns the id of the book that the name of a model stands for, if it is one alone."""
    return model.removeprefix(f"{MODEL}/") if model.startswith(f"{MODEL}/") else None


def without_links(text: str) -> str:
    """Returns the text of an answer without Preceptor's links: their numbers mean nothing in the next answer."""
    return _OUR_LINK.sub("", text).strip()


class TextPart(RequestBody):
    """A piece of a message."""

    type: Literal["text"]
    text: str


def _kind(content: Any) -> str:
    return "parts" if isinstance(content, list) else "text"


def _says_something(parts: list[Any]) -> list[Any]:
    if not text_of([part.text for part in parts]):
        raise ValueError("there is no text in it")
    return parts


_Part = TypeVar("_Part", bound=RequestBody)
Content = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[
        list[_Part],
        AfterValidator(_says_something),
        Field(
            json_schema_extra={"contains": {"properties": {"text": {"type": "string", "pattern": VISIBLE}}}}
        ),
        Tag("parts"),
    ],
    Discriminator(_kind),
]
"""Text, or parts of which at least one says something."""


class UserMessage(RequestBody):
    """A message from the reader."""

    role: Literal["user"]
    content: Content[TextPart]

    @property
    def text(self) -> str:
        """The whole text of the message."""
        parts = self.content if isinstance(self.content, str) else [part.text for part in self.content]
        return text_of(parts)


class AssistantMessage(RequestBody):
    """A message from a tutor or another model."""

    role: Literal["assistant"]
    content: Any = Field(
        default=None, description="Text, or a list of parts of which those with `text` count."
    )

    @property
    def text(self) -> str:
        """The whole text, without Preceptor's links."""
        return without_links(text_of(self.content))


class OtherMessage(RequestBody):
    """Instructions and tool results, which have no effect: the tutors have their own."""

    role: Literal["system", "developer", "tool", "function"]
    content: Any = None


Message = Annotated[UserMessage | AssistantMessage | OtherMessage, Field(discriminator="role")]


def _earlier_as_far_as_readable(messages: Any) -> Any:
    return as_readable(messages, otherwise={"role": "system"}) if isinstance(messages, list) else messages


def check_asked(asked: Sequence[str], instructions: Sequence[str], info: ValidationInfo) -> None:
    """Check that there is a question, and that it is not too long.

    Args:
        asked: Texts of the reader's messages, the question last.
        instructions: Texts of the system's messages.
        info: Context of the validation.

    Raises:
        ValueError: There is none, or it is too long.
    """
    if not asked:
        raise ValueError("there is no message with the role `user`")
    # A front end's own request quotes the conversation.
    if not is_side_request(asked[-1], instructions):
        not_too_long(asked[-1], info)


def _asks(messages: list[Message], info: ValidationInfo) -> list[Message]:
    asked = [message.text for message in messages if isinstance(message, UserMessage)]
    check_asked(asked, _instructions(messages), info)
    return messages


def _instructions(messages: list[Message]) -> list[str]:
    return [text_of(message.content) for message in messages if isinstance(message, OtherMessage)]


class StreamOptions(RequestBody):
    """Options of a stream."""

    include_usage: bool | None = None


def refused_unless(*allowed: str | bool, why: str) -> BeforeValidator:
    """Returns a validator that says why any other value than these is refused."""

    def checked(value: Any) -> Any:
        # By its type, too: 0 is equal to False.
        if value is not None and not any(value == one and type(value) is type(one) for one in allowed):
            raise ValueError(why)
        return value

    return BeforeValidator(checked)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _positive_or_absent(value: Any) -> Any:
    """Takes 0 and less for no limit, as several programs mean it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and value <= 0 else value


NO_FORM = "the answer is text with citations, and has no other form: leave `{0}` out"
_NO_TOOLS = "the tutors call their own tools when they need them: leave it out, or send `auto` or `none`"

NoForcedTool = Annotated[Literal["auto", "none"] | None, refused_unless("auto", "none", why=_NO_TOOLS)]
"""`tool_choice`, as far as it forces no tool."""
Length = Annotated[int | None, Whole, BeforeValidator(_positive_or_absent)]
"""Longest answer in tokens; 0 and less mean any length."""


class ResponseFormat(RequestBody):
    """The form of the answer."""

    type: Annotated[Literal["text"], refused_unless("text", why=NO_FORM.format("response_format"))]


_Modality = Annotated[
    Literal["text"],
    refused_unless("text", why='the answer is text alone: leave `modalities` out, or send `["text"]`'),
]


class CompletionRequest(RequestBody):
    """Body of `POST /v1/chat/completions`."""

    model: ModelName = MODEL
    messages: Annotated[
        list[Message],
        BeforeValidator(_earlier_as_far_as_readable),
        AfterValidator(_asks),
        Field(
            description=(
                "The last one of the `user` is the question; those before it are what was said, "
                "as far as it can be read."
            ),
            json_schema_extra={"contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]}},
        ),
    ]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1), Whole] | None = None
    response_format: ResponseFormat | None = None
    modalities: list[_Modality] | None = None
    tool_choice: NoForcedTool = None
    function_call: NoForcedTool = None
    stop: Annotated[
        list[str] | None,
        BeforeValidator(_listed, json_schema_input_type=str | list[str] | None),
        Field(description="The answer ends before the first of these."),
    ] = None
    max_completion_tokens: Length = Field(
        default=None,
        description="Longest answer, in tokens of about four bytes of text; 0 and less: any length.",
    )
    max_tokens: Length = Field(default=None, description="The same, by its older name.")
    session_id: Short | None = Field(
        default=None,
        description="Of a conversation that the service remembers; earlier `messages` are then left aside.",
    )
    chapter: Short | None = Field(default=None, description="Answer from the chapter with this id alone.")

    @property
    def wants_usage(self) -> bool:
        """Whether the stream should report usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def longest(self) -> int | None:
        """Longest answer in tokens, if there is a limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def text(self) -> str:
        """The question."""
        return [message.text for message in self.messages if isinstance(message, UserMessage)][-1]

    @property
    def of_front_end(self) -> bool:
        """Whether the front end asks for itself, for a title of the conversation, say."""
        return is_side_request(self.text, _instructions(self.messages))

    def question(self, *, session_id: str | None) -> Question:
        """Returns the question for the tutors.

        Args:
            session_id: Session named in the header; a field `session_id` wins.
        """
        said = [each for each in self.messages if isinstance(each, UserMessage | AssistantMessage)]
        last = max(place for place, each in enumerate(said) if isinstance(each, UserMessage))
        return Question(
            text=self.text,
            session_id=self.session_id or session_id or None,
            chapter=self.chapter or None,
            book=book_of(self.model),
            history=trimmed((each.role, each.text) for each in said[:last]),
            keeps_history=False,
        )


class UrlCitation(BaseModel):
    """A source, and the place of the link to it."""

    url: str
    title: str
    start_index: int = Field(description="Of the link in the text, in characters.")
    end_index: int = Field(description="After its last character.")


class Annotation(BaseModel):
    """A link in the text of the answer."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class CompletionUsage(BaseModel):
    """Tokens of all model calls of the run."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: Sequence[Annotation]


class Choice(BaseModel):
    """The only choice there is."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"] = "stop"


class _Head(BaseModel):
    id: str
    created: int = Field(description="Seconds since 1970.")
    model: str
    session_id: str = Field(description="To go on with this conversation without sending it again.")
    trace_id: str


class Completion(_Head):
    """Body of a 200 of `POST /v1/chat/completions`."""

    object: Literal["chat.completion"]
    choices: Sequence[Choice]
    usage: CompletionUsage


class Delta(BaseModel):
    """The part of a message that a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: Sequence[Annotation] | None = Field(
        default=None, description="All of them, in the last chunk."
    )


class ChunkChoice(BaseModel):
    """The only choice there is."""

    index: Literal[0]
    delta: Delta
    finish_reason: Literal["stop", "length"] | None


class Chunk(_Head):
    """One event of a stream. Usage comes in an event of its own, without a choice."""

    object: Literal["chat.completion.chunk"]
    choices: Sequence[ChunkChoice]
    usage: CompletionUsage | None = None


class OpenAIError(BaseModel):
    """An error in OpenAI's shape."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None = None
    code: str
    error_id: str | None = None


class OpenAIErrorBody(BaseModel):
    """Body of every answer below `/v1/` that is not a 2xx."""

    error: OpenAIError

    @classmethod
    def of(cls, status: int, body: ErrorBody) -> "OpenAIErrorBody":
        """Converts an error body to OpenAI's shape."""
        kind = (
            "server_error"
            if status >= 500
            else "rate_limit_error"
            if status == 429
            else "invalid_request_error"
        )
        return cls(
            error=OpenAIError(
                message=body.error,
                type=kind,
                param=next(iter(body.details or ()), None),
                code=body.code,
                error_id=body.error_id,
            )
        )


class CompletionEvent(BaseModel):
    """An event of a stream; it ends with `[DONE]`, or with an error."""

    data: Json[Chunk | OpenAIErrorBody] | Literal["[DONE]"]


class ModelBody(BaseModel):
    """A model, which stands for a choice of books."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="When the book was indexed, in seconds since 1970.")
    owned_by: Literal["preceptor"] = "preceptor"


class ModelsResponse(BaseModel):
    """Body of a 200 of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: Sequence[ModelBody]

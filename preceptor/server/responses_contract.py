"""Models of OpenAI's Responses, as far as clients of Preceptor need them.

The id of a response holds the session that it belongs to: `previous_response_id` is all that the next question needs.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Json,
    Tag,
    ValidationInfo,
)

from preceptor.agents.answer import Answer, Question, Started
from preceptor.errors import SessionNotFound
from preceptor.server.contract import RequestBody
from preceptor.server.history import as_readable, text_of, trimmed
from preceptor.server.linked_text import LinkedText
from preceptor.server.openai_contract import (
    MODEL,
    NO_FORM,
    Content,
    Length,
    ModelName,
    NoForcedTool,
    Short,
    Text,
    book_of,
    check_asked,
    refused_unless,
    without_links,
)
from preceptor.server.side_requests import is_side_request

_ID = re.compile(r"(?:resp|msg)_([0-9a-f]{32})([A-Za-z0-9_-]{24})")


def response_id(started: Started, kind: Literal["resp", "msg"]) -> str:
    """Returns the id of a response, or of its message, which both name the session."""
    return f"{kind}_{started.response_id}{started.session_id}"


def session_of(identifier: Any) -> str | None:
    """Returns the session that the id of a response or of a message names."""
    found = _ID.fullmatch(identifier) if isinstance(identifier, str) else None
    return found[2] if found else None


class InputText(RequestBody):
    """A piece of a message."""

    type: Literal["input_text", "text"]
    text: str


class UserInput(RequestBody):
    """A message from the reader."""

    role: Literal["user"]
    content: Content[InputText]

    @property
    def text(self) -> str:
        """The whole text of the message."""
        parts = self.content if isinstance(self.content, str) else [part.text for part in self.content]
        return text_of(parts)


class OtherInput(RequestBody):
    """An answer, a reference to one, or something without effect: instructions, calls of tools, their results."""

    role: Literal["assistant", "system", "developer", "tool"] | None = None
    type: Any = None
    id: Any = None
    content: Any = None


def _author(item: Any) -> str:
    return "user" if isinstance(item, dict) and item.get("role") == "user" else "other"


_Item = Annotated[
    Annotated[UserInput, Tag("user")] | Annotated[OtherInput, Tag("other")], Discriminator(_author)
]


def _earlier_as_far_as_readable(items: Any) -> Any:
    return as_readable(items, otherwise={"type": "unread"}) if isinstance(items, list) else items


def _asks(items: str | list[_Item], info: ValidationInfo) -> str | list[_Item]:
    asked = (
        [items] if isinstance(items, str) else [each.text for each in items if isinstance(each, UserInput)]
    )
    check_asked([one.strip() for one in asked], _instructions(items), info)
    return items


def _instructions(items: str | list[_Item]) -> list[str]:
    others = [] if isinstance(items, str) else [each for each in items if isinstance(each, OtherInput)]
    return [text_of(each.content) for each in others if each.role in ("system", "developer")]


class TextFormat(RequestBody):
    """The form of the answer."""

    type: Annotated[Literal["text"], refused_unless("text", why=NO_FORM.format("text.format"))]


class TextConfig(RequestBody):
    """Options of the text."""

    format: TextFormat | None = None


def _given(value: Any) -> str:
    return "items" if isinstance(value, list) else "text"


_Items = Annotated[
    list[_Item],
    Field(json_schema_extra={"contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]}}),
    Tag("items"),
]


class ResponsesRequest(RequestBody):
    """Body of `POST /v1/responses`."""

    model: ModelName = MODEL
    input: Annotated[
        Annotated[Annotated[Text, Tag("text")] | _Items, Discriminator(_given)],
        BeforeValidator(_earlier_as_far_as_readable),
        AfterValidator(_asks),
        Field(
            description=(
                "The question, or messages of which the last one of the `user` is the question; those before it are "
                "what was said, as far as it can be read."
            )
        ),
    ]
    instructions: Any = Field(default=None, description="Without effect: the tutors have their own.")
    previous_response_id: Short | None = Field(
        default=None,
        description="Of the response to go on from: what the service remembers of it counts, and earlier `input` not.",
    )
    stream: bool | None = None
    max_output_tokens: Length = Field(
        default=None,
        description="Longest answer, in tokens of about four bytes of text; 0 and less: any length.",
    )
    text: TextConfig | None = None
    tool_choice: NoForcedTool = None
    background: Annotated[
        Literal[False] | None, refused_unless(False, why="an answer is made while you wait: leave it out")
    ] = None
    conversation: Annotated[
        None,
        refused_unless(
            why="there are no conversations to name: send `previous_response_id`, which goes on with one"
        ),
    ] = None
    session_id: Short | None = Field(
        default=None,
        description="Of a conversation that the service remembers; earlier `input` is left aside.",
    )
    chapter: Short | None = Field(default=None, description="Answer from the chapter with this id alone.")

    @property
    def question_text(self) -> str:
        """The question."""
        if isinstance(self.input, str):
            return self.input.strip()
        return [each.text for each in self.input if isinstance(each, UserInput)][-1]

    @property
    def of_front_end(self) -> bool:
        """Whether the front end asks for itself, for a title of the conversation, say."""
        orders = [
            *_instructions(self.input),
            *([self.instructions] if isinstance(self.instructions, str) else []),
        ]
        return is_side_request(self.question_text, orders)

    @property
    def referred(self) -> str | None:
        """Session of the last answer that the input only refers to, as clients do that let the service remember."""
        items = [] if isinstance(self.input, str) else self.input
        named = [each.id for each in items if isinstance(each, OtherInput) and each.type == "item_reference"]
        return next((session for each in reversed(named) if (session := session_of(each))), None)

    def session(self, header: str | None) -> str | None:
        """Returns the session that must be there, if the request names one.

        Args:
            header: Session named in the header.

        Raises:
            SessionNotFound: `previous_response_id` is no id of ours.
        """
        if self.previous_response_id:
            named = session_of(self.previous_response_id)
            if named is None:
                raise SessionNotFound(self.previous_response_id)
            return named
        return self.session_id or header or None

    def question(self, *, session_id: str | None) -> Question:
        """Returns the question for the tutors."""
        said: list[tuple[Literal["user", "assistant"], str]] = []
        asked = 0
        for each in [] if isinstance(self.input, str) else self.input:
            if isinstance(each, UserInput):
                asked = len(said)
                said.append(("user", each.text))
            elif each.role == "assistant":
                said.append(("assistant", without_links(text_of(each.content))))
        return Question(
            text=self.question_text,
            session_id=session_id,
            chapter=self.chapter or None,
            book=book_of(self.model),
            history=trimmed(said[:asked]),
            keeps_history=False,
        )


class UrlAnnotation(BaseModel):
    """A source, and the place of the link to it."""

    type: Literal["url_citation"] = "url_citation"
    url: str
    title: str
    start_index: int = Field(description="Of the link in the text, in characters.")
    end_index: int = Field(description="After its last character.")


class OutputText(BaseModel):
    """The text of the answer."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: Sequence[UrlAnnotation]
    logprobs: Sequence[Any] = ()

    @classmethod
    def of(cls, linked: LinkedText, *, text: str | None = None) -> "OutputText":
        """Returns the content that `linked` holds, or `text` in its place."""
        return cls(text=linked.text if text is None else text, annotations=annotations(linked))


def annotations(linked: LinkedText) -> list[UrlAnnotation]:
    """Returns the links of a text as annotations."""
    return [
        UrlAnnotation(url=link.url, title=link.title, start_index=link.start, end_index=link.end)
        for link in linked.links
    ]


class OutputMessage(BaseModel):
    """The answer."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Literal["in_progress", "completed", "incomplete"]
    content: Sequence[OutputText]


class InputTokens(BaseModel):
    """Tokens that the models read, by kind."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokens(BaseModel):
    """Tokens that the models wrote, by kind."""

    reasoning_tokens: int = 0


class ResponsesUsage(BaseModel):
    """Tokens of all model calls of the run."""

    input_tokens: int
    input_tokens_details: InputTokens = InputTokens()
    output_tokens: int
    output_tokens_details: OutputTokens = OutputTokens()
    total_tokens: int

    @classmethod
    def of(cls, answer: Answer) -> "ResponsesUsage":
        """Returns the usage of the run behind `answer`."""
        read, written = answer.usage.input_tokens, answer.usage.output_tokens
        return cls(input_tokens=read, output_tokens=written, total_tokens=read + written)


class IncompleteDetails(BaseModel):
    """Reason why an answer is not whole."""

    reason: Literal["max_output_tokens"]


class ResponseFailure(BaseModel):
    """Reason why there is no answer."""

    code: str
    message: str


class ResponseBody(BaseModel):
    """Body of a 200 of `POST /v1/responses`; the fields without meaning here are those that clients require."""

    id: str
    object: Literal["response"] = "response"
    created_at: int = Field(description="Seconds since 1970.")
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str
    previous_response_id: str | None = None
    output: Sequence[OutputMessage]
    usage: ResponsesUsage | None = None
    instructions: None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    parallel_tool_calls: bool = True
    temperature: None = None
    top_p: None = None
    tool_choice: Literal["auto"] = "auto"
    tools: Sequence[Any] = ()
    session_id: str = Field(description="To go on with this conversation without sending it again.")
    response_id: str = Field(description="For feedback.")
    trace_id: str


class ResponseEvent(BaseModel):
    """An event of a stream; it ends with `response.completed`, `response.incomplete` or `response.failed`."""

    event: str
    data: Json[dict[str, Any]] = Field(
        description="`type`, as `event`; `sequence_number`; and what it tells."
    )

"""`POST /api/v1/chat`: a question, and its answer as JSON or as a stream of events."""

from collections.abc import AsyncGenerator
from itertools import count

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from preceptor.agents.answer import Done, Event, NewArtifact, NewSource, Restart, Started, Status, Token
from preceptor.server.contract import (
    ArtifactBody,
    ChatEvent,
    ChatRequest,
    ChatResponse,
    RestartBody,
    SourceBody,
    StartBody,
    StatusBody,
    StreamErrorBody,
    TokenBody,
)
from preceptor.server.faults import fault
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body
from preceptor.server.run import EventStream, RunningAnswer, framed, while_connected


@operation(
    Operation(
        name="ask",
        summary="Ask the book",
        description=(
            "The question may also be called `query`, `question`, `message` or `question_text`; other fields have the "
            "names that existing widgets send, too. With `stream` or `Accept: text/event-stream` the answer comes as "
            "events: `start`, then `status`, `token`, `source` (before the first token that cites it), `artifact` and "
            "`restart` (what was shown is void), and in the end one `done`, whose data is the whole answer, or one "
            "`error`."
        ),
        body=ChatRequest,
        example={"content": "What is ROS 2?"},
        returns=ChatResponse,
        streams=ChatEvent,
        links={
            "read": {"operationId": "readSession", "parameters": {"id": "$response.body#/session_id"}},
            "delete": {"operationId": "deleteSession", "parameters": {"id": "$response.body#/session_id"}},
            "rate": {
                "operationId": "giveFeedback",
                "requestBody": {"response_id": "$response.body#/response_id", "rating": "up"},
            },
        },
        errors=(404, 409, 504),
    )
)
async def chat(request: Request) -> Response:
    """Answer a question."""
    asked = await read_body(request, ChatRequest)
    streamed = asked.stream or "text/event-stream" in request.headers.get("accept", "")
    # It begins here in any case, so that an unknown session is a 404 and not a stream.
    run = await RunningAnswer.begin(request, asked.question(), whole=not streamed)
    if streamed:
        return EventStream(run, _stream(run, asked))
    answer = await while_connected(request, run.answer())
    body = ChatResponse.of(answer, query_id=asked.query_id).model_dump_json(by_alias=True)
    return Response(body, media_type="application/json")


async def _stream(run: RunningAnswer, asked: ChatRequest) -> AsyncGenerator[bytes, None]:
    numbers = count(1)

    def sent(event: str, body: BaseModel) -> bytes:
        data = body.model_dump_json(by_alias=True, exclude_none=event == "error")
        return framed(data, event=event, number=next(numbers))

    try:
        yield sent(*_event(run.started, asked, run.started.response_id))
        async for event in run:
            yield sent(*_event(event, asked, run.started.response_id))
    except Exception as error:  # noqa: BLE001 - the edge: the status line is gone, the stream must say it
        _, body, retry_after = fault(error)
        yield sent("error", StreamErrorBody(**body.model_dump(), retry_after=retry_after))


def _event(event: Event, asked: ChatRequest, response_id: str) -> tuple[str, BaseModel]:
    """Returns the contract's name and data of an event."""
    match event:
        case Started():
            return "start", StartBody.model_validate(event)
        case Status():
            return "status", StatusBody.model_validate(event)
        case Token():
            return "token", TokenBody(content=event.content)
        case NewSource():
            return "source", SourceBody.of(event.source, response_id)
        case NewArtifact():
            return "artifact", ArtifactBody.model_validate(event.artifact)
        case Restart():
            return "restart", RestartBody.model_validate(event)
        case Done():
            return "done", ChatResponse.of(event.answer, query_id=asked.query_id)

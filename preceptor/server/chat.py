"""`POST /api/v1/chat`: a question, and its answer as JSON or as a stream of events."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import count

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.answer import Done, Event, NewArtifact, NewSource, Restart, Started, Status, Token
from preceptor.agents.preceptor import Preceptor
from preceptor.agents.sessions import PrivateId
from preceptor.errors import SessionNotFound
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
from preceptor.server.dialect import Dialect, readers_mark
from preceptor.server.faults import fault
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import prefers, read_body
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
    streamed = asked.stream or prefers(request.headers.get("accept", ""), "text/event-stream")
    # It begins here in any case, so that an unknown session is a 404 and not a stream.
    dialect = Dialect.of(request.scope)
    session = await session_of(request, asked.session_name) if dialect.own_sessions else None
    run = await RunningAnswer.begin(request, asked.question(session_id=session), whole=not streamed)
    if isinstance(session, PrivateId):
        run.started = replace(run.started, session_id=asked.session_name or "")
    if streamed:
        return EventStream(run, _stream(run, asked, dialect))
    answer = replace(await while_connected(request, run.answer()), session_id=run.started.session_id)
    body = ChatResponse.of(answer, query_id=asked.query_id)
    if dialect.active:
        return JSONResponse(dialect.answer(body.model_dump(mode="json", by_alias=True)))
    return Response(body.model_dump_json(by_alias=True), media_type="application/json")


async def session_of(request: Request, name: str | None) -> str | None:
    """Returns the session that a name stands for: one of ours with this id, or the client's own, which may be new."""
    preceptor: Preceptor = request.state.preceptor
    if name is None:
        return None
    try:
        await preceptor.sessions.turns(name)
    except SessionNotFound:
        return PrivateId.of(name, readers_mark(request.scope))
    return name


async def _stream(run: RunningAnswer, asked: ChatRequest, dialect: Dialect) -> AsyncGenerator[bytes, None]:
    numbers = count(1)

    def sent(event: str, body: BaseModel) -> bytes:
        lacking = event == "error"
        if dialect.active:
            told = dialect.event(event, body.model_dump(mode="json", by_alias=True, exclude_none=lacking))
            data = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        else:
            data = body.model_dump_json(by_alias=True, exclude_none=lacking)
        return framed(data, event=event, number=next(numbers))

    try:
        yield sent(*_event(run.started, asked, run.started))
        async for event in run:
            yield sent(*_event(event, asked, run.started))
    except Exception as error:  # noqa: BLE001 - the edge: the status line is gone, the stream must say it
        _, body, retry_after = fault(error)
        yield sent("error", StreamErrorBody(**body.model_dump(), retry_after=retry_after))


def _event(event: Event, asked: ChatRequest, started: Started) -> tuple[str, BaseModel]:
    """Returns the contract's name and data of an event."""
    match event:
        case Started():
            return "start", StartBody.model_validate(event)
        case Status():
            return "status", StatusBody.model_validate(event)
        case Token():
            return "token", TokenBody(content=event.content)
        case NewSource():
            return "source", SourceBody.of(event.source, started.response_id)
        case NewArtifact():
            return "artifact", ArtifactBody.model_validate(event.artifact)
        case Restart():
            return "restart", RestartBody.model_validate(event)
        case Done():
            answer = replace(event.answer, session_id=started.session_id)
            return "done", ChatResponse.of(answer, query_id=asked.query_id)

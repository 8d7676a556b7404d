"""`POST /api/v1/chat`: a question, and its answer as JSON or as a stream of events."""

import json
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

from pydantic import BaseModel
from sse_starlette import ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.answer import Done, Event, NewSource, Restart, Started, Status, Token
from preceptor.server.contract import ChatRequest, ChatResponse, SourceBody
from preceptor.server.faults import fault
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body, while_connected
from preceptor.server.run import EventStream, RunningAnswer


@operation(
    Operation(
        summary="Ask the book",
        description=(
            "The question may also be called `query`, `question`, `message` or `question_text`; other fields have the "
            "names that existing widgets send, too. With `stream` or `Accept: text/event-stream` the answer comes as "
            "events with JSON data: `start`, then `status`, `token`, `source` (before the first token that cites it) "
            "and `restart` (what was shown is void), and in the end one `done`, whose data is the whole answer, or one "
            "`error`."
        ),
        body=ChatRequest,
        returns=ChatResponse,
        streams=True,
        errors=(404, 409, 504),
    )
)
async def chat(request: Request) -> Response:
    """Answer a question."""
    asked = await read_body(request, ChatRequest)
    # It begins here in any case, so that an unknown session is a 404 and not a stream.
    run = await RunningAnswer.begin(request, asked.question())
    if asked.stream or "text/event-stream" in request.headers.get("accept", ""):
        return EventStream(run, _stream(run, asked))
    answer = await while_connected(request, run.answer())
    if answer is None:
        return Response(status_code=499)
    return JSONResponse(_json(ChatResponse.of(answer, asked)))


async def _stream(run: RunningAnswer, asked: ChatRequest) -> AsyncGenerator[ServerSentEvent, None]:
    numbers = count(1)
    response_id = run.started.response_id

    def sent(event: str, data: dict[str, Any]) -> ServerSentEvent:
        return ServerSentEvent(
            json.dumps(data, ensure_ascii=False), event=event, id=str(next(numbers)), sep="\n"
        )

    try:
        yield sent(*_event(run.started, asked, response_id))
        async for event in run:
            yield sent(*_event(event, asked, response_id))
    except Exception as error:  # noqa: BLE001 - the edge: the status line is gone, the stream must say it
        _, body, retry_after = fault(error)
        data = body.model_dump(exclude_none=True)
        yield sent("error", {**data, "retry_after": retry_after} if retry_after else data)


def _event(event: Event, asked: ChatRequest, response_id: str) -> tuple[str, dict[str, Any]]:
    """The contract's name and data of an event."""
    match event:
        case Started():
            return "start", {
                "response_id": event.response_id,
                "session_id": event.session_id,
                "trace_id": event.trace_id,
            }
        case Status():
            return "status", {"phase": event.phase, "detail": event.detail}
        case Token():
            return "token", {"content": event.content}
        case NewSource():
            return "source", _json(SourceBody.of(event.source, response_id))
        case Restart():
            return "restart", {"reason": event.reason, "provider": event.provider}
        case Done():
            return "done", _json(ChatResponse.of(event.answer, asked))


def _json(body: BaseModel) -> dict[str, Any]:
    return body.model_dump(mode="json", by_alias=True)

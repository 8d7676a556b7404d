"""Endpoint `/v1/responses`, for programs that speak OpenAI's newer protocol, such as its Agents SDK."""

import time
from collections.abc import AsyncGenerator
from functools import partial
from itertools import count
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.answer import Answer, Done, Restart
from preceptor.agents.preceptor import Preceptor
from preceptor.errors import SessionNotFound
from preceptor.server.faults import fault
from preceptor.server.linked_text import LinkedText
from preceptor.server.openai_api import reply_to_front_end, written_whole
from preceptor.server.openai_contract import MODEL, OpenAIErrorBody
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body
from preceptor.server.responses_contract import (
    IncompleteDetails,
    OutputMessage,
    OutputText,
    ResponseBody,
    ResponseEvent,
    ResponseFailure,
    ResponsesRequest,
    ResponsesUsage,
    annotations,
    response_id,
)
from preceptor.server.run import EventStream, RunningAnswer, framed, while_connected
from preceptor.text.languages import phrases


@operation(
    Operation(
        name="createResponse",
        summary="Ask as with OpenAI's Responses",
        description=(
            "`input` is the question, or the conversation whose last message of the user it is. With "
            "`previous_response_id` the service goes on from that answer. With `stream` the answer comes as events "
            "from `response.created` to `response.completed`. Instructions, tools and sampling options have no "
            "effect: the tutors have their own."
        ),
        body=ResponsesRequest,
        example={"model": MODEL, "input": "What is ROS 2?"},
        returns=ResponseBody,
        streams=ResponseEvent,
        errors=(404, 409, 504),
    )
)
async def responses(request: Request) -> Response:
    """Answer a question in the shape of OpenAI's Responses."""
    asked = await read_body(request, ResponsesRequest)
    session_id = asked.session(request.headers.get("x-session-id"))
    question = asked.question(session_id=session_id or await _still_there(request, asked.referred))
    if asked.of_front_end:
        run = await reply_to_front_end(request, question)
    else:
        run = await RunningAnswer.begin(request, question, whole=not asked.stream)
    written = partial(LinkedText, base=str(request.base_url), tokens=asked.max_output_tokens)
    shape = _Shape(run, asked)
    if asked.stream:
        response: Response = EventStream(run, _events(run, shape, written()))
    else:
        linked, answer = await while_connected(request, written_whole(run, written))
        response = JSONResponse(shape.ended(linked, answer).model_dump())
    if run.started.session_id:
        response.headers["X-Session-Id"] = run.started.session_id
    return response


async def _still_there(request: Request, session_id: str | None) -> str | None:
    """Returns the session of an answer that the client refers to, unless it is forgotten: then the rest must do."""
    preceptor: Preceptor = request.state.preceptor
    try:
        if session_id is not None:
            await preceptor.sessions.turns(session_id)
    except SessionNotFound:
        return None
    return session_id


class _Shape:
    """Shapes the state of one run as a response."""

    def __init__(self, run: RunningAnswer, asked: ResponsesRequest) -> None:
        self.asked = asked
        self.message_id = response_id(run.started, "msg")
        self._head: dict[str, Any] = {
            "id": response_id(run.started, "resp"),
            "created_at": int(time.time()),
            "model": asked.model,
            "previous_response_id": asked.previous_response_id,
            "session_id": run.started.session_id,
            "response_id": run.started.response_id,
            "trace_id": run.started.trace_id,
        }

    def begun(self) -> ResponseBody:
        return ResponseBody(**self._head, status="in_progress", output=())

    def failed(self, failure: ResponseFailure) -> ResponseBody:
        return ResponseBody(**self._head, status="failed", error=failure, output=())

    def ended(self, linked: LinkedText, answer: Answer) -> ResponseBody:
        """Returns the response with its whole text."""
        whole = not (answer.truncated or linked.cut == "length")
        return ResponseBody(
            **self._head,
            status="completed" if whole else "incomplete",
            incomplete_details=None if whole else IncompleteDetails(reason="max_output_tokens"),
            output=[self.message("completed" if whole else "incomplete", OutputText.of(linked))],
            usage=ResponsesUsage.of(answer),
        )

    def message(
        self, status: Literal["in_progress", "completed", "incomplete"], *content: OutputText
    ) -> OutputMessage:
        return OutputMessage(id=self.message_id, status=status, content=content)


async def _events(run: RunningAnswer, shape: _Shape, linked: LinkedText) -> AsyncGenerator[bytes, None]:
    """Yields the answer in events."""
    numbers = count()
    notice = phrases(shape.asked.question_text).begun_again

    def sent(kind: str, **fields: Any) -> bytes:
        return framed(
            _Event(type=kind, sequence_number=next(numbers), **fields).model_dump_json(), event=kind
        )

    of_item = {"output_index": 0}
    of_text = {"item_id": shape.message_id, "output_index": 0, "content_index": 0}

    def added(text: str) -> bytes:
        return sent("response.output_text.delta", **of_text, delta=text, logprobs=[])

    try:
        yield sent("response.created", response=shape.begun())
        yield sent("response.in_progress", response=shape.begun())
        yield sent("response.output_item.added", **of_item, item=shape.message("in_progress"))
        yield sent("response.content_part.added", **of_text, part=OutputText(text="", annotations=()))
        async for event in run:
            told = len(linked.links)
            if isinstance(event, Done):
                text = linked.finish()
            elif isinstance(event, Restart):
                text = linked.begin_again(notice)
            else:
                text = linked.take(event)
            if text:
                yield added(text)
            for number, annotation in enumerate(annotations(linked)[told:], told):
                yield sent(
                    "response.output_text.annotation.added",
                    **of_text,
                    annotation_index=number,
                    annotation=annotation,
                )
            if isinstance(event, Done):
                ended = shape.ended(linked, event.answer)
                [item] = ended.output
                yield sent("response.output_text.done", **of_text, text=linked.text, logprobs=[])
                yield sent("response.content_part.done", **of_text, part=item.content[0])
                yield sent("response.output_item.done", **of_item, item=item)
                yield sent(f"response.{ended.status}", response=ended)
    except Exception as error:  # noqa: BLE001 - the edge: the status line is gone, the stream must say it
        status, body, _ = fault(error)
        told = OpenAIErrorBody.of(status, body).error
        # Twice, as clients differ: some read the fields of the event, others the object of a plain error.
        yield sent("error", code=told.code, message=told.message, param=told.param, error=told)
        failure = ResponseFailure(code="server_error", message=told.message)
        yield sent("response.failed", response=shape.failed(failure))


class _Event(BaseModel, extra="allow"):
    type: str
    sequence_number: int

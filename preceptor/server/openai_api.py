"""Endpoints `/v1/chat/completions` and `/v1/models`, for programs that speak OpenAI's protocol."""

import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.answer import Answer, Done, Question, Restart, Started
from preceptor.agents.preceptor import Preceptor
from preceptor.server.faults import fault
from preceptor.server.linked_text import LinkedText
from preceptor.server.openai_contract import (
    MODEL,
    Annotation,
    AnswerMessage,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    CompletionEvent,
    CompletionRequest,
    CompletionUsage,
    Delta,
    ModelBody,
    ModelsResponse,
    OpenAIErrorBody,
    UrlCitation,
)
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body
from preceptor.server.run import EventStream, RunningAnswer, framed, while_connected
from preceptor.server.side_requests import side_reply
from preceptor.text.languages import phrases


@operation(
    Operation(
        name="createChatCompletion",
        summary="Ask as with OpenAI's chat completions",
        description=(
            "The last message of the user is the question. The messages before it are what was said before or, if "
            "`session_id` or the header `X-Session-Id` names one, those of a session are. With `stream` the answer "
            "comes as `chat.completion.chunk` events, ended by `[DONE]`; annotations come with the last choice, usage "
            "after it if `stream_options.include_usage` asks for it. Sampling options, tools and system messages have "
            "no effect: the tutors have their own."
        ),
        body=CompletionRequest,
        example={"model": MODEL, "messages": [{"role": "user", "content": "What is ROS 2?"}]},
        returns=Completion,
        streams=CompletionEvent,
        errors=(404, 409, 504),
    )
)
async def completions(request: Request) -> Response:
    """Answer a question in the shape of OpenAI's chat completions."""
    asked = await read_body(request, CompletionRequest)
    question = asked.question(session_id=request.headers.get("x-session-id"))
    if asked.of_front_end:
        run = await reply_to_front_end(request, question)
    else:
        run = await RunningAnswer.begin(request, question, whole=not asked.stream)
    written = partial(LinkedText, base=str(request.base_url), stop=asked.stop or (), tokens=asked.longest)
    if asked.stream:
        response: Response = EventStream(run, _chunks(run, asked, written()))
    else:
        linked, answer = await while_connected(request, written_whole(run, written))
        message = AnswerMessage(content=linked.text.rstrip(), annotations=_annotations(linked))
        completion = Completion(
            **_head(run.started, asked),
            choices=[Choice(message=message, finish_reason=_finish(linked, answer))],
            usage=_usage(answer),
        )
        response = JSONResponse(completion.model_dump())
    if run.started.session_id:
        response.headers["X-Session-Id"] = run.started.session_id
    return response


async def reply_to_front_end(request: Request, question: Question) -> RunningAnswer:
    """Returns the reply to a request that the front end made by itself."""
    preceptor: Preceptor = request.state.preceptor
    title = preceptor.settings.book.title or (await preceptor.library.info()).title
    return await RunningAnswer.aside(request, side_reply(question.text, question.history, book=title))


@operation(
    Operation(
        name="listModels",
        summary="The models to choose from",
        description=f"`{MODEL}` searches every open book, `{MODEL}/BOOK` the one with this id.",
        returns=ModelsResponse,
        links={
            "retrieve": {"operationId": "retrieveModel", "parameters": {"id": "$response.body#/data/0/id"}}
        },
    )
)
async def models(request: Request) -> Response:
    """The models to choose from."""
    return JSONResponse(ModelsResponse(data=await _models(request)).model_dump())


@operation(
    Operation(
        name="retrieveModel",
        summary="One model",
        parameter=f"Id of the model, such as `{MODEL}`.",
        returns=ModelBody,
        errors=(404,),
    )
)
async def model(request: Request) -> Response:
    """One model."""
    wanted = request.path_params["id"]
    for each in await _models(request):
        if each.id == wanted:
            return JSONResponse(each.model_dump())
    raise HTTPException(404, "There is no such model; `GET /v1/models` names those that there are")


async def _models(request: Request) -> list[ModelBody]:
    preceptor: Preceptor | None = request.state.preceptor
    if preceptor is None:
        return [ModelBody(id=f"{MODEL}/{book}", created=0) for book in request.state.shelf.books]
    built = {
        f"{MODEL}/{info.book}": int(info.built_at.timestamp()) for info in await preceptor.library.books()
    }
    return [ModelBody(id=name, created=at) for name, at in {MODEL: max(built.values()), **built}.items()]


async def written_whole(run: RunningAnswer, written: Callable[[], LinkedText]) -> tuple[LinkedText, Answer]:
    """Returns the finished answer and its text, which begins as `written` does."""
    linked = written()
    try:
        async for event in run:
            if isinstance(event, Done):
                linked.finish()
                return linked, event.answer
            if isinstance(event, Restart):
                linked = written()
            linked.take(event)
    finally:
        await run.aclose()
    raise AssertionError("a run ends with an answer or an error")


async def _chunks(
    run: RunningAnswer, asked: CompletionRequest, linked: LinkedText
) -> AsyncGenerator[bytes, None]:
    """Yields the answer in chunks."""
    head = _head(run.started, asked)

    def chunk(delta: Delta, finish: Literal["stop", "length"] | None = None) -> bytes:
        return _sent(Chunk(**head, choices=[ChunkChoice(index=0, delta=delta, finish_reason=finish)]))

    try:
        yield chunk(Delta(role="assistant", content=""))
        async for event in run:
            if isinstance(event, Done):
                if text := linked.finish():
                    yield chunk(Delta(content=text))
                yield chunk(Delta(annotations=_annotations(linked)), _finish(linked, event.answer))
                if asked.wants_usage:
                    yield _sent(Chunk(**head, choices=[], usage=_usage(event.answer)))
            elif isinstance(event, Restart):
                if text := linked.begin_again(phrases(asked.text).begun_again):
                    yield chunk(Delta(content=text))
            elif text := linked.take(event):
                yield chunk(Delta(content=text))
        yield framed("[DONE]")
    except Exception as error:  # noqa: BLE001 - the edge: the status line is gone, the stream must say it
        status, body, _ = fault(error)
        yield _sent(OpenAIErrorBody.of(status, body))


def _sent(body: BaseModel) -> bytes:
    return framed(body.model_dump_json(exclude_unset=True))


def _head(started: Started, asked: CompletionRequest) -> dict[str, Any]:
    """Returns the fields that the whole answer and each chunk share."""
    return {
        "id": started.response_id,
        "object": "chat.completion.chunk" if asked.stream else "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "session_id": started.session_id,
        "trace_id": started.trace_id,
    }


def _annotations(linked: LinkedText) -> list[Annotation]:
    return [
        Annotation(
            type="url_citation",
            url_citation=UrlCitation(
                url=link.url, title=link.title, start_index=link.start, end_index=link.end
            ),
        )
        for link in linked.links
    ]


def _finish(linked: LinkedText, answer: Answer) -> Literal["stop", "length"]:
    return linked.cut or ("length" if answer.truncated else "stop")


def _usage(answer: Answer) -> CompletionUsage:
    read, written = answer.usage.input_tokens, answer.usage.output_tokens
    return CompletionUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)

"""Endpoints `/v1/chat/completions` and `/v1/models`, for programs that speak OpenAI's protocol."""

import time
from collections.abc import AsyncGenerator
from typing import Any, Literal

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.answer import Answer, Done, Event, NewSource, Restart, Source, Started, Token
from preceptor.agents.preceptor import Preceptor
from preceptor.server.faults import fault
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
from preceptor.text.languages import phrases

_IN_A_LINK = str.maketrans({" ": "%20", "(": "%28", ")": "%29", "<": "%3C", ">": "%3E"})


class LinkedText:
    """Builds the streamed text of an answer with its markers as Markdown links, and the links' positions."""

    def __init__(self) -> None:
        self.text = ""
        self.annotations: list[Annotation] = []
        self._sources: dict[int, Source] = {}

    def take(self, event: Event) -> str:
        """Returns the text that an event adds."""
        before = len(self.text)
        if isinstance(event, NewSource):
            self._sources[event.source.number] = event.source
        elif isinstance(event, Token):
            self._add(event)
        return self.text[before:]

    def begin_again(self, notice: str) -> str:
        """Returns text that announces a restart: clients of this protocol cannot take back shown text."""
        added = f"\n\n---\n\n*{notice}*\n\n"
        self.text += added
        return added

    def _add(self, token: Token) -> None:
        place = 0 if self.text else len(token.content) - len(token.content.lstrip())
        for mark in token.marks:
            source = self._sources[mark.number]
            self.text += token.content[place : mark.start]
            start = len(self.text)
            self.text += f"[[{mark.number}]]({source.url.translate(_IN_A_LINK)})"
            cited = UrlCitation(
                url=source.url, title=source.title, start_index=start, end_index=len(self.text)
            )
            self.annotations.append(Annotation(type="url_citation", url_citation=cited))
            place = mark.end
        self.text += token.content[place:]


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
    run = await RunningAnswer.begin(request, question, whole=not asked.stream)
    if asked.stream:
        response: Response = EventStream(run, _chunks(run, asked))
    else:
        linked, answer = await while_connected(request, _whole(run))
        message = AnswerMessage(content=linked.text.rstrip(), annotations=linked.annotations)
        completion = Completion(
            **_head(run.started, asked),
            choices=[Choice(message=message, finish_reason=_finish(answer))],
            usage=_usage(answer),
        )
        response = JSONResponse(completion.model_dump())
    response.headers["X-Session-Id"] = run.started.session_id
    return response


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
    preceptor: Preceptor = request.state.preceptor
    built = {
        f"{MODEL}/{info.book}": int(info.built_at.timestamp()) for info in await preceptor.library.books()
    }
    return [ModelBody(id=name, created=at) for name, at in {MODEL: max(built.values()), **built}.items()]


async def _whole(run: RunningAnswer) -> tuple[LinkedText, Answer]:
    """Returns the finished answer."""
    linked = LinkedText()
    try:
        async for event in run:
            if isinstance(event, Done):
                return linked, event.answer
            if isinstance(event, Restart):
                linked = LinkedText()
            linked.take(event)
    finally:
        await run.aclose()
    raise AssertionError("a run ends with an answer or an error")


async def _chunks(run: RunningAnswer, asked: CompletionRequest) -> AsyncGenerator[bytes, None]:
    """Yields the answer in chunks."""
    head = _head(run.started, asked)
    linked = LinkedText()

    def chunk(delta: Delta, finish: Literal["stop", "length"] | None = None) -> bytes:
        return _sent(Chunk(**head, choices=[ChunkChoice(index=0, delta=delta, finish_reason=finish)]))

    try:
        yield chunk(Delta(role="assistant", content=""))
        async for event in run:
            if isinstance(event, Done):
                yield chunk(Delta(annotations=linked.annotations), _finish(event.answer))
                if asked.wants_usage:
                    yield _sent(Chunk(**head, choices=[], usage=_usage(event.answer)))
            elif isinstance(event, Restart):
                yield chunk(Delta(content=linked.begin_again(phrases(asked.text).begun_again)))
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


def _finish(answer: Answer) -> Literal["stop", "length"]:
    return "length" if answer.truncated else "stop"


def _usage(answer: Answer) -> CompletionUsage:
    read, written = answer.usage.input_tokens, answer.usage.output_tokens
    return CompletionUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)

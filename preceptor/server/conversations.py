"""Endpoints for a reader's own conversation: read it, delete it, rate an answer."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from preceptor.agents.preceptor import Preceptor
from preceptor.errors import TracesUnavailable
from preceptor.server.chat import session_of
from preceptor.server.contract import FeedbackRequest, SessionResponse, TurnBody
from preceptor.server.dialect import Dialect
from preceptor.server.openapi import Operation, operation
from preceptor.server.request import read_body
from preceptor.tracing.store import TraceStore

_ANSWER_ID = re.compile("[0-9a-f]{32}")
"""An id of another form was never given, so its run need not be waited for."""
_FEEDBACK_SECONDS = 1.0
_PAUSES = (0.05, 0.1, 0.2, 0.3, 0.3)
"""Seconds between the looks for a run that is on its way."""

_ID = "Id of the session, as an answer bears it. Whoever knows it may read and delete the conversation."


class Session(HTTPEndpoint):
    """One session; anyone who knows its id may read and delete it."""

    @operation(
        Operation(
            name="readSession",
            summary="Read a conversation",
            description="Its turns, oldest first, as the reader saw them.",
            parameter=_ID,
            returns=SessionResponse,
            errors=(404,),
        )
    )
    async def get(self, request: Request) -> Response:
        """Read the session's turns."""
        preceptor: Preceptor = request.state.preceptor
        session_id = request.path_params["id"]
        found = await preceptor.sessions.turns(await _meant(request))
        turns = [TurnBody.of(turn) for turn in found]
        return JSONResponse(SessionResponse(session_id=session_id, turns=turns).model_dump())

    @operation(
        Operation(
            name="deleteSession",
            summary="Delete a conversation",
            parameter=_ID,
            status=204,
            errors=(404, 409),
        )
    )
    async def delete(self, request: Request) -> Response:
        """Delete the session."""
        preceptor: Preceptor = request.state.preceptor
        await preceptor.sessions.delete(await _meant(request))
        return Response(status_code=204)


async def _meant(request: Request) -> str:
    """Returns the session that the path names, which may be a name of the client's own."""
    name: str = request.path_params["id"]
    return (await session_of(request, name) if Dialect.of(request.scope).own_sessions else None) or name


async def _kept(keep: Callable[[], "Future[bool]"], traces: TraceStore) -> bool:
    """Keep feedback; whether its run was found.

    A run is written shortly after its answer, and perhaps by another process: a reader who is quick is not refused.

    Raises:
        TracesUnavailable: The file cannot be written within a second.
    """
    found: bool | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(_FEEDBACK_SECONDS):
            for pause in _PAUSES:
                found = await asyncio.wrap_future(keep())
                if found:
                    break
                await asyncio.sleep(pause)
    if found is None:
        raise TracesUnavailable(traces.path, f"it could not be written within {_FEEDBACK_SECONDS:g} s")
    return found


@operation(
    Operation(
        name="giveFeedback",
        summary="Say what an answer was worth",
        description="Kept with the answer's run; a second word on an answer replaces the first.",
        body=FeedbackRequest,
        example={"response_id": "…", "rating": "up"},
        status=204,
        errors=(404,),
    )
)
async def feedback(request: Request) -> Response:
    """Store a reader's feedback on an answer."""
    said = await read_body(request, FeedbackRequest)
    rating = 1 if said.rating in (1, "up") else -1
    traces: TraceStore = request.state.traces
    if not _ANSWER_ID.fullmatch(said.response_id) or not await _kept(
        lambda: traces.feedback(said.response_id, rating, said.comment), traces
    ):
        raise HTTPException(404, "There is no answer with this `response_id`, or its run is no longer kept")
    return Response(status_code=204)

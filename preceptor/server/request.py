"""Reads requests: a validated JSON body, and clients that may disconnect."""

import json
from collections.abc import Awaitable
from typing import TypeVar

import anyio
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from preceptor.agents.preceptor import Preceptor
from preceptor.errors import RequestInvalid
from preceptor.server.contract import RequestBody

_Body = TypeVar("_Body", bound=RequestBody)
_Result = TypeVar("_Result")


async def read_body(request: Request, kind: type[_Body]) -> _Body:
    """Returns the body, validated as `kind`.

    Raises:
        HTTPException: It is no JSON object (400), not declared as JSON (415), or too large (413).
        RequestInvalid: It does not fit `kind`.
    """
    declared = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if declared not in ("application/json", "text/json") and not declared.endswith("+json"):
        raise HTTPException(415, "The body is not declared as JSON; send `Content-Type: application/json`")
    try:
        body = json.loads(await request.body(), parse_constant=_no_number)
    except (ValueError, RecursionError):  # ValueError: also of bytes that are no text, and of huge numbers
        raise HTTPException(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "The body must be a JSON object, `{…}`")
    preceptor: Preceptor = request.state.preceptor
    try:
        return kind.model_validate(body, context={"longest": preceptor.settings.server.max_question})
    except ValidationError as error:
        raise RequestInvalid(_details(error)) from None


def _no_number(name: str) -> None:
    """Rejects NaN and Infinity, which Python reads but JSON does not allow."""
    raise ValueError(name)


def _details(error: ValidationError) -> dict[str, str]:
    """Returns the error of each field, without its value, which may be readers' text."""
    return {
        ".".join(str(part) for part in each["loc"]): each["msg"].removeprefix("Value error, ")
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    }


async def while_connected(request: Request, work: Awaitable[_Result]) -> _Result:
    """Returns the result of `work`, which is cancelled if the client disconnects.

    Raises:
        ClientDisconnect: It went away.
        Exception: Whatever `work` raises.
    """
    results: list[_Result] = []
    failure: Exception | None = None

    async def leave_with_client(scope: anyio.CancelScope) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(leave_with_client, group.cancel_scope)
        try:
            results.append(await work)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group that would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not results:
        raise ClientDisconnect
    return results[0]

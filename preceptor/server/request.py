"""Reads the body of a request: JSON, validated."""

import json
from typing import TypeVar

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from preceptor.errors import RequestInvalid
from preceptor.server.aliases import given_by_alias
from preceptor.server.contract import RequestBody
from preceptor.settings import Settings

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
    settings: Settings = request.state.settings
    try:
        return kind.model_validate(
            {**given_by_alias(request.scope), **body},
            context={"longest": settings.server.max_question},
        )
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

"""Reads a request: its body, validated, and the form of response that its `Accept` prefers."""

import json
from collections.abc import Iterator
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


def prefers(accept: str, wanted: str, *, to: str = "application/json") -> bool:
    """Whether a client would rather have one form than the form that everybody gets (RFC 9110, section 12.5.1).

    Args:
        accept: The header, or all of them joined by commas.
        wanted: A media type. Where both are as welcome, it is preferred only if it is named: `*/*` asks for nothing.
        to: Media type of what everybody gets.
    """
    ranges = list(_ranges(accept))
    quality, named = _quality(ranges, wanted)
    usual, _ = _quality(ranges, to)
    return quality > usual or (quality == usual > 0 and named)


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [text[2:].strip() for text in parameters if text.startswith("q=")]
        if media:
            yield media, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 1.0


def _quality(ranges: list[tuple[str, float]], media: str) -> tuple[float, bool]:
    """Returns the quality of a media type, which the most exact range decides, and whether it is named."""
    for pattern in (media, f"{media.partition('/')[0]}/*", "*/*"):
        found = [quality for name, quality in ranges if name == pattern]
        if found:
            return max(found), pattern == media
    return 0.0, False

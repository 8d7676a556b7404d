"""Maps errors to HTTP: one table by exception class, and the contract's error object."""

import logging
import math
import secrets
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor import errors
from preceptor.server.access import PAGE_HEADERS
from preceptor.server.contract import ErrorBody
from preceptor.server.dialect import Dialect
from preceptor.server.openai_contract import OpenAIErrorBody
from preceptor.server.request import prefers

logger = logging.getLogger(__name__)

TABLE: Mapping[type[errors.PreceptorError], tuple[int, str]] = {
    errors.SessionNotFound: (404, "SESSION_NOT_FOUND"),
    errors.SessionBusy: (409, "SESSION_BUSY"),
    errors.SessionsUnavailable: (503, "SERVICE_UNAVAILABLE"),
    errors.UnknownChapter: (404, "NOT_FOUND"),
    errors.UnknownBook: (404, "NOT_FOUND"),
    errors.UnknownSection: (404, "NOT_FOUND"),
    errors.ToolInputError: (400, "VALIDATION_ERROR"),
    errors.RequestInvalid: (400, "VALIDATION_ERROR"),
    errors.BookNotNamed: (400, "VALIDATION_ERROR"),
    errors.KeyMissing: (401, "AUTHENTICATION_ERROR"),
    errors.OperatorsOnly: (403, "FORBIDDEN"),
    errors.RateLimited: (429, "RATE_LIMIT_EXCEEDED"),
    errors.BudgetSpent: (429, "BUDGET_EXCEEDED"),
    errors.RequestRefused: (503, "SERVICE_UNAVAILABLE"),
    errors.DeadlineExceeded: (504, "DEADLINE_EXCEEDED"),
    errors.TutorError: (503, "SERVICE_UNAVAILABLE"),
    errors.VectorIndexError: (503, "SERVICE_UNAVAILABLE"),
    errors.EmbeddingError: (503, "SERVICE_UNAVAILABLE"),
    errors.TraceNotFound: (404, "NOT_FOUND"),
    errors.TracesUnavailable: (503, "SERVICE_UNAVAILABLE"),
}
"""Status and code by the nearest class in the error's ancestry; any other error is a 500."""

_READERS_TEXT: Mapping[type[errors.PreceptorError], str] = {
    errors.VectorIndexError: "The book's index cannot be reached right now. Try again in a moment.",
    errors.EmbeddingError: "The book cannot be searched right now. Try again in a moment.",
    errors.TutorError: "No tutor can answer right now. Try again in a moment.",
    errors.SessionsUnavailable: (
        "Your conversation cannot be reached right now. Try again in a moment, or begin a new one."
    ),
    errors.TracesUnavailable: "This cannot be kept or looked up right now. Try again in a moment.",
}
"""Messages for readers, for errors whose own text (addresses, settings) is only for the operator."""

_STATUS_CODES: Mapping[int, str] = {
    400: "VALIDATION_ERROR",
    401: "AUTHENTICATION_ERROR",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMIT_EXCEEDED",
    503: "SERVICE_UNAVAILABLE",
}
_RETRY_AFTER = 5.0
_PAGE = Path(__file__).parent / "templates" / "error.html"


def fault(error: Exception) -> tuple[int, ErrorBody, float | None]:
    """Returns status, body and Retry-After in seconds (or None) for an error; logs an unexpected one with its id."""
    if isinstance(error, errors.PreceptorError):
        for kind in type(error).__mro__:
            if kind in TABLE:
                status, code = TABLE[kind]
                retry_after = getattr(error, "retry_after", None) or (_RETRY_AFTER if status == 503 else None)
                if status == 503:
                    logger.warning("%s: %s", type(error).__name__, error)
                details = error.details if isinstance(error, errors.RequestInvalid) else None
                return status, ErrorBody(error=_told(error), code=code, details=details), retry_after
    error_id = secrets.token_hex(6)
    logger.error("error %s", error_id, exc_info=error)
    text = f"Something went wrong on our side. Try again; if it stays, give the operator this number: {error_id}."
    return 500, ErrorBody(error=text, code="INTERNAL_ERROR", error_id=error_id), None


def _told(error: errors.PreceptorError) -> str:
    if isinstance(error, errors.DeadlineExceeded):
        return str(error)
    for kind in type(error).__mro__:
        if kind in _READERS_TEXT:
            return _READERS_TEXT[kind]
    return str(error)


def respond(status: int, body: ErrorBody, retry_after: float | None = None, *, scope: Scope) -> Response:
    """Returns the response for an error.

    Args:
        status: HTTP status.
        body: The error object.
        retry_after: Seconds.
        scope: The request: below `/v1/`, where OpenAI's clients ask, errors have OpenAI's shape, and a browser that
            looks for a page gets a page.
    """
    headers = {"Retry-After": str(math.ceil(retry_after))} if retry_after else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if _wants_page(scope):
        page = Template(_PAGE.read_text(encoding="utf-8")).substitute(
            title=escape(HTTPStatus(status).phrase), text=escape(body.error)
        )
        return HTMLResponse(page, status_code=status, headers={**headers, **PAGE_HEADERS})
    if scope["path"].startswith("/v1/"):
        shaped = OpenAIErrorBody.of(status, body).model_dump(exclude_none=True)
    else:
        shaped = Dialect.of(scope).error(body.model_dump(exclude_none=True))
    return JSONResponse(shaped, status_code=status, headers=headers)


def _wants_page(scope: Scope) -> bool:
    """Whether somebody in a browser looks for a page, which only a page can answer."""
    if scope["method"] not in ("GET", "HEAD") or scope["path"].startswith(("/api/", "/v1/")):
        return False
    return prefers(",".join(Headers(scope=scope).getlist("accept")), "text/html")


class Faults:
    """ASGI middleware at the edge: turns an unexpected error into a 500 with an id, at startup into a message.

    It is inside CORS and the security headers, so that a page of another origin can read the 500 as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and the end of the application."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return
        except Exception as error:
            response = respond(*fault(error), scope=scope)
            # The status is out: only a broken connection still tells the client that this is not all.
            if started:
                raise
            await response(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        failed: Message | None = None

        async def withholding(message: Message) -> None:
            # Starlette's message is the traceback.
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, withholding)
        except errors.PreceptorError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise


async def on_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for Preceptor's errors."""
    return respond(*fault(error), scope=request.scope)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for its own errors (no such path, method not allowed)."""
    assert isinstance(error, HTTPException)
    code = _STATUS_CODES.get(error.status_code, "INTERNAL_ERROR")
    text = f"{request.method} {request.url.path}: {error.detail}."
    response = respond(error.status_code, ErrorBody(error=text, code=code), scope=request.scope)
    response.headers.update(error.headers or {})
    return response

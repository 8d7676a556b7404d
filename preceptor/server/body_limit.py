"""Limits the size of request bodies."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.server.contract import ErrorBody
from preceptor.server.faults import respond


class BodyLimit:
    """ASGI middleware that answers 413 as soon as a body is known to be too large."""

    def __init__(self, app: ASGIApp, *, largest: int) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            largest: Bytes of a body.
        """
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._largest:
            await self._refusal(scope["path"])(scope, receive, send)
            return
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._largest:
                raise HTTPException(413, f"The body is larger than {self._largest} bytes")
            return message

        await self._app(scope, limited, send)

    def _refusal(self, path: str) -> ASGIApp:
        body = ErrorBody(
            error=f"The body is larger than {self._largest} bytes. Shorten it.", code="BODY_TOO_LARGE"
        )
        return respond(413, body, path=path)

"""A request's body may not be larger than the settings say, and must come in time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.server.contract import ErrorBody
from preceptor.server.faults import respond


class BodyLimit:
    """ASGI middleware: 413 as soon as a body is known to be too large, 408 when it does not come."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        largest: int,
        conversation: int | None = None,
        conversations: tuple[str, ...] = (),
        seconds: float = 10.0,
    ) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            largest: Bytes of a body.
            conversation: Bytes of a body where clients bring all that was said before; None: the same.
            conversations: What the paths begin with where they do.
            seconds: Within which all of it must come, from when it is asked for.
        """
        self._app = app
        self._largest = largest
        self._conversation = max(conversation or 0, largest)
        self._conversations = conversations
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Refused before a byte is read; who declares nothing, or too little, is counted below.
        largest = self._conversation if scope["path"].startswith(self._conversations) else self._largest
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared) > largest:
            refusal = ErrorBody(
                error=f"The body is larger than {largest} bytes. Shorten it.", code="BODY_TOO_LARGE"
            )
            await respond(413, refusal, scope=scope)(scope, receive, send)
            return
        seen, whole = 0, False
        until: float | None = None

        async def limited() -> Message:
            nonlocal seen, whole, until
            if whole:  # what comes now is the client's going away
                return await receive()
            until = until or asyncio.get_running_loop().time() + self._seconds
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body did not come in time; send it at once") from None
            seen += len(message.get("body", b""))
            if seen > largest:
                raise HTTPException(413, f"The body is larger than {largest} bytes")
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, limited, send)

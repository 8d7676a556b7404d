"""Extra paths for existing front ends: `server.aliases` maps each to one of Preceptor's paths."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Aliases:
    """ASGI middleware, the outermost: rewrites a request for an alias to the path behind it."""

    def __init__(self, app: ASGIApp, *, aliases: Mapping[str, str]) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            aliases: Paths of ours by the paths that they are also known as, in which case does not count
                (the names in settings have none).
        """
        self._app = app
        self._aliases = {alias.lower(): path for alias, path in aliases.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        meant = self._aliases.get(scope.get("path", "").lower())
        if meant is not None:
            scope = {**scope, "path": meant, "raw_path": meant.encode()}
        await self._app(scope, receive, send)

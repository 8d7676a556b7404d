"""Extra paths for existing front ends: `server.aliases` maps each to one of Preceptor's paths."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

_GIVEN = "preceptor.given"


class Aliases:
    """ASGI middleware, the outermost: rewrites a request for an alias to the path behind it."""

    def __init__(self, app: ASGIApp, *, aliases: Mapping[str, str]) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            aliases: Paths of ours by the paths that they are also known as, in which neither case counts (the names
                in settings have none) nor a slash at the end. `?mode=…` after a path gives a field of the question.
        """
        self._app = app
        self._aliases = {_folded(alias): path.partition("?")[::2] for alias, path in aliases.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        meant = self._aliases.get(_folded(scope.get("path", "")))
        if meant is not None:
            path, given = meant
            scope = {**scope, "path": path, "raw_path": path.encode(), _GIVEN: dict(parse_qsl(given))}
        await self._app(scope, receive, send)


def given_by_alias(scope: Scope) -> dict[str, Any]:
    """Returns the fields of a question that the alias of a request gives."""
    given: dict[str, Any] = dict(scope.get(_GIVEN, {}))
    if "stream" in given:
        given["stream"] = given["stream"].lower() in ("true", "1", "yes")
    return given


def _folded(path: str) -> str:
    return path.lower().rstrip("/") or "/"

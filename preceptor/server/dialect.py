"""Dialects: the other names under which front ends of existing textbooks read answers, errors and events.

`server.dialect` switches them on; what the contract names stays as it is.
"""

from collections.abc import Collection, Mapping
from typing import Any

from starlette.types import Scope

from preceptor.server.access import client_of

_ANSWER = ("response", "message", "text", "reply")
"""Further names of an answer's text."""
_ERROR = ("detail", "message")
"""Further names of the text of an error."""
_SOURCE = {"quote": ("content", "text", "snippet"), "title": ("chapter", "chapter_title"), "url": ("link",)}
"""Further names of a source's fields."""
_TYPES = {"chunk": "token", "delta": "token", "final": "done"}
"""The contract's event for each type that a front end may wait for."""


class Dialect:
    """Adds the names that `server.dialect` switches on."""

    def __init__(self, words: Collection[str]) -> None:
        """Take the words of `server.dialect`."""
        self.active = bool(words)
        self.own_sessions = "sessions" in words
        self._names = "names" in words
        self._types = {_TYPES[word]: word for word in words if word in _TYPES}

    @classmethod
    def of(cls, scope: Scope) -> "Dialect":
        """Returns the dialect of the service that got a request."""
        return scope.get("state", {}).get("dialect") or cls(())

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns an answer with the further names."""
        if not self._names:
            return dict(body)
        lists = {name: [self.source(each) for each in body[name]] for name in ("sources", "also_relevant")}
        return {**body, **lists, **dict.fromkeys(_ANSWER, body["answer"]), "citations": lists["sources"]}

    def source(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a source with the further names."""
        if not self._names:
            return dict(body)
        return {**body, **{other: body[name] for name, others in _SOURCE.items() for other in others}}

    def error(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Returns an error with the further names."""
        return {**body, **dict.fromkeys(_ERROR, body["error"])} if self._names else dict(body)

    def event(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the data of an event with its type and the further names."""
        told = dict(data)
        if name == "done":
            told = self.answer(data)
        elif name == "source":
            told = self.source(data)
        elif name == "error":
            told = self.error(data)
        elif name == "token":
            # Under the name of its type, too: `{type: "delta", delta: …}`.
            names = [*(_ANSWER if self._names else ()), *filter(None, [self._types.get("token")])]
            told |= dict.fromkeys(names, data["content"])
        return {**told, "type": self._types.get(name, name)} if self._types else told


def readers_mark(scope: Scope) -> str:
    """Returns everything by which a reader can be told from others who name a session alike, as one text."""
    headers = dict(scope["headers"])
    shown = (
        headers.get(name, b"").decode("latin-1") for name in (b"authorization", b"x-api-key", b"user-agent")
    )
    return "\n".join([client_of(scope), *shown])

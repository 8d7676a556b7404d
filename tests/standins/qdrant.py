"""Qdrant's REST API on loopback, over the local mode of its own client, and a record of what it was asked.

It is not Qdrant: no HNSW, no gRPC, no disk. What it adds to the local mode is what hides mistakes there:
strict mode (a filter on a field without an index is a 400), keys with their rights, and the form of errors.
"""

import json
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import uvicorn
from pydantic import BaseModel, TypeAdapter
from qdrant_client import QdrantClient, models
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Json = Any
Right = Literal["read", "write"]
Scripted = Callable[[Request], Awaitable[Response]]

_ASKS_ONLY = ("/points", "/points/scroll", "/points/query", "/points/query/batch", "/points/count", "/facet")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Json
    key: str | None

    @property
    def is_write(self) -> bool:
        return not (self.method == "GET" or (self.method == "POST" and self.path.endswith(_ASKS_ONLY)))

    def filtered(self) -> set[str]:
        """Payload fields that it filters on."""
        return set(_keys(self.body))


class QdrantStandIn:
    """A server in a thread, on a port of its own, from `with` to its end.

    Args:
        keys: The right that each key gives; empty: no key is asked for.
    """

    def __init__(self, *, keys: Mapping[str, Right] | None = None) -> None:
        self.asked: list[Asked] = []
        """Every request, in order."""
        self.script: deque[Scripted] = deque()
        """Answers for the next requests in its place."""
        self.local = QdrantClient(":memory:")
        """Collections that it holds."""
        self._keys = dict(keys or {})
        self._indexed: dict[str, set[str]] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=list(_METHODS))])
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        )
        # The socket listens already: who connects before the thread runs is served then.
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.local.close()

    def writes(self) -> list[Asked]:
        """The requests that change something."""
        return [one for one in self.asked if one.is_write]

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        asked = Asked(
            request.method,
            request.url.path,
            dict(request.query_params),
            json.loads(raw) if raw else None,
            request.headers.get("api-key"),
        )
        self.asked.append(asked)
        if self.script:
            return await self.script.popleft()(request)
        return self._refused(asked) or self._done(asked)

    def _refused(self, asked: Asked) -> Response | None:
        if not self._keys:
            return None
        if asked.key not in self._keys:
            return PlainTextResponse("Invalid API key or JWT", 401)
        if asked.is_write and self._keys[asked.key] == "read":
            return _error(403, "Forbidden: Global manage access is required")
        return None

    def _done(self, asked: Asked) -> Response:
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["collections"]:
                return self._local(self.local.get_collections)
            case "GET", ["aliases"]:
                return self._local(self.local.get_aliases)
            case "POST", ["collections", "aliases"]:
                actions = TypeAdapter(list[models.AliasOperations]).validate_python(asked.body["actions"])
                return self._local(lambda: self.local.update_collection_aliases(actions))
            case method, ["collections", name, *what]:
                return self._in_collection(f"{method} {'/'.join(what)}", name, asked)
            case _:
                return PlainTextResponse("", 404)

    def _in_collection(self, what: str, name: str, asked: Asked) -> Response:
        body, client = asked.body, self.local
        if what not in ("PUT ", "DELETE ") and not client.collection_exists(name):
            return _error(404, f"Not found: Collection `{name}` doesn't exist!")
        unindexed = asked.filtered() - self._indexed.get(self._real(name), set())
        if unindexed:
            field = unindexed.pop()
            return _error(400, f'Bad request: Index required but not found for "{field}" of one of …')
        match what:
            case "GET ":
                return self._local(lambda: client.get_collection(name))
            case "PUT ":
                made = models.CreateCollection.model_validate(body)
                return self._local(
                    lambda: client.create_collection(
                        name,
                        vectors_config=made.vectors,
                        sparse_vectors_config=made.sparse_vectors,
                        metadata=made.metadata,
                    )
                )
            case "PATCH ":
                return self._local(lambda: client.update_collection(name, metadata=body["metadata"]))
            case "DELETE ":
                self._indexed.pop(name, None)
                return self._local(lambda: client.delete_collection(name))
            case "PUT index":
                self._indexed.setdefault(name, set()).add(body["field_name"])
                return _result({"operation_id": 0, "status": "completed"})
            case "PUT points":
                points = TypeAdapter(list[models.PointStruct]).validate_python(body["points"])
                return self._local(lambda: client.upsert(name, points))
            case "POST points":
                return self._local(
                    lambda: client.retrieve(
                        name,
                        body["ids"],
                        with_payload=body["with_payload"],
                        with_vectors=body["with_vector"],
                    )
                )
            case "POST points/delete":
                selector = TypeAdapter(models.PointsSelector).validate_python(body)
                return self._local(lambda: client.delete(name, selector))
            case "POST points/count":
                counted = models.CountRequest.model_validate(body)
                return self._local(lambda: client.count(name, count_filter=counted.filter, exact=True))
            case "POST points/scroll":
                return self._scrolled(name, models.ScrollRequest.model_validate(body))
            case "POST points/query/batch":
                searches = TypeAdapter(list[models.QueryRequest]).validate_python(body["searches"])
                return self._local(lambda: client.query_batch_points(name, searches))
            case _:
                return PlainTextResponse("", 404)

    def _scrolled(self, name: str, asked: models.ScrollRequest) -> Response:
        def scroll() -> Json:
            points, offset = self.local.scroll(
                name,
                scroll_filter=asked.filter,
                limit=asked.limit or 10,
                offset=asked.offset,
                with_payload=True if asked.with_payload is None else asked.with_payload,
                with_vectors=asked.with_vector or False,
            )
            return {"points": _plain(points), "next_page_offset": offset}

        return self._local(scroll)

    def _real(self, name: str) -> str:
        aliases = {one.alias_name: one.collection_name for one in self.local.get_aliases().aliases}
        return aliases.get(name, name)

    def _local(self, do: Callable[[], Json]) -> Response:
        try:
            return _result(_plain(do()))
        except ValueError as error:
            return _error(409 if "already exists" in str(error) else 400, f"Wrong input: {error}")


_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def _plain(value: Json) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _result(result: Json) -> Response:
    return JSONResponse({"result": result, "status": "ok", "time": 0.0})


def _error(status: int, message: str) -> Response:
    return JSONResponse({"status": {"error": message}, "time": 0.0}, status)


def _keys(value: Json) -> Iterator[str]:
    """Names of the fields in every `filter` below a body."""
    if isinstance(value, list):
        for one in value:
            yield from _keys(one)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "filter" and inner:
                yield from _fields(inner)
            elif name != "points":
                yield from _keys(inner)


def _fields(condition: Json) -> Iterator[str]:
    if isinstance(condition, list):
        for one in condition:
            yield from _fields(one)
    elif isinstance(condition, dict):
        if isinstance(condition.get("key"), str):
            yield condition["key"]
        for inner in condition.values():
            yield from _fields(inner)

"""The HTTP contract as OpenAPI, generated from the routes and from the models that validate the bodies.

An endpoint declares its input and output with `@operation(…)`; its route gives the path and the method.
`/openapi.json` serves the document, `make openapi` writes the copy in docs/.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from preceptor import __version__
from preceptor.server.contract import ErrorBody
from preceptor.server.openai_contract import OpenAIErrorBody

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Awaitable[Response]])

_ALWAYS = (405, 500)
_UNLESS_OPEN = (429, 503)
_WITH_BODY = (400, 408, 413, 415)
_WITH_KEYS = (401,)
_CONVERTER = re.compile(r"\{(\w+):\w+\}")
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Description of an endpoint for the document."""

    name: str
    """The `operationId`."""
    summary: str
    description: str = ""
    body: type[BaseModel] | None = None
    """Model that validates the request's body."""
    example: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Such a body, for the page of the contract and for tools that try the endpoint."""
    returns: type[BaseModel] | str | None = None
    """Content of a success: a model, or a media type; None for no content."""
    status: int = 200
    """Status of a success."""
    streams: type[BaseModel] | None = None
    """Model of an event, if a success may also be a stream."""
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict[int, type[BaseModel]])
    """Other bodies by status, for statuses that are neither the success nor an error."""
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """OpenAPI's link objects of a success, by name."""
    errors: Sequence[int] = ()
    """Error statuses in addition to those of every operation."""
    parameter: str = ""
    """Description of the path's parameter, if there is one."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    """Descriptions of the query's parameters by name; all are optional."""
    open: bool = False
    """Whether the operation needs no key and has no limit."""


_operations: dict[object, Operation] = {}


def operation(said: Operation) -> Callable[[_Endpoint], _Endpoint]:
    """Describes an endpoint."""

    def note(endpoint: _Endpoint) -> _Endpoint:
        _operations[endpoint] = said
        return endpoint

    return note


class Contract:
    """The document of one application, made when it is first asked for: it takes longer than most answers."""

    def __init__(self, *, keys: bool) -> None:
        """Say whether readers need a key."""
        self._keys = keys
        self._document: dict[str, Any] | None = None
        self._json = b""

    def document(self, request: Request) -> dict[str, Any]:
        """The document of the application that got `request`."""
        if self._document is None:
            self._document = document(request.app.routes, keys=self._keys)
        return self._document

    async def openapi_json(self, request: Request) -> Response:
        """The document as JSON."""
        self._json = self._json or bytes(JSONResponse(self.document(request)).body)
        return Response(self._json, media_type="application/json")


def document(routes: Iterable[BaseRoute], *, keys: bool = False) -> dict[str, Any]:
    """Returns an OpenAPI document of all routes whose endpoints are described.

    Args:
        routes: Routes of the application.
        keys: Whether readers need a key.
    """
    described = [each for route in routes if isinstance(route, Route) for each in _operations_of(route)]
    refs, definitions = models_json_schema(
        # In one order, so that the copy in docs/ changes only with the contract.
        sorted(set(_models(said for _, _, said in described)), key=lambda pair: pair[0].__name__),
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for path, method, said in described:
        paths.setdefault(path, {})[method] = _described(path, said, refs, keys=keys)
    components: dict[str, Any] = {"schemas": definitions.get("$defs", {})}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Preceptor",
            "version": __version__,
            "summary": "Ask a textbook; every citation of an answer opens the right heading.",
        },
        "paths": paths,
        "components": components,
    }


def _operations_of(route: Route) -> Iterator[tuple[str, str, Operation]]:
    """Yields (path, method, operation) for each described endpoint."""
    path = _CONVERTER.sub(r"{\1}", route.path)
    for method in ("get", "post", "put", "patch", "delete"):
        # An endpoint is a function, or a class with a function for each method.
        endpoint = getattr(route.endpoint, method, None) if route.methods is None else route.endpoint
        if endpoint in _operations and (route.methods is None or method.upper() in route.methods):
            yield path, method, _operations[endpoint]


_Refs = Mapping[Any, dict[str, Any]]
"""Schema references by (model, mode)."""


def _models(operations: Iterable[Operation]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    yield ErrorBody, "serialization"
    yield OpenAIErrorBody, "serialization"
    for said in operations:
        if said.body is not None:
            yield said.body, "validation"
        if isinstance(said.returns, type):
            yield said.returns, "serialization"
        if said.streams is not None:
            yield said.streams, "validation"
        for kind in said.also.values():
            yield kind, "serialization"


def _described(path: str, said: Operation, refs: _Refs, *, keys: bool) -> dict[str, Any]:
    """Returns one operation of the document."""
    errors = {*said.errors, *said.also, *_ALWAYS}
    errors.update(() if said.open else _UNLESS_OPEN)
    errors.update(_WITH_BODY if said.body else ())
    errors.update(_WITH_KEYS if keys and not said.open else ())
    wrong = OpenAIErrorBody if path.startswith("/v1/") else ErrorBody
    about: dict[str, Any] = {
        "operationId": said.name,
        "summary": said.summary,
        "responses": {str(said.status): _success(said, refs)},
    }
    if said.description:
        about["description"] = said.description
    for status in sorted(errors):
        kind = said.also.get(status, wrong)
        about["responses"][str(status)] = _failure(status, refs[kind, "serialization"])
    named = [("path", name, said.parameter) for name in _PARAMETER.findall(path)]
    named += [("query", name, description) for name, description in said.query.items()]
    if named:
        about["parameters"] = [
            {
                "name": name,
                "in": place,
                "required": place == "path",
                "description": description,
                "schema": {"type": "string"},
            }
            for place, name, description in named
        ]
    if said.body is not None:
        content: dict[str, Any] = {"schema": refs[said.body, "validation"]}
        if said.example:
            content["example"] = said.example
        about["requestBody"] = {"required": True, "content": {"application/json": content}}
    if keys and not said.open:
        about["security"] = [{"key": []}]
    return about


def _success(said: Operation, refs: _Refs) -> dict[str, Any]:
    about: dict[str, Any] = {"description": HTTPStatus(said.status).phrase}
    if isinstance(said.returns, str):
        about["content"] = {said.returns: {"schema": {"type": "string"}}}
    elif said.returns is not None:
        about["content"] = {"application/json": {"schema": refs[said.returns, "serialization"]}}
    if said.streams is not None:
        # Before OpenAPI 3.2 there is no word for the events of a stream; tools take the schema to be of each one.
        about["content"]["text/event-stream"] = {"schema": refs[said.streams, "validation"]}
    if said.links:
        about["links"] = said.links
    return about


def _failure(status: int, schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": schema}},
    }
    if status in _UNLESS_OPEN:
        wait = {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}}
        about["headers"] = {"Retry-After": wait}
    return about

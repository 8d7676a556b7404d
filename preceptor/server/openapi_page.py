"""`GET /docs`: the OpenAPI document as a page, without scripts or anything from other hosts."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from preceptor.server.openapi import Contract

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 4px; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 600; text-transform: uppercase; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
nav ul { list-style: none; padding: 0; }
"""
_POLICY = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_POLICY}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
}
_BASE = "{base}"
"""Stands for the address of the service."""
_CODE = re.compile(r"`([^`]+)`")


class ContractPage:
    """The page of one application's contract, made when it is first asked for."""

    def __init__(self, contract: Contract) -> None:
        """Show this contract."""
        self._contract = contract
        self._html = ""

    async def openapi_page(self, request: Request) -> Response:
        """The page, whose examples ask the host that the reader's browser asks."""
        self._html = self._html or "".join(_page(self._contract.document(request)))
        html = self._html.replace(_BASE, escape(str(request.base_url).rstrip("/")))
        return HTMLResponse(html, headers=_HEADERS)


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    operations = [
        (method, path, said)
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}: HTTP API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{_prose(info['summary'])} "
        '<a href="openapi.json">This contract as OpenAPI</a>.</p><nav aria-label="Operations"><ul>'
    )
    for method, path, said in operations:
        yield (
            f'<li><a href="#{_anchor(method, path)}"><code><span class="method">{method}</span>{escape(path)}</code>'
            f"</a> {escape(said['summary'])}</li>"
        )
    yield "</ul></nav>"
    schemas = document["components"]["schemas"]
    for method, path, said in operations:
        yield from _operation(method, path, said, schemas)
    yield "<h2>Bodies</h2>"
    for name, schema in schemas.items():
        yield f'<h3 id="{name}">{name}</h3>{_fields(schema)}'
    yield "</main></body></html>"


def _operation(method: str, path: str, said: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f'<h2 id="{_anchor(method, path)}"><code><span class="method">{method}</span>{escape(path)}</code></h2>'
        f"<p>{_prose(said['summary'])}. {_prose(said.get('description', ''))}</p>"
    )
    for parameter in said.get("parameters", ()):
        yield f"<p><code>{parameter['name']}</code>: {_prose(parameter['description'])}</p>"
    body = said["requestBody"]["content"]["application/json"] if "requestBody" in said else {}
    yield f"<pre>{escape(_curl(method, path, body.get('example')))}</pre>"
    if body:
        name = _name(body["schema"])
        yield f"<h3>Body: {name}</h3>{_fields(schemas[name])}"
    rows = [
        (status, escape(answer["description"]), ", ".join(_contents(answer)) or "nothing")
        for status, answer in said["responses"].items()
    ]
    yield f"<h3>Answers</h3>{_table(('status', '', 'body'), rows)}"


def _fields(schema: Mapping[str, Any]) -> str:
    """Renders the properties of an object as a table."""
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(name)}</code>",
            _type(each) + (", required" if name in required else ""),
            _prose(each.get("description", "")),
        )
        for name, each in schema.get("properties", {}).items()
    ]
    about = f"<p>{_prose(schema['description'])}</p>" if "description" in schema else ""
    return about + (_table(("field", "type", ""), rows) if rows else "")


def _type(schema: Mapping[str, Any]) -> str:
    """Describes a type in a few words."""
    if "$ref" in schema:
        return f'<a href="#{_name(schema)}">{_name(schema)}</a>'
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[choice]))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(schema.get("type", "anything"))


def _contents(answer: Mapping[str, Any]) -> Iterator[str]:
    for media, content in answer.get("content", {}).items():
        yield _type(content["schema"]) if media == "application/json" else f"<code>{escape(media)}</code>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Renders a table; the cells are HTML."""
    names = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'


def _curl(method: str, path: str, example: Mapping[str, Any] | None) -> str:
    verb = "" if method == "get" or (method == "post" and example) else f" -X {method.upper()}"
    body = json.dumps(example, ensure_ascii=False) if example else ""
    sent = f" \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'" if body else ""
    return f"curl{verb} {_BASE}{path}{sent}"


def _prose(text: str) -> str:
    """Renders text with code in backticks as HTML."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _anchor(method: str, path: str) -> str:
    return f"{method}-{re.sub(r'[^a-z0-9]+', '-', path).strip('-')}"


def _name(schema: Mapping[str, Any]) -> str:
    return schema["$ref"].rpartition("/")[2]

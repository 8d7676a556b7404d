"""Access control: keys of readers and of the operator, client addresses, security headers."""

import base64
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.books import Book
from preceptor.errors import KeyMissing, OperatorsOnly

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_OWN_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
"""Matched with the whole header: a URL parser would find `localhost` in `user@localhost` and `localhost/x`, too."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response that does not set its own; pages have a policy of their own."""
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
}
"""Headers of a page without scripts."""
_PRIVATE = ("/api/", "/v1/", "/mcp")
"""Beginnings of the paths whose responses are one reader's own."""


def client_of(scope: Scope) -> str:
    """Returns the identity for limits: the client's IPv4 address, or the /64 network of its IPv6 address."""
    return _identity((scope.get("client") or ("unknown",))[0])


@lru_cache(maxsize=1024)
def _identity(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    # A socket for both families shows IPv4 clients so.
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    # Whoever has one IPv6 address has a /64 of them: the rest would be free of limits.
    return str(ip_network((int(address), 64), strict=False))


class ReaderKey:
    """ASGI middleware that requires one of the readers' keys, if there are any."""

    def __init__(self, app: ASGIApp, *, keys: Sequence[SecretStr]) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            keys: Accepted keys, unless the book has its own; if empty, everybody may ask.
        """
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        book: Book | None = scope["state"].get("book")
        keys = self._keys if book is None else book.settings.server.reader_keys
        if keys and not bears_key(scope, keys):
            raise KeyMissing
        await self._app(scope, receive, send)


class OperatorOnly:
    """ASGI middleware that requires the operator's key or, without one, serves only this machine."""

    def __init__(self, app: ASGIApp, *, key: SecretStr | None) -> None:
        """Wrap `app`.

        Args:
            app: The application.
            key: The operator's key; None: only requests from this machine are served.
        """
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._key is not None:
            if not bears_key(scope, [self._key]):
                raise KeyMissing
        elif not _from_this_machine(scope):
            raise OperatorsOnly
        await self._app(scope, receive, send)


class OperatorInBrowser(OperatorOnly):
    """`OperatorOnly` for pages: a browser asks for the key, and another site cannot make it change anything."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD") and not _of_own_page(headers):
            raise OperatorsOnly
        if self._key is not None and not bears_key(scope, [self._key]):
            if _bears_password(headers, self._key):
                await self._app(scope, receive, send)
                return
            # The browser's own dialogue; the key is the password, and any name does.
            asks = {
                "WWW-Authenticate": 'Basic realm="Preceptor: the operator key is the password", charset="UTF-8"'
            }
            response = PlainTextResponse("The operator's key is needed.\n", 401, headers=asks)
            await response(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class SecurityHeaders:
    """ASGI middleware that adds security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(_PRIVATE):
                    headers.setdefault("Cache-Control", "no-store")
                if headers.get("access-control-allow-origin") == "*":
                    del headers["access-control-allow-credentials"]  # the pair is forbidden
            await send(message)

        await self._app(scope, receive, with_headers)


def bears_key(scope: Scope, keys: Sequence[SecretStr]) -> bool:
    """Whether a request bears one of the keys."""
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    shown = token if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    given = shown.strip().encode()
    # Each key is compared, and in full, so that the time taken tells nothing.
    matches = [hmac.compare_digest(given, key.get_secret_value().encode()) for key in keys]
    return any(matches)


def _bears_password(headers: Headers, key: SecretStr) -> bool:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        _, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return False
    return hmac.compare_digest(password, key.get_secret_value().encode())


def _of_own_page(headers: Headers) -> bool:
    """Whether a form was sent by a page of ours, or by no browser at all: those say where a form comes from."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] == "same-origin"
    # A browser sends scheme and host alone. Anybody may send what no parser of addresses reads.
    return "origin" not in headers or headers["origin"].partition("://")[2] == headers.get("host")


def _from_this_machine(scope: Scope) -> bool:
    """Whether the request came from this machine, to this machine by name, without a proxy.

    A proxy on this machine makes everybody's requests look as if they were made here, and a page in a browser on
    this machine can be made to ask for us under a name of its own.
    """
    headers = Headers(scope=scope)
    try:
        here = ip_address((scope.get("client") or ("",))[0]).is_loopback
    except ValueError:
        return False
    hosts = headers.getlist("host")
    named = len(hosts) == 1 and _OWN_NAME.fullmatch(hosts[0]) is not None
    return here and named and not any(name in headers for name in _FORWARDED)

"""The log: one line for each request, as text or JSON, without readers' text and without secrets.

A client appears as a short mark that stays the same until the service is restarted and cannot be turned back
into an address.
"""

import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.log_levels import LOG_LEVELS
from preceptor.server.access import client_of
from preceptor.server.metrics import Metrics
from preceptor.settings import ServerSettings
from preceptor.tracing.redaction import Redactor

logger = logging.getLogger("preceptor.request")

_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
"""Methods that are logged by name; others are logged as `other`, to bound metric labels."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")
"""An id of another form is not written into the log, nor sent back: it could be made to look like something else."""
_GONE = 499
"""Status in log and metrics of a request whose client disconnected before the response."""


def log_config(settings: ServerSettings, secret_values: Collection[str]) -> dict[str, Any]:
    """Returns the configuration that uvicorn passes to `logging.config.dictConfig` in each process.

    Args:
        settings: `[server]`.
        secret_values: Must not stand in any line.
    """
    form = {"()": f"{__name__}.{_FORMS[settings.log_format]}", "secret_values": list(secret_values)}
    return {
        "version": 1,
        # Modules make theirs when they are imported, before this is applied.
        "disable_existing_loggers": False,
        "formatters": {"lines": form},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "lines", "stream": "ext://sys.stderr"}
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {name: {"level": lowest} for name, lowest in LOG_LEVELS.items()},
    }


class PlainLines(logging.Formatter):
    """`2026-11-20 12:00:00 INFO preceptor.request request method=POST status=200 …`."""

    def __init__(self, *, secret_values: Collection[str] = ()) -> None:
        """Initialise the formatter, which removes the secrets."""
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self._redact = Redactor(secret_values)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Returns the line, followed by the record's fields."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return super().formatMessage(record) + (f" {fields}" if fields else "")

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line and the traceback, if there is one."""
        return self._redact(super().format(record))


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object."""

    def __init__(self, *, secret_values: Collection[str] = ()) -> None:
        """Initialise the formatter, which removes the secrets."""
        super().__init__()
        self._redact = Redactor(secret_values)

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as JSON."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(line, ensure_ascii=False, default=str))


_FORMS = {"plain": "PlainLines", "json": "JsonLines"}


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    return getattr(record, "fields", {})


class Observed:
    """ASGI middleware that measures each request for the metrics and the log."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app
        self._salt = secrets.token_bytes(16)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = _GONE
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        metrics: Metrics = scope["state"]["metrics"]
        metrics.in_flight.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            metrics.in_flight.dec()
            self._note(scope, status, time.perf_counter() - began, metrics, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, metrics: Metrics, request_id: str) -> None:
        path = getattr(scope.get("route"), "path", "") or "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        metrics.requests.labels(method, path, str(status)).inc()
        metrics.request_seconds.labels(path).observe(seconds)
        fields = {
            "method": method,
            "route": path,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "request": request_id,
            "trace": scope["state"].get("trace_id"),
            "client": self._mark(client_of(scope)),
        }
        logger.info("request", extra={"fields": {name: value for name, value in fields.items() if value}})

    def _mark(self, client: str) -> str:
        return hashlib.blake2b(client.encode(), key=self._salt, digest_size=4).hexdigest()

"""`preceptor serve`: the application under uvicorn, in one process or in several."""

import asyncio
import os
import socket
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette

from preceptor.books import read_books
from preceptor.errors import AddressUnavailable
from preceptor.server.app import create_app
from preceptor.server.connection import Connection
from preceptor.server.log import log_config
from preceptor.settings import Settings, hand_down

_LEFTOVERS_SECONDS = 5
"""Time for other responses after the last answer has ended, in seconds."""

_START_SECONDS = 60
"""Longest start of a worker in seconds, which includes loading the embedding model."""


def serve(settings: Settings, *, reload_tools: bool = False) -> None:
    """Serve until a signal says stop.

    Several processes read their settings themselves, from the same files and environment.

    Raises:
        AddressUnavailable: Something else listens there, or this machine has no such address.
        SystemExit: With 1, when the service could not start.
    """
    server = settings.server
    check_address(server.host, server.port)
    secrets = settings.secrets()
    if settings.library.file is not None:
        books = read_books(settings.library.file, settings)
        secrets += [secret for book in books.values() for secret in book.secrets()]
    options: dict[str, Any] = {
        "host": server.host,
        "port": server.port,
        "http": Connection,
        "ws": "none",
        "log_config": log_config(server, secrets),
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # the application does it, with `server.trusted_proxies`
        "timeout_graceful_shutdown": _LEFTOVERS_SECONDS,
        "timeout_worker_healthcheck": _START_SECONDS,
    }
    try:
        if server.workers == 1:
            uvicorn.run(create_app(settings, alone=True, reload_tools=reload_tools), **options)
        else:
            hand_down(settings.env)
            uvicorn.run("preceptor.server.serve:worker_app", factory=True, workers=server.workers, **options)
    except SystemExit as end:
        sys.exit(1 if end.code else 0)


def worker_app() -> Starlette:
    """Returns the application of one of several processes, which reads its settings itself."""
    return create_app(alone=True)


def check_address(host: str, port: int) -> None:
    """Check before any slow work whether the service can listen there.

    Raises:
        AddressUnavailable: It cannot.
    """

    async def bind() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
        server.close()

    try:
        asyncio.run(bind())
    except socket.gaierror as error:
        raise AddressUnavailable(host, port, f"the host is not known ({error.strerror})") from None
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise AddressUnavailable(host, port, reason) from None

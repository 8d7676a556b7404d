"""The service on a port of its own, in a thread, for clients that need a real socket."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from preceptor.server import create_app
from preceptor.server.connection import Connection
from preceptor.settings import Settings


@contextmanager
def served(settings: Settings) -> Generator[str]:
    """Serve while this is open; gives the address, such as `http://127.0.0.1:40123`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(create_app(settings), http=Connection, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        # The socket listens already: who connects before the application is open is served then.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

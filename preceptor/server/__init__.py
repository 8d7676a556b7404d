"""The HTTP service. `create_app` makes the ASGI application, for `preceptor serve` and for any ASGI server."""

from preceptor.server.app import create_app

__all__ = ["create_app"]

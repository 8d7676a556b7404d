"""The service in the test's own process and on its event loop."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from preceptor.server import create_app
from preceptor.settings import Settings

HERE = ("127.0.0.1", 50_000)


@asynccontextmanager
async def asking(
    service: Settings | Starlette, *, client: tuple[str, int] = HERE, host: str = "127.0.0.1:8000"
) -> AsyncGenerator[AsyncClient]:
    """A client at an address, of a service (or one with these settings) that is called by a name."""
    app = create_app(service) if isinstance(service, Settings) else service
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = ASGITransport(with_state, client=client)  # pyright: ignore[reportArgumentType]
        async with AsyncClient(transport=transport, base_url=f"http://{host}") as opened:
            yield opened

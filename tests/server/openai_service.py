"""The service as programs that speak to OpenAI see it, over a real socket."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from openai import AsyncOpenAI

from tests.sample import sample_settings
from tests.server.loopback import served
from tests.standins.provider import Provider


def client_of(url: str) -> AsyncOpenAI:
    """Returns OpenAI's own client of the service at an address."""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="not-needed", max_retries=0)


def host_of(client: AsyncOpenAI) -> str:
    """Address of the service, under which it shows the chapters itself."""
    return str(client.base_url).removesuffix("/v1/")


@asynccontextmanager
async def tutored_by(gemini: Provider, index: Path, folder: Path) -> AsyncGenerator[AsyncOpenAI]:
    """A client of the service whose only tutor is a scripted provider."""
    settings = sample_settings(
        index,
        folder,
        tutor={"providers": ("gemini",), "book_only": False, "offline_fallback": False},
        gemini={
            "base_url": gemini.base_url,
            "api_key": "gemini-key",
            "model": "gemini-3-flash",
            "attempts": 1,
        },
    )
    with served(settings) as url:
        async with client_of(url) as opened:
            yield opened

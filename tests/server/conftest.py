"""The service, over the sample book; and a browser, with the page for readers."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from starlette.testclient import TestClient

from preceptor.server import create_app
from tests.sample import sample_settings

if TYPE_CHECKING:
    from tests.server.chromium import Browser, Reader


@pytest.fixture(scope="session")
def client(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[TestClient]:
    """A client of the service with the offline tutor, one for all tests."""
    app = create_app(sample_settings(sample_index, tmp_path_factory.mktemp("service")))
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> "AsyncGenerator[Browser]":
    """A headless Chromium, one for all tests of a module."""
    # Here, so that tests without a browser need no Playwright.
    from tests.server.chromium import chromium

    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def reader(browser: "Browser") -> "AsyncGenerator[Reader]":
    """The page in a window of 1100 × 800, and the script of the service behind it."""
    from tests.server.chromium import reading

    async with reading(browser) as found:
        yield found

"""Fixtures that the tests of the library share."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from preceptor.library.protocol import Engine
from tests.library.engines import engine_at
from tests.standins.qdrant import QdrantStandIn


@pytest.fixture(params=["embedded", "cloud", "shared"])
def where(request: pytest.FixtureRequest, folder: Path) -> Iterator[Path | str]:
    """A folder or an address, with nothing in it."""
    if request.param == "embedded":
        yield folder / "index"
        return
    with QdrantStandIn() as qdrant:
        yield qdrant.url if request.param == "cloud" else f"{qdrant.url}#library"


@pytest.fixture
async def engine(where: Path | str) -> AsyncGenerator[Engine]:
    """Each of both engines."""
    engine = engine_at(where)
    yield engine
    await engine.close()

"""Fixtures that the tests of the library share."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from preceptor.library.protocol import Engine
from tests.library.engines import engine_at
from tests.standins.qdrant import QdrantStandIn

_IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder, in memory where there is such a place: an index waits for the disk at every step."""
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(params=["embedded", "cloud"])
def where(request: pytest.FixtureRequest, folder: Path) -> Iterator[Path | str]:
    """A folder or an address, with nothing in it."""
    if request.param == "embedded":
        yield folder / "index"
        return
    with QdrantStandIn() as qdrant:
        yield qdrant.url


@pytest.fixture
async def engine(where: Path | str) -> AsyncGenerator[Engine]:
    """Each of both engines."""
    engine = engine_at(where)
    yield engine
    await engine.close()

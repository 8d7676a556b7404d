"""What every test may use."""

import asyncio
from pathlib import Path

import pytest

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.settings import Settings
from tests.sample import SOURCE, sample_settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Books and evaluation sets that lie beside the checkout where the project is developed."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the books and evaluation sets in ../shared, which are not here")
    return folder


@pytest.fixture(scope="session")
def sample_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded index of the sample book, built once: for reading only."""
    folder = tmp_path_factory.mktemp("sample-index")
    settings = sample_settings(folder, folder)

    async def build() -> None:
        engine = open_engine(settings)
        try:
            summary = await Indexing(SOURCE, settings).into(engine)
        finally:
            await engine.close()
        assert summary.failed == []

    asyncio.run(build())
    return folder


@pytest.fixture
def demo_settings(sample_index: Path, tmp_path: Path) -> Settings:
    """Settings that serve the sample book with the offline tutor; sessions and traces are the test's own."""
    return sample_settings(sample_index, tmp_path)

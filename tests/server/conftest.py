"""The service, over the sample book."""

from collections.abc import Generator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from preceptor.server import create_app
from tests.sample import sample_settings


@pytest.fixture(scope="session")
def client(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[TestClient]:
    """A client of the service with the offline tutor, one for all tests."""
    app = create_app(sample_settings(sample_index, tmp_path_factory.mktemp("service")))
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened

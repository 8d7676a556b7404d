"""Providers on loopback for the tests of the agents."""

from collections.abc import Generator

import pytest
import stamina
from agents import set_trace_processors

from tests.standins.desk import Spans
from tests.standins.provider import Provider
from tests.standins.servers import postgres_server, redis_server


@pytest.fixture
def gemini() -> Generator[Provider]:
    """A scripted provider in the place of Gemini."""
    with Provider() as provider:
        yield provider


@pytest.fixture
def openai() -> Generator[Provider]:
    """A scripted provider in the place of OpenAI."""
    with Provider() as provider:
        yield provider


@pytest.fixture
def spans() -> Generator[Spans]:
    """The spans of the test's runs, which go nowhere else."""
    kept = Spans()
    set_trace_processors([kept])
    yield kept
    set_trace_processors([])


@pytest.fixture
def no_backoff() -> Generator[None]:
    """Tries follow each other at once, as many as the settings say."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A real Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Generator[str]:
    """A real PostgreSQL."""
    with postgres_server() as url:
        yield url

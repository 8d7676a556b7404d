"""Fixtures that the tests of retrieval share."""

from collections.abc import Iterator

import pytest

from preceptor.library.embedding import MULTILINGUAL, DenseEmbedder
from preceptor.settings import EmbeddingSettings


@pytest.fixture(scope="session")
def embedder() -> Iterator[DenseEmbedder]:
    """The shipped English model, loaded once."""
    embedder = DenseEmbedder(EmbeddingSettings())
    embedder.load()
    yield embedder
    embedder.close()


@pytest.fixture(scope="session")
def multilingual() -> Iterator[DenseEmbedder]:
    """The shipped multilingual model, loaded once."""
    embedder = DenseEmbedder(EmbeddingSettings(), model=MULTILINGUAL)
    embedder.load()
    yield embedder
    embedder.close()

"""What the tests of retrieval share."""

from collections.abc import Iterator

import pytest

from preceptor.library.embedding import DenseEmbedder
from preceptor.settings import EmbeddingSettings


@pytest.fixture(scope="session")
def embedder() -> Iterator[DenseEmbedder]:
    """The shipped model, loaded once."""
    embedder = DenseEmbedder(EmbeddingSettings())
    embedder.load()
    yield embedder
    embedder.close()

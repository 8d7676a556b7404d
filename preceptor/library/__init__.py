"""The library: the book's passages, their vectors, and the index that holds them.

`open_engine` opens the engine that the settings name: `cloud` (`library.cloud`) or `embedded`
(`library.embedded`); one never silently replaces the other. `library.protocol` defines the interface of every
index, docs/index-schema.md its stored form.
"""

from preceptor.library.protocol import Engine
from preceptor.settings import Settings


def open_engine(settings: Settings) -> Engine:
    """Returns the engine that `index.backend` names, without opening or connecting anything.

    Raises:
        IndexUnreachable: The endpoint of Qdrant Cloud is not an address.
    """
    # Each engine is imported where it is used: the client of Qdrant Cloud takes a second.
    if settings.index.backend == "embedded":
        from preceptor.library.embedded import Embedded

        return Embedded(settings.index.path)

    from preceptor.library.cloud import QdrantCloud

    secret = settings.qdrant.api_key
    return QdrantCloud(
        settings.qdrant.endpoint,
        api_key=(secret.get_secret_value().strip() if secret else "") or None,
        timeout=settings.qdrant.timeout,
        attempts=settings.qdrant.attempts,
        shared=settings.index.shared if settings.index.layout == "shared" else "",
    )

"""The embedding models of indexing runs, each opened once however many books follow one another."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from preceptor.library.embedding import DenseEmbedder
from preceptor.settings import EmbeddingSettings


class Models:
    """Embedding models by name; use it as a context."""

    def __init__(self, make: Callable[..., DenseEmbedder] = DenseEmbedder) -> None:
        """Open nothing yet.

        Args:
            make: Makes one from the settings, its name and the book's language, as `DenseEmbedder` does.
        """
        self._make = make
        self._made: dict[tuple[str, Path | None], DenseEmbedder] = {}

    def get(self, settings: EmbeddingSettings, *, model: str | None = None, tag: str = "en") -> DenseEmbedder:
        """Returns the model that `DenseEmbedder` would be with these arguments."""
        made = self._make(settings, model=model, tag=tag)  # nothing is loaded by it
        return self._made.setdefault((made.model, settings.path), made)

    def close(self) -> None:
        """Stop the threads of all models."""
        for one in self._made.values():
            one.close()

    def __enter__(self) -> "Models":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

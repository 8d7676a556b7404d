"""The gap report of runs that are kept, by the library that is open and the embedding model that is there."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from preceptor.evaluation.gaps import AskedRun, GapReport, gap_report
from preceptor.settings import Settings

if TYPE_CHECKING:
    from preceptor.evaluation.likeness import Embedded
    from preceptor.library.embedding import DenseEmbedder
    from preceptor.library.library import Library


async def report_of_runs(
    runs: Sequence[AskedRun], library: "Library", settings: Settings, *, least: int, book: str = ""
) -> GapReport:
    """Returns what the readers of these runs did not get.

    Args:
        runs: The runs, oldest first.
        library: The book that was asked.
        settings: Its settings.
        least: Fewest times that something is asked to be a gap.
        book: Its title, where there are several.
    """
    vectors = QuestionVectors(settings)
    try:
        return await gap_report(
            runs,
            vectors,
            lambda question: library.search(question, limit=5),
            chapters=await library.chapters(),
            places=await _places(library),
            least=least,
            book=book,
        )
    finally:
        vectors.close()


async def _places(library: "Library") -> dict[str, str]:
    """Returns `chapter#anchor` of every passage by its key."""
    places: dict[str, str] = {}
    for chapter in await library.chapters():
        _, passages = await library.chapter(chapter.id, book=chapter.book)
        places |= {passage.key: f"{passage.chapter}#{passage.anchor}" for passage in passages}
    return places


class QuestionVectors:
    """Vectors of questions by the English model, or by that of all languages if the English one cannot read them."""

    def __init__(self, settings: Settings) -> None:
        """Initialise without loading anything."""
        self._settings = settings.embedding
        self._models: dict[str, DenseEmbedder] = {}

    async def __call__(self, questions: Sequence[str]) -> "list[Embedded]":
        """Returns model and vector for each question."""
        return [await self._embedded(question) for question in questions]

    async def _embedded(self, question: str) -> "Embedded":
        from preceptor.library.embedding import AUTO, ENGLISH, MULTILINGUAL

        chosen = self._settings.model
        model = await self._load(ENGLISH if chosen == AUTO else chosen)
        if chosen == AUTO and not model.reads(question):
            model = await self._load(MULTILINGUAL)
        return model.model, await model.text(question)

    def close(self) -> None:
        """Close the models."""
        for model in self._models.values():
            model.close()

    async def _load(self, name: str) -> "DenseEmbedder":
        from preceptor.library.embedding import DenseEmbedder

        if name not in self._models:
            self._models[name] = DenseEmbedder(self._settings, model=name)
            await asyncio.to_thread(self._models[name].load)
        return self._models[name]

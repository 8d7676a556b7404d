"""Passages for the tests of what is quoted."""

from preceptor.library.passage import Hit, Passage


def passage(
    text: str,
    *,
    key: str = "k7qd",
    chapter: str = "robots",
    heading: str = "Layers",
    order: int = 0,
    language: str = "en",
) -> Passage:
    """A passage of the section `heading` in a chapter of its own title."""
    return Passage(
        id=key,
        key=key,
        book="book",
        chapter=chapter,
        title=chapter.capitalize(),
        breadcrumb=("The book", chapter.capitalize(), heading),
        url=f"/docs/{chapter}#{heading.lower()}",
        anchor=heading.lower(),
        heading=heading,
        position=0,
        order=order,
        ordinal=order,
        text=text,
        language=language,
    )


def hits(*passages: Passage, score: float = 0.9) -> list[Hit]:
    """The passages as a search finds them, the first one best."""
    return [Hit(one, score - 0.1 * place, dense=0.8, bm25=None) for place, one in enumerate(passages)]

"""`search_textbook`: find the passages an answer may cite.

Raises `EmptyQuery`, which the model sees and can correct. A chapter that there is not is left out: the whole book is
searched, and the result says so.
"""

from agents import Tool, function_tool

from preceptor.errors import UnknownChapter
from preceptor.tools.plugin import Deps, Run, ToolContext, tell_model

_NO_SUCH_CHAPTER = "There is no chapter `{chapter}`. These passages are from the whole book.\n\n"
_LONGEST_NAME = 80


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""
    limit = deps.settings.search.limit

    # Not strict: there every parameter is required, and models invent a chapter for one that they need not give.
    @function_tool(failure_error_function=tell_model, strict_mode=False)
    async def search_textbook(context: ToolContext[Run], query: str, chapter: str | None = None) -> str:
        """Find passages of the textbook that answer a question.

        Args:
            query: What to look for, in the language of the book; one subject at a time.
            chapter: A chapter id as `list_chapters` prints it; omit to search the whole book.
        """
        run = context.context
        narrowed = (chapter or None) if run.chapter is None else None
        note = ""
        try:
            hits = await deps.library.search(
                query, chapter=run.chapter or narrowed, book=run.book, limit=limit
            )
        except UnknownChapter:
            if narrowed is None:
                raise
            hits = await deps.library.search(query, book=run.book, limit=limit)
            note = _NO_SUCH_CHAPTER.format(chapter=narrowed[:_LONGEST_NAME])
            narrowed = None
        # Only a search of the whole book can show that it does not cover the question.
        if narrowed is None:
            run.searched.append(query)
        return note + run.ledger.show(hits)

    return [search_textbook]

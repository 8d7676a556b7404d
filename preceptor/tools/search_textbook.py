"""`search_textbook`: find the passages an answer may cite.

Raises `EmptyQuery` and `UnknownChapter`, which the model sees and can correct.
"""

from typing import Annotated

from agents import Tool, function_tool
from pydantic import Field

from preceptor.tools.plugin import Deps, Run, ToolContext, tell_model


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""
    default = deps.settings.search.limit

    @function_tool(failure_error_function=tell_model)
    async def search_textbook(
        context: ToolContext[Run],
        query: str,
        chapter: str | None = None,
        limit: Annotated[int | None, Field(ge=1, le=20)] = None,
    ) -> str:
        """Find passages of the textbook that answer a question.

        Args:
            query: What to look for, in the language of the book; one subject at a time.
            chapter: A chapter id as `list_chapters` prints it; omit to search the whole book.
            limit: How many passages to return; omit for the usual number.
        """
        run = context.context
        hits = await deps.library.search(
            query, chapter=run.chapter or chapter, book=run.book, limit=limit or default
        )
        return run.ledger.show(hits)

    return [search_textbook]

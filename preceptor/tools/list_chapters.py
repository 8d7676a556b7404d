"""`list_chapters`: the book's table of contents, with the ids that the other tools take."""

from collections import Counter

from agents import Tool, function_tool

from preceptor.tools.plugin import Deps, Run, ToolContext, reading, tell_model


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""

    @reading
    @function_tool(failure_error_function=tell_model)
    async def list_chapters(context: ToolContext[Run]) -> str:
        """List the chapters of the textbook in reading order: id, then title."""
        book = context.context.book
        chapters = [chapter for chapter in await deps.library.chapters() if book in (None, chapter.book)]
        holders = Counter(chapter.id for chapter in chapters)  # several books may have an `intro`
        ids = [one.id if holders[one.id] == 1 else f"{one.book}:{one.id}" for one in chapters]
        return "\n".join(f"{name}: {chapter.title}" for name, chapter in zip(ids, chapters, strict=True))

    return [list_chapters]

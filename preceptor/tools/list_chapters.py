"""`list_chapters`: the book's table of contents, with the ids that the other tools take."""

from agents import Tool, function_tool

from preceptor.tools.plugin import Deps, Run, ToolContext, tell_model


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""

    @function_tool(failure_error_function=tell_model)
    async def list_chapters(context: ToolContext[Run]) -> str:
        """List the chapters of the textbook in reading order: id, then title."""
        book = context.context.book
        chapters = [chapter for chapter in await deps.library.chapters() if book in (None, chapter.book)]
        return "\n".join(f"{chapter.id}: {chapter.title}" for chapter in chapters)

    return [list_chapters]

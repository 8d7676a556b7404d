"""`get_chapter`: read a chapter, or one section of it, as the book has it.

A chapter longer than `tutor.chapter_tokens` comes in parts, each with the outline. Raises `UnknownChapter` and
`UnknownSection`, which the model sees and can correct.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from agents import Tool, function_tool
from pydantic import Field

from preceptor.errors import UnknownSection
from preceptor.library.passage import Chapter, Hit, Passage
from preceptor.tools.plugin import Deps, Run, ToolContext, reading, tell_model


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""
    budget = deps.settings.tutor.chapter_tokens

    @reading
    @function_tool(failure_error_function=tell_model, strict_mode=False)
    async def get_chapter(
        context: ToolContext[Run],
        chapter: str,
        section: str | None = None,
        part: Annotated[int, Field(ge=1)] = 1,
    ) -> str:
        """Read a chapter of the textbook, or one of its sections.

        Args:
            chapter: A chapter id as `list_chapters` prints it.
            section: A heading of the chapter, or its id from the outline; omit to read all of it.
            part: Which part of a long chapter to read, from 1; the answer says how many there are.
        """
        run = context.context
        found, passages = await deps.library.chapter(run.chapter or chapter, book=run.book)
        if section is not None:
            passages = under_heading(found, passages, section)
        parts = _parts(passages, budget, deps.library.tokens)
        number = min(part, len(parts))
        shown = run.ledger.show(
            Hit(passage=one, score=0.0, dense=None, bm25=None) for one in parts[number - 1]
        )
        if len(parts) == 1:
            return shown
        return f"{_outline(found)}\n\nPart {number} of {len(parts)}.\n\n{shown}"

    return [get_chapter]


def under_heading(chapter: Chapter, passages: Sequence[Passage], section: str) -> list[Passage]:
    """Returns the passages under a heading and its subheadings.

    Raises:
        UnknownSection: The chapter has no such heading.
    """
    wanted = section.strip().lstrip("#").casefold()
    for entry in chapter.sections:
        if wanted in (entry.anchor.casefold(), entry.heading.casefold()):
            depth = len(entry.breadcrumb)
            return [passage for passage in passages if passage.breadcrumb[:depth] == entry.breadcrumb]
    raise UnknownSection(chapter.id, section, [entry.heading for entry in chapter.sections if entry.heading])


def _parts(passages: Sequence[Passage], budget: int, tokens: Callable[[str], int]) -> list[list[Passage]]:
    """Groups passages in reading order into parts below `budget` tokens, with one passage at least."""
    groups: list[list[Passage]] = [[]]
    room = budget
    for passage in passages:
        needed = tokens(passage.text)
        if groups[-1] and needed > room:
            groups.append([])
            room = budget
        groups[-1].append(passage)
        room -= needed
    return groups


def _outline(chapter: Chapter) -> str:
    lines = [f"- {section.heading} (#{section.anchor})" for section in chapter.sections if section.heading]
    return f"Outline of `{chapter.id}`, {chapter.title}:\n" + "\n".join(lines)

"""`decline`: how a provider's tutor says that it does not answer, in words of ours, in the reader's language.

It is the way of those who have no passage, and it ends the turn. A greeting needs no search. Anything else may be a
question about the book, whatever the model takes it for: it is declined when the whole book was searched for it, and
as unclear or small talk only where the offline tutor would not quote what was found, either.
"""

from collections.abc import Sequence
from typing import Any, Literal

from agents import (
    FunctionToolResult,
    RunContextWrapper,
    Tool,
    ToolsToFinalOutputResult,
    function_tool,
)

from preceptor.agents.passageless import is_greeting
from preceptor.errors import IsCovered, NotSearched
from preceptor.providers.scope import scope
from preceptor.text.languages import phrases
from preceptor.tools.plugin import Run, ToolContext, tell_model

NAME = "decline"
Reason = Literal["not_in_book", "unclear", "small_talk"]

_CHAPTERS = 3


@function_tool(name_override=NAME, failure_error_function=tell_model, strict_mode=False)
async def decline(  # noqa: D417 - the model reads the docstring, and has no context
    context: ToolContext[Run], reason: Reason, chapters: list[str] | None = None
) -> str:
    """Tell the reader that there is no answer, and stop. The words are made for you.

    Args:
        reason: not_in_book: you have searched, and the book does not cover the question. unclear: the question cannot
            be understood. small_talk: the reader greets, thanks, or asks nothing about the book.
        chapters: For not_in_book, ids of the nearest chapters; omit where you know none.
    """
    run = context.context
    say = phrases(run.question)
    if not (reason == "small_talk" and is_greeting(run.question)):
        if not run.searched:
            raise NotSearched(run.question)
        if reason != "not_in_book" and (rule := scope().book) and await rule.covers():
            raise IsCovered(run.question)
    if reason == "unclear":
        said = say.unclear
    elif reason == "small_talk":
        said = say.small_talk
    else:
        nearest = _titles(run, chapters or ())
        said = f"{say.not_covered} {say.nearest} {', '.join(nearest)}." if nearest else say.not_covered
    run.declined = True
    return said


def ends_turn(context: RunContextWrapper[Any], results: list[FunctionToolResult]) -> ToolsToFinalOutputResult:
    """Whether the tutor has declined, so that its model is not asked again."""
    said = [one.output for one in results if one.tool.name == NAME]
    if said and context.context.declined:
        return ToolsToFinalOutputResult(is_final_output=True, final_output=said[-1])
    return ToolsToFinalOutputResult(is_final_output=False, final_output=None)


def tools_of(provider_tools: Sequence[Tool]) -> list[Tool]:
    """Returns the tools of a provider's tutor that is held to the book."""
    return [*provider_tools, decline]


def _titles(run: Run, named: Sequence[str]) -> list[str]:
    """Titles of the chapters that were found, those that the tutor named first."""
    best = sorted(run.ledger, key=lambda hit: -hit.score)
    titles = {hit.passage.chapter: hit.passage.title for hit in best}
    chosen = [
        title
        for name in named
        for chapter, title in titles.items()
        if name.strip().casefold() in (chapter.casefold(), title.casefold())
    ]
    return list(dict.fromkeys(chosen or titles.values()))[:_CHAPTERS]

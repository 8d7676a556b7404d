"""`define`: the definition of a term, from a YAML file beside the book.

    [default.tools]
    enabled = ["search_textbook", "get_chapter", "list_chapters", "glossary"]

    [default.tools.settings.glossary]
    file = "glossary.yaml"                 # ROS 2: The Robot Operating System, version 2, is …
    url = "https://book.example/glossary"  # page that shows it to readers; may be left out
"""

from difflib import get_close_matches
from pathlib import Path

import yaml
from agents import Tool, function_tool
from pydantic import BaseModel

from preceptor.errors import ToolInputError
from preceptor.tools.plugin import Deps, Run, ToolContext, declare, tell_model

CONTRACT = 1


class Glossary(BaseModel, extra="forbid"):
    """Section `tools.settings.glossary`."""

    file: Path
    url: str = ""


class UnknownTerm(ToolInputError):
    """The model is shown this text, and can ask for another term."""

    def __init__(self, term: str, near: list[str]) -> None:
        hint = f" There is: {', '.join(near)}." if near else ""
        super().__init__(f"The glossary does not define `{term}`.{hint} Search the book for it.")


def tools(deps: Deps) -> list[Tool]:
    """Read the glossary once, and bind the tool to it."""
    settings = deps.section(Glossary)
    read = yaml.safe_load(settings.file.read_text(encoding="utf-8")) or {}
    entries = {str(term): str(text) for term, text in read.items()}
    by_name = {term.casefold(): term for term in entries}
    deps.logger.info("%d terms from %s", len(entries), settings.file)

    @declare(phase="reading", mcp=True)
    @function_tool(failure_error_function=tell_model)
    async def define(context: ToolContext[Run], term: str) -> str:
        """Define a term, in the words of the book's glossary.

        Args:
            term: The word or the name to define.
        """
        found = by_name.get(term.strip().casefold())
        if found is None:
            near = get_close_matches(term.casefold(), by_name, n=3, cutoff=0.5)
            raise UnknownTerm(term, [by_name[name] for name in near])
        return context.context.ledger.cite(title=found, url=settings.url, quote=entries[found])

    return [define]

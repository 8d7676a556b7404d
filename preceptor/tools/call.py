"""Calls one tool by itself, as a model would call it: no provider, no key."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from agents import Agent, FunctionTool, Tool

from preceptor.errors import UnknownTool
from preceptor.tools.plugin import Run, ToolContext


@dataclass(frozen=True, slots=True)
class Called:
    """A tool that was called."""

    text: str
    """The text that a model would get."""
    run: Run
    """The question as the tool saw it: what it showed is in `run.ledger`, what it made in `run.artifacts`."""

    @property
    def failed(self) -> bool:
        """Whether the call gave no result: a fault in the tool, or arguments that do not fit."""
        return bool(self.run.failed or self.run.refused)

    def as_json(self) -> dict[str, Any]:
        """Returns what the call gave, for machines."""
        return {
            "text": self.text,
            "failed": self.failed,
            "sources": [
                {"key": hit.passage.key, "title": hit.passage.title, "url": hit.passage.url, "tool": hit.tool or None}
                for hit in self.run.ledger
            ],
            "artifacts": [
                {"kind": one.kind, "title": one.title, "data": dict(one.data)} for one in self.run.artifacts
            ],
        }  # fmt: skip


async def call(
    tools: Sequence[Tool], name: str, arguments: Mapping[str, Any], *, question: str = ""
) -> Called:
    """Returns what a tool gives for these arguments.

    Args:
        tools: The tools that are loaded.
        name: Name of the tool.
        arguments: As a model writes them.
        question: The reader's question, which the tool may read.

    Raises:
        UnknownTool: There is no such tool.
    """
    tool = next((one for one in tools if one.name == name), None)
    if not isinstance(tool, FunctionTool):
        names = [one.name for one in tools]
        raise UnknownTool(name, names, get_close_matches(name, names, n=1))
    run = Run(question)
    written = json.dumps(dict(arguments))
    context = ToolContext(
        run,
        tool_name=name,
        tool_call_id="call",
        tool_arguments=written,
        agent=Agent("call", tools=list(tools)),
    )
    try:
        text = str(await asyncio.wait_for(tool.on_invoke_tool(context, written), tool.timeout_seconds))
    except TimeoutError as error:
        run.failed.add(name)
        said = TimeoutError(f"Tool '{name}' timed out after {tool.timeout_seconds:g} seconds.")
        told = tool.timeout_error_function(context, said) if tool.timeout_error_function else str(error)
        text = str(await told if asyncio.iscoroutine(told) else told)
    return Called(text, run)

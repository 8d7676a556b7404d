"""The plug-in contract: one function `tools(deps)` that binds tools to the open library.

A tool's first parameter is `context: ToolContext[Run]`, which holds the reader's limits on the question and
receives passages. An answer may cite only passages that a tool showed with
`context.context.ledger.show(hits)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents import RunContextWrapper, Tool
from agents.tool_context import ToolContext

from preceptor.errors import ToolInputError
from preceptor.library.library import Library
from preceptor.settings import Settings
from preceptor.tools.ledger import Ledger

__all__ = ["Deps", "Plugin", "Run", "ToolContext", "tell_model"]


@dataclass(frozen=True, slots=True)
class Deps:
    """Dependencies that every plug-in receives."""

    library: Library
    settings: Settings


@dataclass(slots=True)
class Run:
    """One question, as its tools see it (the SDK's run context)."""

    question: str
    chapter: str | None = None
    """Chapter to which the reader limited the question."""
    book: str | None = None
    """Book to which the reader limited the question."""
    ledger: Ledger = field(default_factory=Ledger)


Plugin = Callable[[Deps], Sequence[Tool]]


def tell_model(context: RunContextWrapper[Run], error: Exception) -> str:
    """Returns an error that the model can correct as the tool's result; raises any other."""
    if isinstance(error, ToolInputError):
        return str(error)
    raise error

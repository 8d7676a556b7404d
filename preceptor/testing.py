r"""Helps to test plug-ins: a tiny open book, a call of a tool, and a model that calls it.

    async with open_book({"nodes.md": "# Nodes\n\nA node is a process."}, plugins=["glossary.py"]) as book:
        called = await book.call("define", term="node")
        answer = await book.ask("What is a node?", calls=[("define", {"term": "node"})])

Nothing here needs a key, a network or a running service.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agents import Agent, RunConfig, Runner, Tool
from agents.testing import ScriptedModel, assistant_message, function_call

from preceptor.agents.answer import Source, source
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.library.library import Library, open_library
from preceptor.settings import OWN_TOOLS, Settings
from preceptor.tools.call import Called, call
from preceptor.tools.discovery import Toolbox, load_tools
from preceptor.tools.plugin import Artifact, Deps, Run
from preceptor.tracing.processor import send_nothing

__all__ = ["Answered", "Called", "TinyBook", "open_book"]

_DONE = "Done."


class Answered:
    """A question that a scripted model answered."""

    def __init__(self, run: Run, told: Sequence[str]) -> None:
        """Keep what came of it."""
        self.run = run
        self.told = tuple(told)
        """The text that the model got from each call."""

    @property
    def sources(self) -> list[Source]:
        """Passages that the calls showed, in order, as readers see a source."""
        return [source(number, hit, hit.passage.text) for number, hit in enumerate(self.run.ledger, start=1)]

    @property
    def artifacts(self) -> list[Artifact]:
        """Artifacts that the calls made."""
        return self.run.artifacts


class TinyBook:
    """An open book and its tools."""

    def __init__(self, library: Library, tools: Toolbox) -> None:
        """Keep them; use `open_book` instead."""
        self.library = library
        self.tools: Sequence[Tool] = tools
        self.faults = tools.faults()
        """Faults of the plug-ins that could not be loaded."""

    async def call(self, name: str, /, **arguments: Any) -> Called:
        """Returns what a tool gives for these arguments."""
        return await call(self.tools, name, arguments)

    async def ask(self, question: str, *, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Answered:
        """Let a model call tools, one after the other, in a run of the SDK.

        Args:
            question: The reader's question.
            calls: Name and arguments of each call.
        """
        steps = [
            [function_call(name, dict(arguments), call_id=f"call-{number}")]
            for number, (name, arguments) in enumerate(calls)
        ]
        model = ScriptedModel([*steps, [assistant_message(_DONE)]])
        agent = Agent[Run]("tutor", model=model, tools=list(self.tools))
        run = Run(question)
        config = RunConfig(tracing_disabled=True, tool_not_found_behavior="return_error_to_model")
        result = await Runner.run(agent, question, context=run, run_config=config, max_turns=len(steps) + 1)
        items = [item.to_input_item() for item in result.new_items]
        told = [str(item.get("output")) for item in items if item.get("type") == "function_call_output"]
        return Answered(run, told)


@asynccontextmanager
async def open_book(
    pages: Mapping[str, str],
    *,
    plugins: Sequence[str] = (),
    enabled: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> AsyncGenerator[TinyBook]:
    """Index some pages and load plug-ins over them.

    Args:
        pages: Markdown of each page, by its path.
        plugins: Files or modules, as `tools.plugins` names them.
        enabled: Installed plug-ins, as `tools.enabled` names them, beside ours.
        settings: Sections of the plug-ins, as `tools.settings` holds them.
    """
    send_nothing()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, text in pages.items():
            file = home / "docs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        tables = {
            "env": "demo",
            "index": {"backend": "embedded", "path": home / "index", "collection": "tiny"},
            "traces": {"path": home / "traces.db"},
            "tools": {
                "plugins": list(plugins),
                "enabled": [*OWN_TOOLS, *enabled],
                "settings": settings or {},
            },
        }
        chosen = Settings.model_validate(tables)
        async with open_engine(chosen) as engine:
            await Indexing(home, chosen).into(engine)
            async with await open_library(engine, chosen) as library:
                tools = await asyncio.to_thread(load_tools, Deps(library, chosen))
                try:
                    yield TinyBook(library, tools)
                finally:
                    tools.close()

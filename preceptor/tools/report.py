"""The list of plug-ins for people: `preceptor tools`."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from preceptor.errors import PreceptorError
from preceptor.library import open_engine
from preceptor.library.library import Library, open_library
from preceptor.settings import Settings
from preceptor.tools.discovery import Toolbox, open_toolbox
from preceptor.tools.faults import recorded_faults
from preceptor.tools.plugin import Deps


class _NoLibrary:
    """Stands in for an index that cannot be opened, so that plug-ins can be listed all the same."""

    def __init__(self, error: PreceptorError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


@asynccontextmanager
async def open_tools(
    settings: Settings, *, needs_index: bool = True, accept: str = ""
) -> AsyncGenerator[Toolbox]:
    """Load the plug-ins over the open book.

    Args:
        settings: All settings.
        needs_index: False: they are loaded even where the index cannot be opened.
        accept: MCP server whose definitions are accepted as they are now.

    Raises:
        VectorIndexError: The index cannot be opened.
    """
    async with AsyncExitStack() as stack:
        try:
            engine = await stack.enter_async_context(open_engine(settings))
            library = await stack.enter_async_context(await open_library(engine, settings))
        except PreceptorError as error:
            if needs_index:
                raise
            library = cast("Library", _NoLibrary(error))
        yield await stack.enter_async_context(open_toolbox(Deps(library, settings), accept=accept))


async def listing(settings: Settings) -> list[dict[str, Any]]:
    """Returns each plug-in with its state, its tools and its faults."""
    async with open_tools(settings, needs_index=False) as tools:
        recorded = recorded_faults(settings.traces, tools)
        return [
            {
                "name": one.name,
                "state": one.state,
                "source": one.source,
                "tools": list(one.tools),
                "faults": [str(fault) for fault in one.faults],
                "recorded": [line for line in recorded if line.startswith(f"plug-in `{one.name}`")],
            }
            for one in tools.plugins
        ]


def listing_text(plugins: Sequence[Mapping[str, Any]]) -> str:
    """Returns a line for each plug-in, and one for each fault below it."""
    lines: list[str] = []
    width = max((len(plugin["name"]) for plugin in plugins), default=0)
    for plugin in plugins:
        gives = f"gives {', '.join(plugin['tools'])}" if plugin["tools"] else ""
        if plugin["state"] == "off":
            gives = "installed, not loaded; to switch it on, name it in `tools.enabled`"
        lines.append(
            f"{plugin['state']:6}  {plugin['name']:{width}}  {plugin['source']}: {gives}".rstrip(": ")
        )
        lines += [f"        {fault}" for fault in (*plugin["faults"], *plugin["recorded"])]
    return "\n".join(lines)

"""Finding plug-ins: the entry points of installed packages (ours among them), then those of the settings."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from agents import FunctionTool, Tool
from agents.tool_context import ToolContext

from preceptor.errors import PluginError, SettingsError
from preceptor.tools.plugin import Deps, Plugin, tell_model, tell_timeout

GROUP = "preceptor.tools"


def load_tools(deps: Deps) -> list[Tool]:
    """Returns every tool of every plug-in that is not disabled, bound to `deps`.

    Raises:
        PluginError: A plug-in cannot be imported, exports no `tools(deps)`, fails, or gives a tool whose name
            another one has.
        SettingsError: `tools.disabled` names what is no plug-in.
    """
    found: dict[str, Tool] = {}
    for name, plugin in _plugins(deps):
        for tool in _bound(name, plugin, deps):
            if tool.name in found:
                raise PluginError(name, f"its tool `{tool.name}` has the name of another tool")
            found[tool.name] = tool
    return list(found.values())


def _plugins(deps: Deps) -> Iterator[tuple[str, Plugin]]:
    disabled = deps.settings.tools.disabled
    # Packages are found in an order that differs from machine to machine.
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    names = [*(point.name for point in points), *deps.settings.tools.plugins]
    unknown = [_unknown(name, names) for name in disabled if name not in names]
    if unknown:
        raise SettingsError(unknown, env=deps.settings.env)
    for point in points:
        if point.name not in disabled:
            try:
                plugin = point.load()
            except Exception as error:
                raise PluginError(point.name, f"{type(error).__name__}: {error}") from error
            yield point.name, plugin
    for name in deps.settings.tools.plugins:
        if name not in disabled:
            yield name, _imported(name)


def _unknown(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean `{close[0]}`?" if close else f"There is: {', '.join(f'`{one}`' for one in names)}."
    return f"`tools.disabled` names `{name}`, which is no tool plug-in. {hint}"


def _imported(name: str) -> Plugin:
    try:
        if name.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(name).stem, name)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(name)
    except Exception as error:
        raise PluginError(name, f"{type(error).__name__}: {error}") from error
    plugin = getattr(module, "tools", None)
    if not callable(plugin):
        raise PluginError(name, "it exports no function `tools(deps)`")
    return cast("Plugin", plugin)


def _bound(name: str, plugin: Plugin, deps: Deps) -> Sequence[Tool]:
    try:
        tools = plugin(deps)
    except Exception as error:
        raise PluginError(name, f"{type(error).__name__}: {error}") from error
    if inspect.isawaitable(tools) or not isinstance(tools, list | tuple):
        raise PluginError(name, "`tools(deps)` must return a list of tools")
    # Those that come along await what takes time, and end no process.
    if not getattr(plugin, "__module__", "").startswith("preceptor."):
        for tool in tools:
            _limit(tool, deps.settings.tools.timeout)
            _hold_back_exits(tool)
    return tools


def _limit(tool: Tool, seconds: float) -> None:
    """Give a tool the SDK's own time-out, unless it has one.

    Set here, because the SDK takes none for a plain `def`: its thread cannot be ended. It is not waited for, however.
    """
    if isinstance(tool, FunctionTool) and tool.timeout_seconds is None:
        tool.timeout_seconds = seconds
        tool.timeout_error_function = tool.timeout_error_function or tell_timeout


def _hold_back_exits(tool: Tool) -> None:
    """Make a failure of a tool's `sys.exit()`: the event loop would end with it, and the service with the loop."""
    if not isinstance(tool, FunctionTool):
        return
    invoke = tool.on_invoke_tool

    async def held(context: ToolContext[Any], arguments: str) -> Any:
        try:
            return await invoke(context, arguments)
        except (SystemExit, KeyboardInterrupt) as exit:
            error = RuntimeError(f"{type(exit).__name__} in a tool")
            error.__cause__ = exit
            return tell_model(context, error)

    tool.on_invoke_tool = held

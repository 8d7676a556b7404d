"""Finding and loading plug-ins: installed packages that `tools.enabled` names (ours among them), then `tools.plugins`.

Nothing is imported that the settings do not name. A plug-in that cannot be loaded is left out and named: the others are
loaded, and readers are answered.
"""

import asyncio
import importlib
import importlib.util
import inspect
import logging
import sys
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, overload

from agents import FunctionTool, Tool

from preceptor.errors import PluginError, PluginSettingsInvalid, SettingsError
from preceptor.library.library import Library
from preceptor.settings import OWN_TOOLS, Settings
from preceptor.tools.guard import Fault, Origin, from_elsewhere, guarded, misfit, said_by
from preceptor.tools.plugin import CONTRACT, Deps, Plugin

logger = logging.getLogger(__name__)

GROUP = "preceptor.tools"
_OURS = "preceptor"
_RESERVED = frozenset({"decline"})
"""Names of tools that the tutors have besides."""


@dataclass(slots=True)
class PluginState:
    """A plug-in that is installed, or that the settings name."""

    name: str
    source: str
    """Package with its version, or the file or module."""
    is_on: bool
    tools: tuple[str, ...] = ()
    problems: list[Fault] = field(default_factory=list[Fault])
    """Reasons why it, or one of its tools, could not be loaded."""
    origin: Origin | None = None

    @property
    def faults(self) -> list[Fault]:
        """Its faults: those of loading, then those of the last calls."""
        failing = self.origin.failing.values() if self.origin else ()
        return [*self.problems, *failing]

    @property
    def state(self) -> Literal["on", "off", "faulty"]:
        """Whether it is loaded."""
        if not self.is_on:
            return "off"
        return "faulty" if self.faults else "on"


class Toolbox(Sequence[Tool]):
    """The tools of all plug-ins, and the state of each plug-in."""

    def __init__(
        self,
        plugins: Sequence[PluginState],
        tools: Sequence[Tool],
        count: Callable[[str], int] | None = None,
    ) -> None:
        """Keep them."""
        self.plugins = list(plugins)
        self.tokens = count
        """Tokens of a text."""
        self.servers: list[PluginState] = []
        """MCP servers, which are among the plug-ins."""
        self._tools = list(tools)

    def add(self, server: PluginState, tools: Sequence[Tool]) -> None:
        """Add an MCP server and its tools."""
        server.tools = tuple(tool.name for tool in tools)
        self.servers.append(server)
        self.plugins.append(server)
        self._tools += tools

    def adopt(self, other: "Toolbox") -> None:
        """Take over the MCP servers of another toolbox, which stay connected."""
        for server in other.servers:
            self.add(server, [tool for tool in other if tool.name in server.tools])

    @overload
    def __getitem__(self, index: int) -> Tool: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Tool]: ...
    def __getitem__(self, index: int | slice) -> Tool | Sequence[Tool]:
        """Returns a tool by its place."""
        return self._tools[index]

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def faulty(self) -> list[PluginState]:
        """The plug-ins that are switched on and have a fault."""
        return [plugin for plugin in self.plugins if plugin.state == "faulty"]

    def faults(self) -> list[str]:
        """Returns each fault with its plug-in, in a line."""
        return [fault.told(one.name) for one in self.faulty for fault in one.faults]

    def close(self) -> None:
        """End the threads of the plug-ins."""
        for plugin in self.plugins:
            if plugin.origin:
                plugin.origin.close()


@dataclass(slots=True)
class _Loading:
    """A plug-in that is being loaded, in a thread of its own unless it is ours."""

    plugin: PluginState
    load: Callable[[], Plugin]
    deps: Deps
    tools: Sequence[object] = ()
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def begin(self) -> None:
        if self.plugin.origin is None:
            self.work()
        else:
            self.thread = threading.Thread(
                target=self.work, name=f"preceptor-load-{self.plugin.name}", daemon=True
            )
            self.thread.start()

    def work(self) -> None:
        try:
            function = self.load()
            if self.plugin.origin:
                self.plugin.origin.file = _file(function)
            _check_contract(function)
            tools: Any = function(self.deps)
            if inspect.isawaitable(tools) or not isinstance(tools, list | tuple):
                if inspect.iscoroutine(tools):
                    tools.close()
                raise _Unusable("`tools(deps)` must return a list of tools")
            self.tools = list(cast("Sequence[object]", tools))
        except BaseException as error:  # noqa: BLE001 - whatever a plug-in raises, `SystemExit` among it
            self.error = error


class _Unusable(Exception):
    """A plug-in that breaks the contract; its words are for the author."""


def load_tools(deps: Deps) -> Toolbox:
    """Returns every tool of every plug-in that the settings name, bound to `deps`.

    A plug-in that cannot be imported, hangs, exports no `tools(deps)`, or gives a tool that cannot be offered is left
    out, logged and named in the toolbox; so is a tool with the name of another one.

    Raises:
        SettingsError: `tools.disabled` names what is no plug-in.
    """
    loadings = list(_named(deps))
    for one in loadings:
        one.begin()
    end = time.monotonic() + deps.settings.tools.timeout
    found: dict[str, Tool] = {}
    for one in loadings:
        if one.thread is not None:
            one.thread.join(max(0.0, end - time.monotonic()))
        kept = dict(_kept(one, taken=found))
        found |= kept
        one.plugin.tools = tuple(kept)
        if one.plugin.origin:
            one.plugin.origin.deps = one.deps
    plugins = sorted((one.plugin for one in loadings), key=lambda one: one.name not in OWN_TOOLS)
    plugins += _unclaimed(deps, plugins)
    for plugin in plugins:
        for problem in plugin.problems:
            logger.error("%s", PluginError(plugin.name, problem.said))
    library: Library | None = deps.library  # a test may load tools that ask no library
    count = library and library.tokens
    return Toolbox([*plugins, *_others(deps.settings)], list(found.values()), count)


@asynccontextmanager
async def open_toolbox(deps: Deps, *, accept: str = "") -> AsyncGenerator[Toolbox]:
    """Load all plug-ins and connect to the MCP servers of the settings; end both at the end.

    Args:
        deps: The open library and the settings.
        accept: MCP server whose definitions are accepted as they are now.

    Raises:
        SettingsError: `tools.disabled` names what is no plug-in.
    """
    async with AsyncExitStack() as stack:
        tools = await asyncio.to_thread(load_tools, deps)
        stack.callback(tools.close)
        if deps.settings.tools.mcp:
            from preceptor.tools.mcp_servers import connected  # whoever names no server need not import it

            await stack.enter_async_context(connected(tools, deps.settings, accept=accept))
        yield tools


def _kept(one: _Loading, *, taken: dict[str, Tool]) -> Iterator[tuple[str, Tool]]:
    """Yields the tools of a plug-in that can be offered; notes why another one cannot."""
    origin, plugin = one.plugin.origin, one.plugin
    if one.thread is not None and one.thread.is_alive():
        seconds = one.deps.settings.tools.timeout
        plugin.problems.append(Fault("", f"it was not loaded within {seconds:g} s", _file_of(plugin)))
        return
    if one.error is not None:
        plugin.problems.append(_problem(one))
        return
    names: set[str] = set()
    for tool in one.tools:
        why = ""
        try:
            why = misfit(tool) if origin else ""
            name = getattr(tool, "name", "")
            if not why and (name in taken or name in names or name in _RESERVED):
                why = f"its tool `{name}` has the name of another tool"
            if not why:
                assert isinstance(tool, FunctionTool)
                names.add(name)
                yield name, guarded(tool, origin) if origin else tool
        except Exception as error:  # noqa: BLE001 - the object is the plug-in's, and so are its attributes
            why = f"one of its tools cannot be read: {said_by(error)}"
        if why:
            plugin.problems.append(Fault("", why, _file_of(plugin)))


def _problem(one: _Loading) -> Fault:
    error, origin = one.error, one.plugin.origin
    assert error is not None
    if isinstance(error, (_Unusable, PluginSettingsInvalid)):
        return Fault("", str(error), _file_of(one.plugin))
    return Fault("", said_by(error), (origin.where(error) if origin else "") or _file_of(one.plugin))


def _file_of(plugin: PluginState) -> str:
    return plugin.origin.file if plugin.origin else ""


def _named(deps: Deps) -> Iterator[_Loading]:
    """Yields the plug-ins that the settings name, ready to be loaded."""
    settings = deps.settings.tools
    points = _points()
    names = [*points, *settings.plugins]
    unknown = [_unknown(name, names) for name in settings.disabled if name not in names]
    if unknown:
        raise SettingsError(unknown, env=deps.settings.env)
    library = from_elsewhere(deps.library)
    # Packages are found in an order that differs from machine to machine. Ours come first: no other takes their names.
    for name in sorted(dict.fromkeys(settings.enabled), key=lambda one: (one not in OWN_TOOLS, one)):
        if name in settings.disabled:
            continue
        several = points.get(name, [])
        if _is_ours(several):
            yield _Loading(PluginState(name, _package(several[0]), True), several[0].load, deps)
            continue
        source = " and ".join(map(_package, several)) or "not installed"
        plugin = PluginState(name, source, True, origin=_origin(name, deps))
        elsewhere = Deps(library, deps.settings, short_name(name))
        yield _Loading(plugin, _from_package(name, several, list(points)), elsewhere)
    for name in dict.fromkeys(settings.plugins):
        if name not in settings.disabled:
            plugin = PluginState(
                name, "file" if name.endswith(".py") else "module", True, origin=_origin(name, deps)
            )
            elsewhere = Deps(library, deps.settings, short_name(name))
            yield _Loading(plugin, lambda name=name: _from_settings(name), elsewhere)


def short_name(name: str) -> str:
    """Returns the name of a plug-in's section in the settings: of `tools/glossary.py` it is `glossary`."""
    return Path(name).stem if name.endswith(".py") else name.rpartition(".")[2]


def _unclaimed(deps: Deps, loaded: Sequence[PluginState]) -> Iterator[PluginState]:
    """Yields the sections of settings that belong to no plug-in: probably a name is misspelt."""
    names = [short_name(plugin.name) for plugin in loaded]
    for section in deps.settings.tools.settings:
        if section not in names and section not in map(short_name, deps.settings.tools.disabled):
            close = get_close_matches(section, names, n=1)
            hint = f". Did you mean `tools.settings.{close[0]}`?" if close else ""
            what = f"`tools.settings.{section}` belongs to no plug-in that is switched on{hint}"
            yield PluginState(section, "settings", True, problems=[Fault("", what, "")])


def _origin(name: str, deps: Deps) -> Origin:
    tools = deps.settings.tools
    # A test may load tools that ask no library.
    library: Library | None = deps.library
    file = str(Path(name).absolute()) if name.endswith(".py") else ""
    return Origin(name, tools.timeout, tools.max_output, count=library and library.tokens, file=file)


def _points() -> dict[str, list[EntryPoint]]:
    """Returns the installed plug-ins by name, without importing them; for a name of ours, only ours."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in OWN_TOOLS or _package_name(point) == _OURS:
            found.setdefault(point.name, []).append(point)
    return dict(sorted(found.items()))


def _is_ours(points: Sequence[EntryPoint]) -> bool:
    return bool(points) and all(_package_name(point) == _OURS for point in points)


def _package_name(point: EntryPoint) -> str:
    return point.dist.name.lower() if point.dist else ""


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _others(settings: Settings) -> Iterator[PluginState]:
    """Yields the installed plug-ins that the settings do not name."""
    for name, points in _points().items():
        if name not in settings.tools.enabled or name in settings.tools.disabled:
            yield PluginState(name, " and ".join(map(_package, points)), False)


def _unknown(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"Did you mean `{close[0]}`?" if close else f"There is: {', '.join(f'`{one}`' for one in names)}."
    return f"`tools.disabled` names `{name}`, which is no tool plug-in. {hint}"


def _from_package(name: str, points: Sequence[EntryPoint], known: Sequence[str]) -> Callable[[], Plugin]:
    def load() -> Plugin:
        if not points:
            close = get_close_matches(name, known, n=1)
            hint = f". Did you mean `{close[0]}`?" if close else ""
            raise _Unusable(f"no package with such a plug-in is installed{hint}")
        if len({point.value for point in points}) > 1:
            packages = " and ".join(map(_package, points))
            raise _Unusable(
                f"several packages have a plug-in of this name: {packages}. Uninstall one of them"
            )
        return _callable(points[0].load())

    return load


def _from_settings(name: str) -> Plugin:
    module = _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    return _callable(getattr(module, "tools", None))


def _from_file(file: Path) -> ModuleType:
    # Registered, as an import would do: annotations of its classes are looked up there.
    name = f"preceptor_plugin_{file.stem}_{zlib.crc32(str(file.absolute()).encode()):x}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _callable(found: object) -> Plugin:
    if not callable(found):
        raise _Unusable("it exports no function `tools(deps)`")
    return cast("Plugin", found)


def _file(plugin: Plugin) -> str:
    code = getattr(plugin, "__code__", None)
    return code.co_filename if code else ""


def _check_contract(plugin: Plugin) -> None:
    """Refuse a plug-in that was written for a newer contract than ours."""
    module = sys.modules.get(getattr(plugin, "__module__", ""))
    wanted: object = getattr(module, "CONTRACT", CONTRACT)
    if not isinstance(wanted, int) or wanted > CONTRACT:
        raise _Unusable(
            f"it is written for version {wanted!r} of the contract of plug-ins, and this Preceptor has version "
            f"{CONTRACT}. Upgrade Preceptor, or install an older version of the plug-in"
        )

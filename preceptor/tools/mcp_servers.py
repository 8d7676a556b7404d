"""Tools of MCP servers that the settings name, through the SDK's own MCP support.

Only tools of a server's allow-list are offered, under names that begin with the server's. The first definition of a
tool that is seen is pinned by its hash; one that has changed is refused until the author accepts it, because a
description is read by the model. A server that is dead or slow costs its own tools and nothing else.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agents import FunctionTool
from agents.mcp import MCPServer, MCPServerManager, MCPServerStdio, MCPServerStreamableHttp, MCPUtil
from filelock import FileLock

from preceptor.settings import McpServerSettings, Settings
from preceptor.tools.discovery import PluginState, Toolbox
from preceptor.tools.guard import Fault, Origin, guarded, misfit, said_by

if TYPE_CHECKING:
    from mcp_types import Tool as McpTool

logger = logging.getLogger(__name__)

_HASH = 16
"""Bytes of a pin."""


@asynccontextmanager
async def connected(tools: Toolbox, settings: Settings, *, accept: str = "") -> AsyncGenerator[None]:
    """Connect to the servers of the settings, and add their tools to a toolbox.

    Args:
        tools: The toolbox.
        settings: All settings.
        accept: Server whose definitions are pinned as they are now.
    """
    rows = settings.tools.mcp
    opened = {name: _server(name, row) for name, row in rows.items()}
    async with AsyncExitStack() as stack:
        # One for each, which connects and ends it in a task of its own: all of them at once, each with its own time.
        managers = {name: _manager(server, rows[name]) for name, server in opened.items()}
        for manager in managers.values():
            stack.push_async_exit(manager)
        await asyncio.gather(*(manager.__aenter__() for manager in managers.values()))
        pins = Pins(settings.tools.pins)
        listed = await asyncio.gather(
            *(
                _listed(server, rows[name].timeout, managers[name].errors.get(server))
                for name, server in opened.items()
            )
        )
        for (name, server), found in zip(opened.items(), listed, strict=True):
            origin = _origin(name, rows[name], tools, settings)
            state = PluginState(name, f"MCP server {origin.file}", True, origin=origin)
            if isinstance(found, BaseException):
                state.problems.append(
                    Fault("", f"the server does not answer: {_said(found)}", _where(rows[name]))
                )
            else:
                kept = _kept(name, server, found, rows[name], state, pins, tools, accept=accept == name)
                tools.add(state, kept)
                continue
            tools.add(state, [])
        pins.write()
        for state in tools.servers:
            for problem in state.problems:
                logger.error("MCP server `%s`: %s", state.name, problem.said)
        yield


def _kept(
    name: str,
    server: MCPServer,
    found: Sequence["McpTool"],
    row: McpServerSettings,
    state: PluginState,
    pins: "Pins",
    tools: Toolbox,
    *,
    accept: bool,
) -> list[FunctionTool]:
    """Returns the tools of a server that may be offered; notes why another one may not."""
    by_name = {tool.name: tool for tool in found}
    taken = {tool.name for tool in tools}
    assert state.origin is not None
    kept: list[FunctionTool] = []
    for wanted in row.tools:
        where = _where(row)
        tool = by_name.get(wanted)
        if tool is None:
            why = f"it has no tool `{wanted}`; it has: {', '.join(by_name) or 'none'}"
        elif not pins.holds(name, tool, accept=accept):
            why = (
                f"the definition of its tool `{wanted}` has changed since it was accepted. "
                f"`preceptor tools accept {name}` prints it, and accepts it"
            )
        else:
            made = MCPUtil.to_function_tool(
                tool, server, convert_schemas_to_strict=False, tool_name_override=f"{name}_{wanted}"
            )
            why = misfit(made) or (
                f"its tool `{made.name}` has the name of another tool" if made.name in taken else ""
            )
            if not why:
                kept.append(guarded(made, state.origin))
        if why:
            state.problems.append(Fault("", why, where))
    return kept


class Pins:
    """The hashes of accepted definitions, in a file."""

    def __init__(self, file: Path) -> None:
        """Read the file, if there is one."""
        self._file = file
        self._held: dict[str, dict[str, str]] = {}
        self._new: dict[str, dict[str, str]] = {}
        self._is_broken = False
        try:
            self._held = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError):
            # Without its pins nothing may be taken for new.
            self._is_broken = True
            logger.exception("the pins of MCP tools in `%s` cannot be read", file)

    def holds(self, server: str, tool: "McpTool", *, accept: bool = False) -> bool:
        """Whether a definition is the one that was accepted; the first one that is seen is."""
        pin = definition_hash(tool)
        known = self._held.get(server, {}).get(tool.name)
        if (known is None and not self._is_broken) or (accept and known != pin):
            self._new.setdefault(server, {})[tool.name] = pin
            logger.info("MCP server `%s`: the definition of `%s` is pinned as %s", server, tool.name, pin)
            return True
        return known == pin

    def write(self) -> None:
        """Keep what is new."""
        if not self._new:
            return
        merged = {**self._held}
        for server, pins in self._new.items():
            merged[server] = {**merged.get(server, {}), **pins}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", timeout=5):
                self._file.write_text(json.dumps(merged, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        except (OSError, TimeoutError) as error:
            logger.warning("the pins of MCP tools cannot be kept in `%s`: %s", self._file, error)


def definition_hash(tool: "McpTool") -> str:
    """Returns the hash of what a model is told of a tool: its name, description and schema."""
    told = [tool.name, tool.title, tool.description, tool.input_schema]
    written = json.dumps(told, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.blake2b(written, digest_size=_HASH).hexdigest()


async def definitions(settings: Settings, name: str) -> list[Mapping[str, Any]]:
    """Returns the definitions of a server's allowed tools, with their hashes."""
    row = settings.tools.mcp[name]
    server = _server(name, row)
    async with _manager(server, row) as manager:
        found = await _listed(server, row.timeout, manager.errors.get(server))
    if isinstance(found, BaseException):
        return []
    return [
        {
            "name": one.name,
            "description": one.description,
            "schema": one.input_schema,
            "hash": definition_hash(one),
        }
        for one in found
        if one.name in row.tools
    ]


def _manager(server: MCPServer, row: McpServerSettings) -> MCPServerManager:
    return MCPServerManager(
        [server],
        connect_timeout_seconds=row.timeout,
        cleanup_timeout_seconds=row.timeout,
        connect_in_parallel=True,
    )


def _server(name: str, row: McpServerSettings) -> MCPServer:
    if row.url:
        headers = {key: value.get_secret_value() for key, value in row.headers.items()}
        return MCPServerStreamableHttp(
            params={"url": row.url, "headers": headers, "timeout": row.timeout},
            name=name,
            cache_tools_list=True,
            client_session_timeout_seconds=row.timeout,
            max_list_pages=10,
        )
    command, *arguments = row.command
    # Names of settings come in lower case.
    environment = {key.upper(): value.get_secret_value() for key, value in row.env.items()}
    return MCPServerStdio(
        params={"command": command, "args": arguments, "env": environment},
        name=name,
        cache_tools_list=True,
        client_session_timeout_seconds=row.timeout,
        max_list_pages=10,
    )


async def _listed(
    server: MCPServer, seconds: float, failed: BaseException | None
) -> "list[McpTool] | BaseException":
    if failed is not None:
        return failed
    try:
        async with asyncio.timeout(seconds):
            return await server.list_tools()
    except Exception as error:  # noqa: BLE001 - the server is somebody else's, and so is what its client raises
        return error


def _origin(name: str, row: McpServerSettings, tools: Toolbox, settings: Settings) -> Origin:
    return Origin(
        name,
        row.timeout,
        settings.tools.max_output,
        count=tools.count,
        file=_where(row),
        is_remote=True,
        url=row.url,
    )


def _where(row: McpServerSettings) -> str:
    return row.url.partition("?")[0] if row.url else row.command[0]


def _said(error: BaseException) -> str:
    """Returns the reason in a group of errors, as clients of the protocol raise it."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = cast("BaseException", error.exceptions[0])
    return said_by(error)

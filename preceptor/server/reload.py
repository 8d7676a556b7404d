"""Loads plug-ins anew when their files change: for authors, `preceptor serve --reload-tools`."""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from preceptor.agents.preceptor import Preceptor
from preceptor.tools.discovery import Toolbox

logger = logging.getLogger(__name__)

_EVERY = 0.3
"""Seconds between two looks at the files."""


@asynccontextmanager
async def reloaded(preceptor: Preceptor) -> AsyncGenerator[None]:
    """Watch the files of the plug-ins that are on."""
    watching = asyncio.create_task(_watch(preceptor))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(preceptor: Preceptor) -> None:
    seen = await asyncio.to_thread(_changed, preceptor.tools)
    while True:
        await asyncio.sleep(_EVERY)
        now = await asyncio.to_thread(_changed, preceptor.tools)
        if now == seen:
            continue
        _forget(preceptor.tools)
        await preceptor.reload_tools()
        # Of the new ones: a plug-in may have moved.
        seen = await asyncio.to_thread(_changed, preceptor.tools)
        faults = preceptor.tools.faults()
        logger.info(
            "tools loaded anew: %s", "; ".join(faults) or ", ".join(tool.name for tool in preceptor.tools)
        )


def _homes(tools: Toolbox) -> set[Path]:
    """Returns the files and folders that hold the code of plug-ins."""
    files = [Path(one.origin.file) for one in tools.plugins if one.origin and one.origin.file]
    return {file.parent if (file.parent / "__init__.py").exists() else file for file in files}


def _changed(tools: Toolbox) -> dict[str, int]:
    """Returns when each file was changed last."""
    found: dict[str, int] = {}
    for home in _homes(tools):
        for file in home.rglob("*.py") if home.is_dir() else [home]:
            try:
                found[str(file)] = file.stat().st_mtime_ns
            except OSError:
                continue  # it is being written
    return found


def _forget(tools: Toolbox) -> None:
    """Take the modules of plug-ins out of those that are imported."""
    homes = _homes(tools)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(Path(file) == home or home in Path(file).parents for home in homes):
            del sys.modules[name]

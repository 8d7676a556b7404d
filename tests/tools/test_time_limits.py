"""Tools that take too long: they are given up, and one that blocks the event loop is named."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from agents import FunctionTool, RunConfig, Tool, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from preceptor.library.library import Library
from preceptor.server.watchdog import watched
from preceptor.settings import Settings
from preceptor.tools.discovery import load_tools
from preceptor.tools.plugin import Deps

PLUGIN = """
import asyncio, threading
from agents import function_tool

never = threading.Event()

def tools(deps):
    @function_tool
    async def waits() -> str:
        "Wait for ever."
        await asyncio.Event().wait()
        return "done"

    @function_tool
    def waits_in_a_thread() -> str:
        "Wait long."
        never.wait(3)
        return "done"

    @function_tool(timeout=0.2)
    async def has_its_own() -> str:
        "Wait for ever."
        await asyncio.Event().wait()
        return "done"

    @function_tool
    async def is_quick() -> str:
        "Say it."
        return "done"

    return [waits, waits_in_a_thread, has_its_own, is_quick]
"""


def loaded(folder: Path, timeout: float) -> dict[str, FunctionTool]:
    """The tools by name; nothing here asks the library."""
    (folder / "slow.py").write_text(PLUGIN)
    settings = Settings.model_validate(
        {"env": "demo", "tools": {"plugins": [str(folder / "slow.py")], "timeout": timeout}}
    )
    found = load_tools(Deps(cast("Library", None), settings))
    return {tool.name: tool for tool in found if isinstance(tool, FunctionTool)}


async def told(tool: Tool) -> str:
    """The tool's answer to the model, in a whole run."""
    from agents import Agent, Runner

    model = ScriptedModel([[function_call(tool.name, {}, call_id="1")], [assistant_message("So.")]])
    agent = Agent("one", model=model, tools=[tool])
    await Runner.run(agent, "?", run_config=RunConfig(tracing_disabled=True))
    assert model.last_call is not None
    last = cast("Sequence[dict[str, str]]", model.last_call.input)[-1]
    return last["output"]


@pytest.mark.parametrize("name", ["waits", "waits_in_a_thread", "has_its_own"])
async def test_a_tool_that_takes_too_long_is_given_up_and_named(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    tools = loaded(tmp_path, 0.1)
    async with asyncio.timeout(2.5):
        said = await told(tools[name])
    seconds = "0.2" if name == "has_its_own" else "0.1"
    assert said.startswith(f"Tool '{name}' timed out after {seconds} seconds.")
    if name != "has_its_own":
        assert said.endswith("Answer without it.")
        assert any(name in record.getMessage() for record in caplog.records)
    assert (await told(tools["is_quick"])).endswith("done")


def test_the_books_own_tools_have_the_time_of_the_index(tmp_path: Path) -> None:
    limits = {name: tool.timeout_seconds for name, tool in loaded(tmp_path, 0.1).items()}
    assert limits["search_textbook"] is None
    assert limits["waits"] == 0.1


@pytest.mark.parametrize("blocks", [True, False])
async def test_a_tool_that_blocks_the_loop_is_named(blocks: bool, caplog: pytest.LogCaptureFixture) -> None:
    named = threading.Event()

    class Named(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named.set()

    handler = Named()
    logger = logging.getLogger("preceptor.server.watchdog")

    @function_tool
    async def price() -> str:
        """Look up a price."""
        if blocks:
            for _ in range(2000):  # until the watchdog has seen it
                time.sleep(0.01)  # noqa: ASYNC251 - the fault
                if named.is_set():
                    break
        else:
            await asyncio.to_thread(named.wait, 0.5)
        return json.dumps("done")

    logger.addHandler(handler)
    try:
        with watched(0.1):
            await told(price)
    finally:
        logger.removeHandler(handler)
    lines = [record.getMessage() for record in caplog.records if record.name == logger.name]
    assert len(lines) == blocks
    if blocks:
        assert "`price`" in lines[0]
        assert __file__ in lines[0]

"""Logs the hand-offs and tool calls of a run, each with the trace id."""

import logging
from typing import Any

from agents import Agent, RunContextWrapper, RunHooks, Tool

from preceptor.tools.plugin import Run
from preceptor.tracing.run import trace_id

logger = logging.getLogger(__name__)


class RunLog(RunHooks[Run]):
    """Hooks of the SDK that log names only, never text of reader, book or model."""

    async def on_handoff(
        self, context: RunContextWrapper[Run], from_agent: Agent[Run], to_agent: Agent[Run]
    ) -> None:
        """An agent hands the question to another one."""
        logger.info("%s hands over to %s trace=%s", from_agent.name, to_agent.name, trace_id())

    async def on_tool_end(
        self, context: RunContextWrapper[Run], agent: Agent[Any], tool: Tool, result: object
    ) -> None:
        """A tool has answered."""
        logger.info(
            "%s called %s passages=%d trace=%s",
            agent.name,
            tool.name,
            len(context.context.ledger),
            trace_id(),
        )

"""The tutors behind a triage agent, for tests that put a model of their own in one's place."""

from typing import Any

from agents import Agent, Handoff, RunContextWrapper

from preceptor.providers.scope import HAND_OVER


async def tutor_of(triage: Agent[Any], provider: str) -> Agent[Any]:
    """Returns the tutor that triage reaches by its hand-off to a provider."""
    name = f"{HAND_OVER}{provider}"
    [found] = [one for one in triage.handoffs if isinstance(one, Handoff) and one.tool_name == name]
    agent = await found.on_invoke_handoff(RunContextWrapper(None), "")
    assert isinstance(agent, Agent)
    return agent

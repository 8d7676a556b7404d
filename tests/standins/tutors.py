"""The tutors behind a triage agent, for tests that put a model of their own in one's place."""

from typing import Any

from agents import Agent, Handoff, Model, RunContextWrapper

from preceptor.agents.recorded import RecordedModel
from preceptor.providers.scope import HAND_OVER


async def tutor_of(triage: Agent[Any], provider: str) -> Agent[Any]:
    """Returns the tutor that triage reaches by its hand-off to a provider."""
    name = f"{HAND_OVER}{provider}"
    [found] = [one for one in triage.handoffs if isinstance(one, Handoff) and one.tool_name == name]
    agent = await found.on_invoke_handoff(RunContextWrapper(None), "")
    assert isinstance(agent, Agent)
    return agent


async def speaks_for(triage: Agent[Any], provider: str, model: Model) -> None:
    """Put a model in the place of a tutor's own."""
    agent = await tutor_of(triage, provider)
    agent.model = RecordedModel(model, agent=agent.name)

"""The agents: triage, a tutor for each provider, the offline tutor, and the hand-offs between them."""

from collections.abc import Callable, Sequence
from typing import Any

from agents import Agent, Handoff, Model, ModelSettings, RunContextWrapper, Tool

from preceptor.agents.decline import ends_turn, tools_of
from preceptor.agents.offline import OfflineModel
from preceptor.agents.triage import TriageModel
from preceptor.providers.history import HAND_OVER
from preceptor.providers.models import ProviderModel, ProviderModels
from preceptor.tools.plugin import Run


def build_tutors(
    models: ProviderModels,
    *,
    instructions: str,
    tools: Sequence[Tool],
    offline: OfflineModel | None,
    retry_after: float,
    book_only: bool = False,
) -> Agent[Run]:
    """Returns the triage agent with all tutors behind it; they are built once and shared by all runs.

    Args:
        models: One for each provider that has a key, in the order in which they are tried.
        instructions: The tutors' system prompt.
        tools: Tools of the tutors.
        offline: The last in the fallback order, if there is one.
        book_only: Whether the providers' tutors have to decline what the book does not cover.
        retry_after: Seconds a reader is asked to wait when there is no tutor and no breaker says better.
    """
    # From the last tutor to the first: each one's hand-offs are those behind it.
    behind: list[Handoff[Run, Agent[Run]]] = []

    def tutor(provider: str, model: Model, settings: ModelSettings) -> Agent[Run]:
        return Agent[Run](
            name=models.order.agent_name(provider),
            handoff_description=f"Answers the reader's question with {provider}.",
            instructions=instructions,
            model=model,
            model_settings=settings,
            tools=tools_of(tools) if book_only and provider != "offline" else list(tools),
            tool_use_behavior=ends_turn if book_only else "run_llm_again",
            handoffs=list(behind),
        )

    if offline:
        behind.append(_hand_over(tutor("offline", offline, ModelSettings()), "offline"))
    for entry in reversed(models):
        agent = tutor(entry.provider, entry.model, entry.settings)
        behind.insert(0, _hand_over(agent, entry.provider, is_enabled=_open(entry)))
    return Agent[Run](
        name="Triage", model=TriageModel(models.order, retry_after=retry_after), handoffs=list(behind)
    )


def _hand_over(
    tutor: Agent[Run],
    provider: str,
    *,
    is_enabled: Callable[[RunContextWrapper[Any], Any], bool] | bool = True,
) -> Handoff[Run, Agent[Run]]:
    """A hand-off that is ours alone: the SDK's own name for it is one that a provider's model may call.

    It is made without the SDK's `handoff`, which lets the SDK see the tutor behind it: after each turn it would hash
    the tools and settings of all tutors, for a run that could be resumed (decision 0022).
    """

    async def invoke(_context: RunContextWrapper[Any], _arguments: str) -> Agent[Run]:
        return tutor

    return Handoff(
        tool_name=f"{HAND_OVER}{provider}",
        tool_description=Handoff.default_tool_description(tutor),
        input_json_schema={"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        on_invoke_handoff=invoke,
        agent_name=tutor.name,
        is_enabled=is_enabled,
    )


def _open(entry: ProviderModel) -> Callable[[RunContextWrapper[Any], Any], bool]:
    return lambda _context, _agent: entry.breaker.allows()

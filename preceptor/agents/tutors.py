"""The agents: triage, a tutor for each provider, the offline tutor, and the hand-offs between them.

Triage's model makes no request. Each hand-off's `is_enabled` tells whether it is available (the provider is
configured and its breaker lets a question through), so that the trace shows the choice; the model takes the
first one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from agents import Agent, Handoff, Model, ModelSettings, RunContextWrapper, Tool

from preceptor.agents.decline import ends_turn, tools_of
from preceptor.agents.recorded import RecordedModel, recorded_tool
from preceptor.errors import NoTutorLeft
from preceptor.providers.local_model import Call, Items, LocalModel
from preceptor.providers.models import ProviderModel, ProviderModels
from preceptor.providers.order import FallbackOrder
from preceptor.providers.scope import HAND_OVER, scope
from preceptor.tools.plugin import Run

TRIAGE = "Triage"
"""Name of the triage agent."""


class TriageModel(LocalModel):
    """Model that hands off to the first enabled tutor."""

    name = "triage"

    def __init__(self, order: FallbackOrder, *, retry_after: float) -> None:
        """Make the model.

        Args:
            order: Says why a tutor is passed over.
            retry_after: Seconds a reader is asked to wait when there is no tutor and no breaker says better.
        """
        self._order = order
        self._retry_after = retry_after

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> Call:
        """Returns the hand-off to the first enabled tutor.

        Raises:
            NoTutorLeft: No hand-off is enabled.
        """
        first = handoffs[0] if handoffs else None
        passed_over = self._order.passed_over(behind=None, for_=first and first.agent_name)
        scope().failures.notes.extend(passed_over)
        if first is None:
            retry_after = self._order.retry_after or self._retry_after
            raise NoTutorLeft([(one.tutor, one.reason) for one in passed_over], retry_after=retry_after)
        return Call(first.tool_name)


def build_tutors(
    models: ProviderModels,
    *,
    instructions: str,
    after_search: str | None = None,
    tools: Sequence[Tool],
    offline: Model | None,
    retry_after: float,
    book_only: bool = False,
) -> Agent[Run]:
    """Returns the triage agent with all tutors behind it; they are built once and shared by all runs.

    Args:
        models: One for each provider that has a key, in the order in which they are tried.
        instructions: The tutors' system prompt.
        after_search: System prompt of a tutor that the server has searched for; None: the same.
        tools: Tools of the tutors.
        offline: The last in the fallback order, if there is one.
        book_only: Whether the providers' tutors have to decline what the book does not cover.
        retry_after: Seconds a reader is asked to wait when there is no tutor and no breaker says better.
    """
    # From the last tutor to the first: each one's hand-offs are those behind it.
    behind: list[Handoff[Run, Agent[Run]]] = []
    own = [recorded_tool(tool) for tool in tools]
    declining = [recorded_tool(tool) for tool in tools_of(())]

    def once_searched(_context: RunContextWrapper[Run], _tutor: Agent[Run]) -> str:
        return after_search if after_search and scope().own_calls else instructions

    def tutor(
        provider: str,
        model: Model,
        settings: ModelSettings,
        *,
        model_name: str = "",
        told: str | Callable[[RunContextWrapper[Run], Agent[Run]], str] = instructions,
    ) -> Agent[Run]:
        may_decline = book_only and provider != "offline"
        name = models.order.agent_name(provider)
        return Agent[Run](
            name=name,
            handoff_description=f"Answers the reader's question with {provider}.",
            instructions=told,
            model=RecordedModel(model, agent=name, name=model_name),
            model_settings=settings,
            tools=[*own, *declining] if may_decline else list(own),
            tool_use_behavior=ends_turn if may_decline else "run_llm_again",
            handoffs=list(behind),
        )

    if offline:
        behind.append(_hand_over(tutor("offline", offline, ModelSettings()), "offline"))
    for entry in reversed(models):
        told = once_searched if entry.retrieval == "first" else instructions
        agent = tutor(entry.provider, entry.model, entry.settings, model_name=entry.name, told=told)
        behind.insert(0, _hand_over(agent, entry.provider, is_enabled=_open(entry)))
    choosing = TriageModel(models.order, retry_after=retry_after)
    return Agent[Run](name=TRIAGE, model=RecordedModel(choosing, agent=TRIAGE), handoffs=list(behind))


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

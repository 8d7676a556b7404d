"""Triage: hands a question to the first tutor that can take it.

Its model makes no request. Which hand-offs there are is decided by each hand-off's `is_enabled` (the provider is
configured, its breaker lets a question through), so that the trace shows the choice; the model takes the first.
"""

from collections.abc import Sequence

from agents import Handoff, Tool

from preceptor.agents.local_model import Call, Items, LocalModel
from preceptor.errors import NoTutorLeft


class TriageModel(LocalModel):
    """Emits the hand-off to the first tutor that is enabled."""

    name = "triage"

    def __init__(self, *, retry_after: float) -> None:
        """Make the model.

        Args:
            retry_after: Seconds a reader is asked to wait when there is no tutor.
        """
        self._retry_after = retry_after

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> Call:
        """The hand-off to the first tutor.

        Raises:
            NoTutorLeft: No hand-off is enabled.
        """
        if not handoffs:
            raise NoTutorLeft([], retry_after=self._retry_after)
        return Call(handoffs[0].tool_name)

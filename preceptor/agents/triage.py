"""Triage: hands a question to the first tutor that can take it.

Its model makes no request. Each hand-off's `is_enabled` tells whether it is available (the provider is
configured and its breaker lets a question through), so that the trace shows the choice; the model takes the
first one.
"""

from collections.abc import Sequence

from agents import Handoff, Tool

from preceptor.errors import NoTutorLeft
from preceptor.providers.failure import Failures, current_failures
from preceptor.providers.local_model import Call, Items, LocalModel
from preceptor.providers.order import FallbackOrder


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
        current_failures.get(Failures()).notes.extend(passed_over)
        if first is None:
            retry_after = self._order.retry_after or self._retry_after
            raise NoTutorLeft([(one.tutor, one.reason) for one in passed_over], retry_after=retry_after)
        return Call(first.tool_name)

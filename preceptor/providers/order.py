"""The fallback order: the tutors, the order in which they are asked, and why one is passed over."""

from collections.abc import Mapping
from dataclasses import dataclass

from preceptor.providers.breaker import Breaker
from preceptor.providers.failure import FailureNote


@dataclass(frozen=True, slots=True)
class FallbackOrder:
    """The providers of `tutor.providers` in order, each with its breaker, or None without a key.

    The offline tutor comes after all of them.
    """

    breakers: Mapping[str, Breaker | None]
    labels: Mapping[str, str]
    """Names of the providers as people read them."""

    def agent_name(self, provider: str) -> str:
        """Returns the name of a provider's tutor among the agents of a run: `Gemini tutor`."""
        return f"{self.labels.get(provider) or provider.capitalize()} tutor"

    def provider_of(self, agent: str) -> str:
        """Returns the provider behind the agent with this name; `triage` for the triage agent."""
        named = (provider for provider in (*self.breakers, "offline") if self.agent_name(provider) == agent)
        return next(named, "triage")

    def passed_over(self, *, behind: str | None, for_: str | None) -> list[FailureNote]:
        """Returns the tutors that were not asked, each with the reason.

        Args:
            behind: The provider that was asked last; None if no provider was asked yet.
            for_: The agent that is asked now, if any.
        """
        order = list(self.breakers)
        first = order.index(behind) + 1 if behind in order else 0
        chosen = self.provider_of(for_) if for_ else None
        last = order.index(chosen) if chosen in order else len(order)
        return [
            FailureNote(name, "not_configured" if self.breakers[name] is None else "breaker_open")
            for name in order[first:last]
        ]

    @property
    def retry_after(self) -> float | None:
        """Seconds until the first open breaker lets a question through; None if no breaker is open."""
        waits = [breaker.retry_after for breaker in self.breakers.values() if breaker is not None]
        return min((wait for wait in waits if wait), default=None)

"""Price of model calls, from the list that `genai-prices` brings along; nothing is fetched."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from preceptor.settings import ProviderSettings, Settings
from preceptor.text.number import counted
from preceptor.tracing.cost import ModelCall, cost_of

_FREE = "offline"
"""The tutor that asks no provider."""
_INSTRUCTIONS = 1_000
"""Tokens of the system prompt, the tools and the question."""
_WRITTEN = 400
"""Tokens of a search call and an answer."""
_VERDICT = 80
"""Tokens of a judge's verdict."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the providers of the settings."""

    providers: Mapping[str, ProviderSettings]

    def __call__(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """Returns the price in US dollars; None if it is not known.

        Args:
            provider: Name of a provider in the settings.
            model: Its name for the model.
            input_tokens: Tokens that it read; what it cached and sells for less is counted in full.
            output_tokens: Tokens that it wrote.
        """
        if provider == _FREE:
            return 0.0
        if provider not in self.providers:
            return None
        # By address and not by the model's name alone: what answers on this machine under a known name has no price.
        usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        call = ModelCall(model, self.providers[provider].base_url, usage)
        found: float | None = cost_of([call], started=time.time()).get("usd")
        return found


def price_list() -> str:
    """Returns name and version of the list, which dates the prices."""
    return f"genai-prices {version('genai-prices')}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cost of a run that has not begun."""

    questions: int
    model: str
    tokens: int
    dollars: float | None
    """The cost in US dollars; None: no price is known."""

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        cost = "at a price that is not known" if self.dollars is None else f"about ${self.dollars:.2f}"
        return (
            f"{counted(self.questions, 'questions')} to {self.model}: about {self.tokens / 1000:,.0f} thousand tokens, "
            f"{cost} ({price_list()}); `--budget` stops it at a sum."
        )


def estimate(settings: Settings, price: Prices, *, questions: int) -> Estimate | None:
    """Estimates the cost of asking the first tutor; None if no provider is asked.

    A question is taken to be two calls, one that searches and one that answers: both read the instructions, the second
    one the passages as well.
    """
    if not settings.tutor.providers:
        return None
    provider = settings.tutor.providers[0]
    model = settings.providers[provider].model
    read = 2 * _INSTRUCTIONS + settings.search.limit * settings.index.chunk_size
    dollars = price(provider, model, questions * read, questions * _WRITTEN)
    return Estimate(questions, f"{provider} {model}", questions * (read + _WRITTEN), dollars)


def estimate_judge(settings: Settings, price: Prices, *, answers: int) -> Estimate | None:
    """Estimates the cost of the judge's verdicts; None if no model judges.

    It is taken to read its instructions, the answer and three passages, and to write a sentence.
    """
    judge = settings.evaluation.judge
    if not judge.provider:
        return None
    model = judge.model or settings.providers[judge.provider].model
    read = _INSTRUCTIONS + _WRITTEN + 3 * settings.index.chunk_size
    dollars = price(judge.provider, model, answers * read, answers * _VERDICT)
    return Estimate(answers, f"the judge {judge.provider} {model}", answers * (read + _VERDICT), dollars)

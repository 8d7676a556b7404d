"""The providers' models, built from the settings: client, checks, failover and breaker of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from agents import ModelSettings
from agents.models.chatcmpl_helpers import ChatCmplHelpers
from httpx2 import Timeout
from openai.types.shared import Reasoning

from preceptor.errors import ClientUnusable
from preceptor.providers.breaker import Breaker
from preceptor.providers.checked_chat import CheckedChat
from preceptor.providers.client import Client, http_client
from preceptor.providers.failover import Failover
from preceptor.providers.gemini import GeminiChat
from preceptor.providers.order import FallbackOrder
from preceptor.settings import ProviderKind, ProviderSettings, Retrieval, Settings

_KINDS: Mapping[ProviderKind, type[CheckedChat]] = {"openai": CheckedChat, "gemini": GeminiChat}
_NO_KEY = "none"
"""Placeholder key for a provider that needs no key: the client refuses an empty one."""


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """One provider, ready to be called."""

    provider: str
    name: str
    """The provider's name for the model."""
    model: Failover
    settings: ModelSettings
    breaker: Breaker
    client: Client
    retrieval: Retrieval = "agent"
    """Who decides that the book is searched."""


class ProviderModels(tuple[ProviderModel, ...]):
    """The providers that have a key, in the order in which they are tried."""

    order: FallbackOrder
    """The same providers, together with those that have no key."""

    def __new__(cls, entries: Iterable[ProviderModel], order: FallbackOrder) -> Self:
        """Assemble the models; use `open_models` instead."""
        models = super().__new__(cls, entries)
        models.order = order
        return models

    def model_name(self, provider: str) -> str:
        """Returns a provider's model name; empty if the provider has no key."""
        return next((entry.name for entry in self if entry.provider == provider), "")

    async def close(self) -> None:
        """Close the clients."""
        for entry in self:
            await entry.client.close()


def open_models(settings: Settings) -> ProviderModels:
    """Open a client for each configured provider of `tutor.providers`; the caller closes them."""
    names = settings.tutor.providers
    # Those without a key are in it, too: why they are passed over is told as well.
    order = FallbackOrder(
        {name: _breaker(name, settings) for name in names},
        {name: settings.providers[name].label for name in names},
    )
    entries = (_open(name, settings, breaker, order) for name in names if (breaker := order.breakers[name]))
    return ProviderModels(entries, order)


def _breaker(name: str, settings: Settings) -> Breaker | None:
    if not settings.providers[name].configured:
        return None
    return Breaker(name, failures=settings.breaker.failures, cool_down=settings.breaker.cool_down)


def open_client(settings: ProviderSettings, *, max_retries: int) -> Client:
    """Opens a client of a provider; the caller closes it.

    Raises:
        ClientUnusable: The certificates or proxies that this process is told of are none.
    """
    try:
        http = http_client()
    except (OSError, ImportError, ValueError) as error:
        raise ClientUnusable(settings.base_url, error) from None
    return Client(
        api_key=settings.key or _NO_KEY,
        base_url=settings.base_url,
        # Half the time for the first token, so that a host that drops packets is told from a slow model.
        timeout=Timeout(settings.timeout, connect=settings.first_token / 2),
        max_retries=max_retries,
        http_client=http,
    )


def _open(name: str, all_settings: Settings, breaker: Breaker, order: FallbackOrder) -> ProviderModel:
    settings = all_settings.providers[name]
    client = open_client(settings, max_retries=0)  # the failover retries
    inner = _KINDS[settings.kind](
        settings.model,
        client,
        timeout=settings.timeout,
        first_token=settings.first_token,
        most_calls=all_settings.tutor.max_tool_calls,
    )
    model = Failover(
        inner,
        provider=name,
        breaker=breaker,
        order=order,
        attempts=settings.attempts,
        within=settings.first_token,
        retrieval=settings.retrieval,
    )
    return ProviderModel(
        name,
        settings.model,
        model,
        _model_settings(settings, client),
        breaker,
        client,
        settings.retrieval,
    )


def _model_settings(settings: ProviderSettings, client: Client) -> ModelSettings:
    effort = settings.reasoning_effort
    common = ModelSettings(
        temperature=settings.temperature,
        reasoning=Reasoning(effort=effort) if effort else None,
        parallel_tool_calls=settings.parallel_tool_calls,
        include_usage=True,
    )
    if not ChatCmplHelpers.is_openai(client):
        return common.resolve(ModelSettings(max_tokens=settings.max_tokens))
    # At OpenAI itself the SDK stores conversations by default, and newer models do not know `max_tokens`.
    limit = {"max_completion_tokens": settings.max_tokens} if settings.max_tokens else None
    return common.resolve(ModelSettings(store=False, extra_args=limit))

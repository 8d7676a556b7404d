"""The providers' models: which are opened, with which client and which settings."""

from typing import Any

from agents import ModelSettings
from openai import AsyncOpenAI

from preceptor.providers.checked_chat import CheckedChat
from preceptor.providers.gemini import GeminiChat
from preceptor.providers.models import ProviderModels, open_models
from preceptor.settings import Settings

ROWS: dict[str, dict[str, Any]] = {
    "claude": {
        "base_url": "http://127.0.0.1:9/a",
        "api_key": "claude-key",
        "model": "c-1",
        "label": "Claude",
        "timeout": 31.0,
        "first_token": 8.0,
        "attempts": 4,
        "temperature": 0.3,
        "max_tokens": 321,
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
    },
    "local": {
        "base_url": "http://127.0.0.1:9/b",
        "needs_key": False,
        "model": "l-1",
        "reasoning_effort": None,
    },
    "keyless": {"base_url": "http://127.0.0.1:9/c", "model": "k-1"},
    "google": {"base_url": "http://127.0.0.1:9/d", "api_key": "g", "model": "g-1", "kind": "gemini"},
}


def opened(**more: Any) -> ProviderModels:
    """The models of these providers."""
    table = {"env": "local", "tutor": {"providers": list(ROWS)}, "providers": ROWS, **more}
    return open_models(Settings.model_validate(table))


async def test_a_provider_with_a_key_or_without_need_of_one_is_opened() -> None:
    models = opened(breaker={"failures": 2, "cool_down": 17.0})
    assert [(one.provider, one.name, one.breaker.name) for one in models] == [
        ("claude", "c-1", "claude"),
        ("local", "l-1", "local"),
        ("google", "g-1", "google"),
    ]
    assert [models.model_name(name) for name in ("local", "keyless", "nobody")] == ["l-1", "", ""]
    assert dict(models.order.breakers) == {
        **{one.provider: one.breaker for one in models},
        "keyless": None,
    }
    assert list(models.order.breakers) == list(ROWS)
    assert models.order.labels["claude"] == "Claude"
    assert [one.client.base_url.path for one in models] == ["/a/", "/b/", "/d/"]
    assert [one.client.api_key for one in models] == ["claude-key", "none", "g"]
    await models.close()
    assert all(one.client.is_closed() for one in models)


async def test_a_client_and_its_model_have_the_times_of_the_settings() -> None:
    models = opened(tutor={"providers": ["claude", "google"], "max_tool_calls": 5})
    claude, google = models
    timeout = claude.client.timeout
    assert not isinstance(timeout, (float, int, type(None)))
    assert (timeout.read, timeout.connect, claude.client.max_retries) == (31.0, 4.0, 0)
    kinds = [type(vars(one.model)["_inner"]) for one in models]
    assert kinds == [CheckedChat, GeminiChat]
    inner = vars(claude.model)["_inner"]
    assert [inner.model, inner._client] == ["c-1", claude.client]
    assert [vars(inner)[name] for name in ("_timeout", "_first_token", "_most_calls")] == [31.0, 8.0, 5]
    assert (claude.model.provider, claude.model.breaker) == ("claude", claude.breaker)
    assert vars(google.model)["_order"] is models.order
    await models.close()


async def test_what_a_model_is_asked_for_stands_in_its_row() -> None:
    models = opened()
    first, second, _ = models
    assert first.settings.reasoning is not None
    assert first.settings.reasoning.effort == "low"
    assert first.settings == ModelSettings(
        temperature=0.3,
        reasoning=first.settings.reasoning,
        parallel_tool_calls=False,
        include_usage=True,
        max_tokens=321,
    )
    assert second.settings.reasoning is None
    await models.close()


async def test_openai_itself_is_asked_to_store_nothing_and_for_its_own_limit() -> None:
    for tokens, limit in ((700, {"max_completion_tokens": 700}), (None, None)):
        row = {"base_url": "https://api.openai.com/v1", "api_key": "k", "model": "m", "max_tokens": tokens}
        [entry] = opened(tutor={"providers": ["x"]}, providers={"x": row})
        assert isinstance(entry.client, AsyncOpenAI)
        assert (entry.settings.store, entry.settings.max_tokens, entry.settings.extra_args) == (
            False,
            None,
            limit,
        )
        await entry.client.close()

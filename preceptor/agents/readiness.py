"""Checks that everything a run needs is available; `preceptor check` opens each part by itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import httpx2
import openai

from preceptor.errors import PreceptorError, SettingsError
from preceptor.library import open_engine
from preceptor.library.library import Library, open_library
from preceptor.providers.failure import classify
from preceptor.providers.models import ProviderModel, open_models
from preceptor.settings import Settings
from preceptor.tools.discovery import open_toolbox
from preceptor.tools.faults import recorded_faults
from preceptor.tools.plugin import Deps

_PROBE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    what: str
    state: Literal["ok", "off", "warning", "failed"]
    detail: str
    is_tutor: bool = False
    """Whether it answers questions when its state is `ok`."""


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Checks the index and its embedding model, the tools, then each provider; spends no tokens."""
    async for finding in _library(settings):
        yield finding
    models = open_models(settings)
    try:
        for name in settings.tutor.providers:
            entry = next((entry for entry in models if entry.provider == name), None)
            if entry is None:
                yield Finding(
                    name,
                    "off",
                    f"no key; add {name.upper()}_API_KEY=YOUR-KEY to .env to use it",
                    is_tutor=True,
                )
            else:
                yield await _provider(entry)
    finally:
        await models.close()
    if not settings.tutor.providers:
        yield Finding(
            "offline tutor",
            "ok",
            "answers every question with quotations, as the settings say",
            is_tutor=True,
        )
    elif settings.tutor.offline_fallback:
        yield _offline("ok", "stands in when no provider can answer")
    else:
        yield _offline("off", "`tutor.offline_fallback` is false")


async def probe(entry: ProviderModel) -> str | None:
    """Ask a provider for the model's card, which costs nothing.

    Returns:
        Why it did not give it; None when it did.
    """
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await _look_up(entry)
    except TimeoutError:
        return "no answer in time"
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        return classify(error).reason
    return None


async def _look_up(entry: ProviderModel) -> None:
    """Asks for the model's card, and for the list of models where there is none, as with vLLM and llama.cpp."""
    try:
        await entry.client.models.retrieve(entry.name, timeout=_PROBE_SECONDS)
    except openai.NotFoundError:
        try:
            listed = {model.id for model in (await entry.client.models.list(timeout=_PROBE_SECONDS)).data}
        except (AttributeError, TypeError):  # the client passes on what is no list of models
            listed = set[str]()
        if entry.name not in listed:
            raise


def _offline(state: Literal["ok", "off"], detail: str) -> Finding:
    return Finding("offline tutor", state, detail, is_tutor=True)


async def _library(settings: Settings) -> AsyncIterator[Finding]:
    """The index with its embedding model, then the tools, which are loaded as they are for a question."""
    what = f"index ({settings.index.backend})"
    try:
        async with open_engine(settings) as engine:
            await engine.verify_connection()
            async with await open_library(engine, settings) as library:
                books = await library.books()
                held = "; ".join(f"{info.title}, {info.points} passages" for info in books)
                loaded = " and ".join(library.models)
                yield Finding(what, "ok", f"{engine.where}: {held}; loaded: {loaded}")
                what = "tools"
                yield await _tools(library, settings)
    except SettingsError:
        raise  # its lines are told one by one
    except PreceptorError as error:
        yield Finding(what, "failed", str(error))


async def _tools(library: Library, settings: Settings) -> Finding:
    """The tools that are loaded; those of a faulty plug-in are missing, and readers are answered without them."""
    async with open_toolbox(Deps(library, settings)) as tools:
        names = ", ".join(tool.name for tool in tools)
        problems, recorded = tools.faults(), recorded_faults(settings.traces, tools)
    state = "failed" if problems else "warning" if recorded else "ok"
    return Finding("tools", state, "; ".join([names, *problems, *recorded]))


async def _provider(entry: ProviderModel) -> Finding:
    where = f"{entry.name} at {entry.client.base_url}"
    reason = await probe(entry)
    detail = f"{where}: {reason}" if reason else where
    return Finding(entry.provider, "failed" if reason else "ok", detail, is_tutor=True)

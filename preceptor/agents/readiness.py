"""Checks that everything a run needs is available; `preceptor check` opens each part by itself."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx2
import openai

from preceptor.agents.session_store import SQLiteStore, open_store
from preceptor.agents.sessions import Sessions
from preceptor.errors import ClientUnusable, PreceptorError, SessionsUnavailable, SettingsError, why_unread
from preceptor.library import open_engine
from preceptor.library.library import Library, open_library
from preceptor.providers.failure import classify
from preceptor.providers.models import ProviderModel, open_models
from preceptor.settings import Settings, how_to_allow
from preceptor.tools.discovery import open_toolbox
from preceptor.tools.faults import recorded_faults
from preceptor.tools.plugin import Deps

_PROBE_SECONDS = 8.0
_PATIENCE = 1.0
"""Longest wait for another process's lock, in seconds."""
_LEAST = 64 * 1024
"""Bytes on a disk below which nothing more can be written."""
ADVICE = {
    "bad_key": "it refuses the key. Make a new one there, and set {key}",
    "forbidden": "the key may not use it, or not from here. Look at its rights, at what is paid, and at the country",
    "unknown_model": "it knows no such model. Set `providers.{name}.model`, or `providers.{name}.base_url` (its `/v1`)",
    "rate_limited": "it takes no more requests just now. Wait, or look at the account's limits there",
    "server_error": "it fails. Try again; if it stays, look at its status page",
    "unreachable": "nothing answers there. Check `providers.{name}.base_url`, and this machine's network and proxy",
    "not_an_api": "what answers is no model's API. Check `providers.{name}.base_url`, and a proxy before it",
    "connect_timeout": "it does not answer in time. Check `providers.{name}.base_url`, and this machine's network",
    "read_timeout": "it does not answer in time. Try again; if it stays, look at its status page",
    "other": "it refuses the request. Check `providers.{name}.base_url`; the log of a gateway before it says more",
}
"""Meaning of each class of failure for whoever mends it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    what: str
    state: Literal["ok", "off", "warning", "failed"]
    detail: str
    is_tutor: bool = False
    """Whether it answers questions when its state is `ok`."""


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Checks the index and its embedding model, the tools, each provider, then what is kept; spends no tokens."""
    async for finding in _library(settings):
        yield finding
    try:
        models = open_models(settings)
    except ClientUnusable as error:
        yield Finding("providers", "failed", str(error))
        return
    try:
        for name in settings.tutor.providers:
            entry = next((entry for entry in models if entry.provider == name), None)
            if entry is None:
                yield Finding(
                    name,
                    "off",
                    f"no key. {how_to_allow(name)}",
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
    yield await _sessions(settings)
    yield _traces(settings)


async def probe(entry: ProviderModel) -> str | None:
    """Ask a provider for the model's card, which costs nothing.

    Returns:
        Why it did not give it; None when it did.
    """
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await _look_up(entry)
    except TimeoutError:
        return "read_timeout"
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


async def _sessions(settings: Settings) -> Finding:
    """The store of conversations; without it questions are answered, and no conversation goes on."""
    store = open_store(settings)
    if isinstance(store, SQLiteStore):
        reason = _why_unwritable(store.path)
    else:
        reason = await _why_unreachable(Sessions(settings.session, store))
    return _kept("sessions", store.where, reason, "no conversation can go on", "session.url")


async def _why_unreachable(sessions: Sessions) -> str:
    """Returns why a server of sessions cannot be used; empty: it can."""
    try:
        await sessions.check()
    except SessionsUnavailable as error:
        return error.reason
    finally:
        await sessions.close()
    return ""


def _traces(settings: Settings) -> Finding:
    path = settings.traces.path
    return _kept("traces", f"`{path}`", _why_unwritable(path), "runs are not kept", "traces.path")


def _why_unwritable(path: Path) -> str:
    """Returns why a database could not be written, which need not be there yet; empty: it could. Nothing is made."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        if path.is_dir():
            return why_unread(IsADirectoryError())
        if shutil.disk_usage(folder).free < _LEAST:
            return "the disk is full"
        if path.exists():
            address = f"{path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        elif not folder.is_dir():
            return f"`{folder}` is a file"
        elif not os.access(folder, os.W_OK | os.X_OK):
            return f"nothing may be made in `{folder}`"
    except (OSError, sqlite3.Error) as error:
        return why_unread(error)
    return ""


def _kept(what: str, where: str, reason: str, lost: str, setting: str) -> Finding:
    if not reason:
        return Finding(what, "ok", where)
    return Finding(
        what,
        "warning",
        f"{where} cannot be used: {reason}. Questions are answered, and {lost}: mend it, or set `{setting}`",
    )


async def _provider(entry: ProviderModel) -> Finding:
    where = f"{entry.name} at {entry.client.base_url}"
    reason = await probe(entry)
    advice = ADVICE.get(reason or "", "").format(name=entry.provider, key=f"{entry.provider.upper()}_API_KEY")
    detail = f"{where}: {advice or 'it gives no answer'} ({reason})" if reason else where
    return Finding(entry.provider, "failed" if reason else "ok", detail, is_tutor=True)

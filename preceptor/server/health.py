"""Health: `/livez` for the process, `/api/v1/health` for everything that answers depend on.

Checks that cost a request elsewhere are cached for some seconds and run one at a time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from preceptor import __version__
from preceptor.agents.preceptor import Preceptor
from preceptor.agents.readiness import probe
from preceptor.agents.sessions import Sessions
from preceptor.errors import PreceptorError, SessionsUnavailable
from preceptor.library.protocol import IndexInfo
from preceptor.providers.models import ProviderModels
from preceptor.server.contract import HealthResponse
from preceptor.server.openapi import Operation, operation
from preceptor.server.slots import Slots
from preceptor.settings import Settings
from preceptor.tools.discovery import Toolbox

_STORE_SECONDS = 2.0
_PROBE_SECONDS = 30.0
"""Lifetime of a cached check, in seconds."""

Check = dict[str, Any]


@operation(Operation(name="livez", summary="Whether the process runs", returns="text/plain", open=True))
async def livez(request: Request) -> Response:
    """Report that the process runs."""
    return PlainTextResponse("ok")


@operation(
    Operation(
        name="health",
        summary="Whether questions can be answered",
        description="A 503 with the same body when they cannot.",
        query={
            "probe": "`1`: ask each provider, too, whether it knows the key and the model; that spends no tokens."
        },
        returns=HealthResponse,
        also={503: HealthResponse},
        open=True,
    )
)
async def health(request: Request) -> Response:
    """Index, providers, embedding model and sessions; 503 when questions cannot be answered.

    With `?probe=1` each provider is asked whether it accepts the key and knows the model, which spends no
    tokens.
    """
    state: Health = request.state.health
    checks = await state.checks(probe=request.query_params.get("probe", "") not in ("", "0", "false"))
    states = {check["status"] for check in checks.values()}
    status = next((one for one in ("unhealthy", "degraded") if one in states), "healthy")
    body = {
        "status": status,
        "checks": checks,
        "version": __version__,
        "timestamp": datetime.now(UTC).isoformat(),
    }
    # Degraded is a 200: what still answers must not be taken out of service.
    return JSONResponse(body, status_code=503 if status == "unhealthy" else 200)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that every answer depends on, of one book or of many."""

    settings: Settings
    verify: Callable[[], Awaitable[Sequence[IndexInfo]]]
    """Returns the descriptions of all open indexes, read again."""
    embedders: Callable[[], Sequence[str]]
    """Returns the names of the loaded embedding models."""
    models: ProviderModels
    sessions: Sessions
    tools: Callable[[], Toolbox | None]

    @classmethod
    def of(cls, preceptor: Preceptor) -> "Parts":
        """Returns the parts of the one book of a service."""
        library = preceptor.library
        return cls(
            settings=preceptor.settings,
            verify=library.verify,
            embedders=lambda: library.models,
            models=preceptor.models,
            sessions=preceptor.sessions,
            tools=lambda: preceptor.tools,
        )


class Health:
    """Checks the parts of the service."""

    def __init__(self, parts: Parts, slots: Slots) -> None:
        """Initialise with the parts to check."""
        self._parts = parts
        self._slots = slots
        self._index = _Remembered(lambda: _index(parts), seconds=_STORE_SECONDS)
        self._sessions = _Remembered(lambda: _sessions(parts.sessions), seconds=_STORE_SECONDS)
        self._probes = _Remembered(lambda: _probes(parts.models), seconds=_PROBE_SECONDS)

    async def checks(self, *, probe: bool) -> dict[str, Check]:
        """Returns the state of each part by name, with `status` and `detail`."""
        index, sessions = await asyncio.gather(self._index.get(), self._sessions.get())
        failures = await self._probes.get() if probe else {}
        checks = {
            "qdrant": index,
            "llm": _providers(self._parts, failures),
            "embeddings": _embeddings(self._parts),
            "sessions": sessions,
        }
        tools = self._parts.tools()
        if tools is not None and any(plugin.origin for plugin in tools.plugins):
            checks["tools"] = _tools(tools)
        if self._slots.stopping:
            checks["server"] = {"status": "unhealthy", "detail": "it is being stopped and takes no questions"}
        return checks


class _Remembered:
    """Caches the outcome of a check."""

    def __init__(self, ask: Callable[[], Awaitable[Check]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._found: tuple[float, Check] | None = None

    async def get(self) -> Check:
        """Returns the cached outcome, renewed if it is too old."""
        # Balancer and dashboard may ask at once: one request elsewhere serves both.
        async with self._lock:
            if self._found is None or time.monotonic() - self._found[0] > self._seconds:
                found = await self._ask()
                self._found = time.monotonic(), found
            return self._found[1]


async def _index(parts: Parts) -> Check:
    backend = parts.settings.index.backend
    try:
        books = await parts.verify()
    except PreceptorError as error:
        detail = f"{type(error).__name__}: the {backend} index cannot be used; `preceptor check` says why"
        return {"status": "unhealthy", "backend": backend, "detail": detail}
    held = ", ".join(f"{info.title}: {info.points} passages" for info in books) or "no book is open"
    return {"status": "healthy", "backend": backend, "detail": f"{backend} index ({held})"}


async def _sessions(sessions: Sessions) -> Check:
    """Checks the sessions: degraded at worst, since a new question is answered without them."""
    store, lost = sessions.store.name, sessions.lost
    seen: Check = {"store": store, "lost_turns": lost}
    try:
        await sessions.check()
    except SessionsUnavailable as error:
        detail = f"{store}: {error.reason}; no conversation can go on, and new ones are not kept"
        return {"status": "degraded", "detail": detail, **seen}
    if sessions.failing:
        return {"status": "degraded", "detail": f"{store}: what was said last could not be written", **seen}
    return {"status": "healthy", "detail": f"conversations are kept in {store}", **seen}


def _embeddings(parts: Parts) -> Check:
    # A book is not open without its models, and nothing unloads them.
    models = ", ".join(parts.embedders())
    return {"status": "healthy", "model": models, "detail": f"loaded: {models or 'none yet'}"}


def _tools(tools: Toolbox) -> Check:
    """Checks the plug-ins: degraded at worst, since questions are answered without a faulty one."""
    faulty = {one.name: [str(fault) for fault in one.faults] for one in tools.faulty}
    if faulty:
        detail = f"faulty plug-ins: {', '.join(faulty)}; `preceptor tools` and the log say where"
        return {"status": "degraded", "detail": detail, "faulty": faulty}
    return {"status": "healthy", "detail": ", ".join(tool.name for tool in tools), "faulty": {}}


async def _probes(models: ProviderModels) -> Check:
    """Returns for each provider the reason why it does not answer; None if it does."""
    outcomes = await asyncio.gather(*(probe(entry) for entry in models))
    return {entry.provider: outcome for entry, outcome in zip(models, outcomes, strict=True)}


def _providers(parts: Parts, failures: Check) -> Check:
    wanted = parts.settings.tutor.providers
    if not wanted:
        detail = "the offline tutor answers, as the settings say"
        return {"status": "healthy", "detail": detail, "providers": {}}
    opened = {entry.provider: entry for entry in parts.models}
    providers: dict[str, Check] = {}
    ready: list[str] = []
    for name in wanted:
        entry = opened.get(name)
        if entry is None:
            providers[name] = {"configured": False, "model": None, "breaker": None, "last_error": None}
            continue
        providers[name] = {
            "configured": True,
            "model": entry.name,
            "breaker": entry.breaker.state,
            "last_error": entry.breaker.last_failure,
        }
        if name in failures:
            providers[name]["probe"] = failures[name] or "ok"
        # Half open counts as ready: the next question is its probe.
        if entry.breaker.state != "open" and not failures.get(name):
            ready.append(name)
    detail = f"ready: {', '.join(ready)}" if ready else "no provider is ready"
    status = "healthy"
    if not ready and not parts.settings.tutor.offline_fallback:
        status = "unhealthy"
    elif not ready or len(ready) < len(opened):
        status = "degraded"
    return {"status": status, "detail": detail, "providers": providers}

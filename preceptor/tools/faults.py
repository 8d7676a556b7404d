"""Faults of tools in the runs that are kept: `preceptor tools` and `preceptor check` call no tool themselves."""

from collections.abc import Iterator, Sequence

from agents import Tool

from preceptor.errors import TracesUnavailable
from preceptor.settings import OWN_TOOLS, TracesSettings
from preceptor.tracing.run import Span
from preceptor.tracing.store import TraceStore

_RUNS = 50
"""Newest runs that are looked at."""


def recorded_faults(settings: TracesSettings, tools: Sequence[Tool]) -> list[str]:
    """Returns the fault of each tool whose newest recorded call had one, in a line."""
    wanted = {tool.name for tool in tools} - set(OWN_TOOLS)
    if not wanted:
        return []
    store = TraceStore.from_settings(settings)
    seen: dict[str, str] = {}
    try:
        for run in store.runs(_RUNS):
            missing = wanted.intersection(run.tools) - seen.keys()
            if missing:
                calls = list(_calls(store.run(run.trace_id).spans))
                for span in reversed(calls):
                    if span.name in missing:
                        seen.setdefault(span.name, _said(span, run.trace_id))
    except TracesUnavailable as error:
        return [str(error)]
    return [line for line in seen.values() if line]


def _calls(spans: Sequence[Span]) -> Iterator[Span]:
    for span in spans:
        if span.type == "function":
            yield span
        yield from _calls(span.children)


def _said(span: Span, trace_id: str) -> str:
    data = (span.error or {}).get("data") or {}
    if "plugin" not in data:
        return ""
    where = f" ({data['where']})" if data.get("where") else ""
    return f"plug-in `{data['plugin']}`: `{span.name}` {data['what']}{where}, in {trace_id}"

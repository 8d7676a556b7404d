"""Cost of a run's model calls in US dollars, by the price table of `genai-prices`, on this machine.

The table is as old as the installed package; nothing is downloaded. A model that it does not know at its address has
no cost, and is named.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

_UNIT = 10_000
"""Tokens for which a rate is asked: fewer than any table's first step."""
_LINEAR = 100_000
"""Largest input for which a rate holds; some models cost more above it, and the table is asked for the call itself."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A model call that used tokens."""

    model: str
    base_url: str | None
    """Address of the provider; None: known by the model's name alone."""
    usage: Mapping[str, Any]


def cost_of(calls: Iterable[ModelCall], *, started: float) -> dict[str, Any]:
    """Returns what the calls cost.

    Args:
        calls: The run's calls.
        started: Start of the run, in seconds since 1970: prices are those of that day.

    Returns:
        `usd`, with `prices` and `on`, the table and the day of its prices; or `unknown`, the models without a price.
        Calls without tokens cost nothing.
    """
    usd, unknown, asked = 0.0, dict[str, None](), False
    day = datetime.fromtimestamp(started, UTC).date().isoformat()
    for call in calls:
        read, cached, written = _tokens(call.usage)
        if not read and not written:
            continue
        asked = True
        price = _price(call.model, call.base_url, day, read, cached, written)
        if price is None:
            unknown[call.model] = None
        else:
            usd += price
    if unknown:
        return {"unknown": list(unknown)}
    if not asked:
        return {"usd": 0.0}
    return {"usd": round(usd, 8), "prices": _table(), "on": day}


@cache
def _table() -> str:
    # Looking for the version reads the package's files.
    return f"genai-prices {version('genai-prices')}"


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int, int]:
    details: Mapping[str, Any] = usage.get("input_tokens_details") or {}
    read = usage.get("input_tokens") or 0
    # Some providers report more cached tokens than there were.
    return read, min(details.get("cached_tokens") or 0, read), usage.get("output_tokens") or 0


def _price(model: str, base_url: str | None, day: str, read: int, cached: int, written: int) -> float | None:
    if read > _LINEAR:
        return _asked(model, base_url, day, read, cached, written)
    rates = _rates(model, base_url, day)
    if rates is None:
        return None
    per_read, per_cached, per_written = rates
    return (read - cached) * per_read + cached * per_cached + written * per_written


@lru_cache(maxsize=64)
def _rates(model: str, base_url: str | None, day: str) -> tuple[float, float, float] | None:
    # The table takes 0.2 ms for each call, which is as long as everything else of a trace.
    prices = [
        _asked(model, base_url, day, *tokens) for tokens in ((_UNIT, 0, 0), (_UNIT, _UNIT, 0), (0, 0, _UNIT))
    ]
    read, cached, written = prices
    if read is None or cached is None or written is None:
        return None
    return read / _UNIT, cached / _UNIT, written / _UNIT


def _asked(model: str, base_url: str | None, day: str, read: int, cached: int, written: int) -> float | None:
    # Here and not above: 0.07 s and 5 MB, for runs that cost anything.
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=read, cache_read_tokens=cached, output_tokens=written)
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    try:
        found = calc_price(usage, model, provider_api_url=base_url, genai_request_timestamp=at)
    except (LookupError, ValueError):
        return None
    return float(found.total_price)

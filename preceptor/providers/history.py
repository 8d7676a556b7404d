"""Filters a conversation for a model; counts its tool calls."""

from collections.abc import Sequence
from typing import Any, cast

from agents.items import TResponseInputItem

_HANDOFF = "transfer_to_"
"""Prefix of the SDK's hand-off tools."""


def without_handoffs(input: str | list[TResponseInputItem]) -> list[TResponseInputItem]:
    """The items of a call's input, without the hand-offs' calls and outputs.

    Gemini 3 refuses a call that lacks its own thought signature.
    """
    if isinstance(input, str):
        return [{"role": "user", "content": input}]
    items = cast("Sequence[dict[str, Any]]", input)
    made = {item["call_id"] for item in items if str(item.get("name")).startswith(_HANDOFF)}
    return [kept for kept, item in zip(input, items, strict=True) if item.get("call_id") not in made]


def calls_for_question(items: Sequence[TResponseInputItem]) -> int:
    """Returns the number of tool calls since the reader's last question."""
    made = 0
    for item in reversed(cast("Sequence[dict[str, Any]]", items)):
        if item.get("role") == "user":
            break
        made += item.get("type") == "function_call"
    return made

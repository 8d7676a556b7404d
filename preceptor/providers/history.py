"""Filters a conversation for a model, and counts its tool calls."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, cast

from agents.items import TResponseInputItem

HAND_OVER = "hand over to "
"""How the tools of our hand-offs begin: no provider can call a tool whose name has a space (see `CheckedChat`)."""

_Item = dict[str, Any]


def seen_by(
    input: str | list[TResponseInputItem], *, tools: Collection[str], refused: Collection[str]
) -> list[TResponseInputItem]:
    """The items of a call's input as the tutor that is asked now sees them.

    Left out are the hand-offs (Gemini 3 refuses a call that does not bear its own thought signature) and the calls with
    which the tutors before it got nothing: those of tools that there are not, and those that were refused.

    Args:
        input: The whole conversation.
        tools: Names of the tools that there are.
        refused: Ids of the calls that did not fit their tool.
    """
    if isinstance(input, str):
        return [{"role": "user", "content": input}]
    items = cast("list[_Item]", input)
    # Behind the last hand-off nothing is dropped: a tutor must see its own mistakes to correct them.
    handed_over = max((place for place, item in enumerate(items) if _is_hand_over(item)), default=-1)
    dropped = {
        item["call_id"]
        for place, item in enumerate(items)
        if _is_hand_over(item) or (place < handed_over and _is_wrong(item, tools, refused))
    }
    return [kept for kept, item in zip(input, items, strict=True) if item.get("call_id") not in dropped]


def with_passages(
    items: Sequence[TResponseInputItem], *, own_calls: Collection[str], rule: str
) -> list[TResponseInputItem]:
    """A conversation in which the searches that the server made are told, and the rule stands behind the passages.

    They are told as text, since a provider may refuse calls that its model has not made.

    Args:
        items: The conversation as the tutor sees it.
        own_calls: Ids of those searches.
        rule: The rule; empty: there is none.
    """
    told: list[_Item] = []
    for item in cast("Sequence[_Item]", items):
        if item.get("call_id") not in own_calls:
            told.append(item)
        elif item.get("type") == "function_call_output":
            _add(told, str(item.get("output")))
    if rule:
        _add(told, rule)
    return cast("list[TResponseInputItem]", told)


def _add(told: list[_Item], text: str) -> None:
    """Add a text to the last message or result, so that no model sees two messages of one side in a row."""
    last = told[-1] if told else {}
    for kind, name in (("function_call_output", "output"), ("", "content")):
        is_kind = last.get("type") == kind if kind else last.get("role") == "user"
        if is_kind and isinstance(last.get(name), str):
            told[-1] = {**last, name: f"{last[name]}\n\n{text}"}
            return
    told.append({"role": "user", "content": text})


def calls_for_question(items: str | Sequence[TResponseInputItem]) -> int:
    """How many tools were called since the reader's last question."""
    made = 0
    for item in reversed(cast("Sequence[_Item]", items) if not isinstance(items, str) else ()):
        if item.get("role") == "user":
            break
        made += item.get("type") == "function_call"
    return made


def wrong_in_a_row(
    input: str | list[TResponseInputItem], *, tools: Collection[str], refused: Collection[str]
) -> int:
    """How many of the last replies of the tutor that is asked now held nothing but calls that got nothing.

    The arguments are those of `seen_by`.
    """
    count = 0
    for calls in _replies_backwards(input):
        if not all(_is_wrong(call, tools, refused) for call in calls):
            break
        count += 1
    return count


def _replies_backwards(input: str | list[TResponseInputItem]) -> Iterator[list[_Item]]:
    """The calls of each reply, the last reply first, back to the hand-off or the question."""
    calls: list[_Item] = []
    for item in reversed(cast("list[_Item]", input) if isinstance(input, list) else []):
        if item.get("role") == "user" or _is_hand_over(item):
            break
        if item.get("type") == "function_call":
            calls.append(item)
        elif item.get("type") == "function_call_output" and calls:
            yield calls
            calls = []
    if calls:
        yield calls


def _is_hand_over(item: _Item) -> bool:
    return item.get("type") == "function_call" and str(item.get("name")).startswith(HAND_OVER)


def _is_wrong(item: _Item, tools: Collection[str], refused: Collection[str]) -> bool:
    if item.get("type") != "function_call":
        return False
    return item.get("name") not in tools or item.get("call_id") in refused

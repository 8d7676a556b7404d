"""The run as a model sees it: its time, what the models before it noted, and its part of the conversation.

The SDK gives a model the whole conversation, and no context of its own.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol, cast

from agents.items import TResponseInputItem

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import FailureClass, Failures

LAST = 1.0
"""Seconds at the end of a run that belong to the offline tutor: it needs a fraction of one."""
_OF_ALL = 0.2
"""Largest part of the run's time that they may be."""

HAND_OVER = "hand over to "
"""How the tools of our hand-offs begin: no provider can call a tool whose name has a space (see `CheckedChat`)."""

_Item = dict[str, Any]


class Shown(Protocol):
    """Looks at a reply as the reader will see it."""

    def feed(self, piece: str) -> bool:
        """Whether the reader may see the reply, now that `piece` has come.

        Raises:
            AnswerUnusable: The reply cannot be the answer.
        """
        ...

    async def finish(self) -> FailureClass | None:
        """Why the reply cannot be the answer, now that it has ended; None: it can."""
        ...


class BeginsToLook(Protocol):
    """Begins to look at a reply."""

    def __call__(self, *, must_answer: bool) -> Shown:
        """Returns what looks at it.

        Args:
            must_answer: Whether it must rest on what answers the question, where that was judged.
        """
        ...


class BookRule(Protocol):
    """The rule and the search that bind a model to the book, whatever it does by itself."""

    @property
    def searched(self) -> bool:
        """Whether the whole book was searched for the question."""
        ...

    @property
    def query(self) -> str:
        """The question as the server itself searches for it; empty where only the model can put it."""
        ...

    @property
    def rule(self) -> str:
        """The rule that stands behind the passages; empty where there are none."""
        ...

    async def covers(self) -> bool:
        """Whether what was found covers the question; what answers it is known from then on."""
        ...


class _Verbatim:
    """Takes a reply for what the reader sees."""

    def __init__(self, *, must_answer: bool) -> None:
        self._said = False

    def feed(self, piece: str) -> bool:
        self._said = self._said or bool(piece.strip())
        return self._said

    async def finish(self) -> FailureClass | None:
        return None if self._said else "empty_answer"


@dataclass(slots=True)
class RunScope:
    """One run, as the providers' models see it."""

    failures: Failures = field(default_factory=Failures)
    seconds: float = inf
    """The run's whole time."""
    deadline: float = inf
    """The run's end, as a time of the event loop."""
    refused: Collection[str] = ()
    """Ids of the tool calls that did not fit their tool."""
    call_ids: set[str] = field(default_factory=set[str])
    """Ids of all calls of the models: a tutor does not see those of the tutors before it, and may count anew."""
    shown: BeginsToLook = _Verbatim
    book: BookRule | None = None
    """Binds the models to the book; None: there is nothing to search."""
    told_again: set[str] = field(default_factory=set[str])
    """Providers that were told the rule once more."""
    made_to_search: set[str] = field(default_factory=set[str])
    """Providers whose model was made to call a tool."""
    own_calls: set[str] = field(default_factory=set[str])
    """Ids of the searches that the server made."""
    withheld: Collection[str] = ()
    """Names of tools that the model which is asked now is not offered; a call of one is a call all the same."""
    until: float = inf
    """The latest end of the call that goes on, as a time of the event loop."""
    whole: bool = False
    """Whether nobody reads the answer while it is made, so that a provider need not stream it."""
    truncated: bool = False
    """Whether the last reply was cut off at the provider's limit of length."""

    def give_time(self, *, providers: int, offline: bool) -> None:
        """Give the call that begins now its share of the time that is left.

        Args:
            providers: How many may still be asked, the one that is asked now among them.
            offline: Whether the offline tutor stands behind them.

        Raises:
            AnswerUnusable: There is no time left for a provider (`out_of_time`).
        """
        now = asyncio.get_running_loop().time()
        left = self.deadline - now - (min(LAST, self.seconds * _OF_ALL) if offline else 0.0)
        if left <= 0:
            raise AnswerUnusable("out_of_time", "the time for the answer is over")
        # Equal shares of what is left: one that hangs leaves time to those behind it, and what it saves is theirs.
        self.until = now + left / providers


current_scope: ContextVar[RunScope] = ContextVar("scope")
"""The run that is going on, set before it starts; unset where a model is called without a run."""


def scope() -> RunScope:
    """The run that is going on, or an unbounded one."""
    return current_scope.get(None) or RunScope()


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

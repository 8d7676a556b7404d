"""Tells a provider's model about the run in which it answers: the SDK gives a model no context of its own."""

import asyncio
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import FailureClass, Failures

LAST = 1.0
"""Seconds at the end of a run that belong to the offline tutor: it needs a fraction of one."""
_OF_ALL = 0.2
"""Largest part of the run's time that they may be."""


class Shown(Protocol):
    """Looks at a reply as the reader will see it."""

    def feed(self, piece: str) -> bool:
        """Whether the reader may see the reply, now that `piece` has come.

        Raises:
            AnswerUnusable: The reply cannot be the answer.
        """
        ...

    def finish(self) -> FailureClass | None:
        """Why the reply cannot be the answer, now that it has ended; None: it can."""
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


class _Verbatim:
    """Takes a reply for what the reader sees."""

    def __init__(self) -> None:
        self._said = False

    def feed(self, piece: str) -> bool:
        self._said = self._said or bool(piece.strip())
        return self._said

    def finish(self) -> FailureClass | None:
        return None if self._said else "empty_answer"


@dataclass(slots=True)
class RunScope:
    """One run, as the providers' models see it."""

    failures: Failures = field(default_factory=Failures)
    seconds: float = inf
    """The run's whole time."""
    deadline: float = inf
    """When it is over, as a time of the event loop."""
    refused: Collection[str] = ()
    """Ids of the tool calls that did not fit their tool."""
    call_ids: set[str] = field(default_factory=set[str])
    """Ids of all calls of the models: a tutor does not see those of the tutors before it, and may count anew."""
    shown: Callable[[], Shown] = _Verbatim
    """Begins to look at a reply."""
    book: BookRule | None = None
    """Binds the models to the book; None: there is nothing to search."""
    told_again: set[str] = field(default_factory=set[str])
    """Providers that were told the rule once more."""
    made_to_search: set[str] = field(default_factory=set[str])
    """Providers whose model was made to call a tool."""
    own_calls: set[str] = field(default_factory=set[str])
    """Ids of the searches that the server made."""
    until: float = inf
    """When the call that goes on must have ended, as a time of the event loop."""
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

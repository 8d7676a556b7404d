"""What a run lost on its way: tutors that were left or passed over, and tries that gave no answer."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from preceptor.agents.answer import FailureNote, Usage
from preceptor.agents.failure import classify
from preceptor.errors import AnswerUnusable

_NOT_ASKED = ("not_configured", "breaker_open")


@dataclass(slots=True)
class Losses:
    """Of one run; its models add to it."""

    failures: list[FailureNote] = field(default_factory=list[FailureNote])
    spent: Usage = field(default_factory=Usage)
    """Requests that gave no answer, and their tokens, as far as the provider said them."""

    @property
    def reason(self) -> str:
        """Why the tutor that was asked last was left."""
        asked = (note.reason for note in reversed(self.failures) if note.reason not in _NOT_ASKED)
        return next(asked, "")

    def tried(self, errors: Iterable[Exception]) -> None:
        """Count tries of one call that failed."""
        for error in errors:
            told = error if isinstance(error, AnswerUnusable) else None
            self.spent += Usage(
                input_tokens=told.input_tokens if told else 0,
                output_tokens=told.output_tokens if told else 0,
                requests=int(classify(error).reason != "breaker_open"),
            )


losses: ContextVar[Losses] = ContextVar("losses")
"""Those of the run that is going on: set before the run is started. A model that is called alone has none."""

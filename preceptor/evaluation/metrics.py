"""The assertions of a case: found, cited and answered in the book; refused outside it."""

from dataclasses import dataclass
from typing import Any, cast

from pydantic_evals.evaluators import Evaluator, EvaluatorContext
from pydantic_evals.lifecycle import CaseLifecycle

from preceptor.evaluation.dataset import CaseInput, Expected, Labels
from preceptor.evaluation.outcome import Outcome


@dataclass
class Grounding(Evaluator[CaseInput, Any, Labels]):
    """Evaluator for pydantic-evals that calls `judge`."""

    def evaluate(self, ctx: EvaluatorContext[CaseInput, Any, Labels]) -> dict[str, bool]:
        """Returns the assertions that apply to the case."""
        return judge(cast(Expected, ctx.expected_output), ctx.output)


class AsRecorded(CaseLifecycle[CaseInput, Any, Labels]):
    """Tells evaluators how long the answer took, and not how long it took to look it up in a record."""

    async def prepare_context(
        self, ctx: EvaluatorContext[CaseInput, Any, Labels]
    ) -> EvaluatorContext[CaseInput, Any, Labels]:
        """Returns the context with the duration of the outcome."""
        outcome: Outcome = ctx.output
        ctx.duration = ctx.duration if outcome.seconds is None else outcome.seconds
        return ctx


def judge(expected: Expected, outcome: Outcome) -> dict[str, bool]:
    """Returns the assertions that apply to a case, by name."""
    if not expected.in_book:
        return {"refused": not outcome.in_book}
    return {
        "found": any(_fits(section, expected) for section in outcome.found),
        "cited": any(_fits(section, expected) for section in outcome.cited),
        "answered": bool(outcome.in_book),
    }


def failed(expected: Expected) -> dict[str, bool]:
    """Returns the same assertions for a case that raised: all of them fail."""
    return dict.fromkeys(("found", "cited", "answered") if expected.in_book else ("refused",), False)


def _fits(section: str, expected: Expected) -> bool:
    return section in expected.sections or section.partition("#")[0] in expected.sections

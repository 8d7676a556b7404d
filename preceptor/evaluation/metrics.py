"""The assertions of a case: found, cited, answered and its facts said in the book; refused outside it."""

from dataclasses import dataclass
from typing import Any, cast

from pydantic_evals.evaluators import Evaluator, EvaluatorContext
from pydantic_evals.lifecycle import CaseLifecycle

from preceptor.evaluation.dataset import CaseInput, Expected, Labels
from preceptor.evaluation.facts import is_said
from preceptor.evaluation.outcome import Outcome, SaidFact


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
    holds = {
        "found": any(_fits(section, expected) for section in outcome.found),
        "cited": any(_fits(section, expected) for section in outcome.cited),
        "answered": bool(outcome.in_book),
    }
    if any(fact.importance == "vital" for fact in expected.facts):
        holds["facts"] = all(
            fact.said for fact in facts_said(expected, outcome) if fact.importance == "vital"
        )
    return holds


def facts_said(expected: Expected, outcome: Outcome) -> tuple[SaidFact, ...]:
    """Returns the facts of a case, each with whether the answer says it."""
    return tuple(
        SaidFact(text=fact.plain, importance=fact.importance, said=is_said(fact, outcome.answer or ""))
        for fact in expected.facts
    )


def failed(expected: Expected) -> dict[str, bool]:
    """Returns the same assertions for a case that raised: all of them fail."""
    vital = any(fact.importance == "vital" for fact in expected.facts)
    names = ["found", "cited", "answered", *(["facts"] if vital else [])] if expected.in_book else ["refused"]
    return dict.fromkeys(names, False)


def _fits(section: str, expected: Expected) -> bool:
    return section in expected.sections or section.partition("#")[0] in expected.sections

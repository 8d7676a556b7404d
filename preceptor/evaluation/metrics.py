"""The assertions of a case: found, cited, answered and its facts said in the book; refused outside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic_evals.evaluators import Evaluator, EvaluatorContext
from pydantic_evals.lifecycle import CaseLifecycle

from preceptor.evaluation.dataset import CaseInput, Expected, Labels
from preceptor.evaluation.facts import is_said
from preceptor.evaluation.outcome import Outcome, SaidFact
from preceptor.text.languages import language, language_of


@dataclass
class Grounding(Evaluator[CaseInput, Any, Labels]):
    """Evaluator for pydantic-evals that calls `judge`."""

    def evaluate(self, ctx: EvaluatorContext[CaseInput, Any, Labels]) -> dict[str, bool]:
        """Returns the assertions that apply to the case."""
        return judge(ctx.inputs, cast(Expected, ctx.expected_output), ctx.output)


class AsRecorded(CaseLifecycle[CaseInput, Any, Labels]):
    """Tells evaluators how long the answer took, and not how long it took to look it up in a record."""

    async def prepare_context(
        self, ctx: EvaluatorContext[CaseInput, Any, Labels]
    ) -> EvaluatorContext[CaseInput, Any, Labels]:
        """Returns the context with the duration of the outcome."""
        outcome: Outcome = ctx.output
        ctx.duration = ctx.duration if outcome.seconds is None else outcome.seconds
        return ctx


def judge(asked: CaseInput, expected: Expected, outcome: Outcome) -> dict[str, bool]:
    """Returns the assertions that apply to a case, by name."""
    holds = {
        "found": any(_fits(section, expected) for section in outcome.found),
        "cited": any(_fits(section, expected) for section in outcome.cited),
        "answered": bool(outcome.in_book),
        "refused": not outcome.in_book,
        "facts": all(fact.said for fact in facts_said(expected, outcome) if fact.importance == "vital"),
        "tools": not wrong_calls(expected, outcome),
        "language": not wrong_language(expected, outcome),
    }
    return {name: holds[name] for name in _applying(asked, expected)}


def failed(asked: CaseInput, expected: Expected) -> dict[str, bool]:
    """Returns the same assertions for a case that raised: all of them fail."""
    return dict.fromkeys(_applying(asked, expected), False)


def _applying(asked: CaseInput, expected: Expected) -> Iterator[str]:
    """Yields the names of the assertions that apply to a case."""
    if not expected.in_book:
        yield "refused"
    else:
        # A follow-up is searched for in other words than its own, which alone may say nothing.
        yield from ("cited", "answered") if asked.turns else ("found", "cited", "answered")
    if any(fact.importance == "vital" for fact in expected.facts):
        yield "facts"
    if expected.tools:
        yield "tools"
    if expected.language:
        yield "language"


def wrong_calls(expected: Expected, outcome: Outcome) -> str:
    """Returns which tools were called or not against the case; empty if all is as it should be."""
    if not expected.tools:
        return ""
    if outcome.tools is None:
        return "which tools were called is not known"
    missing = [name for name in expected.tools.called if name not in outcome.tools]
    needless = [name for name in expected.tools.not_called if name in outcome.tools]
    told = [f"did not call {' and '.join(missing)}"] if missing else []
    return "; ".join(told + ([f"called {' and '.join(needless)}"] if needless else []))


def wrong_language(expected: Expected, outcome: Outcome) -> str:
    """Returns in which language the answer is, if it is another one than the case expects; else nothing."""
    wanted, found = expected.language or "", language_of(outcome.answer or "")
    # Of figures and code alone no language can be told.
    if not wanted or found is None or found == language(wanted).tag:
        return ""
    return f"the answer is in {found}, not in {wanted}"


def reasons(expected: Expected, outcome: Outcome) -> dict[str, str]:
    """Returns why assertions do not hold, by name, where the name alone does not say it."""
    told = {"tools": wrong_calls(expected, outcome), "language": wrong_language(expected, outcome)}
    return {name: why for name, why in told.items() if why}


def facts_said(expected: Expected, outcome: Outcome) -> tuple[SaidFact, ...]:
    """Returns the facts of a case, each with whether the answer says it."""
    return tuple(
        SaidFact(text=fact.plain, importance=fact.importance, said=is_said(fact, outcome.answer or ""))
        for fact in expected.facts
    )


def _fits(section: str, expected: Expected) -> bool:
    return section in expected.sections or section.partition("#")[0] in expected.sections

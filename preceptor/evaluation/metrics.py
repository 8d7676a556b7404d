"""The assertions of a case: found, cited and answered in the book; refused outside it."""

from dataclasses import dataclass
from typing import Any, cast

from pydantic_evals.evaluators import Evaluator, EvaluatorContext

from preceptor.evaluation.dataset import CaseInput, Expected, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Outcome of a case. Sections are written `chapter#anchor`."""

    found: tuple[str, ...]
    """Sections of the first k passages of the search, best first."""
    cited: tuple[str, ...]
    """Sections of the answer's sources, in order."""
    in_book: bool
    """Whether the answer rests on the book; if not, the question was declined."""
    answer: str


@dataclass
class Grounding(Evaluator[CaseInput, Any, Labels]):
    """Evaluator for pydantic-evals that calls `judge`."""

    def evaluate(self, ctx: EvaluatorContext[CaseInput, Any, Labels]) -> dict[str, bool]:
        """Returns the assertions that apply to the case."""
        return judge(cast(Expected, ctx.expected_output), ctx.output)


def judge(expected: Expected, outcome: Outcome) -> dict[str, bool]:
    """Returns the assertions that apply to a case, by name."""
    if not expected.in_book:
        return {"refused": not outcome.in_book}
    return {
        "found": any(_fits(section, expected) for section in outcome.found),
        "cited": any(_fits(section, expected) for section in outcome.cited),
        "answered": outcome.in_book,
    }


def failed(expected: Expected) -> dict[str, bool]:
    """Returns the same assertions for a case that raised: all of them fail."""
    return dict.fromkeys(("found", "cited", "answered") if expected.in_book else ("refused",), False)


def _fits(section: str, expected: Expected) -> bool:
    return section in expected.sections or section.partition("#")[0] in expected.sections

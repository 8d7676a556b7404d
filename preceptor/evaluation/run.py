"""Runs the cases: search, ask, judge, a few cases at a time."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from preceptor.evaluation.dataset import CaseInput, Cases, Expected
from preceptor.evaluation.report import CaseResult, Report
from preceptor.library.passage import Hit
from preceptor.settings import EvaluationSettings

if TYPE_CHECKING:
    from pydantic_evals.reporting import ReportCase, ReportCaseFailure


class AnySource(Protocol):
    """A passage that an answer cites."""

    @property
    def chapter(self) -> str: ...  # noqa: D102
    @property
    def anchor(self) -> str: ...  # noqa: D102


class AnyAnswer(Protocol):
    """A finished answer."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def sources(self) -> Sequence[AnySource]: ...  # noqa: D102
    @property
    def in_book(self) -> bool: ...  # noqa: D102


class Ask(Protocol):
    """Asks a question in a conversation of its own."""

    def __call__(self, question: str, /, *, chapter: str | None = None) -> Awaitable[AnyAnswer]: ...  # noqa: D102


class Search(Protocol):
    """Searches the open book."""

    def __call__(  # noqa: D102
        self, query: str, /, *, chapter: str | None = None, limit: int
    ) -> Awaitable[Sequence[Hit]]: ...


async def evaluate(
    cases: Cases,
    ask: Ask,
    search: Search,
    *,
    k: int,
    thresholds: EvaluationSettings,
    concurrency: int = 4,
    finished: Callable[[], object] = lambda: None,
) -> Report:
    """Runs every case and judges it.

    Args:
        cases: From `load_cases`.
        ask: Answers one question.
        search: Finds passages.
        k: A section counts as found when one of the first `k` passages is of it.
        thresholds: Least shares of found, cited and refused.
        concurrency: Cases at a time.
        finished: Called after each case, for a progress bar.

    Raises:
        PreceptorError: The book cannot be searched at all.
    """
    # Here and not above: see `load_cases`.
    from pydantic_evals import Dataset

    from preceptor.evaluation.metrics import Grounding, Outcome

    # Where the index cannot be searched, one error says more than one for every case.
    await search(cases.cases[0].inputs.question, limit=1)

    async def run(question: CaseInput) -> Outcome:
        try:
            hits = await search(question.question, chapter=question.chapter, limit=k)
            answer = await ask(question.question, chapter=question.chapter)
        finally:
            finished()
        return Outcome(
            found=tuple(dict.fromkeys(_section(hit.passage) for hit in hits)),
            cited=tuple(dict.fromkeys(_section(source) for source in answer.sources)),
            in_book=answer.in_book,
            answer=answer.text,
        )

    # pydantic-evals has one type for what is expected and what comes out; ours are two.
    judged = Dataset[CaseInput, Any, Any](
        name=cases.name, cases=cases.cases, evaluators=[*cases.evaluators, Grounding()]
    )
    began = datetime.now(UTC)
    report = await judged.evaluate(run, max_concurrency=concurrency, progress=False)
    order = {case.name: place for place, case in enumerate(cases.cases)}
    results = [_result(case) for case in report.cases] + [_raised(failure) for failure in report.failures]
    return Report(
        dataset=cases.name,
        began=began,
        k=k,
        thresholds={name: getattr(thresholds, name) for name in ("found", "cited", "refused")},
        cases=tuple(sorted(results, key=lambda result: order[result.name])),
    )


def _section(place: AnySource) -> str:
    return f"{place.chapter}#{place.anchor}"


def _result(case: "ReportCase[Any, Any, Any]") -> CaseResult:
    broken = case.evaluator_failures
    return _described(case).model_copy(
        update={
            "found": case.output.found,
            "cited": case.output.cited,
            "in_book": case.output.in_book,
            "answer": case.output.answer,
            "seconds": round(case.task_duration, 3),
            "assertions": {name: result.value for name, result in case.assertions.items()}
            | {failure.name: False for failure in broken},
            "error": broken[0].error_message if broken else None,
            "traceback": broken[0].error_stacktrace if broken else None,
        }
    )


def _raised(failure: "ReportCaseFailure[Any, Any, Any]") -> CaseResult:
    from preceptor.evaluation.metrics import failed

    return _described(failure).model_copy(
        update={
            "assertions": failed(cast(Expected, failure.expected_output)),
            "error": failure.error_message,
            "traceback": failure.error_stacktrace,
        }
    )


def _described(case: "ReportCase[Any, Any, Any] | ReportCaseFailure[Any, Any, Any]") -> CaseResult:
    expected = cast(Expected, case.expected_output)
    return CaseResult(
        name=case.name,
        question=case.inputs.question,
        chapter=case.inputs.chapter,
        language=case.metadata.language if case.metadata else "–",
        kind=case.metadata.kind if case.metadata else "–",
        expected_in_book=expected.in_book,
        expected_sections=expected.sections,
    )

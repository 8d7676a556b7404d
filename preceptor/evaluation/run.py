"""Runs the cases: search, ask, judge, a few cases at a time; or judges again what an earlier run recorded."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel

from preceptor.errors import ReportsNotComparable
from preceptor.evaluation.dataset import CaseInput, Cases, Expected
from preceptor.evaluation.judge_prompt import digest
from preceptor.evaluation.outcome import Cited, Failed, Outcome, Verdict
from preceptor.evaluation.record import Asked
from preceptor.evaluation.report import SHARES, CaseResult, Report
from preceptor.library.passage import Hit, Passage
from preceptor.settings import EvaluationSettings

if TYPE_CHECKING:
    from pydantic_evals.reporting import ReportCase, ReportCaseFailure

_THRESHOLDS = ("found", "cited", "answered", "refused", *SHARES)
_REPEATED = re.compile(r" \[(\d+)/\d+\]$")
"""How pydantic-evals marks a case that is asked more than once."""


class AnySource(Protocol):
    """A passage that an answer cites."""

    @property
    def chapter(self) -> str: ...  # noqa: D102
    @property
    def anchor(self) -> str: ...  # noqa: D102


class AnyAnswer(Protocol):
    """A finished answer; what else Preceptor's own say (tutor, model, tokens, …) is kept where it is there."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def sources(self) -> Sequence[AnySource]: ...  # noqa: D102
    @property
    def in_book(self) -> bool: ...  # noqa: D102


class Ask(Protocol):
    """Asks a question in a conversation of its own."""

    def __call__(self, question: str, /, *, chapter: str | None = None) -> Awaitable[AnyAnswer]: ...  # noqa: D102


class Converse(Protocol):
    """Asks questions one after another in one conversation."""

    def __call__(  # noqa: D102
        self, questions: Sequence[str], /, *, chapter: str | None = None
    ) -> Awaitable[Sequence[AnyAnswer]]: ...


class Search(Protocol):
    """Searches the open book."""

    def __call__(  # noqa: D102
        self, query: str, /, *, chapter: str | None = None, limit: int
    ) -> Awaitable[Sequence[Hit]]: ...


class Price(Protocol):
    """Prices a model's tokens in US dollars; None where it does not know the model."""

    def __call__(  # noqa: D102
        self, provider: str, model: str, input_tokens: int, output_tokens: int, /
    ) -> float | None: ...


Read = Callable[[Any], Awaitable[Passage | None]]
"""Reads the passage of a source; None where it is gone."""

Remember = Callable[[Asked, Outcome], object]
"""Called with every new outcome."""


class _NotAsked(Exception):
    """A question that was left out because the budget was spent."""


class Pace:
    """Lets questions begin no faster than the given number a minute."""

    def __init__(self, per_minute: float | None) -> None:
        """Initialise; None lets every question begin at once."""
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for one's turn."""
        now = time.monotonic()
        begin = max(now, self._next)
        self._next = begin + self._gap
        if begin > now:
            await asyncio.sleep(begin - now)


class _Asking:
    """Asks questions, except those whose outcome is known, until the budget is spent."""

    def __init__(
        self,
        ask: Ask,
        search: Search,
        *,
        converse: Converse | None,
        k: int,
        known: Mapping[Asked, Outcome],
        remember: Remember,
        price: Price | None,
        read: Read | None,
        budget: float | None,
        per_minute: float | None,
    ) -> None:
        self._ask, self._search, self._k = ask, search, k
        self._converse = converse
        self._known, self._remember = known, remember
        self._price, self._read, self._budget = price, read, budget
        self._pace = Pace(per_minute)
        self._times: dict[CaseInput, int] = defaultdict(int)
        self.spent = sum(outcome.cost or 0.0 for outcome in known.values())
        self.left_out = 0

    async def __call__(self, question: CaseInput) -> Outcome:
        self._times[question] += 1
        asked = question, self._times[question]
        if asked in self._known:
            return self._known[asked]
        await self._pace.wait()
        if self._budget is not None and self.spent >= self._budget:
            self.left_out += 1
            raise _NotAsked
        outcome = await self._outcome(question)
        self.spent += outcome.cost or 0.0
        self._remember(asked, outcome)
        return outcome

    async def _outcome(self, question: CaseInput) -> Outcome:
        began = time.perf_counter()
        hits = await self._search(question.question, chapter=question.chapter, limit=self._k)
        answers = await self._answers(question)
        answer = answers[-1]
        seconds = round(time.perf_counter() - began, 3)
        return Outcome(
            found=tuple(dict.fromkeys(_section(hit.passage) for hit in hits)),
            cited=tuple(dict.fromkeys(_section(source) for source in answer.sources)),
            in_book=answer.in_book,
            answer=answer.text,
            sources=tuple([cited async for cited in self._sources(answer.sources)]),
            seconds=seconds,
            **_told_together([_told_by(answer, self._price) for answer in answers]),
        )

    async def _answers(self, asked: CaseInput) -> Sequence[AnyAnswer]:
        """Returns the answers of a conversation; the last one is that to the question of the case."""
        if not asked.turns:
            return [await self._ask(asked.question, chapter=asked.chapter)]
        if self._converse is None:
            raise NotImplementedError("The case has `turns`: give `evaluate` a `converse` that can ask them.")
        return await self._converse([*asked.turns, asked.question], chapter=asked.chapter)

    async def _sources(self, sources: Sequence[AnySource]) -> AsyncIterator[Cited]:
        for place, source in enumerate(sources, start=1):
            passage = await self._read(source) if self._read else None
            if passage is not None:
                number: int = getattr(source, "number", place)
                yield Cited(
                    number=number,
                    section=_section(source),
                    text=passage.text,
                    language=passage.language,
                    header=passage.header,
                )


async def evaluate(
    cases: Cases,
    ask: Ask,
    search: Search,
    *,
    k: int,
    thresholds: EvaluationSettings,
    concurrency: int = 4,
    repeat: int = 1,
    per_minute: float | None = None,
    budget: float | None = None,
    converse: Converse | None = None,
    price: Price | None = None,
    read: Read | None = None,
    known: Mapping[Asked, Outcome] | None = None,
    remember: Remember = lambda asked, outcome: None,
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
        repeat: Times that each case is asked.
        per_minute: Questions that may begin in a minute; None: as many as come.
        budget: US dollars after which no further question is asked; the report is then incomplete.
        converse: Asks the questions of a case with `turns`; without it such a case fails.
        price: Prices an answer's tokens.
        read: Reads the passage of a source, whose text is then in the report, so that it can be judged again.
        known: Outcomes of a run that was stopped; their questions are not asked again.
        remember: Called with every new outcome.
        finished: Called after each case, for a progress bar.

    Raises:
        PreceptorError: The book cannot be searched at all.
    """
    # Where the index cannot be searched, one error says more than one for every case.
    await search(cases.cases[0].inputs.question, limit=1)
    asking = _Asking(
        ask,
        search,
        converse=converse,
        k=k,
        known=known or {},
        remember=remember,
        price=price,
        read=read,
        budget=budget,
        per_minute=per_minute,
    )
    began = datetime.now(UTC)
    results = await _judged(cases, asking, concurrency=concurrency, repeat=repeat, finished=finished)
    stopped = None
    if asking.left_out:
        results = [result for result in results if not (result.error or "").startswith(_NotAsked.__name__)]
        stopped = (
            f"The budget of ${budget:g} is spent (${asking.spent:.4f}): {asking.left_out} of "
            f"{asking.left_out + len(results)} questions were not asked. Run the same command with a higher "
            "`--budget`: with `--save` it goes on where it was."
        )
    return Report(
        dataset=cases.name,
        began=began,
        k=k,
        cases=tuple(results),
        stopped=stopped,
        **_limits(thresholds),
    )


async def judge_again(cases: Cases, old: Report, *, thresholds: EvaluationSettings) -> Report:
    """Judges the answers of an earlier report anew, by other cases or evaluators; nothing is asked.

    Args:
        cases: Cases with what is expected now.
        old: Report with the answers; questions that it lacks are left out.
        thresholds: Least shares of found, cited and refused.

    Raises:
        PreceptorError: The report answers no question of the cases.
    """
    answers: dict[CaseInput, list[CaseResult]] = defaultdict(list)
    for one in old.cases:
        answers[CaseInput(question=one.question, chapter=one.chapter, turns=one.turns)].append(one)
    asked = [case.name for case in cases.cases if case.inputs in answers]
    if not asked:
        raise ReportsNotComparable("the report answers no question of the cases")
    times: dict[CaseInput, int] = defaultdict(int)

    async def recorded(question: CaseInput) -> Outcome:
        given = answers[question]
        answer = given[times[question] % len(given)]
        times[question] += 1
        if answer.in_book is None:
            raise _Recorded(answer.error)
        return answer.outcome

    repeat = max(one.repeat for one in old.cases)
    results = await _judged(cases, recorded, only=asked, concurrency=1, repeat=repeat)
    before = {_said(case): case for case in reversed(old.cases)}
    results = [_as_judged(case, before[_said(case)], old.judge) for case in results]
    return old.model_copy(update={"cases": tuple(results), **_limits(thresholds)})


def _as_judged(case: CaseResult, before: CaseResult, judge: str) -> CaseResult:
    """Returns a result with the label and the verdict of its answer before, where that judge was told the same."""
    verdict = before.judge
    if verdict and verdict.asked and verdict.asked != digest(judge, case):
        verdict = Verdict(reason="what is expected was changed since")
    return case.model_copy(update={"judge": verdict, "label": before.label})


def _said(case: CaseResult) -> tuple[object, ...]:
    """Returns what was asked, and the answer."""
    return case.question, case.chapter, case.turns, case.answer


def _limits(thresholds: EvaluationSettings) -> dict[str, Any]:
    """Returns the fields of a report that say which shares are accepted."""

    def limits(held: BaseModel) -> dict[str, float]:
        return {name: least for name in _THRESHOLDS if (least := getattr(held, name))}

    by_label = {"language": thresholds.language, "kind": thresholds.kind}
    return {
        "thresholds": limits(thresholds),
        "tag_thresholds": {
            f"{label} {value}": limits(held)
            for label, found in by_label.items()
            for value, held in found.items()
        },
    }


class _Recorded(Exception):
    """The error of a case in an earlier run."""


async def _judged(
    cases: Cases,
    answer: Callable[[CaseInput], Awaitable[Outcome]],
    *,
    concurrency: int,
    repeat: int,
    only: Sequence[str | None] | None = None,
    finished: Callable[[], object] = lambda: None,
) -> list[CaseResult]:
    """Runs pydantic-evals with ours and the author's evaluators; results come in the order of the file."""
    # Here and not above: see `load_cases`.
    from pydantic_evals import Dataset

    from preceptor.evaluation.metrics import AsRecorded, Grounding

    async def run(question: CaseInput) -> Outcome:
        try:
            return await answer(question)
        finally:
            finished()

    chosen = [case for case in cases.cases if only is None or case.name in only]
    # pydantic-evals has one type for what is expected and what comes out; ours are two.
    judged = Dataset[CaseInput, Any, Any](
        name=cases.name, cases=chosen, evaluators=[*cases.evaluators, Grounding()]
    )
    report = await judged.evaluate(
        run, max_concurrency=concurrency, progress=False, repeat=repeat, lifecycle=AsRecorded
    )
    order = {case.name: place for place, case in enumerate(chosen)}
    results = [_result(case) for case in report.cases] + [_raised(failure) for failure in report.failures]
    return sorted(results, key=lambda result: (order[result.name], result.repeat))


def _section(place: AnySource) -> str:
    return f"{place.chapter}#{place.anchor}"


def _told_by(answer: Any, price: Price | None) -> dict[str, Any]:
    """Returns what an answer says of how it was made; another system's may say nothing of the kind."""
    # Here and not above: it brings the provider's library.
    from preceptor.providers.failure import NOT_ASKED

    provider: str | None = getattr(answer, "provider", None)
    model: str | None = getattr(answer, "model", None)
    notes: Sequence[Any] = getattr(answer, "failures", ())
    usage: Any = getattr(answer, "usage", None)
    told: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "degraded": bool(getattr(answer, "degraded", False)),
        "failover": tuple(Failed(tutor=str(note.tutor), reason=str(note.reason)) for note in notes),
        "trace_id": getattr(answer, "trace_id", None),
        "tools": None if (tools := getattr(answer, "tools", None)) is None else tuple(tools),
    }
    if usage is None:
        return told
    told |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    # Tokens of a tutor that failed are in the sum, too, at the price of another model.
    mixed = any(note.reason not in NOT_ASKED for note in notes)
    if price and provider and model and not mixed:
        told["cost"] = price(provider, model, usage.input_tokens, usage.output_tokens)
    return told


def _told_together(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns what the last answer of a conversation says, with the tokens, costs and failures of all of them."""
    last = dict(told[-1])
    for name in ("input_tokens", "output_tokens", "cost"):
        given = [one[name] for one in told if name in one]
        if len(given) == len(told) and None not in given:
            last[name] = sum(given)
        else:
            last.pop(name, None)
    last["degraded"] = any(one["degraded"] for one in told)
    last["failover"] = tuple(failed for one in told for failed in one["failover"])
    return last


def _result(case: "ReportCase[Any, Any, Any]") -> CaseResult:
    # Here and not above: the agents come with it, and a saved report is compared without.
    from preceptor.evaluation.citing import judge_citations
    from preceptor.evaluation.metrics import facts_said, reasons

    broken = case.evaluator_failures
    outcome: Outcome = case.output
    citing = judge_citations(outcome)
    return _described(
        case,
        **dict(outcome),
        citation_recall=citing and citing.recall,
        citation_precision=citing and citing.precision,
        unsupported=citing.unsupported if citing else (),
        needless=citing.needless if citing else (),
        facts=facts_said(cast(Expected, case.expected_output), outcome),
        reasons=reasons(cast(Expected, case.expected_output), outcome),
        assertions={name: result.value for name, result in case.assertions.items()}
        | {failure.name: False for failure in broken},
        error=broken[0].error_message if broken else None,
        traceback=broken[0].error_stacktrace if broken else None,
    )


def _raised(failure: "ReportCaseFailure[Any, Any, Any]") -> CaseResult:
    from preceptor.evaluation.metrics import failed

    return _described(
        failure,
        assertions=failed(failure.inputs, cast(Expected, failure.expected_output)),
        error=failure.error_message.removeprefix(f"{_Recorded.__name__}: "),
        traceback=failure.error_stacktrace,
    )


def _described(
    case: "ReportCase[Any, Any, Any] | ReportCaseFailure[Any, Any, Any]", **told: Any
) -> CaseResult:
    expected = cast(Expected, case.expected_output)
    numbered = _REPEATED.search(case.name) if case.source_case_name else None
    return CaseResult(
        name=case.source_case_name or case.name,
        repeat=int(numbered[1]) if numbered else 1,
        question=case.inputs.question,
        chapter=case.inputs.chapter,
        turns=case.inputs.turns,
        language=case.metadata.language if case.metadata else "–",
        kind=case.metadata.kind if case.metadata else "–",
        expected_in_book=expected.in_book,
        expected_sections=expected.sections,
        **told,
    )

"""A judge: a model of one of the providers that calls answers good or bad, where the settings name one.

Its verdicts stand beside what is counted and fail no run: a model that judges errs in ways of its own. What it is worth
is told by a person's labels; see `preceptor.evaluation.interval`. A judge that fails, or says neither, has not judged.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from preceptor.evaluation.judge_prompt import INSTRUCTIONS, digest, message
from preceptor.evaluation.outcome import Verdict
from preceptor.evaluation.report import CaseResult, Report
from preceptor.evaluation.run import Pace, Price
from preceptor.settings import ProviderSettings, Settings

_LONGEST_REASON = 500
"""Characters of a reason that are kept."""


class _Said(BaseModel):
    reason: str
    verdict: Literal["good", "bad"]


_FORM: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "verdict": {"type": "string", "enum": ["good", "bad"]},
            },
            "required": ["reason", "verdict"],
            "additionalProperties": False,
        },
    },
}


class Judge:
    """A model that judges; use `open_judge`."""

    def __init__(
        self, settings: Settings, ask: Callable[..., Any], *, price: Price | None, row: ProviderSettings
    ) -> None:
        """Initialise.

        Args:
            settings: All settings.
            ask: The client's way to ask for a completion.
            price: Prices its tokens.
            row: The provider.
        """
        judge = settings.evaluation.judge
        self._provider, self._model = judge.provider, judge.model or row.model
        self._instructions = INSTRUCTIONS[judge.prompt]
        self._ask, self._price, self._row = ask, price, row
        self.name = f"{self._provider} {self._model}, prompt {judge.prompt}"
        """Provider, model and version of the instructions."""

    async def __call__(self, case: CaseResult) -> Verdict:
        """Judges an answer; whatever goes wrong is told as the reason of a verdict that is none."""
        # Here and not above: it brings the provider's library.
        from preceptor.providers.failure import classify

        asked = digest(self.name, case)
        try:
            async with asyncio.timeout(self._row.timeout * self._row.attempts):
                completion = await self._completion(case)
        except TimeoutError:
            return Verdict(reason="read_timeout", asked=asked)
        except Exception as error:  # noqa: BLE001 - providers raise anything, and a judge that fails ends no run
            return Verdict(reason=classify(error).reason, asked=asked)
        good, reason = _said(completion)
        return Verdict(good=good, reason=reason, asked=asked, **self._cost(completion.usage))

    def _completion(self, case: CaseResult) -> Any:
        chosen = {"temperature": self._row.temperature, "reasoning_effort": self._row.reasoning_effort}
        return self._ask(
            model=self._model,
            messages=[
                {"role": "system", "content": self._instructions},
                {"role": "user", "content": message(case)},
            ],
            response_format=_FORM,
            **{name: value for name, value in chosen.items() if value is not None},
        )

    def _cost(self, usage: Any) -> dict[str, Any]:
        if usage is None:
            return {}
        tokens = usage.prompt_tokens, usage.completion_tokens
        cost = self._price(self._provider, self._model, *tokens) if self._price else None
        return {"input_tokens": tokens[0], "output_tokens": tokens[1], "cost": cost}


@asynccontextmanager
async def open_judge(settings: Settings, price: Price | None = None) -> AsyncGenerator[Judge]:
    """Opens the judge that `evaluation.judge` names."""
    # Here and not above: a saved report is judged again without the provider's library.
    from preceptor.providers.models import open_client

    row = settings.providers[settings.evaluation.judge.provider]
    # Nobody waits for a verdict: the client itself asks again, as often as the row says.
    async with open_client(row, max_retries=row.attempts - 1) as client:
        yield Judge(settings, client.chat.completions.create, price=price, row=row)


async def judge_report(
    report: Report,
    judge: Judge,
    *,
    known: Mapping[str, Verdict] | None = None,
    remember: Callable[[Verdict], object] = lambda verdict: None,
    budget: float | None = None,
    concurrency: int = 4,
    per_minute: float | None = None,
    finished: Callable[[], object] = lambda: None,
) -> Report:
    """Returns the report with a verdict on every answer.

    Args:
        report: A report whose answers are there.
        judge: The judge.
        known: Verdicts of a run that was stopped, by digest.
        remember: Called with every new verdict.
        budget: US dollars for the whole run, its answers included; what is left over when they are spent is not judged.
        concurrency: Answers at a time.
        per_minute: Answers that may be begun in a minute; None: as many as come.
        finished: Called after each answer, for a progress bar.
    """
    kept, pace, turn = known or {}, Pace(per_minute), asyncio.Semaphore(concurrency)
    spent, left_out = report.cost, 0

    async def judged(case: CaseResult) -> CaseResult:
        nonlocal spent, left_out
        if case.answer is None:
            return case
        verdict = kept.get(digest(judge.name, case))
        async with turn:
            if verdict is None:
                await pace.wait()
                if budget is not None and spent >= budget:
                    left_out += 1
                    verdict = Verdict(reason="the budget was spent")
                else:
                    verdict = await judge(case)
                    remember(verdict)
            spent += verdict.cost or 0.0
        finished()
        return case.model_copy(update={"judge": verdict})

    cases = await asyncio.gather(*map(judged, report.cases))
    stopped = report.stopped
    if left_out and stopped is None:
        stopped = (
            f"The budget of ${budget:g} is spent (${spent:.4f}): {left_out} of {len(cases)} answers were not judged. "
            "Run the same command with a higher `--budget`: with `--save` it goes on where it was."
        )
    return report.model_copy(update={"cases": tuple(cases), "judge": judge.name, "stopped": stopped})


def _said(completion: Any) -> tuple[bool | None, str]:
    """Returns whether the judge says good, and its reason; None and what is wrong if it says neither."""
    choices = completion.choices or ()
    text = (choices[0].message.content if choices else None) or ""
    if choices and getattr(choices[0].message, "refusal", None):
        return None, "safety_block"
    # Some servers do not know the form, and put what a model writes around the object.
    found = text[text.find("{") : text.rfind("}") + 1]
    try:
        said = _Said.model_validate_json(found)
    except ValidationError:
        return None, "it gave no verdict" if text else "empty_answer"
    return said.verdict == "good", " ".join(said.reason.split())[:_LONGEST_REASON]

"""A report of answers for a person to label, and what the terminal shows of a report."""

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from preceptor.evaluation.outcome import Cited, SaidFact, Verdict
from preceptor.evaluation.report import CaseResult, Report, render

EVIL = "<img src=x onerror=alert(1)>\"'&</textarea><script>alert(2)</script>"


def answer(number: int, *, good: bool | None = True, repeat: int = 1) -> CaseResult:
    """An answer with a judge's verdict."""
    return CaseResult(
        name=f"case {number} & more",
        repeat=repeat,
        question=f"What is part {number}? {EVIL}",
        chapter=None,
        turns=("What is a robot?",),
        language="en",
        kind="fact",
        expected_in_book=True,
        expected_sections=("parts#one",),
        found=("parts#one",),
        cited=("parts#one",),
        in_book=True,
        answer=f"Part {number} is a wheel [1]. {EVIL}",
        sources=(Cited(number=1, section="parts#one", text=f"A part. {EVIL}", language="en"),),
        facts=(SaidFact(text="A part is a wheel", importance="vital", said=True),),
        judge=Verdict(good=good, reason=f"It is sealed. {EVIL}", asked=f"digest{number}"),
    )


def report(answers: int = 3, *, judge: str = "local small, prompt 1") -> Report:
    """A report; the judge calls every fifth answer bad."""
    cases = [answer(number, good=number % 5 > 0) for number in range(answers)]
    if not judge:
        cases = [case.model_copy(update={"judge": None}) for case in cases]
    return Report(
        dataset="parts",
        began=datetime(2026, 1, 1, tzinfo=UTC),
        k=5,
        thresholds={},
        cases=tuple(cases),
        judge=judge,
    )


def printed(made: Report) -> str:
    """The report as a wide terminal shows it."""
    out = StringIO()
    Console(file=out, width=300).print(render(made))
    return out.getvalue()

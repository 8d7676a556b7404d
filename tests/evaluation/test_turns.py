"""Cases with earlier questions, with tools that should be called, and with a language that the answer should be in."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.errors import CasesInvalid, ReportsNotComparable
from preceptor.evaluation.compare import compare
from preceptor.evaluation.dataset import load_cases
from preceptor.evaluation.record import Record
from preceptor.evaluation.report import CaseResult, Report, explained
from preceptor.evaluation.run import evaluate, judge_again
from preceptor.library.passage import Hit, Passage
from preceptor.providers.failure import Usage
from preceptor.settings import EvaluationSettings, Settings
from tests.evaluation.example import cases_file, hits, passage

CASES = """
name: tiny
cases:
  - name: start-one
    inputs: {turns: ["What is a node?", "And a topic?"], question: "How do I start the first one?"}
    expected_output:
      in_book: true
      sections: ["ros2/nodes"]
      tools: {called: [search_textbook], not_called: [get_chapter]}
      language: en
"""
LENIENT = EvaluationSettings(found=0, cited=0, refused=0)


@dataclass(frozen=True)
class Told:
    """An answer that tells which tools were called."""

    text: str = "You start a node with the command `ros2 run` and its name [1]."
    sources: Sequence[Passage] = (passage("ros2/nodes#run"),)
    in_book: bool = True
    tools: Sequence[str] | None = ("search_textbook",)
    provider: str = "gemini"
    model: str = "flash"
    usage: Usage = field(default_factory=lambda: Usage(100, 10, 110))


def half_a_dollar(provider: str, model: str, input_tokens: int, output_tokens: int, /) -> float:
    return 0.5


class Tutor:
    """Answers alike, and keeps the conversations."""

    def __init__(self, answer: Told) -> None:
        self.answer = answer
        self.conversations: list[Sequence[str]] = []

    async def ask(self, question: str, /, *, chapter: str | None = None) -> Told:
        return self.answer

    async def converse(self, questions: Sequence[str], /, *, chapter: str | None = None) -> list[Told]:
        self.conversations.append(questions)
        return [*(replace(self.answer, text="Earlier.", tools=()) for _ in questions[1:]), self.answer]

    async def search(self, query: str, /, *, chapter: str | None = None, limit: int) -> list[Hit]:
        return hits("ros2/nodes#run")


async def run(folder: Path, answer: Told, text: str = CASES) -> CaseResult:
    tutor = Tutor(answer)
    report = await evaluate(
        load_cases(cases_file(folder, text)),
        tutor.ask,
        tutor.search,
        k=5,
        thresholds=LENIENT,
        converse=tutor.converse,
        price=half_a_dollar,
    )
    return report.cases[0]


async def test_earlier_questions_are_asked_first_and_only_the_last_answer_is_judged(tmp_path: Path) -> None:
    tutor = Tutor(Told())
    cases, part = load_cases(cases_file(tmp_path, CASES)), tmp_path / "part"
    with Record(part, "one") as record:
        report = await evaluate(
            cases, tutor.ask, tutor.search, k=5, thresholds=LENIENT, converse=tutor.converse,
            price=half_a_dollar, remember=record.add,
        )  # fmt: skip
    (case,) = report.cases

    assert tutor.conversations == [["What is a node?", "And a topic?", "How do I start the first one?"]]
    assert case.assertions == {"cited": True, "answered": True, "tools": True, "language": True}
    assert (case.input_tokens, case.output_tokens, case.cost) == (300, 30, 1.5)

    (tmp_path / "report.json").write_text(report.to_json(), encoding="utf-8")
    kept = Report.load(tmp_path / "report.json")
    again = await judge_again(cases, kept, thresholds=LENIENT)
    assert again.cases == report.cases
    assert len(Record(part, "one").outcomes) == 1
    other = kept.model_copy(update={"cases": (case.model_copy(update={"turns": ("Why?",)}),)})
    assert compare(kept, kept).unpaired == ()
    with pytest.raises(ReportsNotComparable, match="no case in common"):
        compare(kept, other)


async def test_without_a_way_to_converse_the_case_fails_and_says_so(tmp_path: Path) -> None:
    tutor = Tutor(Told())
    report = await evaluate(
        load_cases(cases_file(tmp_path, CASES)), tutor.ask, tutor.search, k=5, thresholds=LENIENT
    )
    assert "`converse`" in (report.cases[0].error or "")


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        (("get_chapter",), "did not call search_textbook; called get_chapter"),
        (("search_textbook", "get_chapter"), "called get_chapter"),
        ((), "did not call search_textbook"),
        (None, "which tools were called is not known"),
    ],
)
async def test_a_wrong_call_is_named(tmp_path: Path, tools: Sequence[str] | None, told: str) -> None:
    case = await run(tmp_path, Told(tools=tools))
    assert explained([case]) == told


async def test_another_language_is_named_and_figures_have_none(tmp_path: Path) -> None:
    in_urdu = CASES.replace("language: en", "language: ur")
    assert explained([await run(tmp_path, Told(), in_urdu)]) == "the answer is in en, not in ur"
    assert (
        await run(tmp_path, Told(text="نوڈ ایک پروگرام ہے جو ایک کام کرتا ہے [1]۔"), in_urdu)
    ).missed == ()
    assert (await run(tmp_path, Told(text="42 [1]"), in_urdu)).missed == ()


async def test_a_declined_question_can_forbid_a_tool(tmp_path: Path) -> None:
    text = 'cases: [{inputs: {question: "Hi"}, expected_output: {in_book: false, tools: {not_called: [a]}}}]'
    case = await run(tmp_path, Told(in_book=False, sources=(), tools=("a",)), text)
    assert case.assertions == {"refused": True, "tools": False}


@pytest.mark.parametrize(
    ("change", "into", "told"),
    [
        ("{called: [search_textbook], not_called: [get_chapter]}", "{}", "name tools under `called`"),
        ("not_called: [get_chapter]", "not_called: [search_textbook]", "`search_textbook` is both under"),
        ('turns: ["What is a node?", "And a topic?"]', 'turns: [""]', "`inputs.turns.0`"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: str, into: str, told: str) -> None:
    assert change in CASES
    with pytest.raises(CasesInvalid) as caught:
        load_cases(cases_file(tmp_path, CASES.replace(change, into, 1)))
    assert told in str(caught.value)


async def test_an_answer_tells_the_tools_that_were_called_for_it(demo_settings: Settings) -> None:
    async with open_preceptor(demo_settings) as preceptor:
        answer = await preceptor.ask(Question(text="What is a node in ROS 2?"))
    assert "search_textbook" in answer.tools
    assert not [name for name in answer.tools if name.startswith("transfer_to")], "a hand-off is no tool"

"""Citation recall and precision: which statements their citations support, which citations are needed."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from preceptor.evaluation.citing import judge_citations
from preceptor.evaluation.compare import compare
from preceptor.evaluation.dataset import load_cases
from preceptor.evaluation.markdown import to_markdown
from preceptor.evaluation.outcome import Cited, Outcome
from preceptor.evaluation.page import to_html
from preceptor.evaluation.report import CaseResult, Report, every_time, rates, render
from preceptor.evaluation.run import evaluate, judge_again
from preceptor.library.passage import Hit, Passage
from preceptor.settings import EvaluationSettings
from tests.evaluation.example import CASES, Reply, cases_file, hits, passage

NODE = "A node is a process that computes. One node may hold two timers."
TOPIC = "A topic carries messages of one type. Publishers and subscribers do not know each other."
GRIPPER = "The gripper of the arm opens in forty milliseconds."


def outcome(answer: str, *texts: str, language: str = "en") -> Outcome:
    sources = tuple(
        Cited(number=number, section=f"c{number}#", text=text, language=language)
        for number, text in enumerate(texts, start=1)
    )
    return Outcome(
        in_book=True, answer=answer, sources=sources, cited=tuple(source.section for source in sources)
    )


def shares(answer: str, *texts: str) -> tuple[float, float] | None:
    found = judge_citations(outcome(answer, *texts))
    return found and (found.recall, found.precision)


def test_each_statement_with_the_citation_that_supports_it_is_all_that_is_wanted() -> None:
    answer = "A node is a process that computes [1]. A topic carries messages of one type [2]."
    assert shares(answer, NODE, TOPIC) == (1, 1)


def test_a_statement_that_its_citation_does_not_support_costs_recall_and_precision() -> None:
    answer = "A node is a process that computes [1]. A topic carries messages of one type [1]."
    found = judge_citations(outcome(answer, NODE))
    assert found is not None
    assert (found.recall, found.precision) == (0.5, 0.5)
    assert found.unsupported == ("A topic carries messages of one type.",)
    assert found.needless == ("[1] A topic carries messages of one type.",)


def test_a_citation_that_adds_nothing_costs_precision_alone() -> None:
    assert shares("A node is a process that computes [1][2].", NODE, GRIPPER) == (1, 0.5)


def test_citations_that_support_a_statement_only_together_are_both_needed() -> None:
    said = "A node is a process that computes, and the gripper opens in forty milliseconds [1][2]."
    assert shares(said, NODE, GRIPPER) == (1, 1)


def test_a_citation_at_the_end_of_a_paragraph_stands_for_it_and_counts_once() -> None:
    answer = "A node is a process that computes. One node may hold two timers [1]."
    assert shares(answer, NODE) == (1, 1)
    both = "A node is a process that computes. A topic carries messages of one type [1][2]."
    assert shares(both, NODE, TOPIC) == (1, 1)
    first = f"A node is a process that computes. One node may hold two timers [1]. {TOPIC[:37]} [2]."
    assert shares(first, NODE, TOPIC) == (1, 1)


def test_a_paragraph_without_a_citation_is_not_supported_by_those_of_another() -> None:
    answer = "A node is a process that computes [1].\n\nOne node may hold two timers."
    assert shares(answer, NODE) == (0.5, 1)


def test_an_answer_that_cites_nothing_has_neither() -> None:
    assert shares("A node is a process that computes.") == (0, 0)


@pytest.mark.parametrize(
    "there",
    [
        outcome("A node is a process that computes [1].", NODE).model_copy(update={"in_book": False}),
        outcome("A node is a process that computes [1].", NODE).model_copy(update={"sources": ()}),
        outcome("A node is a process that computes.", NODE),
        outcome(
            "A node is a process that computes [1].", "ایک نوڈ ایک عمل ہے جو حساب کرتا ہے۔", language="ur"
        ),
        outcome("Yes [1].", NODE),
        outcome("Run `node[1]` now.", NODE),
        Outcome(),
    ],
    ids=["declined", "no texts", "no markers", "another language", "too short", "markers in code", "raised"],
)
def test_what_cannot_be_judged_has_no_shares(there: Outcome) -> None:
    assert judge_citations(there) is None


def test_headings_above_a_passage_count_as_said() -> None:
    told = outcome("The Zephyr arm opens its gripper in forty milliseconds [1].", GRIPPER)
    source = told.sources[0].model_copy(update={"header": "Robots › The Zephyr arm"})
    bare, with_header = (
        judge_citations(one) for one in (told, told.model_copy(update={"sources": (source,)}))
    )
    assert bare is not None
    assert with_header is not None
    assert (bare.recall, with_header.recall) == (0, 1)


# In a report


def case(
    name: str, recall: float, precision: float = 1.0, *, language: str = "en", repeat: int = 1
) -> CaseResult:
    return CaseResult(
        name=name, question=f"What is {name}?", chapter=None, language=language, kind="fact", expected_in_book=True,
        expected_sections=("a#b",), assertions={"cited": True}, in_book=True, cited=("a#b",), found=("a#b",),
        citation_recall=recall, citation_precision=precision, repeat=repeat,
        unsupported=() if recall == 1 else ("<b>The moon</b> is round.",),
    )  # fmt: skip


def report(*cases: CaseResult, **told: object) -> Report:
    known: dict[str, object] = {"dataset": "d", "began": datetime.now(UTC), "k": 5, "thresholds": {}}
    return Report(cases=cases, **{**known, **told})  # pyright: ignore[reportArgumentType]


async def test_an_evaluation_judges_the_citations_and_an_old_run_is_judged_again(tmp_path: Path) -> None:
    class Book:
        async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
            text = "Text of the first node [1]. Text of the second topic [1]."
            return Reply(text, [passage("ros2/nodes#what-is-a-node")], in_book=True)

        async def search(self, query: str, *, chapter: str | None = None, limit: int) -> list[Hit]:
            return hits("ros2/nodes#what-is-a-node")

        async def read(self, source: Passage) -> Passage:
            return replace(source, text="Text of the first node.")

    book, cases, limits = (
        Book(),
        load_cases(cases_file(tmp_path, CASES)),
        EvaluationSettings(citation_recall=0.9),
    )
    made = await evaluate(cases, book.ask, book.search, k=5, thresholds=limits, read=book.read)
    assert (made.cases[0].citation_recall, made.cases[0].unsupported) == (0.5, ("Text of the second topic.",))
    assert "`citation_recall` is 50% (1.5 of 3), below 90%." in made.problems
    path = tmp_path / "report.json"
    path.write_text(made.to_json(), encoding="utf-8")
    old = Report.load(path)
    assert old == made
    assert (await judge_again(cases, old, thresholds=limits)).cases == made.cases


def test_the_shares_are_means_over_answers_in_every_form_and_by_tag() -> None:
    made = report(case("one", 1.0), case("two", 0.25, 0.5, language="ur"))

    assert rates(made.cases)["citation_recall"].share == 0.625
    told = json.loads(made.to_json())
    assert told["metrics"]["citation_recall"] == {"held": 1.25, "judged": 2, "share": 0.625}
    assert told["by_language"]["ur"]["citation_precision"] == {"held": 0.5, "judged": 1, "share": 0.5}
    assert "| | cited | citation recall | citation precision |" in to_markdown(made)
    assert "| language ur | 100% (1/1) | 25% (0.2/1) | 50% (0.5/1) |" in to_markdown(made)
    assert "1 answer has statements that their citations do not support: two." in to_markdown(made)
    page = to_html(made)
    assert "<th>citation recall</th>" in page
    assert "&lt;b&gt;The moon&lt;/b&gt; is round." in page
    screen = StringIO()
    Console(width=200, file=screen).print(render(made))
    assert "62%" in screen.getvalue()
    assert "1 answer has statements that their citations do not support: two." in screen.getvalue()


def test_the_table_fits_into_eighty_columns() -> None:
    cases = [case(f"c{number}", 1.0) for number in range(95)]
    verdicts = dict.fromkeys(("found", "cited", "answered", "refused"), True)
    made = report(*(one.model_copy(update={"kind": "definition", "assertions": verdicts}) for one in cases))
    screen = StringIO()
    Console(width=80, file=screen).print(render(made))
    row = next(line for line in screen.getvalue().splitlines() if "kind definition" in line)
    assert row.split() == ["kind", "definition", *["95/95", "100%"] * 4, "100%", "100%"]


def test_a_share_counts_every_time_with_its_smallest() -> None:
    cases = (case("one", 1.0), case("one", 0.5, repeat=2))
    assert every_time(cases)["citation_recall"].share == 0.5


def test_that_citations_are_judged_hides_no_loss_in_a_tag() -> None:
    def german(held: int, *, shares: bool) -> Report:
        cases = (
            case(f"c{number}", 1.0, language="de" if number < 10 else "en").model_copy(
                update={"assertions": {"cited": number >= 10 or number < held}}
                | ({} if shares else {"citation_recall": None, "citation_precision": None})
            )
            for number in range(20)
        )
        return report(*cases)

    with_shares, without = (
        compare(german(10, shares=shares), german(3, shares=shares)).tags[0] for shares in (True, False)
    )
    assert (with_shares.name, with_shares.tag) == ("cited", "language de")
    assert with_shares.p == without.p


def test_a_fall_of_a_share_is_seen_by_a_comparison_and_an_old_report_lacks_it() -> None:
    old = report(*(case(f"c{number}", 1.0) for number in range(10)))
    new = report(*(case(f"c{number}", 0.5 if number < 6 else 1.0) for number in range(10)))

    assert compare(old, new).sentence == (
        "Worse: `citation_recall` fell from 100% to 70% (6 cases worse, 0 better; p=0.031)."
    )
    bare = [one.model_copy(update={"citation_recall": None, "citation_precision": None}) for one in old.cases]
    without = compare(old.model_copy(update={"cases": tuple(bare)}), new)
    assert without.verdict == "no difference"
    assert without.unjudged == ("citation_recall", "citation_precision")

"""Cases run against a book."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from preceptor.errors import IndexUnreachable, ReportInvalid
from preceptor.evaluation.dataset import load_cases
from preceptor.evaluation.report import Rate, Report, render
from preceptor.evaluation.run import evaluate
from preceptor.library.passage import Hit
from preceptor.settings import EvaluationSettings
from tests.evaluation.example import CASES, Reply, cases_file, hits, passage

Asked = list[tuple[str, str | None]]


class Book:
    """A book that knows nodes, and topics when it is asked within their chapter."""

    def __init__(self) -> None:
        self.asked: Asked = []
        self.searched: list[tuple[str, str | None, int]] = []

    async def search(self, query: str, *, chapter: str | None = None, limit: int) -> Sequence[Hit]:
        self.searched.append((query, chapter, limit))
        if chapter:
            return hits(f"{chapter}#what-is-a-topic")
        return hits("intro#about", "intro#about", "ros2/nodes#what-is-a-node")[:limit]

    async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
        self.asked.append((question, chapter))
        if "eggs" in question:
            return Reply("The book does not cover this.", [], in_book=False)
        return Reply("A process [1].", [passage("ros2/nodes#what-is-a-node")], in_book=True)


async def run(folder: Path, book: Book, *, k: int = 5, text: str = CASES) -> Report:
    cases = load_cases(cases_file(folder, text))
    return await evaluate(cases, book.ask, book.search, k=k, thresholds=EvaluationSettings())


async def test_a_case_is_judged_by_what_was_found_cited_and_declined(tmp_path: Path) -> None:
    book = Book()

    report = await run(tmp_path, book)

    node, topic, cookery = report.cases
    assert node.assertions == {"found": True, "cited": True, "answered": True}
    assert topic.assertions == {"found": True, "cited": False, "answered": True}
    assert cookery.assertions == {"refused": True}
    assert topic.found == ("ros2/topics#what-is-a-topic",)
    assert topic.cited == ("ros2/nodes#what-is-a-node",)
    assert ("ٹاپک کیا ہے؟", "ros2/topics") in book.asked
    assert ("ٹاپک کیا ہے؟", "ros2/topics", 5) in book.searched


async def test_only_the_first_k_passages_count_as_found(tmp_path: Path) -> None:
    assert (await run(tmp_path, Book(), k=3)).cases[0].assertions["found"]
    assert not (await run(tmp_path, Book(), k=2)).cases[0].assertions["found"]


async def test_a_chapter_alone_stands_for_all_its_sections_and_an_anchor_for_one(tmp_path: Path) -> None:
    other = CASES.replace('"ros2/topics"]', '"ros2/topics#qos"]')

    assert not (await run(tmp_path, Book(), text=other)).cases[1].assertions["found"]


async def test_rates_are_counted_overall_by_language_and_by_kind(tmp_path: Path) -> None:
    report = await run(tmp_path, Book())

    assert report.by(lambda case: case.language) == {
        "en": {"found": Rate(1, 1), "cited": Rate(1, 1), "answered": Rate(1, 1), "refused": Rate(1, 1)},
        "ur": {"found": Rate(1, 1), "cited": Rate(0, 1), "answered": Rate(1, 1)},
    }
    assert json.loads(report.to_json())["metrics"]["cited"] == {"held": 1, "judged": 2, "share": 0.5}
    assert json.loads(report.to_json())["by_kind"]["outside"] == {
        "refused": {"held": 1, "judged": 1, "share": 1}
    }


async def test_a_threshold_that_is_missed_is_named_and_the_run_does_not_pass(tmp_path: Path) -> None:
    report = await run(tmp_path, Book())

    assert not report.passed
    assert report.problems == ["`cited` is 50% (1 of 2), below 75%."]


async def test_a_book_that_answers_everything_well_passes(tmp_path: Path) -> None:
    report = await run(tmp_path, Book(), text=CASES.replace('"ros2/nodes#other"', '"ros2/nodes"'))

    assert report.problems == []
    assert report.passed


async def test_an_answer_to_what_is_not_in_the_book_is_not_a_refusal(tmp_path: Path) -> None:
    class Talkative(Book):
        async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
            return Reply("Ten minutes.", [passage("ros2/nodes#what-is-a-node")], in_book=True)

    report = await run(tmp_path, Talkative())

    assert report.cases[2].assertions == {"refused": False}
    assert "`refused` is 0% (0 of 1), below 80%." in report.problems


async def test_an_empty_index_does_not_pass_whatever_the_thresholds(tmp_path: Path) -> None:
    class Empty(Book):
        async def search(self, query: str, *, chapter: str | None = None, limit: int) -> Sequence[Hit]:
            return []

        async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
            return Reply("The book does not cover this.", [], in_book=False)

    lenient = EvaluationSettings(found=0, cited=0, refused=0)
    book = Empty()
    cases = load_cases(cases_file(tmp_path))
    report = await evaluate(cases, book.ask, book.search, k=5, thresholds=lenient)

    assert not report.passed
    assert "the index is empty" in report.problems[0]


async def test_a_case_that_raises_fails_with_its_traceback_and_the_others_go_on(tmp_path: Path) -> None:
    class Fragile(Book):
        async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
            if chapter:
                raise ZeroDivisionError("the model divided by zero")
            return await super().ask(question, chapter=chapter)

    report = await run(tmp_path, Fragile())

    node, topic, _ = report.cases
    assert node.error is None
    assert topic.assertions == {"found": False, "cited": False, "answered": False}
    assert topic.error == "ZeroDivisionError: the model divided by zero"
    assert topic.traceback is not None
    assert "in ask" in topic.traceback


async def test_an_index_that_cannot_be_searched_is_one_error_and_not_one_for_each_case(
    tmp_path: Path,
) -> None:
    class Down(Book):
        async def search(self, query: str, *, chapter: str | None = None, limit: int) -> Sequence[Hit]:
            raise IndexUnreachable("https://cluster.example", "nothing listens")

    book = Down()
    with pytest.raises(IndexUnreachable):
        await run(tmp_path, book)
    assert book.asked == []


async def test_an_evaluator_of_the_authors_own_is_counted_beside_ours(tmp_path: Path) -> None:
    text = CASES + "evaluators:\n  - MaxDuration: {seconds: 60}\n"
    report = await run(tmp_path, Book(), text=text)

    assert [case.assertions["MaxDuration"] for case in report.cases] == [True, True, True]


async def test_no_more_than_so_many_cases_run_at_a_time(tmp_path: Path) -> None:
    class Busy(Book):
        running = most = 0

        async def ask(self, question: str, *, chapter: str | None = None) -> Reply:
            self.running += 1
            self.most = max(self.most, self.running)
            for _ in range(5):
                await asyncio.sleep(0)
            self.running -= 1
            return await super().ask(question, chapter=chapter)

    many = "cases:\n" + "".join(
        f"  - {{name: c{number}, inputs: {{question: q{number}}}, expected_output: {{in_book: false}}}}\n"
        for number in range(20)
    )
    book, done = Busy(), list[int]()
    cases = load_cases(cases_file(tmp_path, many))
    report = await evaluate(
        cases,
        book.ask,
        book.search,
        k=5,
        thresholds=EvaluationSettings(),
        concurrency=3,
        finished=lambda: done.append(1),
    )

    assert book.most == 3
    assert len(done) == 20
    assert [case.name for case in report.cases] == [f"c{number}" for number in range(20)]


async def test_a_saved_report_is_read_again_as_it_was(tmp_path: Path) -> None:
    report = await run(tmp_path, Book())
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")

    assert Report.load(path) == report
    assert json.loads(path.read_text())["passed"] is False


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cases": 3}', "null"])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(content)

    with pytest.raises(ReportInvalid, match=r"report\.json"):
        Report.load(path)
    with pytest.raises(ReportInvalid, match="does not exist"):
        Report.load(tmp_path / "nowhere.json")


async def test_the_table_shows_rates_failed_cases_and_what_was_missed(tmp_path: Path) -> None:
    screen = StringIO()
    Console(width=150, file=screen).print(render(await run(tmp_path, Book())))

    shown = screen.getvalue()
    assert "found@5" in shown
    assert "language ur" in shown
    assert "1/2  50%" in shown
    assert "topic-ur" in shown
    assert "cited ros2/nodes#what-is-a-node" in shown
    assert "`cited` is 50% (1 of 2), below 75%." in shown


def test_comparing_reports_does_not_wait_for_pydantic_evals() -> None:
    script = (
        "import sys, preceptor.evaluation.dataset, preceptor.evaluation.run, preceptor.evaluation.compare;"
        "sys.exit('pydantic_evals' in sys.modules or 'agents' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'pydantic_evals' else find(name, *rest)\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "preceptor", "evaluate"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "pip install 'preceptor[evaluate]'" in found.stderr
    assert list(tmp_path.glob(".preceptor/*")) == [], "nothing is indexed first"

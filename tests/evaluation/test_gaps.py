"""What readers did not get: groups of questions, chapters nobody is sent to, days."""

import asyncio
import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import cos, sin
from pathlib import Path

import pytest
import yaml

from preceptor.commands.report import report as write_report
from preceptor.evaluation.dataset import load_cases
from preceptor.evaluation.gap_page import gaps_to_html
from preceptor.evaluation.gaps import (
    AskedRun,
    Disliked,
    GapReport,
    asked_run,
    gap_report,
    to_cases,
    to_issue,
    to_markdown,
)
from preceptor.evaluation.kept_runs import QuestionVectors
from preceptor.evaluation.likeness import Embedded, groups
from preceptor.library.passage import Chapter, Hit
from preceptor.settings import load_settings
from tests.evaluation.example import hits

MADE_UP = yaml.safe_load(Path(__file__).with_name("gap-questions.yaml").read_text(encoding="utf-8"))
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def run(question: str, *, in_book: bool | None = False, **facts: object) -> AskedRun:
    return asked_run(DAY, 2.0, {"question": question, "in_book": in_book, "confidence": 1.0, **facts})


def chapter(name: str) -> Chapter:
    return Chapter(id=name, book="tiny", title=name, url=f"/{name}", position=0, sections=())


async def first_letter(questions: Sequence[str]) -> list[Embedded]:
    """Vectors by which questions with the same first letter ask the same."""
    letters = sorted({question[0].casefold() for question in questions})
    return [("model", [float(question[0].casefold() == one) for one in letters]) for question in questions]


async def search(question: str) -> Sequence[Hit]:
    return hits("ros2/nodes#what-is-a-node", "intro#about")


def made(*runs: AskedRun, least: int = 2) -> GapReport:
    report = gap_report(
        runs, first_letter, search, chapters=[chapter("ros2/nodes"), chapter("intro")],
        places={"k7qd": "ros2/nodes#what-is-a-node"}, least=least,
    )  # fmt: skip
    return asyncio.run(report)


def test_questions_that_ask_the_same_are_one_gap_most_asked_first() -> None:
    report = made(
        run("Drones?"), run("drones"), run("Price of it?"), run("Price, please"), run("Price of it?"), run("Eggs?")
    )  # fmt: skip

    assert [(gap.question, gap.asked, gap.unanswered) for gap in report.gaps] == [
        ("Price of it?", 3, 3),
        ("Drones?", 2, 2),
    ]
    assert report.gaps[0].questions == ("Price of it?", "Price, please")
    assert [near.section for near in report.gaps[0].nearest] == ["ros2/nodes#what-is-a-node", "intro#about"]
    assert report.seldom == 1


def test_what_was_answered_well_and_what_nobody_could_answer_is_no_gap() -> None:
    outage = run("Price?", in_book=None, error="NoTutorLeft")
    assert made(run("Price?", in_book=True), run("Price!", in_book=True), outage, outage).gaps == ()
    weak = run("Price?", in_book=True, confidence=0.3)
    (gap,) = made(weak, weak).gaps
    assert (gap.unanswered, gap.weak) == (0, 2)


def test_chapters_that_nobody_is_sent_to_and_sections_that_are_disliked_are_told() -> None:
    liked = run("A", in_book=True, sources=["k7qd"], feedback={"rating": 1})
    disliked = run("B", in_book=True, sources=["k7qd", "gone"], feedback={"rating": -1})
    report = made(liked, disliked, disliked)

    assert report.never_cited == ("intro",)
    assert report.disliked == (Disliked("ros2/nodes#what-is-a-node", 2, 1),)


def test_each_day_has_its_latency_cost_and_failovers() -> None:
    (day,) = made(
        run("A", in_book=True, failover=[{"from": "gemini", "reason": "timeout"}], cost=0.25),
        run("B", in_book=True, failover=[{"from": "openai", "reason": "not_configured"}], cost=None),
        run("C"),
    ).days  # fmt: skip
    assert (day.day, day.runs, day.unanswered, day.failovers, day.cost) == ("2026-03-01", 3, 1, 1, 0.25)
    assert (day.median_seconds, day.p95_seconds) == (2.0, 2.0)


def test_a_gap_becomes_an_issue_and_a_case_that_can_be_read(tmp_path: Path) -> None:
    nasty = 'Price "of" @everyone <script>: # {x}'
    report = made(run(nasty), run(nasty), run("Eggs?"))
    (gap,) = report.gaps

    assert to_issue(gap).startswith(r'Readers ask: Price "of" \@everyone \<script\>')
    assert "[ros2/nodes](/docs/ros2/nodes#what-is-a-node)" in to_issue(gap)
    path = tmp_path / "cases.yaml"
    path.write_text(to_cases(report.gaps), encoding="utf-8")
    (case,) = load_cases(path).cases
    assert case.inputs.question == nasty
    assert case.expected_output is not None
    assert case.expected_output.sections == ("ros2/nodes",)
    assert "## Asked and not answered" in to_markdown(report)
    assert "Further questions of this kind, asked too seldom: 1." in to_markdown(report)
    assert "asked too seldom" not in to_markdown(made(run(nasty), run(nasty)))
    assert "Asked 1 time: 1 not answered" in to_issue(replace(gap, asked=1, unanswered=1))
    assert json.loads(report.to_json())["gaps"][0]["asked"] == 2


def test_the_page_plots_each_day_and_holds_readers_text_as_text() -> None:
    nasty = "<script>alert(1)</script>?"
    later = asked_run(DAY + 3 * 86_400, 8.0, {"question": "Later", "in_book": True, "cost": 0.5})
    report = made(run(nasty), run(nasty, failover=[{"from": "gemini", "reason": "timeout"}]), later)
    page = gaps_to_html(report)

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;?</strong>: asked 2 times, 2 not answered" in page
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="(?!https?://)', page)
    assert re.findall(r"<h3>(\w+)</h3><svg", page) == ["Latency", "Cost", "Failovers", "Runs"]
    assert "<title>2026-03-01: fell over 1 runs</title>" in page
    assert "<title>2026-03-04: p95 8 seconds</title>" in page
    # Days without a run keep their place, and no line is drawn over them.
    places = [float(x) for x in re.findall(r'cx="([\d.]+)"[^>]*><title>[\d-]+: runs ', page)]
    assert places == [64.0, 604.0]
    assert page.count("<polyline") == 4 + 1 + 2 + 4
    assert "<code>intro</code>" in page, "a chapter that no answer cited"
    assert "There were no runs." in gaps_to_html(made())


def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(run("Drones?"), run("Drones?"))

    async def ready(*_: object, **__: object) -> GapReport:
        return found

    monkeypatch.setattr("preceptor.commands.report._report", ready)
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    file = tmp_path / "new" / "report.html"
    write_report(html=file)
    assert '<strong dir="auto">Drones?</strong>' in file.read_text(encoding="utf-8")


def test_a_nearest_section_is_a_link_only_where_it_leads_somewhere() -> None:
    report = made(run("A"), run("A"))
    (gap,) = report.gaps
    for url, linked in (("https://book.example/a", True), ("/docs/a", False), ("javascript:alert(1)", False)):
        near = replace(gap.nearest[0], url=url)
        page = gaps_to_html(replace(report, gaps=(replace(gap, nearest=(near,)),)))
        assert (f'href="{url}"' in page) is linked
        assert "ros2/nodes" in page


def test_groups_are_joined_by_their_mean_and_not_by_a_chain() -> None:
    # Each of a row of vectors is like its neighbour, but the first is unlike the last.
    row: list[Embedded] = [("model", (cos(0.5 * step), sin(0.5 * step))) for step in range(8)]
    assert max(map(len, groups(["?"] * 8, row))) < 5
    assert groups([], []) == []
    one, other = ("model", (1.0, 0.0)), ("another", (1.0, 0.0))
    assert groups(["Drones", "Drones", "Drones"], [one, other, one]) == [[0, 2], [1]]


@pytest.mark.long
async def test_of_a_thousand_questions_the_planted_gaps_are_found() -> None:
    chance = random.Random(0)
    asked = [
        (number, chance.choice(words))
        for number, words in enumerate(MADE_UP["gaps"])
        for _ in range(chance.randint(5, 20))
    ]
    runs = [run(chance.choice([question, question.lower(), f"{question} Thanks!"])) for _, question in asked]
    runs += [run(question) for question in MADE_UP["once"]]
    runs += [run(f"What is item {number}?", in_book=True) for number in range(1000 - len(runs))]
    chance.shuffle(runs)
    vectors = QuestionVectors(load_settings("demo"))
    report = await gap_report(runs, vectors, search, chapters=[], places={})
    vectors.close()

    subjects = [
        {
            number
            for number, words in enumerate(MADE_UP["gaps"])
            for word in words
            for said in gap.questions
            if said.casefold().startswith(word.casefold())
        }
        for gap in report.gaps
    ]
    pure = [next(iter(found)) for found in subjects if len(found) == 1]
    found, wrong = set(pure), len(report.gaps) - len(pure)
    assert len(runs) == 1000
    assert len(found) >= 18
    assert wrong <= 2

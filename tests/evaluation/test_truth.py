"""The truth about a run: who answered, at which cost, under which conditions."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from preceptor.errors import ReportInvalid, ReportsNotComparable
from preceptor.evaluation.conditions import conditions, differences
from preceptor.evaluation.dataset import CaseInput, load_cases
from preceptor.evaluation.outcome import Outcome
from preceptor.evaluation.price import Prices, estimate
from preceptor.evaluation.record import Record
from preceptor.evaluation.report import Report, render
from preceptor.evaluation.run import evaluate, judge_again
from preceptor.library.passage import Hit, Passage
from preceptor.library.protocol import IndexInfo
from preceptor.providers.failure import FailureNote, Usage
from preceptor.settings import EvaluationSettings, ProviderSettings, Settings, TagThresholds, load_settings
from tests.evaluation.example import CASES, cases_file, hits, passage
from tests.standins.no_sleep import no_sleep

LENIENT = EvaluationSettings(found=0, cited=0, refused=0)
PRICES = Prices(
    {
        "gemini": ProviderSettings(
            base_url="https://generativelanguage.googleapis.com/v1beta/openai/", model="gemini-2.5-flash"
        ),
        "local": ProviderSettings(base_url="http://127.0.0.1:11434/v1", model="gemini-2.5-flash"),
    }
)


@dataclass(frozen=True)
class Told:
    """An answer that says how it was made."""

    text: str = "A process [1]."
    sources: Sequence[Passage] = field(default_factory=lambda: [passage("ros2/nodes#what-is-a-node")])
    in_book: bool = True
    provider: str = "gemini"
    model: str = "gemini-2.5-flash"
    degraded: bool = False
    failures: Sequence[FailureNote] = ()
    usage: Usage = Usage(1000, 100, 2)  # noqa: RUF009 - frozen
    trace_id: str = "trace_1"


STOOD_IN = Told(
    provider="offline",
    model="offline",
    degraded=True,
    failures=(FailureNote("gemini", "timeout"),),
    usage=Usage(0, 0, 1),
)


class Answering:
    """Gives the same answer to every question, and counts them."""

    def __init__(self, answer: Told) -> None:
        self.answer = answer
        self.asked = 0

    async def ask(self, question: str, *, chapter: str | None = None) -> Told:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answer

    async def search(self, query: str, *, chapter: str | None = None, limit: int) -> Sequence[Hit]:
        return hits("ros2/nodes#what-is-a-node")

    async def read(self, source: Passage) -> Passage:
        return source


async def run(folder: Path, answer: Told, **options: object) -> Report:
    book = Answering(answer)
    return await evaluate(
        load_cases(cases_file(folder)),
        book.ask,
        book.search,
        k=5,
        thresholds=LENIENT,
        price=PRICES,
        **options,  # pyright: ignore[reportArgumentType]
    )


async def test_each_case_says_who_answered_with_which_tokens_and_for_how_much(tmp_path: Path) -> None:
    book = Answering(Told())
    (case, *_) = (await run(tmp_path, Told(), read=book.read)).cases

    assert (case.provider, case.model, case.degraded) == ("gemini", "gemini-2.5-flash", False)
    assert (case.input_tokens, case.output_tokens, case.trace_id) == (1000, 100, "trace_1")
    assert case.cost == pytest.approx(1000 * 0.30e-6 + 100 * 2.5e-6)
    assert case.seconds is not None
    assert [(source.number, source.section, source.text) for source in case.sources] == [
        (1, "ros2/nodes#what-is-a-node", "Text.")
    ]


def test_an_unknown_model_has_no_price_and_the_offline_tutor_costs_nothing() -> None:
    assert PRICES("gemini", "gemini-99", 1000, 100) is None
    assert PRICES("local", "gemini-2.5-flash", 1000, 100) is None, "its name alone is no price"
    assert PRICES("nobody", "gemini-2.5-flash", 1000, 100) is None
    assert PRICES("offline", "offline", 0, 0) == 0


async def test_a_model_without_a_price_is_told(tmp_path: Path) -> None:
    report = await run(tmp_path, Told(provider="local"))

    assert report.cases[0].cost is None
    assert "No price is known for answers of local gemini-2.5-flash." in report.notes


async def test_tokens_of_two_models_have_no_price(tmp_path: Path) -> None:
    after = Told(failures=(FailureNote("openai", "timeout"),))
    assert (await run(tmp_path, after)).cases[0].cost is None
    passed_over = Told(failures=(FailureNote("openai", "not_configured"),))
    assert (await run(tmp_path, passed_over)).cases[0].cost is not None


async def test_an_outage_does_not_pass(tmp_path: Path) -> None:
    report = await run(tmp_path, STOOD_IN)

    assert not report.passed
    (problem,) = report.problems
    assert problem.startswith(
        "3 of 3 questions were answered by the offline tutor in another's place (gemini: timeout ×3)"
    )
    assert report.model_copy(update={"allow_degraded": True}).passed


async def test_another_provider_in_the_place_of_the_first_is_told(tmp_path: Path) -> None:
    report = await run(tmp_path, Told(failures=(FailureNote("openai", "rate_limited"),)))

    assert report.passed
    assert report.notes[0] == (
        "3 of 3 questions were answered by gemini after another failed (openai: rate_limited ×3)."
    )


async def test_a_section_that_no_answer_can_cite_is_told(tmp_path: Path) -> None:
    report = (await run(tmp_path, Told())).model_copy(update={"not_in_index": ("node: `a#b`",)})
    assert report.notes == [
        "Expected, but not in the index, so that no answer can cite it: node: `a#b`. Name the section that answers "
        "now, or index the book again."
    ]


async def test_a_case_that_raised_is_not_said_to_be_declined(tmp_path: Path) -> None:
    class Broken(Answering):
        async def ask(self, question: str, *, chapter: str | None = None) -> Told:
            raise ZeroDivisionError("by zero")

    book = Broken(Told())
    report = await evaluate(load_cases(cases_file(tmp_path)), book.ask, book.search, k=5, thresholds=LENIENT)
    assert set(json.loads(report.to_json())["failing"].values()) == {"no answer came, but an error"}


async def test_a_threshold_of_a_language_or_kind_is_held_to(tmp_path: Path) -> None:
    report = await run(tmp_path, Told())
    assert report.passed
    thresholds = LENIENT.model_copy(
        update={
            "language": {"ur": TagThresholds(cited=0.5), "en": TagThresholds(cited=0.5)},
            "kind": {"outside": TagThresholds(refused=0.5), "riddle": TagThresholds(cited=0.5)},
        }
    )
    book, cases = Answering(Told()), load_cases(cases_file(tmp_path))
    held = await evaluate(cases, book.ask, book.search, k=5, thresholds=thresholds)
    problems = [
        "`cited` for language ur is 0% (0 of 1), below 50%.",
        "`refused` for kind outside is 0% (0 of 1), below 50%.",
    ]
    assert held.problems == problems
    assert "There is a threshold for kind riddle, and no case of that" in held.notes[0]
    assert (await judge_again(cases, report, thresholds=thresholds)).problems == problems


def test_settings_name_the_thresholds_of_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPTOR_EVALUATION__LANGUAGE__UR__CITED", "0.6")
    assert load_settings("demo").evaluation.language == {"ur": TagThresholds(cited=0.6)}


async def test_what_failed_is_worded_so_that_it_cannot_be_misread(tmp_path: Path) -> None:
    screen = StringIO()
    report = await run(tmp_path, Told(in_book=False, sources=[]))
    Console(width=200, file=screen).print(render(report))

    assert "node: declined, though the book answers it\n" in screen.getvalue()
    assert "answered by gemini gemini-2.5-flash ×3" in screen.getvalue()
    screen = StringIO()
    answered = await run(tmp_path, Told())
    Console(width=200, file=screen).print(render(answered))
    assert json.loads(answered.to_json())["failing"] == {
        "topic-ur": "answered, but cited no expected section; the search found no expected section",
        "cookery": "answered, though the book does not cover it",
    }
    assert "cookery: answered, though the book does not cover it" in screen.getvalue()


# Repeats, the budget, runs that go on


async def test_repeats_are_counted_one_by_one_and_every_time(tmp_path: Path) -> None:
    class Wavering(Answering):
        async def ask(self, question: str, *, chapter: str | None = None) -> Told:
            self.asked += 1
            return Told(in_book=self.asked != 2)

    book = Wavering(Told())
    text = CASES[: CASES.index("  - name: topic-ur")]
    report = await evaluate(
        load_cases(cases_file(tmp_path, text)), book.ask, book.search, k=5, thresholds=LENIENT, repeat=3, concurrency=1
    )  # fmt: skip

    told = json.loads(report.to_json())
    assert told["metrics"]["answered"] == {"held": 2, "judged": 3, "share": 0.6667}
    assert told["every_time"]["answered"] == {"held": 0, "judged": 1, "share": 0}
    assert told["every_time"]["cited"]["held"] == 1
    assert [case.repeat for case in report.cases] == [1, 2, 3]
    screen = StringIO()
    Console(width=150, file=screen).print(render(report))
    assert "pass^3" in screen.getvalue()
    assert "node: declined, though the book answers it (1 of 3 times)" in screen.getvalue()


async def test_a_budget_stops_the_run_and_says_how_to_go_on(tmp_path: Path) -> None:
    report = await run(tmp_path, Told(), budget=0.0005, concurrency=1)

    assert len(report.cases) == 1
    assert not report.passed
    assert report.stopped is not None
    assert "2 of 3 questions were not asked" in report.stopped


async def test_questions_begin_no_faster_than_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = no_sleep(monkeypatch)
    await run(tmp_path, Told(), per_minute=30)

    assert [round(seconds) for seconds in waited] == [2, 4]


async def test_a_run_that_was_stopped_goes_on_with_what_it_has(tmp_path: Path) -> None:
    cases = load_cases(cases_file(tmp_path))
    book, part = Answering(Told()), tmp_path / "report.json.part"
    with Record(part, "one") as record:
        await evaluate(
            cases, book.ask, book.search, k=5, thresholds=LENIENT, price=PRICES, budget=0.0005, concurrency=1,
            remember=record.add,
        )  # fmt: skip
    assert book.asked == 1
    with part.open("a") as file:
        file.write('{"asked": {"question": "What')  # killed while it wrote

    book = Answering(Told())
    with Record(part, "one") as record:
        assert len(record.outcomes) == 1
        known = dict(record.outcomes)
        report = await evaluate(
            cases, book.ask, book.search, k=5, thresholds=LENIENT, known=known, remember=record.add
        )
    assert book.asked == 2
    assert len(report.cases) == 3
    assert len(Record(part, "one").outcomes) == 3
    other = Record(part, "two")
    assert (other.outcomes, other.other) == ({}, True)


def test_an_answer_in_anothers_place_is_asked_anew_by_a_run_that_goes_on(tmp_path: Path) -> None:
    with Record(tmp_path / "part", "one") as record:
        record.add((CaseInput(question="Why?"), 1), Outcome(in_book=True, degraded=True))
    assert Record(tmp_path / "part", "one").outcomes == {}


# Judged again


async def test_an_old_run_is_judged_again_by_what_is_expected_now(tmp_path: Path) -> None:
    text = CASES + "evaluators:\n  - MaxDuration: {seconds: 3}\n"
    old = await run(tmp_path, Told())
    slow = [case.model_copy(update={"seconds": 5.0}) for case in old.cases]
    path = tmp_path / "old.json"
    path.write_text(old.model_copy(update={"cases": tuple(slow)}).to_json(), encoding="utf-8")
    cases = load_cases(cases_file(tmp_path, text.replace('"ros2/nodes#other"', '"ros2/nodes"')))

    again = await judge_again(cases, Report.load(path), thresholds=LENIENT)
    assert [case.assertions.get("cited") for case in old.cases] == [True, False, None]
    assert [case.assertions.get("cited") for case in again.cases] == [True, True, None]
    assert [case.assertions["MaxDuration"] for case in again.cases] == [False] * 3, "as long as it took then"
    assert again.cases[0].outcome == slow[0].outcome
    other = load_cases(
        cases_file(tmp_path, 'cases: [{inputs: {question: "No?"}, expected_output: {in_book: false}}]')
    )
    with pytest.raises(ReportsNotComparable, match="answers no question"):
        await judge_again(other, old, thresholds=LENIENT)


async def test_a_case_that_raised_keeps_its_error(tmp_path: Path) -> None:
    class Broken(Answering):
        async def ask(self, question: str, *, chapter: str | None = None) -> Told:
            raise ZeroDivisionError("by zero")

    book, cases = Broken(Told()), load_cases(cases_file(tmp_path))
    old = await evaluate(cases, book.ask, book.search, k=5, thresholds=LENIENT)
    again = await judge_again(cases, old, thresholds=LENIENT)
    assert {case.error for case in again.cases} == {"ZeroDivisionError: by zero"}


# Conditions, and reports of other versions


def info(**changes: object) -> IndexInfo:
    told = {
        "book": "b", "title": "B", "subject": "", "language": "en", "embedding_model": "bge", "dimensions": 384,
        "schema_version": 1, "chunk_size": 200, "chunk_overlap": 0, "bm25_avg_len": 1.0,
        "built_at": datetime(2026, 1, 1, tzinfo=UTC), "points": 3, "digest": "abc",
    }  # fmt: skip
    return IndexInfo(**{**told, **changes})  # pyright: ignore[reportArgumentType]


def test_conditions_name_index_prompt_models_versions_and_commit() -> None:
    settings = Settings(env="demo")
    old = conditions(settings, [info()])

    assert (old.index, old.chunk_size, old.embedding_model, old.passages) == ("abc", 200, "bge", 3)
    assert len(old.prompt) == 12
    assert old.packages["openai-agents"]
    assert old.tutors[0].startswith("gemini ")
    other = conditions(settings, [info(chunk_size=40, title="Another title")])
    assert [line for line in differences(old, other) if "packages" not in line] == [
        f"prompt: {old.prompt} → {other.prompt}",
        "chunk_size: 200 → 40",
    ]
    assert old.fingerprint != other.fingerprint
    assert differences(old, old) == []
    assert "older version" in differences(None, old)[0]


def test_the_cost_is_estimated_before_a_provider_is_asked() -> None:
    settings = Settings(env="production")
    told = estimate(settings, Prices(settings.providers), questions=100)

    assert told is not None
    assert told.dollars == pytest.approx(0.20, rel=0.5)
    assert told.sentence.startswith("100 questions to gemini gemini-2.5-flash: about ")
    assert (
        estimate(Settings.model_validate({"env": "demo", "tutor": {"providers": []}}), PRICES, questions=1)
        is None
    )


async def test_a_report_of_an_older_version_is_read_and_of_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    told = json.loads((await run(tmp_path, Told())).to_json())
    for later in ("schema_version", "conditions", "stopped", "allow_degraded"):
        del told[later]
    for case in told["cases"]:
        for later in ("provider", "degraded", "repeat", "sources", "failover"):
            del case[later]
    path.write_text(json.dumps(told))
    assert Report.load(path).cases[0].repeat == 1

    path.write_text(json.dumps(told | {"schema_version": 3}))
    with pytest.raises(ReportInvalid, match="newer version"):
        Report.load(path)

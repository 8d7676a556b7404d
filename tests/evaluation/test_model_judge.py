"""A model that judges answers: what it is told, what becomes of its verdicts, and that it fails no run."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from preceptor.cli import main
from preceptor.errors import SettingsError
from preceptor.evaluation.compare import compare
from preceptor.evaluation.dataset import load_cases
from preceptor.evaluation.markdown import to_markdown
from preceptor.evaluation.model_judge import judge_report, open_judge
from preceptor.evaluation.outcome import Verdict
from preceptor.evaluation.page import to_html
from preceptor.evaluation.record import Record
from preceptor.evaluation.report import Report
from preceptor.evaluation.run import evaluate, judge_again
from preceptor.settings import EvaluationSettings, Settings, load_settings
from tests.evaluation.example import CASES, Reply, cases_file, hits, passage
from tests.evaluation.labelling import printed
from tests.standins.provider import Answer, Provider, fails, whole

LENIENT = EvaluationSettings(found=0, cited=0, refused=0)
WITH_FACTS = CASES.replace(
    '["ros2/nodes#what-is-a-node"]', '["ros2/nodes#what-is-a-node"], facts: ["A node is a **process**"]'
)


def cent(provider: str, model: str, input_tokens: int, output_tokens: int, /) -> float:
    """Every verdict costs a cent."""
    return 0.01


@pytest.fixture
def judging() -> Generator[Provider]:
    with Provider() as provider:
        yield provider


async def answered(folder: Path, text: str = WITH_FACTS) -> Report:
    """A report of three answers, without a judge."""

    async def ask(question: str, *, chapter: str | None = None) -> Reply:
        return Reply("A process [1].", [passage("ros2/nodes#what-is-a-node")], in_book="eggs" not in question)

    async def search(query: str, *, chapter: str | None = None, limit: int) -> Any:
        return hits("ros2/nodes#what-is-a-node")

    async def read(source: Any) -> Any:
        return source

    return await evaluate(
        load_cases(cases_file(folder, text)), ask, search, k=5, thresholds=LENIENT, read=read
    )


def settings(provider: Provider, **row: Any) -> Settings:
    return Settings.model_validate(
        {
            "env": "demo",
            "providers": {
                "local": {
                    "base_url": provider.base_url,
                    "model": "small",
                    "needs_key": False,
                    "attempts": 1,
                    **row,
                }
            },
            "evaluation": {"judge": {"provider": "local"}},
        }
    )


async def judged(report: Report, provider: Provider, *answers: Answer, **options: Any) -> Report:
    provider.will_only(*answers)
    async with open_judge(settings(provider), cent) as judge:
        return await judge_report(report, judge, concurrency=1, **options)


def says(verdict: str, reason: str = "It says so.") -> Answer:
    return whole({"content": json.dumps({"reason": reason, "verdict": verdict})})


async def test_a_judge_is_told_the_case_and_its_verdicts_are_kept_beside_what_is_counted(
    tmp_path: Path, judging: Provider
) -> None:
    report = await judged(
        await answered(tmp_path), judging, says("good"), says("bad", "It <b>omits</b> the topic.")
    )

    first = judging.requests[0].body
    told = json.loads(first["messages"][1]["content"])
    assert first["model"] == "small"
    assert first["response_format"]["json_schema"]["schema"]["properties"]["verdict"]["enum"] == [
        "good",
        "bad",
    ]
    assert (told["question"], told["answer"], told["in_book"]) == ("What is a node?", "A process [1].", True)
    assert told["passages"] == [{"number": 1, "section": "ros2/nodes#what-is-a-node", "text": "Text."}]
    assert told["facts"] == [{"fact": "A node is a process", "importance": "vital"}]
    assert told["sections"] == ["ros2/nodes#what-is-a-node"]
    assert [case.judge and case.judge.good for case in report.cases] == [True, False, False]
    assert report.cost == pytest.approx(0.03)
    assert report.judge == "local small, prompt 1"
    line = "The judge (local small, prompt 1) calls 1 of 3 answers good (33%); 45 tokens, $0.0300."
    assert line in printed(report)
    assert "Bad, by the judge: topic-ur: It <b>omits</b> the topic." in printed(report)
    assert line in to_html(report)
    assert "topic-ur</strong>: bad: It &lt;b&gt;omits&lt;/b&gt; the topic." in to_html(report)
    assert "calls 1 of 3 answers good" in to_markdown(report)
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    assert Report.load(path) == report


async def test_verdicts_fail_no_run_and_are_not_compared(tmp_path: Path, judging: Provider) -> None:
    before = await answered(tmp_path)
    after = await judged(before, judging, says("bad"))

    assert after.passed
    assert all(case.assertions == was.assertions for case, was in zip(after.cases, before.cases, strict=True))
    comparison = compare(before, after)
    assert comparison.verdict == "no difference"
    assert comparison.differs[-1] == "judge: none → local small, prompt 1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fails(401, {"error": {"message": "no"}}), "bad_key"),
        (fails(429, {"error": {"message": "slow down"}}), "rate_limited"),
        (fails(500, "<html>"), "server_error"),
        (whole({"content": "I would say it is rather good."}), "it gave no verdict"),
        (whole({"content": '{"reason": "Hm.", "verdict": "fair"}'}), "it gave no verdict"),
        (whole({"content": None}), "empty_answer"),
        (whole({"content": None, "refusal": "I cannot judge this."}), "safety_block"),
        (fails(200, {"id": "x", "choices": None}), "empty_answer"),
        (Answer([b'{"choices": ['], ending="dropped"), "unreachable"),
        (Answer(status=None, ending="dropped"), "unreachable"),
    ],
)  # fmt: skip
async def test_a_judge_that_fails_has_not_judged(
    tmp_path: Path, judging: Provider, answer: Answer, reason: str
) -> None:
    report = await judged(await answered(tmp_path), judging, says("good"), answer)

    assert [case.judge and case.judge.good for case in report.cases] == [True, None, None]
    assert report.passed
    assert f"calls 1 of 1 answer good (100%); 2 not judged ({reason} ×2)" in printed(report)


async def test_a_verdict_in_a_fence_is_read(tmp_path: Path, judging: Provider) -> None:
    fenced = whole({"content": '```json\n{"reason": "Yes.", "verdict": "good"}\n```'})
    report = await judged(await answered(tmp_path), judging, fenced)

    assert [case.judge and case.judge.good for case in report.cases] == [True] * 3


async def test_a_judge_that_does_not_answer_in_time_has_not_judged(tmp_path: Path, judging: Provider) -> None:
    judging.will_only(Answer(ending="hanging"))
    async with open_judge(settings(judging, timeout=0.05)) as judge:
        report = await judge_report(await answered(tmp_path), judge)

    assert {case.judge and case.judge.reason for case in report.cases} == {"read_timeout"}


async def test_the_budget_is_that_of_the_answers_too_and_ends_the_judging(
    tmp_path: Path, judging: Provider
) -> None:
    report = await judged(await answered(tmp_path), judging, says("good"), budget=0.015)

    assert [case.judge and case.judge.good for case in report.cases] == [True, True, None]
    assert len(judging.requests) == 2
    assert report.stopped is not None
    assert report.stopped.startswith(
        "The budget of $0.015 is spent ($0.0200): 1 of 3 answers were not judged."
    )


async def test_a_run_that_was_stopped_pays_no_verdict_twice(tmp_path: Path, judging: Provider) -> None:
    report, path = await answered(tmp_path), tmp_path / "report.json.part"
    with Record(path, "same") as record:
        await judged(report, judging, says("good"), fails(500, "no"), remember=record.add_verdict)
    again = Record(path, "same")
    assert len(again.verdicts) == 1
    report = await judged(report, judging, says("bad"), known=again.verdicts)

    assert [case.judge and case.judge.good for case in report.cases] == [True, False, False]
    assert len(judging.requests) == 2


async def test_old_answers_judged_again_keep_their_verdicts_unless_more_is_expected_of_them(
    tmp_path: Path, judging: Provider
) -> None:
    old = await judged(await answered(tmp_path), judging, says("good"))
    now = load_cases(cases_file(tmp_path, WITH_FACTS.replace("**process**", "**program**")))
    report = await judge_again(now, old, thresholds=LENIENT)

    node, topic, cookery = report.cases
    assert node.judge == Verdict(reason="what is expected was changed since")
    assert topic.judge == old.cases[1].judge
    assert cookery.judge == old.cases[2].judge


async def test_a_model_that_judges_its_own_answers_is_told(tmp_path: Path, judging: Provider) -> None:
    report = await judged(await answered(tmp_path), judging, says("good"))
    own = [case.model_copy(update={"provider": "local", "model": "small"}) for case in report.cases]

    assert "It judges its own answers" not in printed(report)
    assert "It judges its own answers" in printed(report.model_copy(update={"cases": tuple(own)}))


def test_a_judge_needs_a_row_of_the_providers_and_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRECEPTOR_EVALUATION__JUDGE__PROVIDER", "nobody")
    with pytest.raises(SettingsError, match=r"`evaluation\.judge\.provider` names `nobody`"):
        load_settings("demo", folder=tmp_path)
    monkeypatch.setenv("PRECEPTOR_EVALUATION__JUDGE__PROVIDER", "openai")
    load_settings("demo", folder=tmp_path, needs=("index", "tutor"))
    with pytest.raises(SettingsError, match=r"OPENAI_API_KEY is missing: `evaluation\.judge` asks"):
        load_settings("demo", folder=tmp_path, needs=("judge",))


def test_the_command_judges_where_the_settings_say_so_and_imports_nothing_of_it_otherwise(
    sample_index: Path,
    tmp_path: Path,
    judging: Provider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> dict[str, Any]:
        words = ["preceptor", "evaluate", "--cases", "cases.yaml", "--save", "report.json"]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr().err
        assert ended.value.code == 0
        return {**json.loads(Path("report.json").read_text(encoding="utf-8")), "told": told}

    monkeypatch.chdir(tmp_path)
    Path("cases.yaml").write_text(
        'cases: [{inputs: {question: "What is a node in ROS 2?"}, '
        'expected_output: {in_book: true, sections: ["ros2/nodes#what-is-a-node"]}}]',
        encoding="utf-8",
    )
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    monkeypatch.setenv("PRECEPTOR_INDEX__PATH", str(sample_index))
    monkeypatch.delitem(sys.modules, "preceptor.evaluation.model_judge")
    assert command()["judge"] == ""
    assert "preceptor.evaluation.model_judge" not in sys.modules

    row = {"base_url": judging.base_url, "model": "small", "needs_key": "false"}
    for name, value in row.items():
        monkeypatch.setenv(f"PRECEPTOR_PROVIDERS__LOCAL__{name.upper()}", value)
    monkeypatch.setenv("PRECEPTOR_EVALUATION__JUDGE__PROVIDER", "local")
    judging.will_only(says("bad", "It says too little."))
    found = command()

    assert "1 question to the judge local small: about" in found["told"]
    assert found["cases"][0]["judge"]["reason"] == "It says too little."
    assert "process" in json.loads(judging.messages[1]["content"])["passages"][0]["text"]
    assert not Path("report.json.part").exists()

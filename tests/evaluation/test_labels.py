"""A person's labels: kept beside the report, drawn by chance, and what they say of the answers and of the judge."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from starlette.testclient import TestClient

from preceptor.cli import main
from preceptor.commands.label import app
from preceptor.errors import LabelsInvalid
from preceptor.evaluation.labels import Labels
from preceptor.evaluation.markdown import to_markdown
from preceptor.evaluation.outcome import Label
from preceptor.evaluation.page import to_html
from preceptor.evaluation.report import Report
from tests.evaluation.labelling import answer, printed, report


def labelled(made: Report, path: Path, number: int, *, seed: int = 0) -> Report:
    """The report with labels on its first answers, in which a person finds every fourth one bad."""
    labels = Labels.beside(path, seed=seed)
    for place, case in enumerate(made.sample(labels.seed)[:number]):
        labels.add(case, "good" if place % 4 else "bad")
    return Labels.beside(path).written_into(made)


def test_a_label_is_in_the_file_at_once_and_the_later_of_two_holds(tmp_path: Path) -> None:
    labels = Labels.beside(tmp_path / "after.json", seed=7)
    labels.add(answer(1), "bad", "It is rubber,\nnot steel.")
    labels.add(answer(1), "good")
    labels.add(answer(2), "bad", "گول نہیں")

    lines = (tmp_path / "after.labels.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line).get("verdict") for line in lines] == [None, "bad", "good", "bad"]
    assert json.loads(lines[0]) == {"seed": 7}
    assert "گول نہیں" in lines[3]
    again = Labels.beside(tmp_path / "after.json", seed=1)
    assert again.seed == 7, "what was drawn stays drawn"
    assert again.of(answer(1)) == Label(verdict="good")
    assert again.of(answer(2)) == Label(verdict="bad", why="گول نہیں")
    assert again.of(answer(3)) is None


def test_a_label_is_of_one_answer_unless_a_person_wrote_it_without(tmp_path: Path) -> None:
    file = tmp_path / "after.labels.jsonl"
    file.write_text(
        '{"case": "case 2 & more", "verdict": "bad"}', encoding="utf-8"
    )  # and no new line at the end
    labels = Labels(file)
    labels.add(answer(1), "good")
    again = Labels(file)

    assert again.of(answer(1)) == Label(verdict="good")
    assert again.of(answer(1).model_copy(update={"answer": "Another answer."})) is None
    assert again.of(answer(2).model_copy(update={"answer": "Another answer."})) == Label(verdict="bad")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"case": "a", "verdict": "fair"}', "`verdict`: Input should be 'good' or 'bad'"),
        ('{"case": "a", "verdict": "good", "reason": "x"}', "`reason`"),
        ('{"case": "a", "verd', "Invalid JSON"),
        ("[1]", "Input should be an object"),
        ('{"seed": 3}', "`case`: Field required"),
    ],
)
def test_a_line_that_is_no_label_is_told_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "after.labels.jsonl"
    file.write_text(f'{{"seed": 0}}\n\n{line}\n', encoding="utf-8")

    with pytest.raises(LabelsInvalid) as caught:
        Labels(file)
    assert str(caught.value).startswith(f"Line 3 of `{file}` is no label: ")
    assert told in str(caught.value)


def test_answers_are_drawn_by_chance_and_a_further_case_changes_the_order_of_none() -> None:
    names = [case.name for case in report(50).sample(0)]
    assert names == [case.name for case in report(50).sample(0)]
    assert names != [case.name for case in report(50).sample(1)]
    assert names != [case.name for case in report(50).cases]
    assert names == [case.name for case in report(51).sample(0) if case.name != "case 50 & more"]
    twice = report(2).model_copy(update={"cases": (answer(1), answer(1, repeat=2), answer(2))})
    assert [case.repeat for case in twice.sample(0)] == [1, 1], "the first answer to each question"


def test_sixty_labels_give_an_interval_and_the_judges_agreement(tmp_path: Path) -> None:
    made = labelled(report(200), tmp_path / "after.json", 80)
    found = made.agreement

    assert found is not None
    assert (found.answers, found.labels, found.drawn, found.good, found.both) == (200, 80, 80, 60, 80)
    assert found.estimate is not None
    assert found.estimate.low < 0.75 < found.estimate.high
    assert found.kappa is not None
    interval = (
        f"Of answers to questions such as these {found.estimate.share:.0%} are good: between "
        f"{found.estimate.low:.0%} and {found.estimate.high:.0%} with 95% confidence, by 80 labels and the judge's "
        "verdicts on all answers."
    )
    agreed = (
        f"A person labelled 80 answers, 60 of them good; the judge says the same of {found.agreed} of 80 (κ "
    )
    for told in (printed(made), to_markdown(made).replace("\\", ""), to_html(made).replace("&#x27;", "'")):
        assert interval in told
        assert agreed in told
    assert json.loads(made.to_json())["agreement"]["estimate"]["low"] == pytest.approx(found.estimate.low)
    assert made.passed
    path = tmp_path / "after.json"
    path.write_text(made.to_json(), encoding="utf-8")
    assert Report.load(path) == made


def test_with_fewer_labels_the_judges_rate_is_told_without_a_claim(tmp_path: Path) -> None:
    nobody = printed(report(200))
    assert "calls 160 of 200 answers good (80%)." in nobody
    assert "Nobody has labelled answers, so that its verdicts claim nothing" in nobody

    few = printed(labelled(report(200), tmp_path / "few.json", 59))
    assert "No interval: 59 of the 60 labels that an interval needs are there: label 1 more answers" in few
    assert "confidence" not in few

    small = printed(labelled(report(40), tmp_path / "small.json", 40))
    assert "No interval: it needs 60 labels, and there are 40 answers. Write more cases." in small


def test_a_label_out_of_turn_does_not_count_for_the_interval(tmp_path: Path) -> None:
    path = tmp_path / "after.json"
    made = report(200)
    labelled(made, path, 60)
    labels = Labels.beside(path)
    for case in made.sample(0)[100:120]:
        labels.add(case, "bad")
    found = labels.written_into(made)

    assert found.agreement is not None
    assert (found.agreement.labels, found.agreement.drawn) == (80, 60)
    alone = labelled(report(200), tmp_path / "other.json", 60).agreement
    assert alone is not None
    assert found.agreement.estimate == alone.estimate
    assert "20 labels out of turn" in printed(found)


def test_labels_alone_give_an_interval_without_a_judge(tmp_path: Path) -> None:
    told = printed(labelled(report(100, judge=""), tmp_path / "after.json", 60))

    assert "A person labelled 60 answers, 45 of them good." in told
    assert "between 63% and 84% with 95% confidence, by 60 labels." in told


@pytest.fixture
def page(tmp_path: Path) -> Any:
    """A browser's client on this machine, over a report of three answers."""
    served = app(report(3), tmp_path / "after.json")
    with TestClient(served, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        yield client


def test_the_judges_verdict_is_not_on_the_page_before_the_label(page: TestClient, tmp_path: Path) -> None:
    first = report(3).sample(0)[0].name
    before = page.get("/")
    assert "It is sealed." not in before.text
    assert "0 of 3 answers have a label" in before.text

    after = page.post("/label", data={"case": first, "verdict": "bad", "why": " round "})
    assert [one.status_code for one in after.history] == [303]
    assert "you said bad. The judge says" in after.text
    assert after.text.count("It is sealed.") == 1, "that of the answer before, and not that of the next one"
    assert Labels.beside(tmp_path / "after.json").of(report(3).sample(0)[0]) == Label(
        verdict="bad", why="round"
    )
    back = page.get("/", params={"case": first})
    assert "Your label: bad" in back.text
    assert ">round</textarea>" in back.text


def test_what_others_wrote_is_text_and_nothing_is_inline(page: TestClient) -> None:
    first = report(3).sample(0)[0].name
    page.post("/label", data={"case": first, "verdict": "bad", "why": "</textarea><script>alert(3)</script>"})
    for path in ("/", f"/?after={first.replace('&', '%26')}", f"/?case={first.replace('&', '%26')}"):
        found = page.get(path)
        assert found.status_code == 200
        assert "<img" not in found.text
        assert "<script>" not in found.text
        assert " style=" not in found.text
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert "unsafe" not in found.headers["content-security-policy"]


def test_it_goes_on_where_it_was_and_ends_with_what_the_labels_say(page: TestClient, tmp_path: Path) -> None:
    for case in report(3).sample(0):
        page.post("/label", data={"case": case.name, "verdict": "good"})

    with TestClient(
        app(report(3), tmp_path / "after.json"), base_url="http://localhost", client=("127.0.0.1", 1)
    ) as again:
        assert "Every answer has a label" in again.get("/").text
        assert "A person labelled 3 answers, 3 of them good" in again.get("/").text


def test_only_this_machine_labels_and_no_other_site_does(page: TestClient, tmp_path: Path) -> None:
    sent = {"case": report(3).cases[0].name, "verdict": "good"}
    assert page.post("/label", data=sent, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert page.post("/label", data=sent, headers={"Origin": "https://evil.example"}).status_code == 403
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert page.post("/label", data={**sent, "verdict": "fair"}).status_code == 400
    assert page.post("/label", data={**sent, "case": "another"}).status_code == 400
    assert not (tmp_path / "after.labels.jsonl").exists()


def test_the_command_serves_the_page_and_ends_with_what_the_labels_say(tmp_path: Path) -> None:
    path = tmp_path / "after.json"
    path.write_text(report(3).to_json(), encoding="utf-8")
    words = [sys.executable, "-m", "preceptor", "evaluate", "label", str(path)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env
    ) as running:
        try:
            assert running.stderr is not None
            told = running.stderr.readline()
            found = re.fullmatch(r"Label 3 answers at (http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)\.\n", told)
            assert found, told
            sent = {"case": report(3).cases[0].name, "verdict": "bad"}
            answered = httpx2.post(f"{found[1]}/label", data=sent, follow_redirects=True, timeout=60)
            assert "1 of 3 answers have a label" in answered.text
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert (running.returncode, err) == (0, "")
    assert "A person labelled 1 answer, 0 of them good" in out


def test_a_port_that_is_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "after.json"
    path.write_text(report(1).to_json(), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["preceptor", "evaluate", "label", str(path), "--port", port])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert f"{port} cannot be listened at: address already in use" in told


def test_an_old_report_that_is_judged_again_has_the_labels_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = report(1)
    Path("cases.yaml").write_text(
        yaml.safe_dump(
            {
                "cases": [
                    {
                        "name": made.cases[0].name,
                        "inputs": {"question": made.cases[0].question, "turns": ["What is a robot?"]},
                        "expected_output": {"in_book": True, "sections": ["parts#one"]},
                    }
                ]
            }
        ),
        encoding="utf-8",
    )
    Path("after.json").write_text(made.to_json(), encoding="utf-8")
    Labels.beside(Path("after.json")).add(made.cases[0], "good")
    words = [
        "preceptor",
        "evaluate",
        "score",
        "after.json",
        "--cases",
        "cases.yaml",
        "--json",
        "--env",
        "demo",
    ]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()

    told = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert told["cases"][0]["label"] == {"verdict": "good", "why": ""}
    assert told["cases"][0]["judge"]["reason"] == "what is expected was changed since"
    assert told["agreement"]["labels"] == 1

"""Runs become cases of an evaluation, in a file that a person keeps."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from preceptor.errors import CasesInvalid
from preceptor.evaluation.dataset import load_cases
from preceptor.tracing.case import add_cases, drafts, file_text
from preceptor.tracing.run import RecordedRun, RunSummary, Tokens
from preceptor.tracing.tape import Tape


def run(question: str | None, trace_id: str = "trace_0123456789", **more: Any) -> tuple[RecordedRun, Tape]:
    usual: dict[str, Any] = {
        "trace_id": trace_id, "started": datetime(2026, 11, 29, tzinfo=UTC), "seconds": 1.0, "session_id": None,
        "response_id": None, "question": question, "provider": "gemini", "agents": (), "tools": (), "failover": (),
        "error": None, "tokens": Tokens(), "rating": None, "comment": None,
    }  # fmt: skip
    sections = more.pop("sections", ["ros2/nodes#what-a-node-is"])
    chapter = more.pop("chapter", None)
    sources = [dict(zip(("chapter", "anchor"), section.split("#"), strict=True)) for section in sections]
    tape = Tape(
        asked={"text": question, "chapter": chapter}, steps=[], answer={"sources": sources}, error=None
    )
    return RecordedRun(summary=RunSummary(**usual | more), facts={}, spans=()), tape


def test_a_case_reads_as_a_person_would_write_it() -> None:
    assert file_text("mine", drafts([run("What is a ROS 2 node?")])) == (
        "name: mine\ncases:\n"
        "  # trace_0123456789, 2026-11-29\n"
        "  - name: what-is-a-ros-2-node\n"
        '    inputs: {question: "What is a ROS 2 node?"}\n'
        '    expected_output: {in_book: true, sections: ["ros2/nodes#what-a-node-is"]}\n'
        "    metadata: {language: en, kind: asked}\n"
    )


QUESTIONS = [
    "What is a node?",
    "ٹاپک کیا ہے؟",
    'Say "no": yes',
    "no",
    "1",
    "{a: b} # c",
    "???",
    "What\nis\ta node",
    "null",
]


def test_any_question_gives_a_file_that_an_evaluation_reads(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    runs = [run(question, f"trace_{number:010}") for number, question in enumerate(QUESTIONS)]
    path.write_text(file_text("from-traces", drafts(runs)))
    assert [case.inputs.question for case in load_cases(path).cases] == QUESTIONS


def test_a_declined_question_and_a_chapter_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    add_cases(path, drafts([run("Who won?", sections=[], chapter="ros2/nodes")]))
    [case] = load_cases(path).cases
    assert case.expected_output is not None
    assert (case.expected_output.in_book, case.inputs.chapter) == (False, "ros2/nodes")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            {"rating": -1, "comment": "wrong\nchapter"},
            "a reader disliked the answer (wrong chapter); check what",
        ),
        ({"verdict": "bad", "why": "old page"}, "marked bad (old page); check what"),
    ],
)
def test_a_case_of_a_bad_run_says_that_it_has_to_be_checked(more: dict[str, Any], told: str) -> None:
    assert told in drafts([run("What?", **more)])[0].remark


def test_cases_are_added_once_and_the_file_keeps_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        '# My cases\nname: mine\ncases:\n# the first\n- name: a\n  inputs: {question: "A node?"}\n'
        "  expected_output: {in_book: false}\n\n# judged so\nevaluators: []\n"
    )
    assert add_cases(path, drafts([run("A node?"), run("A topic?"), run("A topic?"), run(None)])) == 1
    text = path.read_text()
    assert text.startswith("# My cases\nname: mine\ncases:\n# the first\n- name: a\n")
    assert text.endswith("evaluators: []\n")
    assert [case.inputs.question for case in load_cases(path).cases] == ["A node?", "A topic?"]
    assert add_cases(path, drafts([run("A topic?")])) == 0
    assert path.read_text() == text


def test_two_questions_with_the_same_first_words_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    add_cases(path, drafts([run("a b c d e f g?"), run("a b c d e f h?", "trace_abcdef1234")]))
    assert [case.name for case in load_cases(path).cases] == ["a-b-c-d-e-f", "a-b-c-d-e-f-2"]


@pytest.mark.parametrize(
    "text", ["just text", "name: x\n", "cases: {a: 1}\n", "cases: [{name: a}]\n", "cases: [\n"]
)
def test_a_file_that_holds_no_cases_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(CasesInvalid):
        add_cases(path, drafts([run("What?")]))
    assert path.read_text() == text

"""The file of cases: what is read, and what an author is told when it is wrong."""

import re
from pathlib import Path

import pytest

from preceptor.errors import CasesInvalid
from preceptor.evaluation.dataset import load_cases, not_in_index
from preceptor.library.passage import Chapter, Section
from preceptor.settings import shipped
from tests.evaluation.example import CASES, cases_file


def test_cases_are_read_with_what_is_expected_of_them(tmp_path: Path) -> None:
    cases = load_cases(cases_file(tmp_path))

    assert cases.name == "tiny"
    node, topic, cookery = cases.cases
    assert node.inputs.question == "What is a node?"
    assert topic.inputs.chapter == "ros2/topics"
    assert topic.metadata is not None
    assert topic.metadata.language == "ur"
    assert cookery.expected_output is not None
    assert (cookery.expected_output.in_book, cookery.expected_output.sections) == (False, ())


def test_the_cases_of_the_sample_book_are_valid_and_cover_what_they_should() -> None:
    cases = load_cases(shipped("examples/physical-ai") / "evaluation.yaml")

    assert len(cases.cases) >= 20
    assert "ur" in {case.metadata.language for case in cases.cases if case.metadata}
    assert {case.expected_output.in_book for case in cases.cases if case.expected_output} == {True, False}


def test_a_case_without_a_name_is_called_by_its_question(tmp_path: Path) -> None:
    path = cases_file(
        tmp_path,
        CASES.replace("name: node", "metadata: {kind: fact}", 1).replace(
            "    metadata: {language: en, kind: definition}\n", "", 1
        ),
    )

    assert load_cases(path).cases[0].name == "What is a node?"


@pytest.mark.parametrize(
    ("change", "into", "told"),
    [
        ("in_book: true", "in_bok: true", r"case `node`, `expected_output.in_book`: Field required"),
        ("in_book: true", "in_book: perhaps", r"case `node`, `expected_output.in_book`: .*valid boolean"),
        ("question: \"What is a node?\"", "query: x", r"case `node`, `inputs.query`: Extra inputs"),
        ("ros2/nodes#what-is-a-node", "a b#c", r"case `node`, `expected_output.sections.0`: .*pattern"),
        ("[\"ros2/nodes#what-is-a-node\"]", "[]", r"case `node`, `expected_output`: .*at least one section"),
        ("{in_book: false}", "{in_book: false, sections: [a]}", r"case `cookery`, .*must be empty"),
        ("    expected_output: {in_book: false}\n", "", r"case `cookery`, `expected_output`: Field required"),
        ("name: cookery", "name: node", r"Duplicate case name: 'node'"),
        ("- name: node", "- label: node", r"case number 1, `label`: Extra inputs"),
        ("name: cookery", "name: cookery\n    evaluators: [NoSuch]", r"NoSuch"),
        ("cases:", "cases: 3\nothers:", r"a list named `cases`"),
        ("name: tiny", "name: [tiny", r"not valid YAML.*line"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_case_and_field(
    tmp_path: Path, change: str, into: str, told: str
) -> None:
    assert change in CASES
    path = cases_file(tmp_path, CASES.replace(change, into, 1))

    with pytest.raises(CasesInvalid) as caught:
        load_cases(path)
    assert re.search(told, str(caught.value))
    assert "cases.yaml" in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = cases_file(tmp_path, CASES.replace("in_book: true", "in_book: perhaps"))

    with pytest.raises(CasesInvalid) as caught:
        load_cases(path)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("content", ["", "cases: []", "- 1", "\x00"])
def test_a_file_without_cases_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(CasesInvalid):
        load_cases(cases_file(tmp_path, content))


def test_a_file_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CasesInvalid, match=r"nowhere\.yaml.*\n.*does not exist"):
        load_cases(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    path.write_bytes("name: caf\xe9".encode("latin-1"))

    with pytest.raises(CasesInvalid, match="cannot be read"):
        load_cases(path)


def test_a_section_that_the_index_does_not_have_is_named_with_its_case(tmp_path: Path) -> None:
    cases = load_cases(cases_file(tmp_path))
    section = Section(anchor="what-is-a-node", heading="What is a node?", breadcrumb=(), url="")
    nodes = Chapter(id="ros2/nodes", book="tiny", title="Nodes", url="", position=0, sections=(section,))

    assert not_in_index(cases, [nodes]) == [
        "topic-ur: `ros2/nodes#other` (nearest: `ros2/nodes#what-is-a-node`)",
        "topic-ur: `ros2/topics`",
    ]

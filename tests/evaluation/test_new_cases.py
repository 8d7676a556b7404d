"""`preceptor evaluate new`: a person ticks off the sections that answer a question."""

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.cli import main
from preceptor.commands.opening import kept_traces
from preceptor.errors import CasesInvalid
from preceptor.evaluation.dataset import load_cases, nearest_sections
from preceptor.evaluation.questions import propose, read_questions
from preceptor.library.passage import Chapter, Hit, Section
from tests.evaluation.example import hits
from tests.sample import sample_settings

NODE = "How does a node differ from a process?"
COURSE = "How much does the capstone count?"


class Keyboard(io.StringIO):
    """Lines that a person types at a terminal."""

    def isatty(self) -> bool:
        return True


New = Callable[..., tuple[int, str]]


@pytest.fixture
def new(
    sample_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> New:
    """Runs the command over the sample book; gives its exit code and what it tells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    monkeypatch.setenv("PRECEPTOR_INDEX__PATH", str(sample_index))
    monkeypatch.setenv("PRECEPTOR_TRACES__PATH", str(tmp_path / "traces.db"))

    def new(*words: str, typed: str | None = None) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["preceptor", "evaluate", "new", "--file", "mine.yaml", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Keyboard(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        _, told = capsys.readouterr()
        assert "Traceback" not in told
        assert isinstance(ended.value.code, int)
        return ended.value.code, " ".join(told.split())

    return new


def asked(*questions: str) -> None:
    Path("asked.txt").write_text("\n".join(questions), encoding="utf-8")


def expected() -> dict[str, tuple[str, ...]]:
    cases = load_cases(Path("mine.yaml")).cases
    return {case.inputs.question: case.expected_output.sections for case in cases if case.expected_output}


def test_sections_are_ticked_off_by_number_by_name_and_after_other_words(new: New) -> None:
    asked("# from the forum", "", f"- {NODE}", COURSE, "Who won the world cup?", "Why topics?", "Later?")
    code, told = new(
        "--questions", "asked.txt", typed="1 2\n/capstone grade\n1\nn\nros2/nodes#parameters\nq\n"
    )

    assert (code, told.endswith("Added 4 cases to `mine.yaml`.")) == (0, True)
    assert "[1 of 5] How does a node differ" in told
    found = expected()
    assert [len(sections) for sections in found.values()] == [2, 1, 0, 1]
    assert found[NODE][0].startswith("ros2/nodes#")
    assert "ros2/nodes#" in told.split("[2 of 5]")[0]
    assert found["Why topics?"] == ("ros2/nodes#parameters",)


def test_a_section_that_does_not_exist_is_told_with_the_nearest_and_asked_again(new: New) -> None:
    asked(NODE)
    _, told = new(
        "--questions", "asked.txt", typed="99\nros2/nodes#what-is-node\n\nros2/nodes#what-is-a-node\n"
    )

    assert "There is no number 99: they go from 1 to" in told
    assert "There is no section `ros2/nodes#what-is-node` (nearest: `ros2/nodes#what-is-a-node`" in told
    assert "Say which sections answer it." in told
    assert expected() == {NODE: ("ros2/nodes#what-is-a-node",)}


def test_what_the_file_holds_stays_and_its_lost_sections_are_told(new: New) -> None:
    before = (
        "# kept by hand\ncases:\n  - name: old\n"
        f'    inputs: {{question: "{NODE}"}}\n'
        '    expected_output: {in_book: true, sections: ["ros2/nodes#what-is-node"]}\n'
    )
    Path("mine.yaml").write_text(before)
    asked(NODE, COURSE)
    _, told = new("--questions", "asked.txt", "--take-first")

    assert "Not in the index: old: `ros2/nodes#what-is-node` (nearest: `ros2/nodes#what-is-a-node`" in told
    assert "Left out: 1 question that the file has already." in told
    assert Path("mine.yaml").read_text().startswith(before)
    assert list(expected()) == [NODE, COURSE]


def test_without_a_terminal_the_first_is_taken_only_when_it_is_asked_for_and_marked(new: New) -> None:
    asked(NODE)
    code, told = new("--questions", "asked.txt")
    assert code == 2
    assert "--take-first" in told
    assert not Path("mine.yaml").exists()

    assert new("--questions", "asked.txt", "--take-first")[0] == 0
    assert "# not checked: the first section that the search found\n" in Path("mine.yaml").read_text()
    assert expected()[NODE][0].startswith("ros2/nodes#")


def test_what_was_ticked_off_is_kept_when_the_person_leaves(new: New) -> None:
    asked(NODE, COURSE)
    code, _ = new("--questions", "asked.txt", typed="1\n")

    assert code != 0
    assert list(expected()) == [NODE]


def test_runs_become_cases_and_enter_takes_what_their_answers_cite(
    new: New, sample_index: Path, tmp_path: Path
) -> None:
    settings = sample_settings(sample_index, tmp_path)

    async def ask() -> tuple[str, ...]:
        with kept_traces(settings) as store:
            async with open_preceptor(settings, traces=store) as preceptor:
                answer = await preceptor.ask(Question(text=NODE))
        return tuple(dict.fromkeys(f"{one.chapter}#{one.anchor}" for one in answer.sources))

    cited = asyncio.run(ask())
    assert cited
    assert "No such run" in new("--traces", "--disliked", typed="")[1]

    code, told = new("--traces", typed="\n")
    assert code == 0
    assert f"* 1 {cited[0]}" in told
    assert expected() == {NODE: cited}


SECTION = Section(anchor="how-topics-work", heading="How topics work?", breadcrumb=(), url="")
TOPICS = Chapter(id="ros2/topics", book="tiny", title="Topics", url="", position=0, sections=(SECTION,))


def test_headings_are_no_questions(tmp_path: Path) -> None:
    path = tmp_path / "asked.txt"
    path.write_text("1. How topics work\nTopics\nWhy topics?\nWhy topics?\n")
    listed = read_questions(path, [TOPICS])
    assert (listed.questions, listed.headings) == (("Why topics?",), ("How topics work", "Topics"))

    path.write_text("Topics\n")
    with pytest.raises(CasesInvalid, match="only headings"):
        read_questions(path, [TOPICS])
    path.write_text("# nothing\n")
    with pytest.raises(CasesInvalid, match="no question"):
        read_questions(path, [TOPICS])


@pytest.mark.parametrize(
    ("section", "near"),
    [
        ("ros2/nodes#what-is-node", ["ros2/nodes#what-is-a-node"]),
        ("basics/nodes#parameters", ["ros2/nodes#parameters"]),
        ("ros2/node", ["ros2/nodes"]),
        ("ros2/nodes#zzz", ["ros2/nodes#what-is-a-node", "ros2/nodes#parameters"]),
        ("elsewhere#zzz", []),
    ],
)
def test_the_nearest_sections_are_those_that_moved_or_are_written_alike(
    section: str, near: list[str]
) -> None:
    known = ["ros2/nodes#", "ros2/nodes#what-is-a-node", "ros2/nodes#parameters", "grasping#suction"]
    assert nearest_sections(section, known) == near


async def test_a_pages_footnotes_are_no_section_that_a_case_can_expect() -> None:
    async def search(_: str) -> list[Hit]:
        return hits("ros2/nodes#footnote-label", "ros2/nodes#what-is-a-node")

    assert [one.section for one in await propose(NODE, search)] == ["ros2/nodes#what-is-a-node"]

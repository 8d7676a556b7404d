"""Which cases an edit of the book touches, and where it took their page, heading, passage or answer."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from preceptor.commands.editions import SentenceLikeness, at_revision, read_edition
from preceptor.errors import RevisionUnknown
from preceptor.evaluation.book import BookSection, Changes, Edition, compare_editions
from preceptor.evaluation.dataset import Cases, load_cases
from preceptor.settings import Settings, load_settings, shipped
from preceptor.text.tokens import overlap
from tests.evaluation.example import cases_file

BOOK = shipped("examples/physical-ai")
EDITS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("book-edits.yaml").read_text()
)
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Settings without a key."""
    return load_settings("demo")


@pytest.fixture(scope="module")
def old(settings: Settings) -> Edition:
    """The sample book as it is."""
    return read_edition(BOOK, settings)


@pytest.fixture(scope="module")
def cases() -> Cases:
    """The cases of the sample book."""
    return load_cases(BOOK / "evaluation.yaml")


@pytest.fixture(scope="module")
def likeness(settings: Settings) -> Generator[SentenceLikeness]:
    """The embedding models."""
    models = SentenceLikeness(settings)
    yield models
    models.close()


async def words_in_common(question: str, texts: Sequence[str]) -> list[float]:
    """Likeness without a model."""
    return [overlap(question, text.partition(": ")[2], "en") for text in texts]


def edited(folder: Path, edit: dict[str, Any]) -> Path:
    """A copy of the sample book with an edit."""
    shutil.copytree(BOOK, folder)
    file = folder / edit["file"]
    if edit.get("remove"):
        file.unlink()
        return folder
    if "rename" in edit:
        file.rename(folder / edit["rename"])
        return folder
    text = file.read_text(encoding="utf-8")
    if "cut" in edit:
        start, end = (text.index(mark) for mark in edit["cut"])
        text = text[:start] + text[end:]
    for change in (edit, edit.get("also", {})):
        if "find" in change:
            assert change["find"] in text
            text = text.replace(change["find"], change["replace"], 1)
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.long
@pytest.mark.parametrize("edit", EDITS["losses"], ids=lambda edit: str(edit["edit"]))
async def test_a_loss_is_located(
    edit: dict[str, Any],
    tmp_path: Path,
    settings: Settings,
    old: Edition,
    cases: Cases,
    likeness: SentenceLikeness,
) -> None:
    folder = edited(tmp_path / "book", edit)

    changes = await compare_editions(cases, old, read_edition(folder, settings), likeness)

    found = [loss for loss in changes.losses if edit["case"] in (loss.case, "any") or edit.get("other")]
    assert edit["kind"] in {loss.kind for loss in found}, changes
    loss = next(loss for loss in found if loss.kind == edit["kind"])
    assert loss.file == edit["file"]
    if "line" in edit:
        assert edit["line"] in (folder / loss.file).read_text(encoding="utf-8").split("\n")[loss.line - 1]


@pytest.mark.long
@pytest.mark.parametrize("edit", EDITS["cosmetic"], ids=lambda edit: str(edit["edit"]))
async def test_a_cosmetic_edit_raises_no_alarm(
    edit: dict[str, Any],
    tmp_path: Path,
    settings: Settings,
    old: Edition,
    cases: Cases,
    likeness: SentenceLikeness,
) -> None:
    folder = edited(tmp_path / "book", edit)

    changes = await compare_editions(cases, old, read_edition(folder, settings), likeness)
    assert changes.losses == ()


# Small books, without a model

PAGE = "# Nodes\n\nIntro.\n\n## What is a node?\n\nA node is a process that computes. It has a name.\n"
TINY = """
cases:
  - name: node
    inputs: {question: "What is a node?"}
    expected_output: {in_book: true, sections: ["nodes#what-is-a-node"]}
  - name: cookery
    inputs: {question: "How long do eggs boil?"}
    expected_output: {in_book: false}
"""


def edition(text: str, *, section: str = "nodes#what-is-a-node", heading: str = "What is a node?") -> Edition:
    """An edition with one section of interest."""
    other = BookSection("nodes#other", "Other", "Something else that is long enough.", "nodes.md", "en")
    page = f"# Nodes\n\n## {heading}\n\n{text}\n\n## Other\n\nSomething else that is long enough.\n"
    return Edition([BookSection(section, heading, text, "nodes.md", "en"), other], {"nodes.md": page})


def compared(folder: Path, new: Edition, *, text: str = TINY) -> Changes:
    """The changes from one small book to another."""
    old = edition("A node is a process that computes things. It has a name of its own.")
    cases = load_cases(cases_file(folder, text))
    return asyncio.run(compare_editions(cases, old, new, words_in_common))


def test_a_case_whose_sections_were_not_edited_is_not_touched(tmp_path: Path) -> None:
    changes = compared(
        tmp_path, edition("A node is a process that computes things. It has a name of its own.")
    )
    assert (changes.touched, changes.losses) == ((), ())


def test_a_sentence_that_answered_and_is_gone_is_told_with_the_line_of_the_edit(tmp_path: Path) -> None:
    changes = compared(tmp_path, edition("It has a name of its own."))

    (loss,) = changes.losses
    assert changes.touched == ("node",)
    assert (loss.case, loss.kind, loss.place) == ("node", "answer", "nodes.md:5")
    assert "“A node is a process that computes things.” is no longer said" in loss.message


def test_a_sentence_that_does_not_answer_may_go(tmp_path: Path) -> None:
    assert compared(tmp_path, edition("A node is a process that computes things.")).losses == ()


def test_a_heading_that_was_renamed_is_told_with_its_new_id(tmp_path: Path) -> None:
    text = "A node is a process that computes things. It has a name of its own."
    (loss,) = compared(
        tmp_path, edition(text, section="nodes#nodes-in-short", heading="Nodes in short")
    ).losses

    assert (loss.kind, loss.section, loss.place) == ("anchor", "nodes#what-is-a-node", "nodes.md:3")
    assert "it is now `nodes#nodes-in-short`" in loss.message


def test_a_section_that_neither_edition_has_is_told(tmp_path: Path) -> None:
    text = TINY.replace("nodes#what-is-a-node", "nodes#nowhere")
    changes = compared(tmp_path, edition("Any."), text=text)

    assert changes.unknown == (("node", "nodes#nowhere"),)
    assert json.loads(changes.to_json())["unknown"] == [["node", "nodes#nowhere"]]


def test_the_book_at_a_commit_is_read_beside_the_folder(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "repository" / "docs"
    folder.mkdir(parents=True)
    (folder / "nodes.md").write_text(PAGE)
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path / "repository", check=True)
    subprocess.run([*GIT, "add", "."], cwd=folder, check=True)
    subprocess.run([*GIT, "commit", "-qm", "Begin"], cwd=folder, check=True)
    (folder / "nodes.md").write_text(PAGE.replace("What is a node?", "Nodes in short"))

    with at_revision(folder, "HEAD") as before:
        assert "nodes#what-is-a-node" in read_edition(before, settings).sections
    assert "nodes#nodes-in-short" in read_edition(folder, settings).sections
    for revision, told in (("nowhere", "no such commit"), ("--output=x", "no such commit")):
        with pytest.raises(RevisionUnknown, match=told), at_revision(folder, revision):
            pass
    with pytest.raises(RevisionUnknown, match="not a git repository"), at_revision(tmp_path, "HEAD"):
        pass

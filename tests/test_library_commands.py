"""Commands for one book of a library: `--book ID` chooses its index, its settings, its runs and its pages."""

import json
from pathlib import Path

import pytest

from tests.command_line import Cli, run

SETTINGS = '[default.library]\nfile = "books.toml"\n'
BOOKS = """
[books.kitchen]
source = "kitchen"
title = "Bread at Home"

[books.kitchen.site]
url = "https://kitchen.example"

[books.garden]
source = "garden"
title = "Soil & Seed"

[books.garden.search]
limit = 1
"""
PAGES = {
    "kitchen": "# Sourdough\n\nA sourdough starter rises because wild yeast makes carbon dioxide in the dough.\n\n"
    "## Ovens\n\nA hot oven with steam gives the loaf a crust.\n",
    "garden": "# Compost\n\nCompost feeds the soil: bacteria turn leaves and peel into humus within a year.\n\n"
    "## Worms\n\nWorms in the compost eat the leaves.\n",
}
RISES = "Why does a sourdough starter rise?"
FEEDS = "What does compost feed?"
UNCOVERED = "Who was the first emperor of Rome?"
CASES = """
name: kitchen
cases:
  - name: rises
    inputs: {question: "Why does a sourdough starter rise?"}
    expected_output: {in_book: true, sections: ["page#"]}
    metadata: {language: en, kind: definition}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the settings of a library of two books, which are indexed."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "settings.toml").write_text(SETTINGS)
    (folder / "books.toml").write_text(BOOKS)
    (folder / "cases.yaml").write_text(CASES)
    for name, text in PAGES.items():
        (folder / name / "docs").mkdir(parents=True)
        (folder / name / "docs" / "page.md").write_text(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert run(patched, "index", "--library", "books.toml", "--quiet", "--env", "demo") == 0
    return folder


@pytest.fixture(autouse=True)
def folder(library: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library is the working folder, in the demo environment."""
    monkeypatch.chdir(library)
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    return library


def _asked(cli: Cli, question: str, book: str) -> dict[str, object]:
    code, out, err = cli("ask", question, "--book", book, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_question_is_answered_by_the_book_that_is_named_with_its_own_settings(cli: Cli) -> None:
    answer = _asked(cli, RISES, "kitchen")
    sources = answer["sources"]
    assert isinstance(sources, list)
    assert [source["url"].startswith("https://kitchen.example/") for source in sources] == [True]
    assert _asked(cli, RISES, "garden")["sources"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("ask", RISES),
        ("mcp",),
        ("report",),
        ("evaluate", "--cases", "cases.yaml"),
        ("evaluate", "new", "--traces", "--take-first", "--file", "new.yaml"),
        ("evaluate", "book", "--old", "kitchen", "--cases", "cases.yaml"),
        ("tools", "call", "list_chapters"),
    ],
    ids=" ".join,
)
def test_without_a_book_the_ids_are_named_and_so_they_are_for_an_unknown_one(
    cli: Cli, words: tuple[str, ...]
) -> None:
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert "`--book ID`: kitchen, garden" in _joined(err)
    code, out, err = cli(*words, "--book", "kitchn")
    assert (code, out) == (2, "")
    assert "no book `kitchn`. Did you mean `kitchen`? There is: kitchen, garden" in _joined(err)


def test_where_there_is_one_book_it_need_not_be_named(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "one.toml").write_text(BOOKS.partition("[books.garden]")[0])
    monkeypatch.setenv("PRECEPTOR_LIBRARY__FILE", "one.toml")
    code, out, err = cli("tools", "call", "list_chapters")
    assert code == 0, err
    assert "Sourdough" in out


def test_a_book_is_named_where_there_is_no_library(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("ask", RISES, "--book", "kitchen")
    assert code == 2
    assert "--book goes with `library.file`" in _joined(err)


def test_an_evaluation_asks_the_book_that_is_named(cli: Cli) -> None:
    code, out, err = cli("evaluate", "--cases", "cases.yaml", "--book", "kitchen", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["book"], report["collection"], report["not_in_index"]) == ("Bread at Home", "kitchen", [])
    assert "limit=6" in report["conditions"]["retrieval"]
    code, out, _ = cli("evaluate", "--cases", "cases.yaml", "--book", "garden", "--json")
    assert code == 1
    assert "limit=1" in json.loads(out)["conditions"]["retrieval"]


def test_runs_and_their_report_are_those_of_the_book(cli: Cli, folder: Path) -> None:
    of = {name: _asked(cli, UNCOVERED, name)["trace_id"] for name in PAGES}
    listed = json.loads(cli("traces", "--book", "garden", "--json")[1])
    assert of["garden"] in {run["trace_id"] for run in listed}
    assert {run["book"] for run in listed} == {"garden"}
    for name in PAGES:
        code, out, err = cli("report", "--book", name, "--least", 1, "--json")
        assert code == 0, err
        report = json.loads(out)
        kept = len(json.loads(cli("traces", "--book", name, "--json", "--limit", 1000)[1]))
        assert report["runs"] == kept
    assert cli("report", "--book", "garden")[1].startswith("# What readers did not get: Soil & Seed\n")
    for words in (
        ("evaluate", "new", "--traces", "--unanswered", "--take-first", "--file", folder / "new.yaml"),
        ("traces", "case", "--unanswered", "--file", folder / "old.yaml"),
    ):
        code, _, err = cli(*words, "--book", "garden")
        assert code == 0, err
        assert UNCOVERED in Path(str(words[-1])).read_text()
        assert RISES in Path(str(words[-1])).read_text()
    # The kitchen answered it.
    code, _, err = cli("traces", "case", "--unanswered", "--file", folder / "mine.yaml", "--book", "kitchen")
    assert code == 0, err
    assert RISES not in (folder / "mine.yaml").read_text()


def test_a_run_is_played_again_in_its_own_book_or_in_the_one_that_is_named(cli: Cli) -> None:
    run = _asked(cli, FEEDS, "garden")["trace_id"]
    code, out, err = cli("traces", "replay", run, "--from", 1, "--json")
    assert code == 0, err
    assert [source["book"] for source in json.loads(out)["answer"]["sources"]] == ["garden"]
    code, out, err = cli("traces", "replay", run, "--book", "kitchen", "--json")
    assert code == 0, err
    assert json.loads(out)["answer"]["sources"] == []


def test_an_edit_of_a_book_is_read_from_its_own_folder(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(PAGES["kitchen"].replace("Sourdough\n", "Dough\n"))
    words = ("evaluate", "book", "--cases", "cases.yaml", "--old")
    code, out, err = cli(*words, folder / "kitchen", "--book", "kitchen")
    assert (code, out) == (0, ""), err
    code, out, _ = cli(*words, folder / "kitchen", "--book", "garden")
    assert code == 1
    assert "rises" in out


def test_the_index_of_another_book_is_refused(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped = '[books.kitchen]\ncollection = "garden"\n[books.other]\n'
    (folder / "swapped.toml").write_text(swapped)
    monkeypatch.setenv("PRECEPTOR_LIBRARY__FILE", "swapped.toml")
    code, out, err = cli("ask", RISES, "--book", "kitchen")
    assert (code, out) == (1, "")
    assert "[books.garden]" in err


def test_one_book_is_tried_beside_a_library(cli: Cli) -> None:
    code, out, err = cli("demo", "--source", "kitchen", "--ask", RISES)
    assert code == 0, err
    assert "wild yeast" in out


def test_where_there_are_several_books_one_is_not_indexed_into_a_place_that_none_of_them_reads(
    cli: Cli, folder: Path
) -> None:
    code, _, err = cli("index", "--source", "kitchen")
    assert code == 2
    assert "`--library books.toml --book ID`" in _joined(err)
    code, _, err = cli("index", "--source", "kitchen", "--collection", "tried", "--quiet")
    assert code == 0, err
    assert cli("index", "--source", "kitchen", "--dry-run", "--quiet")[0] == 0
    assert cli("index", "--delete", "tried")[0] == 0


def _joined(text: str) -> str:
    """The words of a message, without the frame and the line breaks of the terminal."""
    return " ".join(text.replace("│", " ").split())

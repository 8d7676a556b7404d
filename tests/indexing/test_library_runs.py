"""All books of a library are indexed in one run, here or on Ray, and come to the same indexes."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.on_ray import WORDS
from preceptor.books import Book, read_books
from preceptor.cli import app
from preceptor.errors import RayUnavailable
from preceptor.indexing import on_ray
from preceptor.indexing.library import BookRun, index_library
from preceptor.library import open_engine
from preceptor.settings import Settings

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'preceptor[ray]'"
)


def write_books(folder: Path, *, number: int, pages: int = 1) -> Path:
    """Made-up books and their `books.toml`."""
    tables = ""
    for count in range(number):
        chance, name = random.Random(count), f"book-{count}"
        (folder / name).mkdir(parents=True)
        for page in range(pages):
            said = " ".join(f"The {chance.choice(WORDS)} moves the {chance.choice(WORDS)}." for _ in range(6))
            (folder / name / f"{page}.md").write_text(f"# Page {page} of {name}\n\n{said}\n")
        tables += f'[books.{name}]\nsource = "{name}"\n\n'
    (folder / "books.toml").write_text(tables)
    return folder / "books.toml"


def books_in(folder: Path, file: Path) -> list[Book]:
    settings = Settings.model_validate({"env": "demo", "index": {"backend": "embedded", "path": folder}})
    return [*read_books(file, settings).values()]


async def contents(books: Sequence[Book]) -> dict[str, Any]:
    """The digest of each book's index."""
    found: dict[str, Any] = {}
    async with open_engine(books[0].settings) as engine:
        for book in books:
            index = await engine.open(book.settings.index.collection)
            info = await index.info()
            await index.close()
            found[book.id] = info.digest, info.points
    return found


def nothing(run: BookRun, done: int, total: int) -> None:
    pass


async def test_a_library_is_indexed_and_a_book_that_fails_is_named(folder: Path) -> None:
    file = write_books(folder / "books", number=3)
    (folder / "books/book-1/0.md").unlink()
    books, told = books_in(folder / "index", file), list[tuple[str, int, int]]()
    summary = await index_library(books, told=lambda run, done, total: told.append((run.book, done, total)))
    assert told == [("book-0", 1, 3), ("book-1", 2, 3), ("book-2", 3, 3)]
    assert not summary.is_whole
    assert [run.problem[:8] for run in summary.runs] == ["", "No page ", ""]
    again = await index_library([books[0]], told=nothing)
    assert again.is_whole
    assert again.runs[0].summary is not None
    assert (again.runs[0].summary.unchanged, again.runs[0].summary.embedded) == (1, 0)


async def test_a_book_whose_vectors_are_made_in_parts_is_the_same(folder: Path) -> None:
    file = write_books(folder / "books", number=1, pages=5)
    (whole,), (in_parts,) = books_in(folder / "whole", file), books_in(folder / "parts", file)
    await index_library([whole], told=nothing)
    parts = [await asyncio.to_thread(on_ray._embed, in_parts, place, 2) for place in range(2)]  # pyright: ignore[reportPrivateUsage]
    assert sorted(len(part["BAAI/bge-small-en-v1.5"]) for part in parts) == [2, 3]
    run = await asyncio.to_thread(on_ray._index, in_parts, False, *parts)  # pyright: ignore[reportPrivateUsage]
    assert run.is_whole
    assert await contents([whole]) == await contents([in_parts])


def test_only_a_large_book_is_made_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x" * 900_000)
    (tmp_path / "b.png").write_text("x" * 900_000)
    parts = on_ray._parts  # pyright: ignore[reportPrivateUsage]
    assert (parts(tmp_path), parts(tmp_path / "missing"), parts(None)) == (3, 1, 1)


async def test_an_index_on_another_machine_s_disk_is_told(folder: Path) -> None:
    file = write_books(folder / "books", number=2)
    books = books_in(folder / "index", file)
    summary = await index_library(books[:1], told=nothing)
    summary.runs.append(BookRun("book-1", summary.runs[0].summary, place="far"))
    await on_ray._look_for(books, summary)  # pyright: ignore[reportPrivateUsage]
    assert [run.problem[:5] for run in summary.runs] == ["", "`far`"]


def test_the_command_shows_a_line_for_each_book_and_the_sums(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRECEPTOR_INDEX__PATH", str(folder / "index"))
    file = write_books(folder / "books", number=2)
    command = ["index", "--env", "demo", "--library", str(file)]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert "1/2 book-0: 1 passages, 1 embedded" in found.stderr
    assert "2 of 2 books, 2 pages, 2 passages: 2 added" in found.stdout
    found = CliRunner().invoke(app, [*command, "--json", "--quiet"])
    assert [one["unchanged"] for one in json.loads(found.stdout)["books"].values()] == [1, 1]
    found = CliRunner().invoke(app, [*command, "--json", "--quiet", "--book", "book-1"])
    assert [*json.loads(found.stdout)["books"]] == ["book-1"]
    found = CliRunner().invoke(app, [*command, "--book", "book-7"])
    assert (found.exit_code, found.stdout) == (2, "")
    assert "There is: book-0, book-1" in " ".join(found.stderr.replace("│", " ").split())
    file.write_text(file.read_text() + "[books.empty]\n")
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 1
    assert "empty: not indexed: `books.empty` has no `source`" in found.stdout


def test_check_looks_at_every_book_of_a_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_books(folder / "books", number=2)
    for name, value in {"INDEX__PATH": folder / "index", "LIBRARY__FILE": file}.items():
        monkeypatch.setenv(f"PRECEPTOR_{name}", str(value))
    asyncio.run(index_library(books_in(folder / "index", file), told=nothing))
    found = CliRunner().invoke(app, ["check", "--env", "demo"])
    assert found.exit_code == 0, found.output
    assert "ok    books: 2 books, 2 passages" in found.stdout
    file.write_text(file.read_text() + '[books.other]\nsource = "book-0"\n')
    found = CliRunner().invoke(app, ["check", "--env", "demo"])
    assert found.exit_code == 1
    assert "FAIL  books: other: " in found.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--library", "b.toml", "--source", "book"], "give either"),
        (["--library", "b.toml", "--title", "A"], "--title goes with --source"),
        (["--source", "book", "--book", "a"], "--book goes with --library"),
        (["--source", "book", "--on", "ray"], "--on ray goes with --library"),
    ],
)
def test_options_of_one_book_are_not_those_of_a_library(options: list[str], said: str) -> None:
    found = CliRunner().invoke(app, ["index", "--env", "demo", *options])
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.replace("│", " ").split())


def test_ray_is_not_imported_unless_it_is_asked_for(folder: Path) -> None:
    file = write_books(folder / "books", number=1)
    code = (
        "import sys; from preceptor.cli import app\n"
        f"app(['index', '--env', 'demo', '--library', {str(file)!r}, '--quiet'], standalone_mode=False)\n"
        "assert 'ray' not in sys.modules"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PRECEPTOR_INDEX__PATH": str(folder / "index"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


@needs_ray
def test_a_cluster_that_does_not_answer_is_told(folder: Path) -> None:
    books = books_in(folder / "index", write_books(folder / "books", number=1))
    with pytest.raises(RayUnavailable, match=r"Ray at `127\.0\.0\.1:1` cannot be used"):
        on_ray.index_on_ray(books, "127.0.0.1:1", told=nothing)


@needs_ray
@pytest.mark.long
def test_fifty_books_on_two_nodes_of_which_one_is_lost_are_those_of_one_machine(folder: Path) -> None:
    from ray.cluster_utils import Cluster

    file = write_books(folder / "books", number=50)
    here, there = books_in(folder / "here", file), books_in(folder / "there", file)
    asyncio.run(index_library(here, told=nothing))
    # On the main thread, where Ray sets what a signal does.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    lost = cluster.add_node(num_cpus=1)

    def told(_run: BookRun, done: int, _total: int) -> None:
        if done == 10:
            cluster.remove_node(lost, allow_graceful=False)

    try:
        summary = on_ray.index_on_ray(there, str(cluster.address), told=told)
    finally:
        cluster.shutdown()
    assert [run.problem for run in summary.runs if run.problem] == []
    assert len(summary.runs) == 50
    assert asyncio.run(contents(here)) == asyncio.run(contents(there))

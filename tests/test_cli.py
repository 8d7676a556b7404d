"""The commands as a person types them: what they print, and how they end."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from preceptor.library.embedded import Embedded
from preceptor.library.protocol import Vectors
from preceptor.text.tokens import SparseVector
from tests.command_line import Cli
from tests.library.engines import candidates
from tests.standins.provider import Provider, chunk, stream
from tests.standins.qdrant import QdrantStandIn

PAGES = 24


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, in the demo environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    return tmp_path


def write_book(folder: Path, edition: str = "first", *, pages: int = PAGES) -> Path:
    """A book of small pages, each of which names the edition."""
    docs = folder / "book" / "docs"
    docs.mkdir(parents=True, exist_ok=True)
    for number in range(pages):
        (docs / f"{number:03}-robot.md").write_text(f"# Robot {number}\n\n{page_text(edition, number)}\n")
    return docs.parent


def page_text(edition: str, number: int) -> str:
    """The text of a page of `write_book`."""
    return f"This is the {edition} edition. Robot {number} has {number * 7} joints and a gripper."


# What is printed


def test_a_run_tells_every_ten_pages_and_then_what_it_did(cli: Cli, folder: Path) -> None:
    source = write_book(folder)
    code, out, err = cli("index", "--source", source, "--batch-size", 4)
    assert code == 0
    site, done, *_ = out.splitlines()
    assert (
        site
        == err.splitlines()[0]
        == "no site's configuration found, read as Docusaurus docs: `docs/` at /docs; embedded with "
        "`BAAI/bge-small-en-v1.5`"
    )
    assert done == (
        "24 pages, 24 passages in `demo`: 24 added, 0 changed, 0 moved, 0 unchanged, 0 removed, 0 failed"
    )
    assert " pages/min, " in out
    assert " passages/s, 24 passages embedded" in out
    assert (
        next(line for line in err.splitlines() if line.startswith("embedding")) == "embedding 12/24 passages"
    )
    assert err.splitlines()[1:4] == ["reading 10/24 pages", "reading 20/24 pages", "reading 24/24 pages"]
    assert err.splitlines()[-2:] == ["embedding 24/24 passages", "publishing 24/24 passages"]


def test_a_quiet_run_tells_no_progress(cli: Cli, folder: Path) -> None:
    source = write_book(folder, pages=1)
    code, out, err = cli("index", "-s", source, "--quiet", "--json")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert {
        "pages",
        "passages",
        "added",
        "changed",
        "unchanged",
        "removed",
        "failed",
        "duration",
    } < summary.keys()
    assert {"pages_per_minute", "passages_per_second"} < summary.keys()
    assert (summary["added"], summary["failed"]) == (1, [])


def test_a_page_that_fails_makes_the_exit_code_1_and_is_named_once(
    cli: Cli, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_book(folder, pages=2)
    (source / "docs/bad.md").write_bytes(b"\xff\xfe\xfa")
    (source / "docs/_part.md").write_text("A part.")
    for _ in range(2):
        code, out, _ = cli("index", "-s", source)
        assert code == 1
        assert "2 pages, 2 passages" in out
        assert "1 failed" in out
        assert "failed: docs/bad.md: it is not UTF-8 text" in out
        assert "left out: docs/_part.md (its name, or a folder's above it, begins with `_`)" in out
        assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_what_the_links_depend_on_is_said_in_plain_lines(
    cli: Cli, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_book(folder, pages=2)
    (source / "docusaurus.config.js").write_text("export default {url: address()}")
    note = "`url` is computed (docusaurus.config.js:1: `address()`) and not read: set `site.url`"
    code, out, _ = cli("index", "-s", source, "--dry-run")
    assert (code, out.splitlines()[-1]) == (0, f"note: {note}")
    code, out, err = cli("index", "-s", source, "--dry-run", "--json")
    assert (code, err.splitlines()[-1]) == (0, f"note: {note}")
    assert [page["notes"] for page in map(json.loads, out.splitlines())] == [[note], [note]]
    code, out, _ = cli("index", "-s", source, "-q")
    assert (code, f"note: {note}" in out.splitlines()) == (0, True)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_strict_run_fails_when_something_could_not_be_taken_in(cli: Cli, folder: Path) -> None:
    source = write_book(folder, pages=2)
    assert cli("index", "-s", source, "--strict", "-q")[0] == 0
    assert cli("index", "-s", source, "--strict", "--dry-run")[0] == 0
    (source / "docs/video.mdx").write_text("# Video\n\nText\n\n<iframe src='https://x.example' />\n")
    line = "not taken in: 1 `<iframe>` frame: docs/video.mdx:5 (https://x.example)"
    for _ in range(2):
        code, out, _ = cli("index", "-s", source, "--strict", "-q")
        assert (code, out.splitlines()[-1]) == (1, line)
    assert cli("index", "-s", source, "-q")[0] == 0
    code, out, _ = cli("index", "-s", source, "--strict", "--dry-run")
    assert (code, out.splitlines()[-1]) == (1, line)
    code, out, err = cli("index", "-s", source, "--dry-run", "--json")
    assert (code, err.splitlines()[-1]) == (0, line)
    page = next(page for page in map(json.loads, out.splitlines()) if page["source"] == "docs/video.mdx")
    assert page["missing"] == [
        {"kind": "`<iframe>` frames", "place": "docs/video.mdx:5", "detail": "https://x.example"}
    ]


def test_a_dry_run_gives_one_json_line_for_each_page_and_writes_nothing(cli: Cli, folder: Path) -> None:
    source = write_book(folder, pages=1)
    docs = source / "docs"
    (docs / "bad.md").write_bytes(b"\xff\xfe\xfa")
    (docs / "draft.md").write_text("---\ndraft: true\n---\n# Draft\n")
    (docs / "hidden.md").write_text("---\nunlisted: true\n---\n# Hidden\n")
    (docs / "_part.md").write_text("A part.\n")
    code, out, _ = cli("index", "--source", source, "--dry-run", "--json")
    assert code == 1
    pages = {page["source"]: page for page in map(json.loads, out.splitlines())}
    assert {name: page["status"] for name, page in pages.items()} == {
        "docs/000-robot.md": "published",
        "docs/bad.md": "failed",
        "docs/draft.md": "draft",
        "docs/hidden.md": "unlisted",
        "docs/_part.md": "partial",
    }
    page = pages["docs/000-robot.md"]
    assert (page["url"], page["title"], page["headings"]) == ("/docs/robot", "Robot 0", [[1, "", "Robot 0"]])
    (passage,) = page["passages"]
    assert passage == {
        "key": passage["key"],
        "anchor": "",
        "breadcrumb": ["Book", "Robot 0"],
        "text": page_text("first", 0),
    }
    assert list(page) == ["source", "url", "title", "status", "headings", "passages"]
    assert all(pages[name]["passages"] == [] for name in pages if name != "docs/000-robot.md")
    assert not (folder / ".preceptor").exists()


def test_what_is_there_can_be_listed_told_rolled_back_and_deleted(cli: Cli, folder: Path) -> None:
    assert cli("index", "--list")[1].splitlines()[-1] == "no collection yet"
    assert cli("index", "--init", "--collection", "b")[1].splitlines()[0] == "made: b"
    source = write_book(folder, pages=2)
    assert cli("index", "-s", source, "--collection", "a", "--title", "Robots", "-q")[0] == 0
    assert [row["collection"] for row in json.loads(cli("index", "--list", "--json")[1])["collections"]] == [
        "a",
        "b",
    ]
    assert "a book Robots 2 " in " ".join(cli("index", "--list")[1].split())
    info = json.loads(cli("index", "--info", "--collection", "a", "--json")[1])
    assert (info["title"], info["points"], info["dimensions"]) == ("Robots", 2, 384)
    write_book(folder, "second", pages=3)
    assert cli("index", "-s", source, "--collection", "a", "--title", "Robots", "-q")[0] == 0
    assert "points: 2" in cli("index", "--rollback", "--collection", "a")[1]
    assert "points: 3" in cli("index", "--rollback", "--collection", "a")[1]
    code, out, err = cli("index", "--rollback", "--collection", "b")
    assert (code, out) == (1, "")
    assert "has no earlier version" in err
    assert cli("index", "--delete", "a")[0] == 0
    code, _, err = cli("index", "--info", "--collection", "a")
    assert code == 1
    assert "No collection `a`" in err
    assert "found: b" in err


@pytest.mark.long
def test_what_is_in_the_cloud_is_managed_alike(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_book(folder, pages=2)
    keys = {"the-key-that-writes": "write", "the-key-that-reads": "read"}
    with QdrantStandIn(keys=keys) as qdrant:  # pyright: ignore[reportArgumentType]
        monkeypatch.setenv("PRECEPTOR_ENV", "production")
        code, _, err = cli("index", "--list")
        assert code == 1
        assert "QDRANT_CLUSTER_ENDPOINT is missing" in err
        assert "QDRANT_API_KEY is missing" in err
        monkeypatch.setenv("QDRANT_CLUSTER_ENDPOINT", qdrant.url)
        monkeypatch.setenv("QDRANT_API_KEY", "the-key-that-reads")
        code, _, err = cli("index", "-s", source)
        assert code == 1
        assert "A read-only key serves a book and cannot index it" in err
        assert "reading" not in err, "before the first page"
        monkeypatch.setenv("QDRANT_API_KEY", "the-key-that-writes")
        assert cli("index", "--init")[0] == 0
        assert cli("index", "-s", source)[0] == 0
        monkeypatch.setenv("QDRANT_API_KEY", "the-key-that-reads")
        assert "textbook_content book Book 2 " in " ".join(cli("index", "--list")[1].split())
        assert "points: 2" in cli("index", "--info")[1]
        monkeypatch.setenv("QDRANT_API_KEY", "the-key-that-writes")
        assert "points: 0" in cli("index", "--rollback")[1]
        code, out, err = cli("index", "--delete", "textbook_content", "--json")
        assert (code, json.loads(out)["deleted"]) == (0, "textbook_content")
        assert "the-key" not in out + err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "give either --source BOOK, --library FILE"),
        (["--list", "--info"], 2, "give either --source BOOK, --library FILE"),
        (["--source", "nope", "--list"], 2, "give either --source BOOK, --library FILE"),
        (["--source", "nope", "--batch-size", "0"], 2, "--batch-size"),
        (["--source", "nope", "--chunk-size", "many"], 2, "--chunk-size"),
        (["--source", "nope"], 1, "The book `nope` does not exist."),
        (["--source", "nope", "--dry-run"], 1, "The book `nope` does not exist."),
        (["--source", "file"], 1, "The book `file` is a file, not a folder."),
        (["--source", "."], 1, "A book needs at least one published"),
        (["--delete", "nope"], 1, "No collection `nope`"),
        (["--source", ".", "--env", "nowhere"], 1, "must be one of demo, local, production"),
    ],
)
def test_what_is_asked_wrongly_is_said_so(
    cli: Cli, folder: Path, words: list[str], code: int, message: str
) -> None:
    (folder / "file").touch()
    ended, out, err = cli("index", *words)
    assert (ended, out) == (code, "")
    assert message in " ".join(err.replace("│", " ").split())


def test_an_unchanged_book_is_told_without_loading_the_model(folder: Path) -> None:
    source = write_book(folder, pages=2)
    code = (
        "import sys\nfrom preceptor.cli import app\n"
        "try: app()\nexcept SystemExit: print('fastembed' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "index", "-q", "-s", str(source)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stderr.strip() for run in runs] == ["True", "False"]
    assert "2 unchanged" in runs[1].stdout


# Said before it costs time


def test_a_question_has_two_characters_as_over_http(cli: Cli) -> None:
    for words in (("ask", ""), ("ask", " x "), ("demo", "--ask", "")):
        code, out, err = cli(*words)
        assert (code, out) == (2, "")
        assert "a question has at least 2 characters" in err


@pytest.mark.parametrize("words", [("serve",), ("serve", "--workers", 2), ("demo",)])
def test_a_port_that_is_taken_is_one_line_that_names_the_option(
    cli: Cli, folder: Path, words: tuple[object, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = cli(*words, "--port", port)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: Cannot listen on `127.0.0.1`, port {port}: address already in use.")
    assert "`--port`" in err
    assert not (folder / ".preceptor/index").exists(), "the book was indexed first"


def test_an_address_that_is_not_of_this_machine_is_said_so(cli: Cli) -> None:
    code, _, err = cli("serve", "--host", "192.0.2.1", "--port", 0)  # kept for documentation by RFC 5737
    assert code == 1
    assert err.startswith("Error: Cannot listen on `192.0.2.1`")
    assert "`--host`" in err


def test_a_report_that_could_not_be_saved_is_refused_before_the_run(cli: Cli, folder: Path) -> None:
    for file in ("nowhere/report.json", "."):
        code, out, err = cli("evaluate", "--save", file)
        assert (code, out) == (2, "")
        assert "--save" in err
    assert not (folder / ".preceptor").exists()


def test_an_answer_that_was_cut_off_says_so(cli: Cli, sample_index: Path, folder: Path) -> None:
    with Provider().will(stream(chunk({"content": "A node is a"}), chunk({}, "length"))) as provider:
        (folder / "settings.toml").write_text(
            f"[default.index]\npath = '{sample_index}'\n[demo.tutor]\nproviders = ['openai']\nbook_only = false\n"
            f"[default.openai]\napi_key = 'any'\nbase_url = '{provider.base_url}'\n"
        )
        code, out, _ = cli("ask", "What is a node?")
    assert (code, out) == (0, "A node is a\n\n(The answer was cut off here.)\n")


def test_cases_are_asked_of_the_book_that_the_settings_name(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cases.yaml").write_text(
        'cases: [{inputs: {question: "How many joints has Robot 1?"}, '
        'expected_output: {in_book: true, sections: ["robot"]}}]'
    )
    evaluate = ("evaluate", "--cases", "cases.yaml", "--json")
    monkeypatch.setenv("PRECEPTOR_ENV", "local")
    monkeypatch.setenv("PRECEPTOR_TUTOR__PROVIDERS", "[]")
    source = write_book(folder, pages=2)
    assert cli("index", "-s", source, "--title", "Robots", "--collection", "mine", "-q")[0] == 0
    monkeypatch.setenv("PRECEPTOR_INDEX__COLLECTION", "mine")
    report = json.loads(cli(*evaluate)[1])
    assert (report["book"], report["collection"]) == ("Robots", "mine")
    shown = cli("evaluate", "--cases", "cases.yaml")[1]
    assert "asked of Robots in `mine`" in " ".join(shown.split())


def test_the_help_of_evaluate_names_the_thresholds(cli: Cli) -> None:
    assert "`evaluation.found`" in " ".join(cli("evaluate", "--help")[1].split())


# Interrupted, and more than one at once


class Running:
    """A command in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.pid = process.pid

    def wait_for(self, stage: str) -> None:
        """Wait until it says that it is there."""
        assert self.process.stderr
        said = next((line for line in self.process.stderr if line.startswith(stage)), None)
        assert said is not None, "it ended before"

    def lines(self, number: int) -> None:
        """Wait for this number of lines, or its end."""
        assert self.process.stderr
        for _ in range(number):
            if not self.process.stderr.readline():
                return


@contextmanager
def started(*words: object) -> Generator[Running]:
    """Start a command; it is killed at the end of the block, if it still runs."""
    command = [sys.executable, "-m", "preceptor", *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


class Reader(threading.Thread):
    """Searches without pause, and keeps every book that it found."""

    def __init__(self, index: Path) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, ...]] = Counter()
        """How often it found which texts."""
        self._index = index
        self._ended = threading.Event()

    def run(self) -> None:
        """Search until `stop`."""
        asyncio.run(self._search())

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self.join()

    async def _search(self) -> None:
        engine = Embedded(self._index)
        index = await engine.open("demo")
        anything = Vectors((1.0, *[0.0] * 383), SparseVector((1,), (1.0,)))
        while not self._ended.is_set():
            found = await candidates(index, anything, chapter=None, limit=10 * PAGES)
            passages = sorted((one for one, _ in found.dense), key=lambda one: one.position)
            self.seen[tuple(one.text for one in passages)] += 1
            await asyncio.sleep(0.005)  # the machine is needed for the run as well
        await engine.close()


def texts(edition: str) -> tuple[str, ...]:
    """The texts of a whole index of an edition."""
    return tuple(page_text(edition, number) for number in range(PAGES))


@pytest.mark.long
def test_killed_at_any_moment_a_run_leaves_a_whole_book_and_the_next_goes_on(cli: Cli, folder: Path) -> None:
    chance = random.Random(20260203)
    source = write_book(folder, "edition 0")
    index = ("index", "--source", source, "--batch-size", 4)
    assert cli(*index)[0] == 0
    shown, killed = 0, 0
    reader = Reader(folder / ".preceptor/index")
    reader.start()
    try:
        for _ in range(20):
            write_book(folder, f"edition {shown + 1}")
            with started(*index) as run:
                run.lines(chance.randrange(7))
                # Not a wait for something: the moment itself is what is tried.
                time.sleep(chance.uniform(0, 0.15))
                killed += run.process.poll() is None
                run.process.kill()
            now = asyncio.run(_found(folder))
            assert now in (texts(f"edition {shown}"), texts(f"edition {shown + 1}"))
            shown += now == texts(f"edition {shown + 1}")
        write_book(folder, "last")
        with started(*index) as run:
            run.wait_for("embedding 12/")
        code, out, _ = cli(*index, "--json")
    finally:
        reader.stop()
    assert code == 0
    summary = json.loads(out)
    assert summary["embedded"] < PAGES, "it started over"
    assert asyncio.run(_found(folder)) == texts("last")
    whole = {texts("last"), *(texts(f"edition {number}") for number in range(shown + 1))}
    assert reader.seen.keys() <= whole, "half an index was seen"
    assert len(reader.seen) > shown, "it did not search all the time"
    assert killed >= 12, "too few were killed in time: the moments have to be chosen anew"
    assert shown >= 1, "too few came to their end: the moments have to be chosen anew"


async def _found(folder: Path) -> tuple[str, ...]:
    engine = Embedded(folder / ".preceptor/index")
    index = await engine.open("demo")
    passages = [one for chapter in await index.chapters() for one in await index.passages(chapter.id)]
    await engine.close()
    return tuple(one.text for one in passages)


def test_ctrl_c_says_that_the_next_run_goes_on_and_so_it_does(cli: Cli, folder: Path) -> None:
    pages = 6 * PAGES  # long enough that a busy machine has not read to its end before the signal comes
    index = ("index", "--source", write_book(folder, pages=pages), "--batch-size", 2)
    with started(*index) as run:
        # Whoever waits for it is not to come last on a busy machine.
        os.setpriority(os.PRIO_PROCESS, run.process.pid, 19)
        run.wait_for("embedding 10/")
        run.process.send_signal(signal.SIGINT)
        out, err = run.process.communicate()
        assert run.process.returncode == 130
    assert out == ""
    assert "run the same command again: it goes on where it was" in err
    assert "Traceback" not in err
    code, out, _ = cli(*index, "--json")
    summary = json.loads(out)
    assert (code, summary["passages"]) == (0, pages)
    assert summary["embedded"] <= pages - 10


def test_the_second_run_at_once_is_refused_and_names_the_first(cli: Cli, folder: Path) -> None:
    index = ("index", "--source", write_book(folder), "--batch-size", 2)
    with started(*index) as first:
        first.wait_for("embedding")
        os.kill(first.pid, signal.SIGSTOP)
        code, out, err = cli(*index)
        os.kill(first.pid, signal.SIGCONT)
        assert first.process.wait() == 0
    assert (code, out) == (1, "")
    assert f"is being indexed by process {first.pid} on " in err
    assert "Wait until it has finished" in err
    assert "reading" not in err

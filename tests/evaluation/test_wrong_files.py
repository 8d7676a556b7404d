"""A file that is not what a command wants ends it with a sentence, and with no traceback."""

import time
from pathlib import Path

import pytest

from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore
from tests.command_line import Cli
from tests.evaluation.example import CASES


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with files that are of no use, in the demo environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_ENV", "demo")
    monkeypatch.setenv("PRECEPTOR_TRACES__PATH", str(tmp_path / "runs.db"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "words.json").write_text("hello")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "newer.json").write_text('{"schema_version": 99}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "damaged.db").write_bytes(bytes(range(256)) * 50)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["score", "nothing.json"], "`nothing.json` is not a report: it does not exist."),
        (["score", "folder"], "`folder` is not a report: it is a folder."),
        (["score", "words.json"], "`words.json` is not a report: it is not JSON (line 1)."),
        (["score", "list.json"], "`list.json` is not a report: it holds no JSON object."),
        (["score", "bytes.json"], "`bytes.json` is not a report: it is not text in UTF-8 (line 1)."),
        (["score", "newer.json"], "`newer.json` is not a report: a newer version of Preceptor wrote it."),
        (["label", "cases.yaml"], "`preceptor evaluate --save report.json`"),
        (["--compare", "list.json", "words.json"], "`list.json` is not a report"),
        (["--cases", "nothing.yaml"], "the file cannot be read: it does not exist"),
        (["--cases", "folder"], "the file cannot be read: it is a folder"),
        (["--cases", "bytes.yaml"], "the file cannot be read: it is not text in UTF-8"),
        (["book", "--since", "main", "--source", "nowhere"], "The book `nowhere` does not exist."),
        (
            ["book", "--since", "main", "--source", "folder"],
            "cannot be compared with `main`: not a git repository",
        ),
        (["book", "--old", "nowhere", "--source", "folder"], "The book `nowhere` does not exist."),
    ],
)
def test_a_wrong_file_of_an_evaluation_is_told(cli: Cli, words: list[str], told: str) -> None:
    own = ["--cases", "cases.yaml"] if words[0] in ("score", "book") else []
    code, _, err = cli("evaluate", *words, *own)

    assert code == 1
    assert told in " ".join(err.split())
    assert "unexpected" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["traces"],
        ["traces", "trace_1"],
        ["traces", "note", "trace_1", "bad"],
        ["traces", "export", "trace_1", "--json"],
    ],
)
def test_a_damaged_file_of_runs_is_told(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("PRECEPTOR_TRACES__PATH", str(folder / "damaged.db"))
    code, _, err = cli(*words)

    assert code == 1
    assert "damaged.db` cannot be reached: file is not a database." in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["export", "trace_1", "--html", "no/run.html"],
            "`no/run.html` cannot be read or written: it does not exist.",
        ),
        (["export", "trace_1", "--html", "folder"], "`folder` cannot be read or written: it is a folder."),
        (["case", "trace_1", "--file", "no/cases.yaml"], "`no/cases.yaml` cannot be read or written"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(cli: Cli, folder: Path, words: list[str], told: str) -> None:
    store = TraceStore(folder / "runs.db", keep_runs=10, keep_days=30, include_text=True)
    store.add("trace_1", lambda: RunRecord(time.time(), 0.5, None, None, []))
    store.annotate("trace_1", question="What is a node?")
    store.close()
    code, _, err = cli("traces", *words)

    assert code == 1
    assert told in " ".join(err.split())

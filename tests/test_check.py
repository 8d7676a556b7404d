"""`preceptor check`: what it reports, and when it says that questions can be answered."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.settings import UNPREFIXED
from tests.standins.provider import Answer, Provider

Check = Callable[..., tuple[int, dict[str, tuple[str, str]], str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a small book, and none of our variables."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("PRECEPTOR_") or name in UNPREFIXED:
            monkeypatch.delenv(name)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/intro.md").write_text("# Nodes\n\nA node is a process that computes.\n")
    return tmp_path


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Indexes the book where `env` keeps it here; gives the exit code, each part's state and detail, and stderr."""

    def run(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["preceptor", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def check(env: str) -> tuple[int, dict[str, tuple[str, str]], str]:
        if env != "production":
            assert run("index", "-q", "-s", ".", "--env", env) == 0
            capsys.readouterr()
        code = run("check", "--env", env, "--json")
        out, err = capsys.readouterr()
        return code, {row["what"]: (row["state"], row["detail"]) for row in json.loads(out)}, err

    return check


def test_it_lists_the_tools_that_a_question_has(check: Check) -> None:
    code, rows, err = check("demo")
    assert (code, err) == (0, "")
    assert rows["tools"] == ("ok", "get_chapter, list_chapters, search_textbook")


@pytest.mark.parametrize(
    ("tools", "row", "message"),
    [
        ('plugins = ["nope.py"]', "tools", "`nope.py` cannot be loaded"),
        ('plugins = ["bad.py"]', "tools", "`bad.py` cannot be loaded: ZeroDivisionError"),
        ('disabled = ["lst_chapters"]', "settings", "Did you mean `list_chapters`?"),
        ('disabled = ["zzz"]', "settings", "There is: `get_chapter`, `list_chapters`, `search_textbook`."),
    ],
)
def test_tools_that_cannot_be_loaded_fail_it(
    check: Check, folder: Path, tools: str, row: str, message: str
) -> None:
    (folder / "bad.py").write_text("1 / 0\n")
    (folder / "settings.toml").write_text(f"[default.tools]\n{tools}\n")
    code, rows, _ = check("demo")
    assert code == 1
    assert rows[row][0] == "failed"
    assert message in rows[row][1]
    assert rows["index (embedded)"][0] == "ok"


def test_what_is_missing_is_a_row_beside_what_is_there(check: Check) -> None:
    code, rows, err = check("local")
    assert code == 1
    assert rows["settings"][0] == "failed"
    assert "GEMINI_API_KEY or OPENAI_API_KEY is missing" in rows["settings"][1]
    assert rows["index (embedded)"][0] == "ok"
    assert "PRECEPTOR_TUTOR__PROVIDERS='[]'" in err


def test_without_a_cluster_it_says_json_and_the_way_without(check: Check) -> None:
    code, rows, err = check("production")
    assert code == 1
    assert list(rows) == ["settings"]
    assert "`--env local`" in err


@pytest.mark.parametrize("name", ["QDRANT_API_KEY", "GEMINI_API_KEY"])
def test_a_key_that_is_none_is_a_row(name: str, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("QDRANT_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(key, "käse" if key == name else "a-key")
    monkeypatch.setenv("QDRANT_CLUSTER_ENDPOINT", "https://cluster.example:6333")
    code, rows, _ = check("production")
    assert code == 1
    [(row, (status, said))] = rows.items()
    assert (row, status) == ("settings", "failed")
    assert name in said
    assert "holds a character that no key has" in said


def test_a_doubtful_address_is_a_warning_and_no_failure_of_its_own(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Provider() as gateway:
        gateway.will(Answer((b"{}",), headers={"Content-Type": "application/json"}))
        monkeypatch.setenv("GEMINI_BASE_URL", gateway.base_url.replace("openai", "gateway"))
        monkeypatch.setenv("GEMINI_API_KEY", "a-key")
        code, rows, _ = check("local")
    assert rows["settings"][0] == "warning"
    assert "GEMINI_BASE_URL" in rows["settings"][1]
    assert code == 0

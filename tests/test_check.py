"""`preceptor check`: what it reports, and when it says that questions can be answered."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from preceptor.agents.readiness import ADVICE
from preceptor.cli import main
from preceptor.providers.failure import FailureClass
from preceptor.settings import UNPREFIXED
from tests.command_line import Cli
from tests.standins.provider import Answer, Provider, fails

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


REFUSED = {"error": {"message": "no"}}


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (401, "bad_key", "set GEMINI_API_KEY"),
        (403, "forbidden", "Look at its rights"),
        (404, "unknown_model", "Set `providers.gemini.model`"),
        (429, "rate_limited", "Wait"),
        (500, "server_error", "status page"),
        (418, "other", "`providers.gemini.base_url`"),
    ],
)
def test_what_a_provider_says_comes_with_what_to_do(
    check: Check, monkeypatch: pytest.MonkeyPatch, status: int, reason: str, told: str
) -> None:
    with Provider() as gemini:
        gemini.will_only(fails(status, REFUSED))
        monkeypatch.setenv("GEMINI_BASE_URL", gemini.base_url)
        monkeypatch.setenv("GEMINI_API_KEY", "a-key")
        _, rows, _ = check("local")
    state, said = rows["gemini"]
    assert state == "failed"
    assert said.endswith(f"({reason})")
    assert told in said


def test_each_class_of_failure_that_a_probe_can_meet_has_its_advice() -> None:
    never = {"not_configured", "breaker_open", "out_of_time", "not_covered", "too_slow", "stream_cut"}
    of_answers = {
        "empty_answer", "malformed_tool_call", "too_many_tool_calls", "safety_block", "uncited", "disclosed",
        "unsupported", "beside",
    }  # fmt: skip
    assert set(get_args(FailureClass)) - never - of_answers == set(ADVICE)


def _folder(path: Path) -> None:
    path.mkdir(parents=True)


def _noise(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no database" * 500)


@pytest.mark.parametrize(
    ("broken", "reason"), [(_folder, "it is a folder"), (_noise, "file is not a database")]
)
@pytest.mark.parametrize("what", ["sessions", "traces"])
def test_a_store_that_cannot_be_written_is_named_and_questions_are_answered(
    cli: Cli,
    check: Check,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    what: str,
    broken: Callable[[Path], None],
    reason: str,
) -> None:
    check("demo")
    file = folder / f".preceptor/{what}.db"
    broken(file)
    mode = file.stat().st_mode
    code, rows, _ = check("demo")
    assert code == 0
    state, said = rows[what]
    assert state == "warning"
    assert f"`.preceptor/{what}.db` cannot be used: {reason}" in said
    code, out, _ = cli("ask", "What is a node?", "--env", "demo")
    assert (code, "A node is a process" in out) == (0, True)
    assert any(f".preceptor/{what}.db" in line and reason in line for line in caplog.messages)
    assert not file.is_dir() or file.stat().st_mode == mode, "a folder is left as it is"


def test_a_check_makes_no_file(check: Check, folder: Path) -> None:
    _, rows, _ = check("demo")
    assert {rows[what][0] for what in ("sessions", "traces")} == {"ok"}
    assert {path.name for path in (folder / ".preceptor").iterdir()} == {"index"}


@pytest.mark.parametrize(
    ("env", "name", "value"),
    [
        ("local", "ALL_PROXY", "socks5://127.0.0.1:9"),
        ("production", "ALL_PROXY", "socks5://127.0.0.1:9"),
        # The providers' client remembers the certificates of the tests before.
        ("production", "SSL_CERT_FILE", "/nowhere.pem"),
    ],
)
def test_certificates_and_proxies_that_are_none_are_named(
    cli: Cli, check: Check, monkeypatch: pytest.MonkeyPatch, env: str, name: str, value: str
) -> None:
    for key in ("QDRANT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(key, "a-key")
    monkeypatch.setenv("QDRANT_CLUSTER_ENDPOINT", "https://127.0.0.1:9")
    if env == "local":
        check(env)
    monkeypatch.setenv(name, value)
    code, out, _ = cli("check", "--env", env)
    assert code == 1
    assert name in out
    code, _, err = cli("ask", "What is a node?", "--env", env)
    assert code == 1
    assert name in err

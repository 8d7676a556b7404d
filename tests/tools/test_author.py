"""An author makes a tool, calls it by itself, and changes it while the service runs."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from preceptor.cli import main
from preceptor.errors import ToolNotMade
from preceptor.server import create_app
from preceptor.testing import open_book
from preceptor.tools.scaffold import new_tool
from tests.sample import sample_settings
from tests.server.inside import asking

PAGES = {"nodes.md": "# Nodes\n\nA node is a process that computes.\n"}


async def test_a_new_tool_works_and_its_call_is_told_to_a_model(tmp_path: Path) -> None:
    files = new_tool("define", tmp_path)
    assert [file.name for file in files] == ["define.py", "test_define.py"]
    async with open_book(PAGES, plugins=[str(files[0])]) as book:
        assert book.faults == []
        answer = await book.ask("What is a node?", calls=[("define", {"term": "node"})])
        assert answer.sources[0].title == "Nodes"
        assert "A node is a process that computes." in answer.told[0]
        wrong = await book.call("define", word="node")
        assert wrong.failed
        assert "'word' was unexpected" in wrong.text


@pytest.mark.parametrize("name", ["Define", "class", "two words", "../up", "9lives", "a" * 65])
def test_a_name_that_no_tool_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ToolNotMade, match="letters a to z"):
        new_tool(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    new_tool("define", tmp_path, package=True)
    with pytest.raises(ToolNotMade, match="is there already"):
        new_tool("define", tmp_path, package=True)


def test_a_tool_is_called_by_itself_without_a_key(
    sample_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text(
        f"[default.index]\nbackend = 'embedded'\npath = '{sample_index}'\ncollection = 'demo'\n"
    )
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["preceptor", "tools", "call", *words, "--env", "local"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        out, err = capsys.readouterr()
        return ended.value.code, out or err

    code, out = run("search_textbook", "--json", '{"query": "What is ROS 2?"}')
    told = json.loads(out)
    assert code == 0
    assert told["sources"][0]["url"].startswith("/docs/ros2")
    code, out = run("search_textbok")
    assert code == 1
    assert "Did you mean `search_textbook`?" in out
    assert run("search_textbook", "--json", "[]")[0] == 2


async def test_a_change_is_taken_up_while_the_service_runs(sample_index: Path, tmp_path: Path) -> None:
    [file, _] = new_tool("define", tmp_path)
    settings = sample_settings(sample_index, tmp_path, tools={"plugins": (str(file),)})

    async def told(words: str) -> None:
        while words not in (await client.get("/api/v1/health")).json()["checks"]["tools"]["detail"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async with asking(create_app(settings, reload_tools=True)) as client, asyncio.timeout(120):
        await told("define")
        file.write_text(file.read_text().replace("define", "explain"))
        await told("explain")
        file.write_text("raise OSError\n")
        await told("faulty plug-ins")
        answered = await client.post("/api/v1/chat", json={"content": "What is a node?"})
        assert answered.status_code == 200

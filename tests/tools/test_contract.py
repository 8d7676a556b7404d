"""What a plug-in is handed, and what it may give: settings, sources that are not in the index, artifacts."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from preceptor.library.library import Library
from preceptor.settings import Settings
from preceptor.tools.discovery import Toolbox, load_tools
from preceptor.tools.plugin import Deps, Ledger, Run, current_tool
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.standins.provider import Provider, call, calls, says

PLUGIN = """
from agents import function_tool
from pydantic import BaseModel

from preceptor.tools.plugin import Deps, Run, ToolContext, declare


class Glossary(BaseModel, extra="forbid"):
    url: str
    words: dict[str, str] = {}


def tools(deps: Deps):
    settings = deps.section(Glossary)
    assert deps.http.timeout.read == deps.settings.tools.timeout
    deps.logger.warning("loaded with %d words", len(settings.words))

    @declare(phase="computing")
    @function_tool
    async def define(context: ToolContext[Run], term: str) -> str:
        "Define a term."
        run = context.context
        run.attach("table", "Words", {"columns": ["word"], "rows": [[term]]})
        return run.ledger.cite(title=term, url=settings.url, quote=settings.words[term])

    return [define]
"""
QUOTE = "A gimbal is a ring that lets a camera turn about one axis."
SECTION = {"url": "https://words.example/", "words": {"gimbal": QUOTE}}


def table(folder: Path, section: dict[str, Any] | None, name: str = "glossary") -> dict[str, Any]:
    """The settings of the tools, with the plug-in and its section."""
    (folder / "glossary.py").write_text(PLUGIN)
    settings = {name: section} if section is not None else {}
    return {"plugins": (str(folder / "glossary.py"),), "settings": settings}


def loaded(folder: Path, section: dict[str, Any] | None, name: str = "glossary") -> Toolbox:
    """The toolbox with the plug-in."""
    settings = Settings.model_validate({"env": "demo", "tools": table(folder, section, name)})
    return load_tools(Deps(cast("Library", None), settings))


def test_a_plugin_reads_its_own_section_and_writes_to_a_logger_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tools = loaded(tmp_path, SECTION)
    assert tools.faults() == []
    assert ("preceptor.plugins.glossary", "loaded with 1 words") in [
        (record.name, record.getMessage()) for record in caplog.records
    ]


@pytest.mark.parametrize(
    ("section", "name", "words"),
    [
        ({}, "glossary", "`tools.settings.glossary.url`: Field required"),
        ({**SECTION, "words": {"a": 3}}, "glossary", "`tools.settings.glossary.words.a`: Input should be a valid"),
        ({**SECTION, "word": {}}, "glossary", "`tools.settings.glossary.word`: Extra inputs"),
        (SECTION, "glosary", "Did you mean `tools.settings.glossary`?"),
    ],
)  # fmt: skip
def test_a_section_that_does_not_fit_is_named_to_the_setting(
    tmp_path: Path, section: dict[str, Any], name: str, words: str
) -> None:
    assert words in " ".join(loaded(tmp_path, section, name).faults())


async def test_what_a_tool_cites_and_makes_is_in_the_answer_and_in_the_stream(
    sample_index: Path, tmp_path: Path
) -> None:
    current_tool.set("define")
    ledger = Ledger()
    ledger.cite(title="gimbal", url="https://words.example/", quote=QUOTE)
    [hit] = ledger
    key = hit.passage.key
    current_tool.set("")
    with Provider() as gemini:
        settings = sample_settings(
            sample_index,
            tmp_path,
            tutor={"providers": ("gemini",)},
            gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
            tools=table(tmp_path, SECTION),
        )
        async with asking(settings) as client:
            bodies: list[dict[str, Any]] = []
            for stream in (False, True):
                asked = calls(call("define", {"term": "gimbal"}, id="a", index=0))
                gemini.will(asked, says(f"{QUOTE[:-1]} [{key}]."))
                answered = await client.post(
                    "/api/v1/chat", json={"content": "What is a gimbal?", "stream": stream}
                )
                if not stream:
                    bodies.append(answered.json())
                else:
                    events = [block.split("\n") for block in answered.text.replace("\r", "").split("\n\n")]
                    data = {block[-2 if block[-1].startswith("id") else -1]: block for block in events}
                    text = "\n".join("\n".join(block) for block in data.values())
                    assert text.index("event: artifact") < text.index("event: token")
                    assert '"phase":"computing"' in text
                    done = next(block for block in events if "event: done" in block)
                    line = next(part for part in done if part.startswith("data: "))
                    bodies.append(json.loads(line.removeprefix("data: ")))
    for body in bodies:
        [source] = body["sources"]
        assert (source["tool"], source["url"], source["quote"]) == ("define", "https://words.example/", QUOTE)
        # It rests on a tool, and not on the book.
        assert body["in_book"] is False
        [artifact] = body["artifacts"]
        assert artifact == {
            "kind": "table", "title": "Words", "data": {"columns": ["word"], "rows": [["gimbal"]]}, "tool": "define",
        }  # fmt: skip


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//elsewhere.example", "data:text/html,x", "words"])
def test_no_source_and_no_image_leads_where_readers_may_not_be_sent(url: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        Ledger().cite(title="t", url=url, quote="q")
    with pytest.raises(ValueError, match="must begin with"):
        Run("?").attach("image", "t", {"url": url})


def test_artifacts_are_bounded_in_size_and_number() -> None:
    run = Run("?")
    with pytest.raises(ValueError, match="at most"):
        run.attach("table", "t", {"rows": ["x" * 70_000]})
    for _ in range(10):
        run.attach("table", "t", {})
    with pytest.raises(ValueError, match="at most"):
        run.attach("table", "t", {})


def test_what_cannot_be_sent_is_put_right_and_a_later_change_is_not_told() -> None:
    run = Run("?")
    data: dict[str, Any] = {"rows": [["A \ud800"]]}
    run.attach("table", "T \ud800", data)
    data["rows"] = {1}
    [made] = run.artifacts
    assert (made.title, made.data) == ("T ?", {"rows": [["A ?"]]})
    run.ledger.cite(title="T \ud800", url="", quote="A \ud800")
    [hit] = run.ledger
    assert (hit.passage.title, hit.passage.text) == ("T ?", "A ?")
    with pytest.raises(AttributeError):
        run.ledger.cite(title="T", url=cast("str", None), quote="A")

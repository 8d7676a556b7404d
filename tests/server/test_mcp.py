"""The book for MCP clients, asked by real ones over both transports; and as Markdown for machines."""

import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from starlette.testclient import TestClient

from preceptor.settings import Settings
from tests.sample import TITLE, sample_settings
from tests.server.inside import asking
from tests.server.loopback import served
from tests.standins.provider import Provider, chunk, stream

OWN = ["search_textbook", "get_chapter", "list_chapters", "ask_textbook"]
PLUGIN = """
from agents import function_tool
from preceptor.tools.plugin import Deps, Run, ToolContext, declare

def tools(deps: Deps):
    @declare(mcp=True)
    @function_tool
    async def define(context: ToolContext[Run], term: str) -> str:
        "Define a term."
        return context.context.ledger.cite(title=term, url="/glossary", quote=f"A {term} is a thing.")

    @function_tool
    async def hidden() -> str:
        "Say a secret."
        return "secret"

    return [define, hidden]
"""


def opened(index: Path, folder: Path, **server: Any) -> Settings:
    """Settings of a service that MCP clients may ask."""
    (folder / "define.py").write_text(PLUGIN)
    tools = {"plugins": (str(folder / "define.py"),)}
    return sample_settings(index, folder, server={"mcp": True, **server}, tools=tools)


async def anchors(client: Client) -> set[str]:
    """All addresses of the book, as its list of chapters and their Markdown have them."""
    found: set[str] = set()
    for chapter in content(await client.call_tool("list_chapters", {}))["chapters"]:
        found.add(chapter["url"])
    for resource in (await client.list_resources()).resources:
        [read] = (await client.read_resource(resource.uri)).contents
        found.update(re.findall(r"^<(\S+)>$", cast("Any", read).text, re.MULTILINE))
    return found


def content(result: Any) -> dict[str, Any]:
    """The structured content of a call that went well."""
    assert result.is_error is False, result.content
    return result.structured_content


async def use(client: Client, base: str) -> None:
    """Asks for everything that there is."""
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [*OWN, "define"]
    assert all(tool.description and tool.output_schema for tool in tools)

    known = await anchors(client)
    found = content(await client.call_tool("search_textbook", {"query": "What is a node?", "limit": 3}))
    assert len(found["passages"]) == 3
    for passage in found["passages"]:
        assert passage["url"] in known
        assert passage["url"].startswith(f"{base}/docs/")
        assert {"key", "title", "breadcrumb", "quote"} <= passage.keys()

    chapters = content(await client.call_tool("list_chapters", {}))["chapters"]
    one = content(await client.call_tool("get_chapter", {"chapter": chapters[0]["id"]}))
    assert {passage["chapter"] for passage in one["passages"]} == {chapters[0]["id"]}
    assert {passage["url"] for passage in one["passages"]} <= known

    answer = content(await client.call_tool("ask_textbook", {"question": "What is ROS 2?"}))
    assert answer["in_book"] is True
    assert answer["truncated"] is False
    assert "[1]" in answer["answer"]
    assert {source["url"] for source in answer["sources"]} <= known
    again = {"question": "And why does it matter?", "session_id": answer["session_id"]}
    assert content(await client.call_tool("ask_textbook", again))["session_id"] == answer["session_id"]

    given = content(await client.call_tool("define", {"term": "gimbal"}))
    assert given["sources"][0]["url"] == f"{base}/glossary"
    [prompt] = (await client.list_prompts()).prompts
    said = await client.get_prompt(prompt.name, {"subject": "topics"})
    assert "topics" in cast("Any", said.messages[0].content).text

    for name, arguments, words in (
        ("get_chapter", {"chapter": "nowhere"}, "nowhere"),
        ("get_chapter", {"chapter": chapters[0]["id"], "section": "nowhere"}, "nowhere"),
        ("search_textbook", {"question": "x"}, "`query`: Field required"),
        ("search_textbook", {"query": "node", "book": "no-such-book"}, "no-such-book"),
    ):
        failed = await client.call_tool(name, arguments)
        assert failed.is_error is True
        assert words in cast("Any", failed.content[0]).text
    with pytest.raises(MCPError):
        await client.call_tool("hidden", {})
    with pytest.raises(MCPError):
        await client.read_resource("textbook://physical-ai/nowhere")


async def test_a_client_finds_everything_over_http(sample_index: Path, tmp_path: Path) -> None:
    with served(opened(sample_index, tmp_path)) as url:
        async with Client(f"{url}/mcp") as client:
            await use(client, url)


async def test_an_answer_that_was_cut_off_says_so(sample_index: Path, tmp_path: Path) -> None:
    with Provider().will(stream(chunk({"content": "A node is a"}), chunk({}, "length"))) as provider:
        settings = sample_settings(
            sample_index, tmp_path, server={"mcp": True}, tutor={"providers": ("openai",), "book_only": False},
            openai={"api_key": "any", "base_url": provider.base_url},
        )  # fmt: skip
        with served(settings) as url:
            async with Client(f"{url}/mcp") as client:
                result = await client.call_tool("ask_textbook", {"question": "What is a node?"})
    assert content(result)["answer"] == "A node is a"
    assert content(result)["truncated"] is True
    assert cast("Any", result.content[0]).text == "A node is a\n\n(The answer was cut off here.)"


async def test_a_client_finds_everything_over_stdin_and_stdout(sample_index: Path, tmp_path: Path) -> None:
    (tmp_path / "define.py").write_text("print('this must not get among the messages')\n" + PLUGIN)
    (tmp_path / "settings.toml").write_text(
        f"[default.index]\npath = '{sample_index}'\ncollection = 'demo'\n"
        "[default.tools]\nplugins = ['define.py']\n[default.site]\nurl = 'https://book.example'\n"
    )
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "preceptor", "mcp", "--env", "demo"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
    )
    async with Client(parameters) as client:
        await use(client, "https://book.example")


async def test_an_agent_of_the_sdk_has_its_tools(sample_index: Path, tmp_path: Path) -> None:
    from agents import Agent, RunConfig, Runner
    from agents.mcp import MCPServerStreamableHttp
    from agents.testing import ScriptedModel, assistant_message, function_call

    step = function_call("search_textbook", {"query": "What is a node?"}, call_id="1")
    model = ScriptedModel([[step], [assistant_message("So.")]])
    with served(opened(sample_index, tmp_path)) as url:
        async with MCPServerStreamableHttp(params={"url": f"{url}/mcp"}) as server:
            agent = Agent("reader", model=model, mcp_servers=[server])
            await Runner.run(agent, "What is a node?", run_config=RunConfig(tracing_disabled=True))
    assert model.last_call is not None
    told = str(cast("list[Any]", model.last_call.input)[-1]["output"])
    assert f"{url}/docs/" in told


@asynccontextmanager
async def bearing(url: str, key: str) -> AsyncGenerator[Client]:
    """A client that sends a reader's key."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield client


KEY = "a-long-reader-key-for-tests"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream"}


async def test_the_readers_key_opens_it(sample_index: Path, tmp_path: Path) -> None:
    with served(opened(sample_index, tmp_path, reader_keys=(KEY,))) as url:
        async with bearing(url, KEY) as client:
            assert (await client.list_tools()).tools
        refused = httpx2.post(f"{url}/mcp", json=CALL, headers=HEADERS)
    assert refused.status_code == 401


async def test_no_page_of_another_origin_and_nobody_beyond_the_limits_may_call(
    sample_index: Path, tmp_path: Path
) -> None:
    settings = opened(sample_index, tmp_path, cors_origins=("https://book.example",))
    limits = settings.limits.model_copy(update={"rate": "3/minute"})
    async with asking(settings.model_copy(update={"limits": limits})) as client:
        for origin, status in (("https://evil.example", 403), ("https://book.example", 200)):
            answered = await client.post("/mcp", json=CALL, headers={**HEADERS, "Origin": origin})
            assert answered.status_code == status, answered.text
        assert (await client.get("/mcp")).status_code == 405
        assert (await client.post("/mcp", json=CALL, headers=HEADERS)).status_code == 200
        assert (await client.post("/mcp", json=CALL, headers=HEADERS)).status_code == 429


def test_it_is_not_there_and_not_imported_unless_it_is_switched_on(client: TestClient) -> None:
    assert client.post("/mcp", json=CALL).status_code == 404
    code = (
        "import sys; from preceptor.server import create_app; from preceptor.settings import Settings; "
        "create_app(Settings(env='demo')); sys.exit('preceptor.server.mcp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Markdown


def test_every_chapter_is_markdown_at_its_own_address(client: TestClient) -> None:
    listed = client.get("/llms.txt")
    assert listed.headers["content-type"].startswith("text/plain")
    assert listed.text.startswith(f"# {TITLE}\n\n> ")
    addresses = re.findall(r"^- \[.+?\]\((\S+)\)", listed.text, re.MULTILINE)
    chapters = client.get("/api/v1/chapters").json()["chapters"]
    assert len(addresses) == len(chapters)
    full = client.get("/llms-full.txt").text
    for address, chapter in zip(addresses, chapters, strict=True):
        page = client.get(address)
        assert page.status_code == 200, address
        assert page.headers["content-type"].startswith("text/markdown")
        assert page.text.startswith(f"# {chapter['title']}\n")
        assert page.text in full
        for section in chapter["sections"]:
            assert not section["anchor"] or f"<http://testserver{section['url']}>" in page.text
    assert client.get("/docs/nowhere.md").status_code == 404


def test_with_a_key_only_its_bearer_reads_the_markdown(sample_index: Path, tmp_path: Path) -> None:
    from preceptor.server import create_app

    settings = sample_settings(sample_index, tmp_path, server={"reader_keys": (KEY,)})
    with TestClient(create_app(settings)) as locked:
        for path in ("/llms.txt", "/llms-full.txt", "/docs/ros2.md"):
            assert locked.get(path).status_code == 401
            assert locked.get(path, headers={"X-Api-Key": KEY}).status_code == 200

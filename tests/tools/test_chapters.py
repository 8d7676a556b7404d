"""The tools that list and read chapters, as a model calls them, with two books open."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from agents import FunctionTool

from preceptor.library.embedded import Embedded
from preceptor.library.embedding import DenseEmbedder
from preceptor.library.library import open_library
from preceptor.settings import EmbeddingSettings, IndexSettings, Settings
from preceptor.tools.discovery import load_tools
from preceptor.tools.plugin import Deps, Run, ToolContext
from tests.retrieval.shelf import describe, passages, publish

BOOKS = {
    "robots": {"intro": "A node is a process that computes.", "topics": "A topic carries messages."},
    "kitchen": {"intro": "Feed the sourdough twice a day.", "stock": "Bones simmer for six hours."},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both books, published once."""
    where = tmp_path_factory.mktemp("index")
    embedder = DenseEmbedder(EmbeddingSettings())

    async def write() -> None:
        for name, pages in BOOKS.items():
            await publish(where, name, describe(name, embedder), passages(name, pages), embedder)

    asyncio.run(write())
    embedder.close()
    return where


@pytest.fixture
async def tools(folder: Path) -> AsyncGenerator[dict[str, FunctionTool]]:
    """The tools by name."""
    index = IndexSettings(backend="embedded", collection="robots", also=("kitchen",))
    settings = Settings(env="local", index=index)
    engine = Embedded(folder)
    library = await open_library(engine, settings)
    yield {tool.name: tool for tool in load_tools(Deps(library, settings)) if isinstance(tool, FunctionTool)}
    await library.close()
    await engine.close()


async def call(tool: FunctionTool, run: Run, **arguments: object) -> str:
    """The tool's answer to the model."""
    written = json.dumps(arguments)
    context = ToolContext(run, tool_name=tool.name, tool_call_id="1", tool_arguments=written)
    return str(await tool.on_invoke_tool(context, written))


async def test_every_chapter_is_listed_under_an_id_that_reads_it(tools: dict[str, FunctionTool]) -> None:
    run = Run("What is there?")
    listed = await call(tools["list_chapters"], run)
    ids = [line.partition(": ")[0] for line in listed.splitlines()]
    assert ids == ["robots:intro", "topics", "kitchen:intro", "stock"]
    texts = [text for pages in BOOKS.values() for text in pages.values()]
    for one, text in zip(ids, texts, strict=True):
        assert text in await call(tools["get_chapter"], run, chapter=one)


async def test_a_reader_who_chose_a_book_is_shown_its_chapters_alone(tools: dict[str, FunctionTool]) -> None:
    run = Run("How is sourdough fed?", book="kitchen")
    assert await call(tools["list_chapters"], run) == "intro: Intro\nstock: Stock"
    shown = await call(tools["get_chapter"], run, chapter="intro")
    assert BOOKS["kitchen"]["intro"] in shown
    assert BOOKS["robots"]["intro"] not in shown
    assert "No chapter `topics`" in await call(tools["get_chapter"], run, chapter="topics")

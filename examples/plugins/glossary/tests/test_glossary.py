"""The tool, on a book of one page."""

import asyncio
from pathlib import Path

from preceptor.testing import open_book

PAGES = {"nodes.md": "# Nodes\n\nA node is a process that computes.\n"}


def test_a_definition_is_a_source_of_the_tool(tmp_path: Path) -> None:
    file = tmp_path / "glossary.yaml"
    file.write_text("Gimbal: A ring that lets a camera turn about one axis.\n")
    settings = {"glossary": {"file": str(file), "url": "https://book.example/glossary"}}

    async def ask() -> None:
        async with open_book(PAGES, enabled=["glossary"], settings=settings) as book:
            assert book.faults == []
            answer = await book.ask("What is a gimbal?", calls=[("define", {"term": "gimbal"})])
            [source] = answer.sources
            assert (source.title, source.tool) == ("Gimbal", "define")
            assert source.url == "https://book.example/glossary"
            unknown = await book.call("define", term="gimbl")
            assert "There is: Gimbal." in unknown.text

    asyncio.run(ask())

"""Makes a new tool: one file, or a package with an entry point; each with a test."""

import keyword
from pathlib import Path

from preceptor.errors import ToolNotMade

_TOOL = '''"""`{name}`: find what the book says of a term."""

from agents import Tool, function_tool

from preceptor.tools.plugin import Deps, Run, ToolContext, tell_model


def tools(deps: Deps) -> list[Tool]:
    """Bind the tool to the open library."""

    @function_tool(failure_error_function=tell_model)
    async def {name}(context: ToolContext[Run], term: str) -> str:
        """Find what the book says of a term.

        Args:
            term: The word or the name to look for.
        """
        hits = await deps.library.search(term, book=context.context.book, limit=2)
        return context.context.ledger.show(hits)

    return [{name}]
'''
_TEST = '''"""The tool `{name}`, on a book of one page, and in an answer."""

import asyncio

from preceptor.testing import open_book

PAGES = {{"nodes.md": "# Nodes\\n\\nA node is a process that computes.\\n"}}


def test_it_shows_what_the_book_says() -> None:
    async def ask() -> None:
        async with open_book(PAGES, {settings}) as book:
            called = await book.call("{name}", term="node")
            assert not called.failed
            assert "A node is a process that computes." in called.text

    asyncio.run(ask())


def test_a_model_that_calls_it_is_told() -> None:
    async def ask() -> None:
        async with open_book(PAGES, {settings}) as book:
            answer = await book.ask("What is a node?", calls=[("{name}", {{"term": "node"}})])
            assert answer.sources[0].title == "Nodes"

    asyncio.run(ask())
'''
_PROJECT = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{project}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["preceptor"]

[project.entry-points."preceptor.tools"]
{name} = "{name}:tools"

[tool.hatch.build.targets.wheel]
packages = ["{name}"]
"""


def new_tool(name: str, folder: Path, *, package: bool = False) -> list[Path]:
    """Write a tool that works, with its test.

    Args:
        name: Name of the tool, and of its file or package.
        folder: Where it is made.
        package: Whether it becomes a package with an entry point; else it is one file.

    Returns:
        The files.

    Raises:
        ToolNotMade: The name is none for a tool, or a file is there already.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or len(name) > 64:
        raise ToolNotMade(
            name, "a tool's name is made of the letters a to z, digits and `_`, and begins with a letter"
        )
    if package:
        home = folder / f"preceptor-{name.replace('_', '-')}"
        contents = {
            home / "pyproject.toml": _PROJECT.format(name=name, project=home.name),
            home / name / "__init__.py": _TOOL.format(name=name),
            home / name / "py.typed": "",
            home / "tests" / f"test_{name}.py": _TEST.format(name=name, settings=f'enabled=["{name}"]'),
        }
    else:
        contents = {
            folder / f"{name}.py": _TOOL.format(name=name),
            folder / f"test_{name}.py": _TEST.format(name=name, settings=f'plugins=["{name}.py"]'),
        }
    there = next((file for file in contents if file.exists()), None)
    if there:
        raise ToolNotMade(name, f"`{there}` is there already")
    for file, text in contents.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return list(contents)

"""`show_figures`: the pictures of the book's pages that fit a subject, with their captions, beside the answer.

    [default.tools]
    plugins = ["figures.py"]

    [default.tools.settings.figures]
    source = "my-book/docs"                # the folder of Markdown pages
    base_url = "https://book.example/docs" # the pages' address on the site, for pictures that they name relatively
"""

from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from agents import Tool, function_tool
from markdown_it import MarkdownIt
from pydantic import BaseModel

from preceptor.tools.plugin import Deps, Run, ToolContext, declare, tell_model

_MOST = 3


class Figures(BaseModel, extra="forbid"):
    """Section `tools.settings.figures`."""

    source: Path
    base_url: str = "/docs"


def tools(deps: Deps) -> list[Tool]:
    """Find the pictures once, and bind the tool to them."""
    settings = deps.section(Figures)
    figures = [found for file in sorted(settings.source.rglob("*.md")) for found in _figures(file, settings)]

    @declare(phase="searching")
    @function_tool(failure_error_function=tell_model)
    async def show_figures(context: ToolContext[Run], subject: str) -> str:
        """Show the reader pictures of the book beside the answer.

        Args:
            subject: What the pictures should show, in a few words of the book's language.
        """
        wanted = set(subject.casefold().split())
        ranked = sorted(figures, key=lambda one: -len(wanted & set(one[0].casefold().split())))
        fitting = [one for one in ranked if wanted & set(one[0].casefold().split())][:_MOST]
        for caption, url in fitting:
            context.context.attach("image", caption, {"url": url, "alt": caption})
        if not fitting:
            return "The book has no picture of it."
        return "The reader is shown: " + "; ".join(caption for caption, _ in fitting)

    return [show_figures]


def _figures(file: Path, settings: Figures) -> list[tuple[str, str]]:
    """Caption and address of each picture of a page that has a caption."""
    page = PurePosixPath(file.relative_to(settings.source).as_posix())
    here = f"{settings.base_url.rstrip('/')}/{page}"
    tokens = MarkdownIt("commonmark").parse(file.read_text(encoding="utf-8"))
    images = [child for token in tokens for child in token.children or () if child.type == "image"]
    return [(image.content, urljoin(here, str(image.attrs["src"]))) for image in images if image.content]

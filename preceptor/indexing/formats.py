"""The formats of pages besides Markdown: PDF, HTML, Jupyter notebooks. The extra `formats` installs the libraries.

A PDF has a section for each of its pages, whose link opens that page (`slides.pdf#page=3`). HTML keeps the
ids of its headings; a notebook has Jupyter's heading ids, and its code without the output.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.indexing.jsx import Bindings
from preceptor.indexing.outline import Heading, Outline
from preceptor.indexing.source import PageSource
from preceptor.indexing.text import Writer
from preceptor.indexing.tree import Element, Flavour, parse_tree
from preceptor.settings import SiteSettings

if TYPE_CHECKING:
    from bs4 import Tag

_PLAIN = SiteSettings(preset="plain")
_BETWEEN_PARAGRAPHS = re.compile(r"\n\s*\n")
_HYPHENATED = re.compile(r"(?<=\w)-\n(?=[a-zà-öø-ÿ])")
_AROUND_THE_PAGE = ("nav", "header", "footer", "aside")
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-(?P<name>\S+)")


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one format are read."""

    read: Callable[[Path], tuple[str, Outline]]
    """Returns the title of a file, or "", and its sections."""
    library: str = ""
    """Import name of the library that the reader needs, if any."""

    @property
    def is_installed(self) -> bool:
        """Whether files of this format can be read here."""
        return not self.library or find_spec(self.library) is not None


def _pdf(path: Path) -> tuple[str, Outline]:
    from pypdf import PdfReader  # of the extra `formats`

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it repairs what it can, and logs that
    outline = Outline()
    with PdfReader(path) as reader:
        for number, page in enumerate(reader.pages, start=1):
            outline.begin(Heading(2, f"page={number}", f"Page {number}"))
            text = _HYPHENATED.sub("", page.extract_text().replace("\r\n", "\n"))
            for paragraph in _BETWEEN_PARAGRAPHS.split(text):
                outline.add(" ".join(paragraph.split()))
        about = reader.metadata
    return (about.title if about and about.title else ""), outline


def _html(path: Path) -> tuple[str, Outline]:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(path.read_bytes(), "html.parser")
    body = soup.find("main") or soup.find("article") or soup.body or soup
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    return _written(Element("#page", children=list(_children(body))), title)


def _children(tag: "Tag") -> Iterator[Element | str]:
    from bs4 import Tag
    from bs4.builder import HTMLTreeBuilder
    from bs4.element import PreformattedString

    for child in tag.children:
        if isinstance(child, Tag):
            if child.name in _AROUND_THE_PAGE:
                continue
            attributes = {name: value for name, value in child.attrs.items() if isinstance(value, str)}
            if child.name == "pre":
                classes = [one.get_attribute_list("class") for one in (child, *child.find_all("code"))]
                language = _LANGUAGE.search(" ".join(map(str, chain(*classes))))
                attributes["language"] = language["name"] if language else ""
            block = child.name in HTMLTreeBuilder.DEFAULT_BLOCK_ELEMENTS
            yield Element(child.name, attributes, list(_children(child)), block=block)
        elif not isinstance(child, PreformattedString):  # a comment, a doctype
            yield str(child)


def _notebook(path: Path) -> tuple[str, Outline]:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    page = Element("#page", markdown=True)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            page.children += parse_tree(cell.source, Flavour(mdx=False, directives=False))[0].children
        elif cell.cell_type == "code":
            code = Element("pre", {"language": language}, [cell.source], block=True)
            page.children.append(code)
    return _written(page, "")


def _written(page: Element, title: str) -> tuple[str, Outline]:
    """The title and the text of a page, by the writer of Markdown pages."""
    source = PageSource(page, Bindings(), {}, _jupyter_anchor, lambda name, line: None)
    writer = Writer(source, _PLAIN)
    outline = writer.write()
    return title or writer.title, outline


def _jupyter_anchor(text: str) -> str:
    return text.replace(" ", "-")


FORMATS: Mapping[str, Format] = {
    ".pdf": Format(_pdf, "pypdf"),
    ".html": Format(_html, "bs4"),
    ".htm": Format(_html, "bs4"),
    ".ipynb": Format(_notebook, "nbformat"),
}
"""The formats that are read besides Markdown, by suffix: a new one is a reader and a line here."""

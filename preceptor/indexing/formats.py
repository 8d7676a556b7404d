"""Reads pages in PDF, HTML and Jupyter notebooks. The extra `formats` installs the libraries.

A PDF has a section for each of its pages, whose link opens that page (`slides.pdf#page=3`). HTML keeps the
ids of its headings; a notebook has Jupyter's heading ids, and its code without the output.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.errors import PageUnreadable
from preceptor.indexing.discover import Book, PageFile, humanised
from preceptor.indexing.jsx import Bindings
from preceptor.indexing.outline import Heading, Outline
from preceptor.indexing.page import Page
from preceptor.indexing.site import Place, join
from preceptor.indexing.source import PageSource
from preceptor.indexing.text import Writer
from preceptor.indexing.tree import Element, Flavour, parse_tree
from preceptor.settings import SiteSettings
from preceptor.text.languages import language_of

if TYPE_CHECKING:
    from bs4 import Tag

_PLAIN = SiteSettings(preset="plain")
_BETWEEN_PARAGRAPHS = re.compile(r"\n\s*\n")
_HYPHENATED = re.compile(r"(?<=\w)-\n(?=[a-zà-öø-ÿ])")
_AROUND_THE_PAGE = ("nav", "header", "footer", "aside")
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-(?P<name>\S+)")


def read_page(book: Book, file: PageFile) -> Page:
    """Reads a page.

    Raises:
        PageUnreadable: It cannot be opened, is damaged or encrypted, or holds no text.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ids that a notebook lacks, of XHTML, …
            title, outline = _READERS[file.path.suffix](file.path)
    except OSError as error:
        raise PageUnreadable(file.source, error.strerror or "it cannot be opened") from error
    except Exception as error:  # a damaged file makes its reader raise anything
        why = str(error).partition("\n")[0].rstrip(".")[:200] or type(error).__name__
        raise PageUnreadable(file.source, f"it is damaged or of another format ({why})") from error
    sections = outline.sections
    text = "\n".join(section.text for section in sections)
    if not text.strip():
        raise PageUnreadable(file.source, "it holds no text; what was scanned needs a text layer (OCR) first")
    return Page(
        source=file.source,
        status=file.status,
        reason=file.reason,
        chapter=file.chapter,
        title=file.title or title.strip() or humanised(file.place.stem),
        url=_url(file.part.site, file.place),
        breadcrumb=file.breadcrumb,
        position=file.position,
        headings=tuple((heading.level, heading.id, heading.text) for heading in outline.headings),
        sections=sections,
        language=language_of(text, default=book.language),
    )


def _url(site: SiteSettings, place: Place) -> str:
    """Returns the address of a file that the generator copies unchanged to the site."""
    path = place.source if site.preset == "plain" else place.relative
    folder = site.route_base_path if site.preset == "docusaurus" else ""
    return site.url.rstrip("/") + join(site.base_url, folder, path)


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


_READERS = {".pdf": _pdf, ".html": _html, ".htm": _html, ".ipynb": _notebook}

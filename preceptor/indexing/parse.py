"""Reads one page: its file, the partials it imports, its headings and its text by section."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from preceptor.errors import PageUnreadable
from preceptor.indexing.anchors import anchors
from preceptor.indexing.discover import Book, PageFile, humanised
from preceptor.indexing.front import FrontMatter, read_text, split_front_matter
from preceptor.indexing.jsx import Bindings
from preceptor.indexing.page import Page, PageSection
from preceptor.indexing.python_markdown import python_markdown_tree
from preceptor.indexing.site import page_url, split_number
from preceptor.indexing.source import PageSource
from preceptor.indexing.text import Writer
from preceptor.indexing.tree import Flavour, parse_tree
from preceptor.settings import SiteSettings
from preceptor.text.languages import language_of

_UNWRAPPED = tuple(
    re.compile(rf"(^|\n) *{fence} *mdx-code-block\n(?P<inside>.*?)\n *{fence}(?=\n|\Z)", re.DOTALL)
    for fence in ("```", "````")
)
"""Fences that Docusaurus removes before parsing; they hide their content from translation tools."""
_DEEPEST_PARTIAL = 8
_TITLED_BY_FRONT_MATTER = ("docusaurus", "plain", "mkdocs", "quarto")
_LENIENT = ("huggingface", "mkdocs")
"""Presets to which a front matter that is no YAML is text."""


def read_page(book: Book, file: PageFile) -> Page:
    """Reads a page, whatever its status.

    Raises:
        PageUnreadable: Its file cannot be opened, is no text, or has a front matter that is no YAML. What is no page
            in any case (a partial) is then empty.
    """
    book = book.of(file)
    site = book.site
    front, body = FrontMatter(), ""
    try:
        body = read_text(file.path, file.source)
        if site.preset != "mdbook":  # it knows no front matter, and makes a rule and a heading of it
            front, body = split_front_matter(body, file.source)
    except PageUnreadable:
        if not (body and site.preset in _LENIENT):
            if file.status != "partial":
                raise
            body = ""
    writer = Writer(_source(book, file.path, front, body, ()), site)
    outline = writer.write()
    name = split_number(file.place.stem, parse=site.number_prefixes and front.number_prefixes).name
    name = humanised(name) if site.preset == "mkdocs" else name
    named = (front.title or "").strip() if site.preset in _TITLED_BY_FRONT_MATTER else ""
    title = file.title or named or writer.title or front.id or name
    headings = [(heading.level, heading.id, heading.text) for heading in outline.headings]
    untitled = front.hide_title or front.title == ""
    if site.preset == "docusaurus" and not writer.has_title and not untitled:
        headings.insert(0, (1, "", title))  # its theme shows the title where the page has none
    sections = outline.sections
    return Page(
        source=file.source,
        status=file.status,
        reason=file.reason,
        chapter=file.chapter,
        title=title,
        url=page_url(site, file.place, front),
        breadcrumb=file.breadcrumb,
        position=file.position,
        headings=tuple(headings),
        sections=tuple(_below_title(section, title) for section in sections),
        language=front.language
        or file.language
        or language_of("\n".join(section.text for section in sections), default=book.language),
    )


def _below_title(section: PageSection, title: str) -> PageSection:
    """Returns the section, without a heading of its own if that is the chapter's title."""
    own_title = section.path == (title,) and section.heading == title
    return (
        replace(section, heading="" if not section.anchor else section.heading, path=())
        if own_title
        else section
    )


def _source(book: Book, path: Path, front: FrontMatter, body: str, above: tuple[Path, ...]) -> PageSource:
    site = book.site
    if site.preset == "docusaurus":
        for fenced in _UNWRAPPED:
            body = fenced.sub(r"\1\g<inside>", body)
    part = book.parts[0]
    if site.preset == "mkdocs":
        tree, bindings = python_markdown_tree(body, part.extensions, part.base or book.root), Bindings()
    else:
        tree, bindings = parse_tree(body, _flavour(site, path, front))
    load = partial(_partial, book, path.parent, (*above, path))
    return PageSource(tree, bindings, front.values, anchors(site), load)


def _flavour(site: SiteSettings, path: Path, front: FrontMatter) -> Flavour:
    docusaurus = site.preset == "docusaurus"
    wanted = (front.format or site.markdown) if docusaurus else "detect"
    return Flavour(
        mdx={"mdx": True, "md": False}.get(wanted, path.suffix == ".mdx"),
        directives=docusaurus,
        attributes=site.preset in ("mdbook", "quarto"),
        divisions=site.preset == "quarto",
        myst=site.preset == "sphinx",
        d2l=site.preset == "d2l",
        math=site.math,
    )


def _partial(book: Book, folder: Path, above: tuple[Path, ...], name: str) -> PageSource | None:
    """Returns the Markdown file that a page imports; None if it is outside the book or imports itself."""
    path = (book.root / name.removeprefix("@site/") if name.startswith("@site/") else folder / name).resolve()
    if (
        not (path.is_relative_to(book.source) or path.is_relative_to(book.docs))
        or not path.is_file()
        or path in above
        or len(above) > _DEEPEST_PARTIAL
    ):
        return None
    try:
        front, body = split_front_matter(read_text(path, name), name)
    except PageUnreadable:
        return None
    return _source(book, path, front, body, above)

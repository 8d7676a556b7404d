"""Reads one page: its file, the partials it imports, its headings and its text by section."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from preceptor.errors import PageUnreadable
from preceptor.indexing import markdown_include
from preceptor.indexing.anchors import anchors
from preceptor.indexing.discover import Book, PageFile, humanised
from preceptor.indexing.front import FrontMatter, read_text, split_front_matter
from preceptor.indexing.include import Body, NotTakenIn, mdbook_includes, mkdocs_snippets, raw_path
from preceptor.indexing.jsx import Bindings
from preceptor.indexing.leftover import leftovers
from preceptor.indexing.missing import Missing, Note, Notes
from preceptor.indexing.page import Page, PageSection
from preceptor.indexing.python_markdown import python_markdown_tree
from preceptor.indexing.site import image_url, page_url, split_number
from preceptor.indexing.source import PageSource
from preceptor.indexing.text import Writer
from preceptor.indexing.tree import Flavour, parse_tree
from preceptor.settings import SiteSettings
from preceptor.text.languages import language_of

_UNWRAPPED = tuple(
    re.compile(rf"(^|\n) *{fence} *mdx-code-block\n(?P<inside>.*?)\n *{fence}(?=\n|\Z)", re.DOTALL)
    for fence in ("```", "````")
)
"""A fence that Docusaurus takes away before it parses (a shelter from translation tools)."""
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
    site, notes = book.site, Notes()
    front, text = FrontMatter(), ""
    rest = ""
    try:
        text = rest = read_text(file.path, file.source)
        if site.preset != "mdbook":  # it knows no front matter, and makes a rule and a heading of it
            front, rest = split_front_matter(text, file.source, must_end=file.part.front_matter_must_end)
    except PageUnreadable:
        if not (text and site.preset in _LENIENT):
            if file.status != "partial":
                raise
            text = rest = ""
    body = Body.of(rest, first=1 + text.count("\n") - rest.count("\n"))
    url = page_url(site, file.place, front)
    reading = _Reading(book, notes, partial(image_url, site, file.place, url))
    writer = Writer(reading.source(file.path, file.source, front, body, ()), site)
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
    if not any(section.blocks for section in sections):
        notes.add(Missing("pages without text", file.source))
    return Page(
        source=file.source,
        status=file.status,
        reason=file.reason,
        chapter=file.chapter,
        title=title,
        url=url,
        breadcrumb=file.breadcrumb,
        position=file.position,
        headings=tuple(headings),
        sections=tuple(_below_title(section, title) for section in sections),
        language=front.language
        or file.language
        or language_of("\n".join(section.text for section in sections), default=book.language),
        missing=notes.found,
    )


def _below_title(section: PageSection, title: str) -> PageSection:
    """Returns the section, without a heading of its own if that is the chapter's title."""
    # A title of the site's contents may differ in its capital letters alone.
    own_title = section.path == (section.heading,) and section.heading.casefold() == title.casefold()
    return (
        replace(section, heading="" if not section.anchor else section.heading, path=())
        if own_title
        else section
    )


class _Reading:
    """Reads the files of one page."""

    def __init__(self, book: Book, notes: Notes, image_url: Callable[[str, bool], str]) -> None:
        self._site = book.site
        self._reach = book.reach
        self._dialect = book.parts[0].dialect
        self._notes = notes
        self._image_url = image_url

    def source(
        self, path: Path, name: str, front: FrontMatter, body: Body, above: tuple[Path, ...]
    ) -> PageSource:
        """Returns a file with the files that it takes in.

        Args:
            path: The path of the file.
            name: The name of the file in messages.
            front: The front matter.
            body: The rest of the file.
            above: The files that take it in, outermost first.
        """
        site, reach = self._site, self._reach
        note = self._notes.of(name, body.lines)
        if site.preset == "docusaurus":
            for fenced in _UNWRAPPED:
                body = body.replaced(fenced, lambda match, _: match[1] + match["inside"])
        elif site.preset == "mdbook" and reach.links:
            body = mdbook_includes(body, path, reach, note)
        elif site.preset == "mkdocs":
            body = mkdocs_snippets(markdown_include.expanded(body, reach, note), path, reach, note)
        if self._dialect:
            tree, bindings = python_markdown_tree(body.text, self._dialect), Bindings()
        else:
            tree, bindings = parse_tree(body.text, _flavour(site, path, front))
        # Once more: files that were taken in have moved the lines.
        note = self._notes.of(name, body.lines)
        taken_in = (site.preset == "mdbook" and reach.links) or reach.snippets is not None
        for found in leftovers(tree, includes=taken_in):
            note(found.kind, found.line or _line_of(found.detail, body.text), found.detail)
        return PageSource(
            tree,
            bindings,
            front.values,
            anchors(site),
            load=partial(self._partial, path, note, (*above, path.resolve())),
            text_of=partial(self._text_of, path.parent, note),
            image_url=self._image_url,
            note=note,
            hidden_lines=reach.hidden_lines if site.preset == "mdbook" else None,
        )

    def _partial(
        self, importer: Path, note: Note, above: tuple[Path, ...], imported: str, line: int
    ) -> PageSource | None:
        """Returns the Markdown file that a page imports; None, with a note, if it cannot be taken in."""
        try:
            path = self._reach.imported(imported, importer.parent)
            if path in above or len(above) > _DEEPEST_PARTIAL:
                raise NotTakenIn(f"{imported}: it takes in itself")
            text = self._reach.read(path, imported)
            front, rest = split_front_matter(text, imported)
        except (NotTakenIn, PageUnreadable) as error:
            note("imported pages not resolved", line, str(getattr(error, "reason", error)))
            return None
        body = Body.of(rest, first=1 + text.count("\n") - rest.count("\n"))
        return self.source(path, self._reach.name(path), front, body, above)

    def _text_of(self, folder: Path, note: Note, imported: str, line: int) -> str:
        """Returns the text of a file that is imported as text; empty, with a note, if it cannot be read."""
        try:
            path = self._reach.imported(raw_path(imported), folder)
            return self._reach.read(path, raw_path(imported))
        except NotTakenIn as why:
            note("imported files not resolved", line, str(why))
            return ""


def _line_of(detail: str, text: str) -> int:
    """Returns the line, from 0, of something that the parser gave no line; 0 if it is not in the text as such."""
    return text.count("\n", 0, max(text.find(detail), 0)) if detail else 0


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
        raw_below_tags=site.preset == "huggingface",
        math=site.math,
    )

"""A page of the book once it is read: its place on the site, its headings, its text by section."""

from dataclasses import dataclass
from typing import Literal

from preceptor.indexing.missing import Missing
from preceptor.library.passage import Image

Status = Literal["published", "draft", "unlisted", "partial", "failed"]
"""Docusaurus' treatment of a page. Only a published page makes passages."""

BlockKind = Literal["prose", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, code block or table, which is split only if it is too long."""

    text: str
    """The visible text in light Markdown: fences around code, pipes around cells, `-` before items."""
    kind: BlockKind = "prose"
    lead: bool = False
    """Whether it introduces the next block (a tab's label, an admonition's title) and stays with it."""


@dataclass(frozen=True, slots=True)
class PageSection:
    """The text under one heading, up to the next one of any level."""

    anchor: str
    """Id of the heading on the site; empty above the first heading and under one without an id."""
    heading: str
    """Text of the heading; empty above the first one."""
    path: tuple[str, ...]
    """Texts of the headings from the chapter down to this one; empty above the first heading."""
    blocks: tuple[Block, ...]
    images: tuple[Image, ...] = ()
    """Images whose address and alternative text are known, in order."""

    @property
    def text(self) -> str:
        """All blocks, separated by blank lines."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the book, in reading order."""

    source: str
    """Path of the file below the book's folder, with `/`."""
    status: Status
    reason: str
    """Reason why the page is not published; empty if it is."""
    chapter: str
    """Id of the chapter: path below the docs folder, without number prefixes and suffix."""
    title: str
    url: str
    """Address that the site generator gives the page, not encoded; in passages it is encoded."""
    breadcrumb: tuple[str, ...]
    """Labels of the folders above it (modules), outermost first."""
    position: int
    """Position in the book's reading order, from 0."""
    headings: tuple[tuple[int, str, str], ...]
    """(level, id, text) of every heading of the rendered page; the id is empty if the site gives it no id."""
    sections: tuple[PageSection, ...]
    language: str
    """BCP 47 tag of the language the page is written in."""
    missing: tuple[Missing, ...] = ()
    """Parts of the page that its sections lack."""

    @property
    def text(self) -> str:
        """Visible text below the headings, in light Markdown."""
        return "\n\n".join(section.text for section in self.sections if section.blocks)

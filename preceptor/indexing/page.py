"""What a page of the book is once it is read: its place on the site, its headings, its text by section."""

from dataclasses import dataclass
from typing import Literal

from preceptor.indexing.missing import Missing

Status = Literal["published", "draft", "unlisted", "partial", "failed"]
"""As Docusaurus treats the page. Only a published page makes passages."""

BlockKind = Literal["prose", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a section that is not split without need: a paragraph, a list, a code block, a table."""

    text: str
    """As a reader sees it, in light Markdown: fences around code, pipes around cells, `-` before items."""
    kind: BlockKind = "prose"
    lead: bool = False
    """It announces the next block (a tab's label, an admonition's title) and is not parted from it."""


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

    @property
    def text(self) -> str:
        """All blocks, parted by blank lines."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the book, in reading order."""

    source: str
    """Path of the file below the book's folder, with `/`."""
    status: Status
    reason: str
    """Why it is not published; empty when it is."""
    chapter: str
    """Id of the chapter: path below the docs folder, without number prefixes and suffix."""
    title: str
    url: str
    """As the site generator has it, not encoded; a passage's is safe in a link."""
    breadcrumb: tuple[str, ...]
    """Labels of the folders above it (modules), outermost first."""
    position: int
    """In the book's reading order, from 0."""
    headings: tuple[tuple[int, str, str], ...]
    """(level, id, text) of every heading of the rendered page; the id is empty where the site gives none."""
    sections: tuple[PageSection, ...]
    language: str
    """BCP 47 tag of the language the page is written in."""
    missing: tuple[Missing, ...] = ()
    """What the page has and its sections have not."""

    @property
    def text(self) -> str:
        """What a reader sees below the headings, in light Markdown."""
        return "\n\n".join(section.text for section in self.sections if section.blocks)

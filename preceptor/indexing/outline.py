"""Collects the sections of a page: each heading begins a section, each block belongs to the last one."""

from dataclasses import dataclass, field

from preceptor.indexing.page import Block, BlockKind, PageSection
from preceptor.library.passage import Image


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the rendered page."""

    level: int
    id: str
    """Id of the heading; empty if the site gives it no id."""
    text: str


@dataclass(slots=True)
class _Section:
    heading: Heading
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list[Block])
    images: list[Image] = field(default_factory=list[Image])


class Outline:
    """Headings and sections of one page."""

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self._sections = [_Section(Heading(0, "", ""), ())]
        self._above: list[Heading] = []

    @property
    def sections(self) -> tuple[PageSection, ...]:
        """All sections so far, including the one above the first heading."""
        return tuple(
            PageSection(
                section.heading.id,
                section.heading.text,
                section.path,
                tuple(section.blocks),
                tuple(section.images),
            )
            for section in self._sections
        )

    @property
    def blocks(self) -> list[Block]:
        """Blocks of the last section."""
        return self._sections[-1].blocks

    @property
    def images(self) -> list[Image]:
        """Images of the last section."""
        return self._sections[-1].images

    def begin(self, heading: Heading, *, is_title: bool = False) -> None:
        """Begins a section; the page's title is not part of any other heading's path."""
        self.headings.append(heading)
        while self._above and self._above[-1].level >= heading.level:
            self._above.pop()
        path = (*(above.text for above in self._above), heading.text)
        if not is_title:
            self._above.append(heading)
        self._sections.append(_Section(heading, tuple(filter(None, path))))

    def add(self, text: str, *, kind: BlockKind = "prose", lead: bool = False) -> None:
        """Append a block; empty text is ignored."""
        if text:
            self.blocks.append(Block(text, kind, lead))

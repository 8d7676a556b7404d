"""The table of generators, and the search for the one that a book's folder belongs to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.errors import SeveralSites, SiteConfigUnavailable
from preceptor.indexing.sites import d2l, docusaurus, huggingface, mdbook, mkdocs, quarto, sphinx
from preceptor.indexing.sites.record import Part, Site, below, shown
from preceptor.settings import SiteSettings

_ABOVE = 4
"""Folders between the one that is given and the one of its site."""
_BELOW = 2
_NOT_SITES = frozenset(
    {"node_modules", "test", "tests", "__tests__", "fixtures", "__fixtures__", "example", "examples", "template",
     "templates", "vendor", "third_party"}
)  # fmt: skip
"""Folders whose sites are hardly the book that is meant."""


@dataclass(frozen=True, slots=True)
class Generator:
    """A kind of site."""

    preset: str
    name: str
    marks: tuple[str, ...]
    """Patterns of files by which its folder is known."""
    read: Callable[[Path, Path | None, SiteSettings], Site]
    """Reads the site: the folder that was given, that of the site, the settings."""
    accepts: Callable[[Path], bool] | None = None
    """Test of the folder, if the names of its files are not enough."""

    def is_at(self, folder: Path, *, alone: bool = False) -> bool:
        """Whether a folder is that of such a site.

        Args:
            folder: The folder.
            alone: Whether to look at the folder alone: one above the book may hold all of a disk.
        """
        marks = (mark for mark in self.marks if not (alone and mark.startswith("*/")))
        marked = any(next(folder.glob(mark), None) for mark in marks)
        return marked and (self.accepts is None or self.accepts(folder))


def _plain(source: Path, _: Path | None, site: SiteSettings) -> Site:
    docs = below(source, site.docs_dir) or source
    said = site.model_copy(update={"preset": "plain"})
    return Site(source, (Part(docs, said, is_assumed=True),), f"plain Markdown files, {shown(docs, source)}")


def _unknown(name: str) -> Callable[[Path, Path | None, SiteSettings], Site]:
    """Reads a site of a generator whose rules are not known, and says so."""

    def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
        found = _plain(source, home, site)
        doubt = f"{name} site, whose rules are not known: read as plain Markdown, its links are those of the files"
        return replace(found, line=f"{doubt} ({found.line})")

    return read


_UNKNOWN = {
    "MyST (mystmd)": ("myst.yml",),
    "VitePress": (".vitepress/config.*", "docs/.vitepress/config.*"),
    "VuePress": (".vuepress/config.*", "docs/.vuepress/config.*"),
    "Hugo": ("hugo.toml", "hugo.yaml", "hugo.yml", "hugo.json"),
    "GitBook": (".gitbook.yaml", ".gitbook.yml"),
    "Astro": ("astro.config.*",),
    "Nextra": ("theme.config.*",),
    "Antora": ("antora.yml",),
}
"""Generators that are recognised, to say that they are not read."""


GENERATORS = (
    Generator("docusaurus", "Docusaurus", (docusaurus.CONFIG,), docusaurus.read),
    Generator("mkdocs", "MkDocs", mkdocs.CONFIGS, mkdocs.read),
    Generator("mdbook", "mdBook", (mdbook.CONFIG, f"src/{mdbook.SUMMARY}"), mdbook.read),
    Generator("huggingface", "Hugging Face", huggingface.MARKS, huggingface.read),
    Generator("sphinx", "Sphinx", sphinx.MARKS, sphinx.read),
    Generator("quarto", "Quarto", quarto.MARKS, quarto.read),
    Generator("d2l", "d2lbook", (d2l.CONFIG,), d2l.read, d2l.is_book),
    *(Generator("plain", name, marks, _unknown(name)) for name, marks in _UNKNOWN.items()),
)
"""Generators in the order in which they are looked for."""
_PLAIN = Generator("plain", "plain Markdown", (), _plain)


def read_site(source: Path, site: SiteSettings) -> Site:
    """Finds out what a book's folder is, and read it.

    Args:
        source: The folder of the book, of its site or of its pages, absolute.
        site: The settings.

    Raises:
        SeveralSites: There are several sites in the folder, and none is nearer than the others.
        BookNotFound: There is no folder of the version that the settings name.
    """
    wanted = tuple(one for one in GENERATORS if site.preset == "auto" or site.preset == one.preset != "plain")
    at = _at(source, site, wanted) or _above(source, site, wanted) or _inside(source, site, wanted)
    if len({home for _, home in at}) > 1:
        raise SeveralSites(source, [(home, generator.name) for generator, home in at])
    generator, home = at[0] if at else ((wanted or (_PLAIN,))[0], None)
    if site.config == "build" and (home is None or generator.preset != "docusaurus"):
        found = f"a site of {generator.name}" if home else "no site with a docusaurus.config.* file"
        raise SiteConfigUnavailable(home or source, f"it is {found}, and only Docusaurus can be asked")
    return generator.read(source, home, site)


_Found = list[tuple[Generator, Path]]


def _at(source: Path, site: SiteSettings, wanted: tuple[Generator, ...]) -> _Found:
    """Returns the site that the folder is; or the one that the folder of pages in the settings belongs to."""
    folders = [source]
    given = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set else None
    if given:
        folders += [folder for folder in (given, *given.parents) if folder.is_relative_to(source)]
    return next((found for folder in folders if (found := _known(folder, wanted))), [])


def _above(source: Path, site: SiteSettings, wanted: tuple[Generator, ...]) -> _Found:
    """Returns the site around the folder, if the folder is one of its pages'.

    That is what the site says itself: a folder of pages in the settings is inside of the one that was given.
    """
    given = {name: getattr(site, name) for name in site.model_fields_set - {"docs_dir"}}
    site = SiteSettings.model_validate(given)
    for folder in source.parents[:_ABOVE]:
        for generator, home in _known(folder, wanted, alone=True):
            parts = generator.read(source, home, site).parts
            if any(source.is_relative_to(part.docs) or part.docs.is_relative_to(source) for part in parts):
                return [(generator, home)]
    return []


def _inside(source: Path, site: SiteSettings, wanted: tuple[Generator, ...]) -> _Found:
    """Returns the sites in the folder: one down, else two down: in the folder of pages, if there is one."""
    docs = below(source, site.docs_dir)
    level = [source]
    for depth in range(_BELOW):
        level = [folder for above in level for folder in _folders(above)]
        found = [
            one
            for folder in level
            if depth == 0 or docs is None or folder.is_relative_to(docs)
            for one in _known(folder, wanted)
        ]
        if found:
            return found
    return []


def _known(folder: Path, wanted: tuple[Generator, ...], *, alone: bool = False) -> _Found:
    """Returns the first generator whose files are in a folder."""
    return [(generator, folder) for generator in wanted if generator.is_at(folder, alone=alone)][:1]


def _folders(above: Path) -> Iterator[Path]:
    for folder in sorted(above.iterdir()):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in _NOT_SITES:
            yield folder

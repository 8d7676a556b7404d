"""Locates the pages of a book's folder, and reads settings from the files of a Docusaurus site.

The site's configuration is code and is never run; a few settings are found in it by pattern.
"""

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from preceptor.errors import BookNotFound
from preceptor.indexing.site import join
from preceptor.settings import SiteSettings

_CONFIG = "docusaurus.config.[cmjt]*s"
_ABOVE = 2
"""Largest number of folders between the given one and the folder of its site."""
_LAST_VERSION = re.compile(r"\blastVersion\s*:\s*['\"]([^'\"\n]+)['\"]")


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of a book's folder."""

    root: Path
    """Folder of the site, to which `@site/` refers."""
    docs: Path
    """Folder of the pages."""
    site: SiteSettings
    """Settings, completed from the site's files."""
    notes: tuple[str, ...] = ()
    """Hints for the author about the folder, on which the links may depend."""


@dataclass(frozen=True)
class _Home:
    """Folder of a Docusaurus site."""

    folder: Path

    @property
    def has_math(self) -> bool | None:
        """Whether the site renders formulas; None if its files do not show it."""
        packages = _text(self.folder / "package.json")
        if any("remark-math" in text for text in (packages, *map(_text, self.folder.glob(_CONFIG)))):
            return True
        return False if packages else None

    @cached_property
    def versions(self) -> list[str]:
        """Names of the versions beside `current`, newest first; empty if the site is not versioned."""
        try:
            names: object = json.loads(_text(self.folder / "versions.json") or "[]")
        except (ValueError, RecursionError):
            return []
        names = [str(name) for name in names] if isinstance(names, list) else []
        return [name for name in names if self.docs_of(name).is_dir()]

    def docs_of(self, version: str) -> Path:
        """Returns the folder of pages of a version beside `current`."""
        return self.folder / "versioned_docs" / f"version-{version}"

    @property
    def last_version(self) -> str:
        """Name of the version that the site shows first."""
        said = {name for file in self.folder.glob(_CONFIG) for name in _LAST_VERSION.findall(_text(file))}
        known = said & {"current", *self.versions}
        return known.pop() if len(known) == 1 else self.versions[0]

    def has_versions_of(self, docs: Path) -> bool:
        """Whether `docs` belongs to the versioned docs plug-in."""
        if not self.versions:
            return False
        main = self.folder / "docs"
        own = (main, self.folder / "versioned_docs")
        return not main.is_dir() or self.folder.is_relative_to(docs) or any(map(docs.is_relative_to, own))

    def version_of(self, docs: Path) -> str:
        """Returns the version whose pages a folder holds."""
        versioned = docs.parent == self.folder / "versioned_docs"
        return docs.name.removeprefix("version-") if versioned else "current"


def layout(source: Path, site: SiteSettings) -> Layout:
    """Finds the folder of pages.

    Args:
        source: The folder of the book or of its site, absolute.
        site: The settings.

    Raises:
        BookNotFound: There is no folder of the version that the settings name.
    """
    names = [site.docs_dir, "src"] if site.preset == "mdbook" else [site.docs_dir]
    docs = next((folder for name in names if (folder := _below(source, name))), source)
    if site.preset != "docusaurus":
        return Layout(source, docs, site)
    home = _home(source)
    # Without a configuration the folder above `docs` is taken for the site: people copy `docs` alone.
    root = home.folder if home else source if docs != source else source.parent
    # A repository with the site in a subfolder (`website/`) is given as a whole.
    if docs == source and home and home.folder.parent == source:
        docs = _below(home.folder, site.docs_dir) or docs
    notes = _notes(source, docs, home, site)
    if site.math is None and home:
        # The configuration of a site whose docs lie elsewhere may speak of another plug-in: its yes is
        # believed, its no is not.
        is_its_own = docs.parent in (home.folder, home.folder / "versioned_docs") or home.folder == source
        has_math = home.has_math
        site = site.model_copy(update={"math": has_math if is_its_own else has_math or None})
    home = home or _Home(root)
    if site.version or home.has_versions_of(docs):
        # Whoever names the folder of a version means that version, even if the site shows another first.
        chosen = docs == source and home.folder in source.parents
        versioned, site, note = _version(home, docs, site, chosen=chosen)
        notes = (*notes, note) if versioned == docs else (note,)
        docs = versioned
    return Layout(root, docs, site, notes)


def _below(folder: Path, name: str) -> Path | None:
    """Returns the folder of that name relative to another one; None if it is missing or the same folder."""
    below = Path(os.path.normpath(folder / name)) if name.strip("/") else folder
    return below if below != folder and below.is_dir() else None


def _home(source: Path) -> _Home | None:
    """Finds the site that a folder is, belongs to, or contains."""
    for folder in (source, *source.parents[:_ABOVE]):
        if any(folder.glob(_CONFIG)):
            return _Home(folder)
    inside = {file.parent for file in source.glob(f"*/{_CONFIG}")}
    return _Home(inside.pop()) if len(inside) == 1 else None


def _version(home: _Home, docs: Path, site: SiteSettings, *, chosen: bool) -> tuple[Path, SiteSettings, str]:
    """Returns the folder and settings of the version to index, and hints for the author."""
    there = home.version_of(docs)
    last = home.last_version if home.versions else "current"
    version = site.version or (there if chosen or there != "current" else last)
    if version != there:
        docs = home.docs_of(version)
        if not docs.is_dir():
            raise BookNotFound(docs)
    # Docusaurus serves the last version without a prefix and `current` below `next`, unless there is only
    # one.
    part = "" if version == last else "next" if version == "current" else version
    path = join(site.route_base_path, part).rstrip("/") or "/"
    note = f"the site has versions: these are the pages of `{version}`, at {join(site.base_url, path)}"
    return docs, site.model_copy(update={"route_base_path": path}), f"{note} (`site.version` chooses another)"


def _notes(source: Path, docs: Path, home: _Home | None, site: SiteSettings) -> tuple[str, ...]:
    """Returns warnings about links that are wrong if the folder was misunderstood."""
    if docs != source:
        other = _below(home.folder, site.docs_dir) if home and home.folder.parent == source else None
        if not other or other == docs:
            return ()
        return (
            f"there are pages in `{other.relative_to(source)}`, too, and these are those of `{site.docs_dir}`: for the "
            f"others give `--source {other.parent}`",
        )
    if home and home.folder == source:
        return (
            f"the site has no folder `{site.docs_dir}`, so that every page below `{source.name}` is taken for one of "
            "its docs: set `site.docs_dir` to the `path` of its docs plug-in",
        )
    inside = sorted(folder.parent for folder in source.glob(f"[!.]*/{site.docs_dir}") if folder.is_dir())
    if not home and inside:
        return (
            f"there is no folder `{site.docs_dir}`, so that every page below `{source.name}` is taken for one of its "
            f"docs. If the site is in `{inside[0].name}`, give `--source {source / inside[0].name}`",
        )
    return ()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""

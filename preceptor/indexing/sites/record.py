"""The record of a book's site that every generator's module fills from the site's files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from preceptor.indexing.python_markdown import Dialect
from preceptor.settings import SiteSettings

_EXAMPLES = ("example", "test", "invalid", "localhost")
"""Names that no site can have (RFC 2606), and `example.com` and its kin."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as the site's own table of contents has it."""

    title: str = ""
    """Title; empty if the contents leave it to the page."""
    labels: tuple[str, ...] = ()
    """Labels of the parts of the book above it, outermost first."""
    at: str | None = None
    """Path on the site, below its base; None if the generator's rule gives it."""
    language: str = ""
    """BCP 47 tag; empty if it is the book's language."""


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of pages with the rules that make their links."""

    docs: Path
    site: SiteSettings
    """Settings, completed from the site's files; the preset is never `auto`."""
    contents: Mapping[str, Entry] | None = None
    """Pages by their path below the folder, in reading order; None if the folders give the order."""
    left_out: str = ""
    """Reason why a file that the contents do not name is no page; empty if it is one, after the others."""
    chapters: str = ""
    """Prefix of the ids of its chapters, in a book of several parts."""
    dialect: Dialect | None = None
    """Python-Markdown's extensions with which pages are read (MkDocs)."""
    base: Path | None = None
    """The folder that paths in these options are seen from."""
    hides_underscored: bool = True
    """Whether a leading `_` means a file that is part of others, where the generator has that rule."""
    is_assumed: bool = False
    """Whether nothing in the site's files says that the folder is one of pages: it may be a whole repository."""
    behind: Path | None = None
    """The folder whose pages stand for those that this one, a translation, lacks."""

    @property
    def front_matter_must_end(self) -> bool:
        """Whether the generator refuses a page whose front matter nothing closes."""
        return self.site.preset == "docusaurus" and not self.is_assumed


@dataclass(frozen=True, slots=True)
class Site:
    """The site that a book's folder holds or belongs to."""

    root: Path
    """Folder of the site, to which Docusaurus' `@site/` refers."""
    parts: tuple[Part, ...]
    line: str
    """Sentence that tells the author for which site the folder was taken."""
    title: str = ""
    language: str = ""
    """BCP 47 tag; empty if the site gives none."""
    notes: tuple[str, ...] = ()
    """Hints for the author, on which the links may depend."""


@dataclass(slots=True)
class Said:
    """Values from a site's files while they are read, with notes for the author."""

    file: str
    """Name of the file, for messages."""
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    """Values by the name of the setting."""
    notes: list[str] = field(default_factory=list[str])

    def address(self, url: str) -> None:
        """Takes over the site's address if readers can open it; its path becomes the base of all links."""
        parts = urlsplit(url.strip())
        if not parts.hostname or parts.scheme not in ("http", "https"):
            return
        self.values["base_url"] = parts.path or "/"
        if not is_example(parts.hostname):
            self.values["url"] = f"{parts.scheme}://{parts.netloc}"

    def settled(self, site: SiteSettings, preset: str) -> SiteSettings:
        """Returns the completed settings; a setting that contradicts the site wins and is noted."""
        given = {name: getattr(site, name) for name in site.model_fields_set}
        settled = SiteSettings.model_validate({**self.values, **given, "preset": preset})
        for name, value in self.values.items():
            said = getattr(SiteSettings.model_validate({name: value}), name)
            if name in given and said != given[name]:
                self.notes.append(
                    f"`site.{name}` is `{given[name]}` in the settings and `{said}` in {self.file}: the settings win"
                )
        return settled


def is_example(host: str) -> bool:
    """Whether a host's name is one of those that are kept for examples and tests."""
    names = host.lower().rstrip(".").split(".")
    loopback = host.startswith("127.") or host == "::1"
    placeholder = "your-docusaurus" in host  # of Docusaurus' own templates
    return loopback or placeholder or names[-1] in _EXAMPLES or "example" in names[-2:-1]


def below(folder: Path, name: str) -> Path | None:
    """Returns the folder of that name, as seen from the other one; None when there is none, or it is the same."""
    inner = Path(os.path.normpath(folder / name)) if name.strip("/") else folder
    return inner if inner != folder and inner.is_dir() else None


def shown(folder: Path, source: Path) -> str:
    """Returns a folder as seen from the one that was given."""
    relative = os.path.relpath(folder, source)
    return f"`{relative}/`" if relative != "." else "this folder"


def language_tag(written: object) -> str:
    """Returns a BCP 47 tag such as `pt-BR` (also for `pt_BR`); empty for anything else."""
    tag = str(written).strip().replace("_", "-") if isinstance(written, str) else ""
    first, *others = tag.split("-")
    return (
        tag
        if first.isalpha() and first.islower() and 2 <= len(first) <= 3 and all(map(str.isalnum, others))
        else ""
    )

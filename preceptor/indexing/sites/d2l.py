"""Books of d2lbook ("Dive into Deep Learning" and its translations): `config.ini`, and Sphinx behind it."""

from configparser import ConfigParser, Error
from fnmatch import fnmatch
from pathlib import Path

from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.indexing.sites.sphinx import toctrees
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

CONFIG = "config.ini"


def is_book(folder: Path) -> bool:
    """Whether a folder's `config.ini` is that of a book."""
    config = _config(folder)
    return (
        config.has_section("project")
        and config.has_section("build")
        and config.has_option("project", "title")
    )


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a book of d2lbook.

    Args:
        source: The folder that was given.
        home: The book's folder, with `config.ini`; None where there is none.
        site: The settings.
    """
    root = home or source
    config = _config(root)
    said = Said(CONFIG, {"directory_urls": False, "label_ids": False})
    docs = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set else None
    docs = docs or root
    excluded = config.get("build", "exclusions", fallback="").split()
    names = (path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md")))
    contents = toctrees(docs, "index")
    contents |= {
        name: contents.get(name, Entry())
        for name in names
        if not name.startswith("_build/") and not any(fnmatch(name, pattern) for pattern in excluded)
    }
    settled = said.settled(site, "d2l")
    return Site(
        root=root,
        parts=(Part(docs, settled, contents, left_out=f"{CONFIG} leaves it out"),),
        line=f"book of d2lbook, {shown(docs, source)}, {counted(len(contents), 'pages')}",
        title=config.get("project", "title", fallback=""),
        language=language_tag(config.get("project", "lang", fallback="")),
        notes=tuple(said.notes),
    )


def _config(folder: Path) -> ConfigParser:
    config = ConfigParser(interpolation=None)
    try:
        config.read(folder / CONFIG, encoding="utf-8-sig")
    except (Error, UnicodeDecodeError):
        return ConfigParser()
    return config

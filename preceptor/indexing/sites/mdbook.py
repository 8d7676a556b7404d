"""mdBook: `book.toml`, and the chapters that `SUMMARY.md` names."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

SUMMARY = "SUMMARY.md"
CONFIG = "book.toml"
_NAMED = 3
"""Number of missing pages that a note names."""
_NOT_NAMED = "SUMMARY.md does not name it"


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a book of mdBook.

    Args:
        source: The folder that was given.
        home: The book's folder, with `book.toml`; None where there is none.
        site: The settings.
    """
    said = Said(CONFIG)
    root = home or source
    config = _config(root / CONFIG, said)
    book, build = _table(config, "book"), _table(config, "build")
    html = _table(_table(config, "output"), "html")
    _address(html, said)
    if build.get("use-default-preprocessors") is False and "index" not in _table(config, "preprocessor"):
        said.values["readme_is_index"] = False
    if html.get("smart-punctuation") is False:
        said.values["smart_punctuation"] = False
    docs = _folder(source, home, book, site)
    settled = said.settled(site, "mdbook")
    contents = chapters(docs / SUMMARY)
    left_out = _NOT_NAMED if contents is not None else ""
    if contents is None:
        said.notes.append(f"there is no {SUMMARY} in {shown(docs, source)}, so that every page counts")
    parts = (Part(docs, settled, contents, left_out),)
    there = [name for name in contents or () if (docs / name).is_file()]
    missing = [name for name in contents or () if name not in there and "://" not in name]
    if missing:
        more = " and others" if len(missing) > _NAMED else ""
        said.notes.append(f"{SUMMARY} names pages that are not there: {', '.join(missing[:_NAMED])}{more}")
    count = f"{counted(len(there), 'chapters')} of SUMMARY.md"
    kind = "mdBook site" if (root / CONFIG).is_file() else "mdBook site without a book.toml"
    title, language = book.get("title"), book.get("language")
    return Site(
        root=root,
        parts=parts,
        line=f"{kind}, {shown(docs, source)}, {count}",
        title=title if isinstance(title, str) else "",
        language=language_tag(language),
        notes=tuple(said.notes),
    )


def chapters(summary: Path) -> dict[str, Entry] | None:
    """Returns the chapters by their path, in order, as SUMMARY.md names them; None where there is no such file."""
    try:
        text = summary.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    found: dict[str, Entry] = {}
    labels: list[str] = []
    part = ""
    depth = 0
    is_first = True
    tokens = _markdown().parse(text)
    for before, token in zip([None, *tokens], tokens, strict=False):
        depth += {
            "bullet_list_open": 1,
            "ordered_list_open": 1,
            "bullet_list_close": -1,
            "ordered_list_close": -1,
        }.get(token.type, 0)
        if token.type != "inline":
            continue
        if before and before.type == "heading_open":
            if before.tag == "h1" and not is_first:
                part, labels = _plain(token.children or ()), []
            is_first = False
            continue
        is_first = False
        for path, name in _links(token.children or ()):
            labels[max(depth - 1, 0) :] = [name]
            above = tuple(filter(None, (part, *labels[:-1]))) if depth else ()
            if path:
                found.setdefault(path, Entry(name, above))
    return found


def _links(tokens: "tuple[Token, ...] | list[Token]") -> Iterator[tuple[str, str]]:
    """Yields the path and the text of each link of a line; the path of a draft is empty."""
    inside: list[Token] | None = None
    href = ""
    for token in tokens:
        if token.type == "link_open":
            href, inside = str(token.attrs.get("href", "")), []
        elif token.type == "link_close" and inside is not None:
            path = href.replace("%20", " ")
            yield (os.path.normpath(path).replace(os.sep, "/") if path else "", _plain(inside))
            inside = None
        elif inside is not None:
            inside.append(token)


def _plain(tokens: "tuple[Token, ...] | list[Token]") -> str:
    parts = (" " if token.type in ("softbreak", "hardbreak") else token.content for token in tokens)
    return " ".join("".join(parts).split())


def _markdown() -> MarkdownIt:
    md = MarkdownIt("commonmark")
    md.normalizeLink = lambda url: url  # paths as they are written
    md.validateLink = lambda url: True
    return md


def _folder(source: Path, home: Path | None, book: Mapping[str, Any], site: SiteSettings) -> Path:
    """Returns the folder of SUMMARY.md."""
    if "docs_dir" in site.model_fields_set and (given := below(source, site.docs_dir)):
        return given
    src = book.get("src")
    if home:
        return (home / (src if isinstance(src, str) else "src")).resolve()
    names = (
        [site.docs_dir, "src", "."]
        if (source / site.docs_dir / SUMMARY).is_file()
        else ["src", site.docs_dir]
    )
    return next((folder for name in names if (folder := below(source, name))), source)


def _address(html: Mapping[str, Any], said: Said) -> None:
    """Finds where the book is published: `site-url` (a path, or the whole address) and `cname`."""
    address, host = html.get("site-url"), html.get("cname")
    if isinstance(address, str) and address.strip():
        if re.match(r"https?://", address):
            said.address(address)
        else:
            said.values["base_url"] = address
    if isinstance(host, str) and host.strip():
        said.address(f"https://{host}{said.values.get('base_url', '/')}")


def _config(file: Path, said: Said) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        said.notes.append(f"{CONFIG} cannot be read ({error}): mdBook's defaults are taken")
        return {}


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = values.get(name)
    return table if isinstance(table, Mapping) else {}

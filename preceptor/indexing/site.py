"""Addresses of pages: the path that a site generator gives them, for each preset of `site`.

Docusaurus' rules are those of version 3 (plug-in content-docs); they are written out in docs/links.md.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from preceptor.indexing.front import FrontMatter
from preceptor.library.passage import origin_of
from preceptor.settings import SiteSettings

_NO_PREFIX = re.compile(r"[0-9]+[-_.][0-9]")
"""Names that only look numbered: dates and versions (`2021-11-foo`, `7.0-foo`)."""
_PREFIX = re.compile(r"(?P<number>[0-9]+)\s*[-_.]+\s*(?P<rest>[^-_.\s].*)", re.DOTALL)
_UNSAFE_IN_LINK = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}?#]|%(?![0-9A-Fa-f]{2})")


class Numbered(NamedTuple):
    """A file's or folder's name without its number prefix, and the number."""

    name: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Location of a page's file."""

    source: str
    """Path below the book's folder."""
    relative: str
    """Path below the docs folder."""
    at: str | None = None
    """Path of the page on the site, below its base, if the site's files give it."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders from the docs folder down to the page."""
        return PurePosixPath(self.relative).parts[:-1]

    @property
    def stem(self) -> str:
        """Name of the file without its suffix."""
        return PurePosixPath(self.relative).stem


def page_url(site: SiteSettings, place: Place, front: FrontMatter) -> str:
    """Returns the page's address, not encoded: `site.url` and the path that the site generator gives it."""
    if place.at is not None:
        path = join(site.base_url, place.at)
    elif site.preset == "plain":
        path = join(site.base_url, place.source)
    elif site.preset == "mdbook":
        path = join(site.base_url, _mdbook_path(site, place))
    elif site.preset == "mkdocs":
        path = join(site.base_url, _mkdocs_path(site, place))
    elif site.preset == "quarto":
        path = join(site.base_url, "/".join((*place.folders, f"{place.stem}.html")))
    elif site.preset in ("sphinx", "d2l"):
        path = join(site.base_url, _sphinx_path(site, place))
    elif site.preset == "huggingface":
        path = join(site.base_url, "/".join((*place.folders, place.stem)))
    else:
        path = _trailing_slash(site, permalink(site, place, front))
    return site.url.rstrip("/") + path


def image_url(site: SiteSettings, place: Place, page: str, source: str, markdown: bool) -> str:
    """Returns the address that an image has on the site.

    Args:
        site: Its rules.
        place: Location of the page's file.
        page: The page's address.
        source: What the page says: an address, a path from the site's root, or one relative to the file.
        markdown: Whether Markdown made the image, whose path generators adapt; that of a tag stays as it is.

    Returns:
        The address, encoded; empty if it is of another origin than the site and those of `image_origins`, or if only a
        build would tell it.
    """
    try:
        parts = urlsplit(source)
    except ValueError:
        return ""
    if parts.scheme or parts.netloc:
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        allowed = {origin_of(site.url), *map(str.lower, site.image_origins)}
        shown = parts.scheme in ("http", "https") and (origin in allowed or "*" in site.image_origins)
        query = f"?{link_safe(parts.query)}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}{link_safe(parts.path)}{query}" if shown else ""
    path = _image_path(site, place, page, parts.path, markdown=markdown) if parts.path else ""
    return site.url.rstrip("/") + link_safe(path) if path else ""


def _image_path(site: SiteSettings, place: Place, page: str, path: str, *, markdown: bool) -> str:
    """Returns the path of an image on the site, not encoded; empty if it is unknown."""
    if not markdown:
        return resolve(path, urlsplit(page).path)
    if site.preset in ("sphinx", "d2l"):
        return join(site.base_url, "_images", PurePosixPath(path).name)
    if site.preset != "docusaurus":
        inside = place.source if site.preset == "plain" else place.relative
        return path if path.startswith("/") else resolve(path, join(site.base_url, inside))
    if path.startswith("/"):
        return join(site.base_url, path)
    # What lies elsewhere gets a hash into its name when the site is built.
    file = path.removeprefix("@site") if path.startswith("@site/") else resolve(path, f"/{place.source}")
    return join(site.base_url, file.removeprefix("/static/")) if file.startswith("/static/") else ""


def permalink(site: SiteSettings, place: Place, front: FrontMatter) -> str:
    """Returns Docusaurus' permalink of the page: `baseUrl`, `routeBasePath` and the slug, not encoded."""
    return join(site.base_url, site.route_base_path, _slug(site, place, front))


def chapter_id(site: SiteSettings, place: Place, front: FrontMatter) -> str:
    """Returns the page's path without number prefixes and suffix."""
    parse = site.number_prefixes and front.number_prefixes
    return "/".join(split_number(part, parse=parse).name for part in (*place.folders, place.stem))


def is_index(place: Place) -> bool:
    """Whether the page represents its folder: `index`, `README`, or the folder's own name."""
    names = {"index", "readme", *(folder.lower() for folder in place.folders[-1:])}
    return place.stem.lower() in names


def split_number(name: str, *, parse: bool = True) -> Numbered:
    """Splits `01-intro` into `intro` and 1; returns other names unchanged."""
    match = _PREFIX.fullmatch(name) if parse and not _NO_PREFIX.match(name) else None
    return Numbered(match["rest"], int(match["number"])) if match else Numbered(name, None)


def resolve(path: str, folder: str) -> str:
    """Resolves a path relative to a folder, including `.` and `..`, as browsers do.

    Args:
        path: Relative, or absolute with a leading `/`.
        folder: Absolute, with a trailing `/`.
    """
    parts = path.split("/") if path.startswith("/") else [*folder.split("/")[:-1], *path.split("/")]
    resolved: list[str] = []
    for part in parts:
        if part == "..":
            resolved = resolved[:-1]
        elif part != ".":
            resolved.append(part)
    if parts[-1] in (".", "..") and resolved[-1:] != [""]:
        resolved.append("")
    if resolved[:1] != [""]:
        resolved.insert(0, "")
    return "/".join(resolved) or "/"


def join(*parts: str) -> str:
    """Joins parts of a path with single slashes; keeps a trailing slash of the last part."""
    return re.sub(r"/{2,}", "/", "/" + "/".join(parts))


def link_safe(path: str) -> str:
    """Percent-encodes characters that would break a link; letters of all scripts stay readable."""
    return _UNSAFE_IN_LINK.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), path)


def _slug(site: SiteSettings, place: Place, front: FrontMatter) -> str:
    if front.slug and front.slug.startswith("/"):
        return front.slug
    parse = site.number_prefixes and front.number_prefixes
    folders = [split_number(folder, parse=parse).name for folder in place.folders]
    folder = "/".join(["", *folders, ""])
    if not front.slug and is_index(place):
        return folder
    name = split_number(place.stem, parse=parse).name
    return resolve(front.slug or front.id or name, folder)


def _trailing_slash(site: SiteSettings, path: str) -> str:
    if site.trailing_slash is None or path in ("/", site.base_url):
        return path
    return path.rstrip("/") + ("/" if site.trailing_slash else "")


def _mdbook_path(site: SiteSettings, place: Place) -> str:
    name = "index" if site.readme_is_index and place.stem.lower() == "readme" else place.stem
    return "/".join([*place.folders, f"{name}.html"])


def _sphinx_path(site: SiteSettings, place: Place) -> str:
    if not site.directory_urls:
        return "/".join([*place.folders, f"{place.stem}.html"])
    return "/".join([*place.folders, *(() if place.stem == "index" else (place.stem,)), ""])


def _mkdocs_path(site: SiteSettings, place: Place) -> str:
    is_index = place.stem in ("index", "README")
    if not site.directory_urls:
        return "/".join([*place.folders, "index.html" if is_index else f"{place.stem}.html"])
    return "/".join([*place.folders, *(() if is_index else (place.stem,)), ""])

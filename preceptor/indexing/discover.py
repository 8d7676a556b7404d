"""Finds the pages of a book: their files, their reading order, and the reason for each page left out.

The order is that of Docusaurus' generated sidebar: by `sidebar_position`, the category's `position` or the
number prefix, then by name; a folder's index page comes before the pages of the folder.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from wcmatch import glob

from preceptor.errors import BookEmpty, BookNotFound, PageUnreadable
from preceptor.indexing.formats import FORMATS
from preceptor.indexing.front import FrontMatter, content_title, read_text, read_yaml, split_front_matter
from preceptor.indexing.include import Reach, reach
from preceptor.indexing.markdown_include import EXTENSIONS as INCLUDES
from preceptor.indexing.missing import Missing
from preceptor.indexing.page import Status
from preceptor.indexing.site import Place, chapter_id, is_index, split_number
from preceptor.indexing.sites.generators import read_site
from preceptor.indexing.sites.mdbook import SUMMARY
from preceptor.indexing.sites.record import Entry, Part
from preceptor.settings import BookSettings, SiteSettings

logger = logging.getLogger(__name__)

_GLOBS = glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.DOTGLOB | glob.FORCEUNIX
_SUFFIXES = {
    "docusaurus": (".md", ".mdx"),
    "plain": (".md", ".mdx", ".markdown"),
    "quarto": (".qmd", ".md"),
    "mkdocs": (".md", ".markdown", ".mdown", ".mkdn", ".mkd"),
}
PAGES = frozenset(chain(*_SUFFIXES.values(), FORMATS))
"""Suffixes of files that may be pages of a book."""
_NOT_PAGES = re.compile(
    r"(?i)(licen[cs]e|code_of_conduct|contributing|security)([-_.].*)?\.(md|mdx|markdown)"
)
"""Files at the root of a repository that describe the repository, not the book."""
_CATEGORY = ("_category_.json", "_category_.yml", "_category_.yaml")
_CATEGORY_FIELDS = frozenset(
    {
        "label",
        "position",
        "collapsible",
        "collapsed",
        "className",
        "key",
        "link",
        "customProps",
        "description",
    }
)
_TABS = re.compile(r"^\t+", re.MULTILINE)
_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\s*", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"""^[\s{,]*["']?label["']?\s*:\s*[-+]?[\d.]+\s*(?:[,}#\n]|\Z)""", re.MULTILINE)
_OTHER_FORMATS = frozenset(
    {
        ".rst",
        ".adoc",
        ".asciidoc",
        ".org",
        ".qmd",
        ".rmd",
        ".docx",
        ".doc",
        ".odt",
        ".epub",
        ".pptx",
        ".tex",
        ".textile",
    }
)
"""Suffixes of documents that may be pages but are not read."""
_UNDERSCORED = ("docusaurus", "plain", "quarto")
"""Presets to which a leading `_` means a file that is part of others, and `draft` in the front matter a draft."""
_LAST = float("inf")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that is a page, or would be one if published."""

    path: Path
    place: Place
    status: Status
    """Status of the page, never `failed`: errors in a page only show when it is read."""
    reason: str
    chapter: str
    breadcrumb: tuple[str, ...]
    """Labels of the page's folders, outermost first."""
    position: int
    """Position among the published pages, in reading order, from 0."""
    part: Part
    """Part of the book that the page belongs to: its folder and the rules for its links."""
    title: str = ""
    """Title in the site's table of contents; empty if the page has its own."""
    language: str = ""
    """Language according to the site; empty if the text shows it."""

    @property
    def source(self) -> str:
        """Path below the book's folder, with `/`."""
        return self.place.source


@dataclass(frozen=True)
class Book:
    """A folder of pages in reading order."""

    id: str
    title: str
    language: str
    source: Path
    root: Path
    """Folder of the site, to which `@site/` refers."""
    parts: tuple[Part, ...]
    """Folders of pages, each with its rules; a site with several docs plug-ins or languages has several."""
    docs: Path
    """Folder of the first part's pages; `of` gives that of a page."""
    site: SiteSettings
    """Settings of the first part, completed from the site's own files; `of` gives those of a page."""
    files: tuple[PageFile, ...]
    line: str = ""
    """Sentence that says for which site the folder was taken."""
    notes: tuple[str, ...] = ()
    """Remarks for the author about the folder, on which the links depend."""
    missing: tuple[Missing, ...] = ()
    """Parts of the folder that the pages lack."""

    @cached_property
    def reach(self) -> Reach:
        """Files that the pages may take in."""
        part = self.parts[0]
        extensions = part.dialect.extensions if part.dialect else {}
        return reach(
            self.root,
            self.source,
            self.docs,
            self.site.preset,
            snippets=extensions.get("pymdownx.snippets"),
            base=part.base or self.root,
            includes=next((extensions[name] for name in INCLUDES if name in extensions), None),
        )

    def of(self, file: PageFile) -> "Book":
        """Returns the book with the folder and the rules of one page's part."""
        return replace(self, parts=(file.part,), docs=file.part.docs, site=file.part.site)

    @cached_property
    def published(self) -> int:
        """Number of pages to index."""
        return sum(file.status == "published" for file in self.files)


@dataclass(slots=True)
class _Found:
    """A page's file with the data that determines its order and labels."""

    path: Path
    place: Place
    front: FrontMatter
    title: str
    status: Status
    reason: str
    number_prefixes: bool
    entry: Entry | None = None

    @property
    def position(self) -> float:
        if self.front.sidebar_position is not None:
            return self.front.sidebar_position
        number = split_number(self.place.stem, parse=self.number_prefixes).number
        return _LAST if number is None else number

    @property
    def local_id(self) -> str:
        """Returns the name by which `link: {type: doc, id: …}` of a category refers to the page."""
        return self.front.id or split_number(self.place.stem, parse=self.number_prefixes).name


@dataclass(slots=True)
class _Folder:
    """A folder of the docs with its pages and folders by name."""

    name: str
    category: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pages: list[_Found] = field(default_factory=list["_Found"])
    folders: dict[str, "_Folder"] = field(default_factory=dict[str, "_Folder"])


def discover(source: Path, site: SiteSettings, book: BookSettings | None = None) -> Book:
    """Finds the pages of the book in a folder.

    Args:
        source: The folder of the book or of its site.
        site: How the site makes its links.
        book: Description of the book; missing values come from the folder's name.

    Raises:
        BookNotFound: There is no such folder.
        BookEmpty: It holds no page that would be published.
    """
    book = book or BookSettings()
    if not source.is_dir():
        raise BookNotFound(source)
    source = source.resolve()
    read = read_site(source, site)
    files = tuple(_pages(source, read.parts))
    if not any(file.status == "published" for file in files):
        others = [(file.source, file.reason) for file in files if file.path.suffix in FORMATS]
        raise BookEmpty(source, skipped=len(files) - len(others), failed=others)
    return Book(
        id=book.id or re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-") or "book",
        title=book.title or read.title or humanised(source.name) or "Book",
        language=book.language if "language" in book.model_fields_set else read.language or book.language,
        source=source,
        root=read.root,
        parts=read.parts,
        docs=read.parts[0].docs,
        site=read.parts[0].site,
        files=files,
        line=read.line,
        notes=read.notes,
        missing=(*_broken_categories(files, source), *_unread_formats(source, files, read.parts)),
    )


def humanised(name: str) -> str:
    """Turns a folder's or file's name into a title: `module-1_ros2` is `Module 1 ros2`."""
    words = " ".join(re.split(r"[-_\s]+", name)).strip()
    return words[:1].upper() + words[1:]


def files_below(top: Path) -> Iterator[Path]:
    """Yields every file in a folder except hidden ones and those of tools.

    Links to folders are followed once, and not at all if they lead to a folder that is among the others.
    """
    seen: set[str] = set()
    whole = Path(os.path.realpath(top))
    for folder, folders, names in os.walk(top, followlinks=True):
        # A link to a folder above would be followed for ever.
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("node_modules", "_build")
            and not _leads_into(Path(folder, name), whole)
            and not _holds_translations(Path(folder, name))
        )
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _leads_into(folder: Path, whole: Path) -> bool:
    """Whether a folder is a link to another one of the same whole, whose pages keep their own links."""
    return folder.is_symlink() and folder.resolve().is_relative_to(whole)


def _files(source: Path, part: Part) -> Iterator[tuple[Path, Path]]:
    """Yields files with a page's suffix, each with the folder of pages that contains it."""
    suffixes = {*_SUFFIXES.get(part.site.preset, _SUFFIXES["plain"]), *FORMATS}
    top = source if source.is_relative_to(part.docs) else part.docs
    taken: set[Path] = set()
    folders = [(part.docs, top), (part.behind, part.behind)] if part.behind else [(part.docs, top)]
    for docs, top in folders:
        for path in sorted(files_below(top)):
            relative = path.relative_to(docs)
            if path.suffix in suffixes and path.is_file() and relative not in taken:
                taken.add(relative)
                yield path, docs


def _holds_translations(folder: Path) -> bool:
    """Whether the folder is Docusaurus' `i18n`, which holds pages of sites in other languages."""
    return folder.name.startswith("i18n") and any(folder.glob("*/docusaurus-*"))


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Returns a function that tests whether one of the patterns matches a path below the docs folder.

    Patterns have Docusaurus' meaning; a folder's name matches everything in it.
    """
    plain = [pattern.removeprefix("./").rstrip("/") for pattern in patterns]
    folders = [f"{glob.escape(pattern)}/**" for pattern in plain if not glob.is_magic(pattern, flags=_GLOBS)]
    # As micromatch has it, `x/**` matches `x`: `!(old)/**` means the files at the top, too.
    themselves = [pattern.removesuffix("/**") for pattern in plain]
    return glob.compile([*plain, *folders, *themselves], flags=_GLOBS).match


def _pages(source: Path, parts: Iterable[Part]) -> Iterator[PageFile]:
    """Yields the pages of all parts in reading order."""
    position = 0
    chapters: set[str] = set()
    for part in parts:
        left_out = _left_out(part.site)
        found = [_look(path, docs, source, part, left_out) for path, docs in _files(source, part)]
        for page, labels in _in_order(found, part):
            chapter = _unique_chapter(page, part, chapters)
            entry = page.entry or Entry()
            yield PageFile(
                page.path, page.place, page.status, page.reason, chapter, labels, position, part,
                title=entry.title, language=entry.language,
            )  # fmt: skip
            position += page.status == "published"


def _left_out(site: SiteSettings) -> Callable[[str], bool]:
    """Returns a function that tests whether the settings leave out a path below the docs folder."""
    excluded, included = _matcher(site.exclude), _matcher(site.include or ("**",))
    return lambda name: excluded(name) or not included(name)


def _look(path: Path, docs: Path, source: Path, part: Part, excluded: Callable[[str], bool]) -> _Found:
    # A file's name may be no UTF-8; what is stored and printed has to be.
    relative = path.relative_to(docs).as_posix().encode(errors="replace").decode()
    below = Path(os.path.relpath(docs, source)).as_posix()
    inside = path.relative_to(source) if path.is_relative_to(source) else PurePosixPath(below, relative)
    name = inside.as_posix().encode(errors="replace").decode()
    entry = part.contents.get(relative) if part.contents is not None else None
    place = Place(name, relative, entry.at if entry else None)
    front, title = FrontMatter(), ""
    try:
        if path.suffix not in FORMATS:
            text = read_text(path, name)
            front, body = split_front_matter(text, name, must_end=part.front_matter_must_end)
            title = front.sidebar_label or front.title or content_title(body) or ""
    except PageUnreadable as error:  # it is reported when the page is read
        logger.debug("%s", error)
    if excluded(relative):
        status, reason = "partial", "`site.include` or `site.exclude` leaves it out"
    elif part.contents is not None and part.left_out and not entry and not _is_copied(path, part.site):
        is_contents = part.site.preset == "mdbook" and relative == SUMMARY
        status, reason = "partial", "it is the table of contents" if is_contents else part.left_out
    else:
        status, reason = _status(place, front, part, at_root=part.is_assumed and below == ".")
    parse = part.site.number_prefixes and front.number_prefixes
    return _Found(path, place, front, title, status, reason, parse, entry)


def _is_copied(path: Path, site: SiteSettings) -> bool:
    """Whether MkDocs puts a file on the site as it is, whatever its navigation names."""
    return site.preset == "mkdocs" and path.suffix in FORMATS


def _status(place: Place, front: FrontMatter, part: Part, *, at_root: bool) -> tuple[Status, str]:
    path, site = PurePosixPath(place.relative), part.site
    hides = site.preset in _UNDERSCORED and part.hides_underscored
    if hides and any(name.startswith("_") for name in path.parts):
        return "partial", "its name, or a folder's above it, begins with `_`"
    if path.suffix in FORMATS and not FORMATS[path.suffix].is_installed:
        return "partial", f"`pip install 'preceptor[formats]'` reads {path.suffix[1:].upper()} files"
    if at_root and not place.folders and _NOT_PAGES.fullmatch(place.relative):
        return "partial", "it is about the repository, not of the book"
    if front.draft and site.preset in _UNDERSCORED:
        return "draft", "its front matter says `draft: true`"
    if front.unlisted and site.preset in _UNDERSCORED:
        return "unlisted", "its front matter says `unlisted: true`"
    return "published", ""


def _in_order(found: Iterable[_Found], part: Part) -> Iterator[tuple[_Found, tuple[str, ...]]]:
    """Yields the pages with the labels above them, from the site's contents, else from the folders."""
    root = _Folder("")
    for page in found:
        folder = root
        for depth, name in enumerate(page.place.folders, start=1):
            if name not in folder.folders:
                category = _category(part.docs.joinpath(*page.place.folders[:depth]))
                folder.folders[name] = _Folder(name, category)
            folder = folder.folders[name]
        folder.pages.append(page)
    walked = list(_walk(root, (), part.site))
    if part.contents is not None:
        order = {name: place for place, name in enumerate(part.contents)}
        walked = [(page, page.entry.labels if page.entry else labels) for page, labels in walked]
        walked.sort(key=lambda entry: order.get(entry[0].place.relative, len(order)))
    yield from walked


def _walk(
    folder: _Folder, labels: tuple[str, ...], site: SiteSettings
) -> Iterator[tuple[_Found, tuple[str, ...]]]:
    linked = _linked_page(folder, site, root=not labels and not folder.name)
    if linked:
        yield linked, labels
    items: list[tuple[float, str, _Found | _Folder]] = [
        (page.position, PurePosixPath(page.place.relative).name, page)
        for page in folder.pages
        if page is not linked
    ]
    items += [(_folder_position(inner, site), inner.name, inner) for inner in folder.folders.values()]
    for _, _, item in sorted(items, key=lambda entry: entry[:2]):
        if isinstance(item, _Folder):
            yield from _walk(item, (*labels, _label(item, site)), site)
        else:
            yield item, labels


def _linked_page(folder: _Folder, site: SiteSettings, *, root: bool) -> _Found | None:
    """Returns the page that a folder's label opens: the one that its category names, or its index."""
    # The index at the top is an ordinary page of the sidebar there, at its own position.
    if root and site.preset == "docusaurus":
        return None
    if "link" in folder.category:
        link = folder.category["link"]
        wanted = link.get("id") if isinstance(link, dict) and link.get("type") == "doc" else None
        local = str(wanted).rsplit("/", 1)[-1]
        return next((page for page in folder.pages if wanted and page.local_id == local), None)
    return next((page for page in folder.pages if is_index(page.place)), None)


def _folder_position(folder: _Folder, site: SiteSettings) -> float:
    position = folder.category.get("position")
    if position is not None:
        try:
            return float(position)
        except (TypeError, ValueError):
            pass
    linked = _linked_page(folder, site, root=False)
    if linked and linked.position != _LAST:
        return linked.position
    number = split_number(folder.name, parse=site.number_prefixes).number
    return _LAST if number is None else number


def _label(folder: _Folder, site: SiteSettings) -> str:
    label = folder.category.get("label")
    if isinstance(label, str) and label.strip():
        return label.strip()
    linked = _linked_page(folder, site, root=False)
    if linked and linked.title:
        return linked.title
    return humanised(split_number(folder.name, parse=site.number_prefixes).name)


def _category(folder: Path) -> Mapping[str, Any]:
    """Reads `_category_.json` (or `.yml`) of a folder; empty if it is missing or broken."""
    try:
        return read_category(folder)
    except PageUnreadable:  # it is reported with what else is missing
        return {}


def read_category(folder: Path) -> Mapping[str, Any]:
    """Reads `_category_.json` (or `.yml`) of a folder as YAML, as Docusaurus does; empty if there is none.

    Raises:
        PageUnreadable: It is broken; Docusaurus refuses it.
    """
    file = next((folder / name for name in _CATEGORY if (folder / name).is_file()), None)
    if file is None:
        return {}
    text = read_text(file, file.name)
    if text.lstrip().startswith(("{", "[")):
        text = _TABS.sub(lambda tabs: "    " * len(tabs[0]), text)  # which YAML of C's library has no use for
    loaded = read_yaml(text, file.name)
    if loaded is None:
        raise PageUnreadable(file.name, "it is no mapping")
    unknown = sorted(loaded.keys() - _CATEGORY_FIELDS)
    if unknown:
        raise PageUnreadable(file.name, f"Docusaurus knows no `{unknown[0]}`")
    if _NUMBER.fullmatch(str(loaded.get("position") or 0)) is None:
        raise PageUnreadable(file.name, "its `position` is not a number")
    if _BARE_NUMBER.search(text):
        raise PageUnreadable(file.name, "its `label` is a number, not text")
    return loaded


def _broken_categories(files: Iterable[PageFile], source: Path) -> Iterator[Missing]:
    """Yields an entry for each broken `_category_` file above the pages."""
    folders = {
        file.part.docs / folder
        for file in files
        if file.part.site.preset in ("docusaurus", "plain")
        for folder in PurePosixPath(file.place.relative).parents
    }
    for folder in sorted(folders):
        try:
            read_category(folder)
        except PageUnreadable as error:
            place = Path(os.path.relpath(folder / error.source, source)).as_posix()
            yield Missing("broken `_category_` files", place, error.reason)


def _unread_formats(source: Path, files: Iterable[PageFile], parts: Iterable[Part]) -> Iterator[Missing]:
    """Yields an entry for each document beside the pages whose format is not read."""
    pages = {file.path: file for file in files}
    for path in sorted({path for part in parts for path in files_below(part.docs)}):
        kind = f"{path.suffix[1:].upper()} files not read"
        if path in pages:
            if path.suffix in FORMATS and not FORMATS[path.suffix].is_installed:
                yield Missing(kind, pages[path].source, "preceptor[formats] reads them")
        elif path.suffix.lower() in _OTHER_FORMATS:
            place = Path(os.path.relpath(path, source)).as_posix()
            yield Missing(kind, place, "of another format than Preceptor reads")


def _unique_chapter(page: _Found, part: Part, taken: set[str]) -> str:
    """Returns a chapter id that is not taken; a duplicate becomes its path: `01-intro`, then `01-intro.mdx`."""
    whole = PurePosixPath(page.place.relative)
    own = [chapter_id(part.site, page.place, page.front), str(whole.with_suffix("")), str(whole)]
    wanted = [f"{part.chapters}/{name}" if part.chapters else name for name in own]
    numbered = (f"{whole}-{number}" for number in count(2))
    chapter = next(chapter for chapter in chain(wanted, numbered) if chapter not in taken)
    taken.add(chapter)
    return chapter

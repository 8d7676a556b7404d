"""Files that pages take in: mdBook's `{{#include}}` and its kin, MkDocs' snippets, and which files may be taken in.

A page may take in any text file of its repository, and none outside of it: symbolic links count as where they lead.
What cannot be taken in leaves nothing in the page, and is noted.
"""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from preceptor.errors import PageUnreadable
from preceptor.indexing.front import read_text
from preceptor.indexing.missing import Note

_LARGEST = 1_000_000
"""Largest file that is taken in, in bytes. A page that shows more is not meant for readers."""
LONGEST_PAGE = 1_000_000
"""Most characters that a page takes in: files that take in others twice make it grow by powers of two."""
_DEEPEST = 10
"""Deepest nesting of files that take in one another, as in mdBook."""

_MDBOOK = re.compile(r"(?P<escaped>\\\{\{#.*\}\})|\{\{\s*#(?P<name>[a-zA-Z0-9_]+)\s+(?P<rest>[^}]+)\}\}")
"""Includes as mdBook's `links` preprocessor finds them, also inside code."""
_UNSEEN = "\u2060"
"""Mark that keeps an escaped include, which is text, from being read as one; invisible characters are removed later."""
MDBOOK_INCLUDES = ("include", "rustdoc_include", "playground", "playpen")
_NUMBER = re.compile(r"\+?[0-9]+")
_ANCHOR = re.compile(r"ANCHOR:\s*(?P<name>[\w-]+)")
_ANCHOR_END = re.compile(r"ANCHOR_END:\s*(?P<name>[\w-]+)")
_SNIPPET_PATH = re.compile(r"""^[ \t]*(?:-+8<-+[ \t]+)?["']?(?P<path>[^"'\n]+?)["']?[ \t]*$""", re.MULTILINE)
BRACED = re.compile(
    r"(?P<indent>^[ \t]*)?(?P<escaped>\\)?\{!(?P<flags>[+-]?>?)[ \t]*(?P<path>[^|\[\]{}\n!]+?)[ \t]*"
    r"(?:\[ln:(?P<slices>[\d.,-]+)\])?[ \t]*(?:\|[^{}\n!]*)?!(?:lines=(?P<lines>[\d -]+))?\}"
    r"|^\{\*[ \t]*(?P<code>\S+)[ \t]*(?P<options>[^\n]*?)[ \t]*\*\}[ \t]*$",
    re.MULTILINE,
)
"""`{! file !}` of Python-Markdown's extensions, and `{* file.py *}` alone on its line."""
_IMPORT_PATH = re.compile(r"""(?:\bfrom|\bimport|\brequire\()\s*["'](?P<path>[^"'\n]+)["']""")
_RAW = re.compile(r"(?:[-!]*raw-loader(?:\?[^!]*)?!)(?P<path>.+)|(?P<query>.+)\?raw")
_CONFIGURATIONS = ("docusaurus.config.*", "book.toml", "mkdocs.y*ml")
"""Files by which a site's folder is known."""
_CODE_SUFFIXES = ("", ".ts", ".tsx", ".mjs", ".js", ".jsx", ".json")
"""Suffixes that bundlers try at the end of a path."""


class NotTakenIn(Exception):
    """A file cannot be taken in; the message says why."""


def too_much(said: str) -> NotTakenIn:
    """Returns the refusal of a file for which a page has no more room."""
    return NotTakenIn(f"{said}: the page takes in more than {LONGEST_PAGE:,} characters")


@dataclass(frozen=True, slots=True)
class Body:
    """Text of a file, with the line of the file that each of its lines is, or was taken in by."""

    text: str
    lines: Sequence[int]

    @classmethod
    def of(cls, text: str, *, first: int = 1) -> "Body":
        """Returns the text of a file from its line `first` on."""
        return cls(text, range(first, first + text.count("\n") + 1))

    def replaced(self, pattern: re.Pattern[str], write: Callable[[re.Match[str], int], str]) -> "Body":
        """Returns the body with every match replaced by the result of `write`, called with the match and its line."""
        parts: list[str] = []
        lines = list(self.lines[:1])
        end = line = 0
        for match in pattern.finditer(self.text):
            between = self.text[end : match.start()]
            lines += self.lines[line + 1 : line + 1 + between.count("\n")]
            line += between.count("\n")
            made = write(match, line)
            parts += [between, made]
            lines += [self.lines[line]] * made.count("\n")
            line += match[0].count("\n")
            end = match.end()
        rest = self.text[end:]
        lines += self.lines[line + 1 : line + 1 + rest.count("\n")]
        return Body("".join([*parts, rest]), lines)


@dataclass(frozen=True, slots=True)
class Reach:
    """The files that the pages of a book may take in."""

    root: Path
    """The folder of the site."""
    source: Path
    """The folder of the book, from which files are named."""
    folders: tuple[Path, ...]
    """The repository, and the folders of the book and of its pages, which the author named."""
    snippets: "Mapping[str, Any] | None"
    """Options of MkDocs' snippets; None where the site does not read any."""
    hidden_lines: Mapping[str, str] = field(default_factory=dict[str, str])
    """MdBook's `hidelines`: the prefix of hidden lines by language."""
    links: bool = True
    """Whether mdBook's `links` preprocessor runs, which takes in files."""
    includes: Path | None = None
    """The folder from which `{! file !}` of Python-Markdown is seen; None where the site does not read it."""

    def name(self, path: Path) -> str:
        """Returns the path of a file below the book's folder, for messages."""
        return Path(os.path.relpath(path, self.source)).as_posix()

    def find(self, path: Path, said: str, *, above: Collection[Path] = ()) -> Path:
        """Returns the file at a path, with symbolic links followed.

        Args:
            path: The path of the file.
            said: The name of the file on the page.
            above: The files that take this one in, one the other.

        Raises:
            NotTakenIn: There is no such file, it is outside the repository, or it takes in itself.
        """
        try:
            found = path.resolve()
            is_file = found.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise NotTakenIn(f"{said}: no such file") from error
        # Asked of the resolved path: a link within the repository may lead out of it.
        inside = next((folder for folder in self.folders if found.is_relative_to(folder)), None)
        if inside is None:
            raise NotTakenIn(f"{said}: outside the repository")
        # Its configuration may hold an access token.
        if ".git" in found.relative_to(inside).parts:
            raise NotTakenIn(f"{said}: Git's own file")
        if not is_file:
            raise NotTakenIn(f"{said}: no such file")
        if found in above or len(above) > _DEEPEST:
            raise NotTakenIn(f"{said}: it takes in itself")
        return found

    def read(self, path: Path, said: str) -> str:
        """Returns the text of a file that `find` returned.

        Raises:
            NotTakenIn: It is too large, or no text.
        """
        try:
            size = path.stat().st_size
            if size > _LARGEST:
                raise NotTakenIn(f"{said}: {size:,} bytes, more than {_LARGEST:,}")
            with path.open("rb") as content:
                start = content.read(8192)
        except OSError as error:
            raise NotTakenIn(f"{said}: {error.strerror or 'it cannot be opened'}") from error
        # UTF-16 has zeros, and is text.
        if b"\0" in start and start[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            raise NotTakenIn(f"{said}: binary, no text")
        try:
            return read_text(path, said)
        except PageUnreadable as error:
            raise NotTakenIn(f"{said}: {error.reason}") from error

    def imported(self, name: str, folder: Path) -> Path:
        """Returns the file that an import names.

        Args:
            name: `@site/…` or relative, without a loader before it.
            folder: The folder of the file that imports it.

        Raises:
            NotTakenIn: There is no such file, or it is outside the repository, or in a package.
        """
        if name.startswith("@site/"):
            path = self.root / name.removeprefix("@site/")
        elif name.startswith(".") or (folder / name).is_file():
            path = folder / name
        else:
            raise NotTakenIn(f"{name}: of a package, or by an alias that only the site's own build knows")
        for suffix in _CODE_SUFFIXES:
            if path.with_name(path.name + suffix).is_file():
                path = path.with_name(path.name + suffix)
                break
        return self.find(path, name)


def reach(
    root: Path,
    source: Path,
    docs: Path,
    kind: str,
    *,
    snippets: Mapping[str, Any] | None = None,
    base: Path | None = None,
    includes: "Mapping[str, Any] | None" = None,
) -> Reach:
    """Returns the files that the pages of a site may take in.

    Args:
        root: The folder of the site, absolute.
        source: The folder of the book, absolute.
        docs: The folder of its pages, absolute.
        kind: The preset of its generator.
        snippets: Options of MkDocs' snippets; None if the site does not enable them.
        base: The folder that paths in these options are relative to; the site's by default.
        includes: Options of the extension that reads `{! file !}`; None if the site does not enable one.
    """
    root, source, docs = root.resolve(), source.resolve(), docs.resolve()
    repository = next((folder for folder in (source, *source.parents) if (folder / ".git").exists()), None)
    if repository is None:
        # Without a configuration the site's folder is a guess: the one above that which was given.
        is_known = any(file for name in _CONFIGURATIONS for file in root.glob(name))
        repository = root if is_known else source
    options = None if snippets is None else _snippet_options(snippets, (base or root).resolve(), docs)
    config = _toml(root / "book.toml") if kind == "mdbook" else {}
    code = _table(config, "output", "html", "code", "hidelines")
    hidden = {language: prefix for language, prefix in code.items() if isinstance(prefix, str) and prefix}
    defaults = _table(config, "build").get("use-default-preprocessors") is not False
    links = defaults or "links" in _table(config, "preprocessor")
    said = (includes or {}).get("base_path")
    seen_from = (base or root) / (said if isinstance(said, str) else "")
    return Reach(
        root,
        source,
        (repository, source, docs),
        options,
        hidden,
        links,
        includes=None if includes is None else seen_from.resolve(),
    )


def raw_path(imported: str) -> str:
    """Returns the path of a file that is imported as text (`!!raw-loader!./a.py`, `./a.py?raw`); else empty."""
    match = _RAW.fullmatch(imported)
    return (match["path"] or match["query"]) if match else ""


def mdbook_includes(body: Body, path: Path, reach: Reach, note: Note) -> Body:
    """Returns the page with the files that it takes in.

    Args:
        body: The text of the page.
        path: The file of the page.
        reach: The files that it may take in.
        note: Called for each include that cannot be resolved.
    """
    room = LONGEST_PAGE

    def expanded(match: re.Match[str], line: int, path: Path, above: tuple[Path, ...]) -> str:
        nonlocal room
        if match["escaped"]:
            return match[0][1:].replace("{{#", f"{{{{{_UNSEEN}#")
        name, said = match["name"], match["rest"].split()
        if name == "title":
            return ""
        if name not in MDBOOK_INCLUDES or not said:  # another preprocessor's, or code of a template language
            return match[0]
        kind = f"`{{{{#{name}}}}}` not resolved"
        target, *properties = said
        file, _, part = target.partition(":")
        if name in ("playground", "playpen"):
            file, part = target, ""
        try:
            found = reach.find(path.parent / file, file, above=above)
            if room < 0:
                raise too_much(file)
            text = _part(reach.read(found, file), part, name, file)
        except NotTakenIn as why:
            note(kind, line, str(why))
            return ""
        if name in ("playground", "playpen"):
            text = f"```rust{''.join(f',{one}' for one in properties)}\n{text}\n```\n"
        room -= len(text)
        return _MDBOOK.sub(lambda inner: expanded(inner, line, found, (*above, found)), text)

    return body.replaced(_MDBOOK, lambda match, line: expanded(match, line, path, (path.resolve(),)))


def mkdocs_snippets(body: Body, path: Path, reach: Reach, note: Note) -> Body:
    """Returns the page with its snippets (`--8<-- "file.md"`), read by PyMdown's own extension."""
    if "8<-" not in body.text and not (reach.snippets or {}).get("auto_append"):
        return body
    if reach.snippets is None:  # what is left of them is noted with all that stays in the text
        return body
    from preceptor.indexing.snippets import expanded  # of a library that few books need

    return expanded(body, reach, reach.snippets, note)


def references(text: str, path: Path, reach: Reach, kind: str) -> Iterator[Path]:
    """Yields the files that a page, or a file that it takes in, may name; possibly more than it shows."""
    if kind == "mdbook":
        said = [match["rest"].split()[0] for match in _MDBOOK.finditer(text) if (match["rest"] or "").strip()]
        candidates = [path.parent / name for one in said for name in {one, one.partition(":")[0]}]
    elif kind == "mkdocs" and reach.includes is not None and BRACED.search(text):
        names = [str(match["path"] or match["code"]) for match in BRACED.finditer(text)]
        candidates = [reach.includes / name for name in names]
    elif kind == "mkdocs" and reach.snippets is not None and ("8<-" in text or reach.snippets["auto_append"]):
        names = [match["path"].strip() for match in _SNIPPET_PATH.finditer(text)]
        names += map(str, reach.snippets["auto_append"])
        bases = map(Path, reach.snippets["base_path"])
        candidates = [
            base / name for base in bases for one in names for name in {one, re.sub(r":[\w:,-]*$", "", one)}
        ]
    else:
        candidates = []
        for match in _IMPORT_PATH.finditer(text):
            raw = raw_path(match["path"])
            if raw or match["path"].endswith((".md", ".mdx")):
                try:
                    yield reach.imported(raw or match["path"], path.parent)
                except NotTakenIn:
                    continue
    for candidate in candidates:
        try:
            yield reach.find(candidate, "")
        except NotTakenIn:
            continue


def _part(text: str, part: str, name: str, file: str) -> str:
    """Returns the lines of a file that an include names: all of them, a range from 1, or those between anchors."""
    lines = text.split("\n")[: -1 if text.endswith("\n") else None]
    keep = _chosen(lines, part, file, reopens=name == "rustdoc_include")
    if name == "rustdoc_include":  # the others are there for the compiler, and readers do not see them
        return "\n".join(
            line if shown else f"# {line}"
            for line, shown in zip(lines, keep, strict=True)
            if shown is not None
        )
    return "\n".join(line for line, shown in zip(lines, keep, strict=True) if shown)


_Shown = Literal[True, False] | None
"""Whether a line is chosen; None for lines that mark an anchor."""


def _chosen(lines: Sequence[str], part: str, file: str, *, reopens: bool) -> list[_Shown]:
    start, *rest = part.split(":", 2)
    if start and not _NUMBER.fullmatch(start):
        return _anchored(lines, start, file, reopens=reopens)
    first = max(int(start) - 1, 0) if start else 0
    end = rest[0] if rest else None
    last = first + 1 if start and end is None else int(end) if end and _NUMBER.fullmatch(end) else len(lines)
    return [first <= number < last for number in range(len(lines))]


def _anchored(lines: Sequence[str], anchor: str, file: str, *, reopens: bool) -> list[_Shown]:
    keep: list[_Shown] = []
    inside = is_there = False
    for line in lines:
        end, start = _ANCHOR_END.search(line), _ANCHOR.search(line)
        if inside:
            inside = not (end and end["name"] == anchor)
            keep.append(None if not inside or end or start else True)
        elif start and start["name"] == anchor and (reopens or not is_there):
            inside = is_there = True
            keep.append(None)
        else:
            keep.append(None if start or end else False)
    if not is_there:
        raise NotTakenIn(f"{file}: no `ANCHOR: {anchor}`")
    return keep


def _snippet_options(given: Mapping[str, Any], base: Path, docs: Path) -> dict[str, Any]:
    """Completes the options of `pymdownx.snippets`; `$docs_dir` and `$config_dir` stand for the site's folders."""
    said = given.get("base_path") or ["."]
    appended = given.get("auto_append")
    folders = {"$docs_dir": docs, "$config_dir": base}
    paths = [str(one).partition("/") for one in (said if isinstance(said, list) else [said])]
    return {
        "base_path": [
            str(folders[first] / rest if first in folders else base / f"{first}/{rest}")
            for first, _, rest in paths
        ],
        "auto_append": list(map(str, appended)) if isinstance(appended, list) else [],
        "dedent_subsections": given.get("dedent_subsections") is True,
        "restrict_base_path": given.get("restrict_base_path") is not False,
    }


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}


def _table(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        inner = config.get(name)
        config = inner if isinstance(inner, dict) else {}
    return config

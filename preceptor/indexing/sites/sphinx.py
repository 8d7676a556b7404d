"""Sphinx with MyST Markdown, and Jupyter Book 1: `conf.py` (read as literals), `_config.yml`, `_toc.yml`, toctrees."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

MARKS = ("_toc.yml", "conf.py", "source/conf.py")
_PAGES = (".md", ".ipynb")
_TOCTREE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?:\{toctree\}|toc\b)[^\n]*\n(?P<inside>.*?)^(?P=fence)",
    re.DOTALL | re.MULTILINE,
)
_TITLED = re.compile(r"(?P<title>.*\S)\s*<(?P<path>[^<>]+)>")
_MOST_PAGES = 10_000


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a site of Sphinx, or a Jupyter Book.

    Args:
        source: The folder that was given.
        home: The site's folder; None where there is none.
        site: The settings.
    """
    root = home or source
    if not (root / "conf.py").is_file() and (root / "source/conf.py").is_file():
        root = root / "source"
    docs = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set or home is None else None
    docs = docs or root
    is_book = (root / "_toc.yml").is_file()
    said = Said("_config.yml" if is_book else "conf.py")
    values = _book(root, said) if is_book else _conf(root / "conf.py", said)
    said.values["directory_urls"] = False
    if is_book:  # whose Sphinx is older
        said.values["label_ids"] = False
    if values.get("html_baseurl"):
        said.address(str(values["html_baseurl"]))
    settled = said.settled(site, "sphinx")
    excluded = [str(pattern) for pattern in values.get("exclude_patterns") or ()]
    named = (
        dict(_toc(root / "_toc.yml", said))
        if is_book
        else toctrees(docs, str(values.get("root_doc", "index")))
    )
    contents = {name: entry for name, entry in named.items() if (docs / name).is_file()}
    others = (path.relative_to(docs) for path in sorted(docs.rglob("*")) if path.suffix in _PAGES)
    if not values.get("external_toc_exclude_missing"):  # else every page is built
        contents |= {
            path.as_posix(): Entry()
            for path in others
            if path.as_posix() not in contents and not _is_excluded(path, excluded)
        }
    unread = sum(1 for path in docs.rglob("*.rst") if not _is_excluded(path.relative_to(docs), excluded))
    if unread:
        said.notes.append(
            f"{counted(unread, 'pages in reStructuredText are not')} read: Markdown and notebooks are"
        )
    kind = "Jupyter Book" if is_book else "Sphinx site with MyST Markdown"
    return Site(
        root=root,
        parts=(
            Part(docs, settled, contents, left_out=f"{'_toc.yml' if is_book else 'conf.py'} leaves it out"),
        ),
        line=f"{kind}, {shown(docs, source)}, {counted(len(contents), 'pages')}",
        title=str(values.get("html_title") or values.get("project") or ""),
        language=language_tag(values.get("language")),
        notes=tuple(said.notes),
    )


def _conf(file: Path, said: Said) -> dict[str, Any]:
    """Returns the literals that conf.py assigns; it is code, and not run."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, SyntaxError, RecursionError) as error:
        said.notes.append(
            f"conf.py cannot be read ({str(error).partition(chr(10))[0]}): Sphinx' defaults count"
        )
        return {}
    found: dict[str, Any] = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(statement, ast.Assign):
                try:
                    found[target.id] = ast.literal_eval(statement.value)
                except (ValueError, TypeError, RecursionError):
                    if target.id == "html_baseurl":
                        said.notes.append(
                            f"`html_baseurl` is computed (conf.py:{statement.lineno}): set `site.url`"
                        )
    extensions = found.get("extensions", ())
    if not any(str(name) in ("myst_parser", "myst_nb", "sphinx_external_toc") for name in extensions or ()):
        said.notes.append(
            "conf.py names no parser of MyST Markdown that could be read; pages are read as MyST"
        )
    return found


def _book(root: Path, said: Said) -> dict[str, Any]:
    """Returns the values of a Jupyter Book's `_config.yml` by Sphinx' names."""
    config = _yaml(root / "_config.yml", said)
    html, sphinx = config.get("html"), config.get("sphinx")
    inner = sphinx.get("config") if isinstance(sphinx, Mapping) else None
    given = dict(inner) if isinstance(inner, Mapping) else {}
    base = html.get("baseurl") if isinstance(html, Mapping) else None
    excluded = [*(config.get("exclude_patterns") or ()), *(given.get("exclude_patterns") or ())]
    alone = config.get("only_build_toc_files") is True or given.get("external_toc_exclude_missing") is True
    return {
        "project": config.get("title"),
        "html_baseurl": base,
        **given,
        "exclude_patterns": excluded,
        "external_toc_exclude_missing": alone,
    }


def _yaml(file: Path, said: Said) -> dict[str, Any]:
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said.notes.append(f"{file.name} cannot be read ({str(error).partition(chr(10))[0]})")
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _toc(file: Path, said: Said) -> Iterator[tuple[str, Entry]]:
    """Yields the pages that `_toc.yml` names."""
    loaded = _yaml(file, said)
    if isinstance(loaded.get("root"), str):
        yield from _page(file.parent, loaded["root"], Entry())
    yield from _toc_items(file.parent, loaded, ())


def _toc_items(root: Path, item: Mapping[str, Any], labels: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    for part in item.get("parts") or item.get("subtrees") or ():
        if isinstance(part, Mapping):
            caption = part.get("caption")
            yield from _toc_items(root, part, (*labels, str(caption)) if caption else labels)
    for name in ("chapters", "sections", "entries"):
        for entry in item.get(name) or ():
            if not isinstance(entry, Mapping):
                continue
            title = str(entry.get("title") or "")
            if isinstance(entry.get("file"), str):
                yield from _page(root, entry["file"], Entry(title, labels))
            yield from _toc_items(root, entry, labels)


def _page(root: Path, name: str, entry: Entry) -> Iterator[tuple[str, Entry]]:
    path = PurePosixPath(name)
    for candidate in (path, *(PurePosixPath(f"{name}{suffix}") for suffix in _PAGES)):
        if candidate.suffix in _PAGES and (root / candidate).is_file():
            yield candidate.as_posix(), entry
            return


def toctrees(docs: Path, first: str) -> dict[str, Entry]:
    """Returns the pages in the order of the toctrees, from the first page on."""
    found: dict[str, Entry] = {}
    waiting = list(_page(docs, first, Entry()))
    while waiting and len(found) < _MOST_PAGES:
        name, entry = waiting.pop(0)
        if name in found:
            continue
        found[name] = entry
        try:
            text = (docs / name).read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        inner = [
            page for block in _TOCTREE.finditer(text) for page in _named(docs, name, block["inside"], entry)
        ]
        waiting = [*inner, *waiting]
    return found


def _named(docs: Path, page: str, inside: str, above: Entry) -> Iterator[tuple[str, Entry]]:
    caption = re.search(r"^:caption:\s*(.+)$", inside, re.MULTILINE)
    labels = (*above.labels, caption[1].strip()) if caption else above.labels
    folder = PurePosixPath(page).parent
    for line in inside.splitlines():
        titled = _TITLED.fullmatch(line.strip())
        path = titled["path"] if titled else line.strip()
        if not path or path.startswith((":", "#")) or "://" in path or path == "self":
            continue
        whole = path[1:] if path.startswith("/") else (folder / path).as_posix()
        if any(character in path for character in "*?["):
            found = (
                one.relative_to(docs).as_posix()
                for one in sorted(docs.glob(f"{whole}*"))
                if one.suffix in _PAGES
            )
            yield from ((name, Entry(labels=labels)) for name in found)
        else:
            yield from _page(docs, _normal(whole), Entry(labels=labels))


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _is_excluded(path: Path, patterns: Iterable[str]) -> bool:
    name = path.as_posix()
    hidden = any(part.startswith((".", "_build")) for part in path.parts)
    return hidden or any(
        fnmatch(name, pattern) or fnmatch(name, f"{pattern.rstrip('/')}/*") for pattern in patterns
    )

"""Quarto: `_quarto.yml` of a book or a website. What its code cells print is not there, since nothing is run."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

MARKS = ("_quarto.yml", "_quarto.yaml")
PAGES = (".qmd", ".md", ".ipynb")


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a Quarto project.

    Args:
        source: The folder that was given.
        home: The project's folder; None where there is none.
        site: The settings.
    """
    root = home or source
    said = Said("_quarto.yml")
    config = _config(root, said)
    project = config.get("project")
    kind = str(project.get("type", "")) if isinstance(project, Mapping) else ""
    values = config.get(kind)
    values = values if isinstance(values, Mapping) else {}
    if isinstance(values.get("site-url"), str):
        said.address(values["site-url"])
    docs = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set else None
    docs = docs or root
    settled = said.settled(site, "quarto")
    contents = None
    if kind == "book":
        named = [*(values.get("chapters") or ()), *(values.get("appendices") or ())]
        contents = {name: entry for name, entry in _chapters(named, ()) if (docs / name).is_file()}
    count = f", {counted(len(contents), 'chapters')} of _quarto.yml" if contents is not None else ""
    part = Part(
        docs, settled, contents, left_out="_quarto.yml does not name it" if contents is not None else ""
    )
    return Site(
        root=root,
        parts=(part,),
        line=f"Quarto {kind or 'project'}, {shown(docs, source)}{count}",
        title=str(values.get("title") or ""),
        language=language_tag(config.get("lang")),
        notes=tuple(said.notes),
    )


def _config(root: Path, said: Said) -> dict[str, Any]:
    for name in MARKS:
        try:
            loaded: Any = yaml.safe_load((root / name).read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
            said.notes.append(f"{name} cannot be read ({str(error).partition(chr(10))[0]})")
            return {}
        return loaded if isinstance(loaded, dict) else {}
    return {}


def _chapters(items: Iterable[object], labels: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    for item in items:
        if isinstance(item, str):
            yield PurePosixPath(item).as_posix(), Entry(labels=labels)
        elif isinstance(item, Mapping):
            file, part = item.get("file") or item.get("href"), item.get("part")
            if isinstance(file, str):
                yield PurePosixPath(file).as_posix(), Entry(str(item.get("text") or ""), labels)
            if isinstance(part, str) and part.endswith(PAGES):
                yield PurePosixPath(part).as_posix(), Entry(labels=labels)
            above = (*labels, part) if isinstance(part, str) and not part.endswith(PAGES) else labels
            yield from _chapters(item.get("chapters") or (), above)

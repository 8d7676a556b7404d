"""Courses and documentation of Hugging Face's doc-builder: a `_toctree.yml` for each language."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from preceptor.indexing.site import join
from preceptor.indexing.sites.record import Entry, Part, Said, Site, below, language_tag, shown
from preceptor.settings import SiteSettings
from preceptor.text.number import counted

CONTENTS = "_toctree.yml"
MARKS = (CONTENTS, f"*/{CONTENTS}", f"*/*/{CONTENTS}")
_WORKFLOWS = ".github/workflows/*.y*ml"
_HOST = "https://huggingface.co"


def read(source: Path, home: Path | None, site: SiteSettings) -> Site:
    """Reads a course in one language, or in all that are there.

    Args:
        source: The folder that was given.
        home: The folder in which the contents were found, at some depth.
        site: The settings.
    """
    said = Said("its workflows")
    given = below(source, site.docs_dir) if "docs_dir" in site.model_fields_set else None
    folders = _languages(given or home or source) or [given or source]
    _address(home or source, folders[0], said)
    settled = said.settled(site, "huggingface")
    parts: list[Part] = []
    counts: list[str] = []
    for docs in folders:
        contents = _read(docs, said)
        language = language_tag(docs.name)
        base = join(settled.base_url, docs.name if language else "", "/")
        own = settled.model_copy(update={"base_url": base})
        entries = {
            name: Entry(entry.title, entry.labels, language=language) for name, entry in contents.items()
        }
        left_out = f"{CONTENTS} does not name it" if contents else ""
        chapters = docs.name if len(folders) > 1 else ""
        parts.append(Part(docs, own, entries if contents else None, left_out, chapters))
        counts.append(f"{shown(docs, source)} ({counted(len(contents), 'pages')})")
    if not settled.url:
        said.notes.append(
            "the address of the course is not in its files, so that links begin with "
            f"`{parts[0].site.base_url}`: `site.url` and `site.base_url` say it (https://huggingface.co, /learn/NAME/)"
        )
    several = " (`site.docs_dir` reads one alone)" if len(folders) > 1 else ""
    return Site(
        root=home or source,
        parts=tuple(parts),
        line=f"Hugging Face course, {', '.join(counts)} of {CONTENTS}{several}",
        language=language_tag(folders[0].name),
        notes=tuple(said.notes),
    )


def _languages(folder: Path) -> list[Path]:
    """Returns the folders with contents: this one, or those below it; English first."""
    if (folder / CONTENTS).is_file():
        return [folder]
    found = {path.parent for mark in MARKS[1:] for path in folder.glob(mark)}
    depth = min((len(path.parts) for path in found), default=0)
    return sorted(
        (path for path in found if len(path.parts) == depth), key=lambda path: (path.name != "en", path)
    )


def _read(docs: Path, said: Said) -> dict[str, Entry]:
    try:
        loaded: Any = yaml.safe_load((docs / CONTENTS).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        said.notes.append(f"{docs.name}/{CONTENTS} cannot be read ({str(error).partition(chr(10))[0]})")
        return {}
    named: dict[str, Entry] = {}
    for local, entry in _entries(loaded if isinstance(loaded, list) else (), ()):
        for suffix in (".mdx", ".md"):
            if (docs / f"{local}{suffix}").is_file():
                named.setdefault(f"{local}{suffix}", entry)
                break
    return named


def _entries(items: Iterable[object], labels: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    for item in items:
        if not isinstance(item, dict):
            continue
        title, local, sections = item.get("title"), item.get("local"), item.get("sections")
        title = str(title) if title is not None else ""
        if isinstance(local, str):
            yield PurePosixPath(local).as_posix(), Entry(title, labels)
        if isinstance(sections, list):
            yield from _entries(sections, (*labels, title) if title else labels)


def _address(home: Path, docs: Path, said: Said) -> None:
    """Finds where the course is published: its name is in the workflow that builds it."""
    for root in (home, *home.parents[:3]):
        for file in sorted(root.glob(_WORKFLOWS)):
            name = _package(file)
            if name:
                said.values["url"] = _HOST
                said.values["base_url"] = (
                    f"/learn/{name}/" if "course" in name or "cookbook" in name else f"/docs/{name}/"
                )
                return


def _package(file: Path) -> str:
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return ""
    jobs = loaded.get("jobs") if isinstance(loaded, dict) else None
    for job in jobs.values() if isinstance(jobs, dict) else ():
        uses, given = (job.get("uses"), job.get("with")) if isinstance(job, dict) else (None, None)
        if isinstance(uses, str) and "doc-builder" in uses and isinstance(given, dict):
            name = given.get("package_name") or given.get("package")
            return name if isinstance(name, str) else ""
    return ""

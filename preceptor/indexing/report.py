"""Output of an indexing run for people and machines: progress, summary, pages of a dry run."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TextIO

from preceptor.indexing.missing import Kind
from preceptor.indexing.page import Page
from preceptor.indexing.run import Progress, Summary
from preceptor.library.passage import Passage
from preceptor.text.number import counted

_EVERY = 10
"""Number of pages between two lines if there is no terminal; for passages, the number in ten pages."""
_NAMED = 3
"""Largest number of pages named for one reason."""


@contextmanager
def progress(*, quiet: bool) -> Generator[Progress]:
    """Reports a run on stderr: a bar for each stage on a terminal, a line every ten pages elsewhere."""
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bars() as draw:
            yield draw
    else:
        yield _lines(sys.stderr)


def summary_text(summary: Summary) -> str:
    """Renders the summary for people: the changes, the speed, and the missing pages with reasons."""
    lines = [
        f"{counted(summary.pages, 'pages')}, {counted(summary.passages, 'passages')} in `{summary.collection}`: "
        f"{summary.added} added, {summary.changed} changed, {summary.moved} moved, "
        f"{summary.unchanged} unchanged, {summary.removed} removed, {len(summary.failed)} failed",
        f"{summary.duration:.1f} s, {summary.pages_per_minute:.0f} pages/min, "
        f"{summary.passages_per_second:.1f} passages/s, {counted(summary.embedded, 'passages')} embedded",
    ]
    if summary.site:
        lines.insert(0, summary.site)
    if summary.replaced:
        lines.append(
            f"replaced: the book `{summary.replaced}`, which was in `{summary.collection}` before; `preceptor index "
            "--rollback` brings it back, `--collection NAME` keeps books side by side"
        )
    lines += [notes_text(summary.notes)] if summary.notes else []
    for reason, pages in summary.left_out.items():
        more = f" and {len(pages) - _NAMED} more" if len(pages) > _NAMED else ""
        lines.append(f"left out: {', '.join(pages[:_NAMED])}{more} ({reason})")
    lines += [missing_text(summary.missing)] if summary.missing else []
    if summary.repeated:
        first, *others = summary.repeated
        left_out = sum(text.left_out for text in summary.repeated)
        more = f", and {len(others)} more texts" if others else ""
        lines.append(
            f"kept once: `{first.text}`, which stands on {first.pages} pages (here: {first.place}){more}; {left_out} "
            "passages that repeat them are left out"
        )
    lines += [f"failed: {failure.source}: {failure.reason}" for failure in summary.failed]
    return "\n".join(lines)


def notes_text(notes: Sequence[str]) -> str:
    """Returns a line for each hint on which the links may depend."""
    return "\n".join(f"note: {note}" for note in notes)


def missing_text(missing: Sequence[Kind]) -> str:
    """Returns a line for each kind of missing part."""
    return "\n".join(f"not taken in: {kind}" for kind in missing)


def page_json(page: Page, passages: Sequence[Passage], notes: Sequence[str] = ()) -> dict[str, Any]:
    """Renders a page of a dry run for machines, with the hints on which its link may depend."""
    line = {
        "source": page.source,
        "url": page.url,
        "title": page.title,
        "status": page.status,
        "headings": page.headings,
        "passages": [
            {"key": one.key, "anchor": one.anchor, "breadcrumb": one.breadcrumb, "text": one.text}
            for one in passages
        ],
    }
    missing = [asdict(one) for one in page.missing]
    about = {"reason": page.reason, "missing": missing, "notes": notes}
    return {**line, **{name: value for name, value in about.items() if value}}


def page_text(page: Page, passages: Sequence[Passage]) -> str:
    """Renders a page of a dry run for people."""
    what = counted(len(passages), "passages") if page.status == "published" else page.reason
    return f"{page.status:9}  {page.source}  {page.url}  {what}"


def _lines(stream: TextIO) -> Progress:
    told: dict[str, int] = {}
    pages = 1

    def line(stage: str, done: int, total: int) -> None:
        nonlocal pages
        if stage == "reading":
            pages = total
        step = max(_EVERY * total // pages, 1)  # of passages, as many as ten pages have
        if done // step > told.get(stage, 0) // step or (done == total and told.get(stage) != done):
            told[stage] = done
            stream.write(f"{stage} {done}/{total} {_unit(stage)}\n")
            stream.flush()

    return line


def _unit(stage: str) -> str:
    return "pages" if stage == "reading" else "passages"


@contextmanager
def _bars() -> Generator[Progress]:
    # Heavy, and needed on a terminal alone.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        stages: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total, unit=_unit(stage))
            bars.update(stages[stage], completed=done, total=total)

        yield draw

"""`preceptor evaluate new`: cases from kept runs or from a list of questions, their sections ticked off by a person."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from preceptor.commands.opening import BookId, Env, need_evaluation, of_book, to_stderr
from preceptor.errors import TapeMissing
from preceptor.settings import Settings, load_settings
from preceptor.text.number import counted

if TYPE_CHECKING:
    from preceptor.evaluation.questions import Proposed
    from preceptor.library.passage import Chapter, Hit
    from preceptor.tracing.case import DraftCase
    from preceptor.tracing.filters import Filters
    from preceptor.tracing.tape import Tape

    Search = Callable[[str, str | None], Awaitable[Sequence[Hit]]]

_KEYS = "numbers (1 3), `chapter#anchor`, /other words, n = not in the book, s = skip, q = stop"
_UNCHECKED = "not checked: the first section that the search found"


def new(
    file: Annotated[
        Path, typer.Option("--file", "-f", dir_okay=False, help="File of cases to which they are added.")
    ],
    questions: Annotated[
        Path | None, typer.Option(help="Text file with a question in each line, in readers' words.")
    ] = None,
    traces: Annotated[
        bool, typer.Option("--traces", help="Questions of the runs that are kept, newest first.")
    ] = False,
    search: Annotated[str | None, typer.Option(help="With --traces: runs with these words.")] = None,
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="With --traces: those that were not answered.")
    ] = False,
    disliked: Annotated[
        bool, typer.Option("--disliked", help="With --traces: those with a thumb down.")
    ] = False,
    noted: Annotated[
        Literal["good", "bad", "any"] | None, typer.Option(help="With --traces: those with this mark.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --traces: runs at most.")] = 50,
    take_first: Annotated[
        bool,
        typer.Option(
            "--take-first", help="Do not ask: take the first section that the search finds, and mark the case."
        ),
    ] = False,
    book: BookId = None,
    env: Env = None,
) -> None:  # fmt: skip
    """Write new cases: for each question, tick off the sections that answer it among those that the search proposes.

    Each case is written at once; what the file holds stays as it is, and questions that are in it are left out.

    Example: `preceptor evaluate new --questions asked.txt --file my-cases.yaml`
    """
    from preceptor.tracing.filters import Filters

    if traces == (questions is not None):
        raise typer.BadParameter("give either --questions FILE or --traces")
    if not take_first and not sys.stdin.isatty():
        raise typer.BadParameter(
            "sections are ticked off in a terminal, and this is none. Run it in a terminal, or take the first section "
            "that the search finds, to check it in the file: --take-first"
        )
    if not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder `{file.parent}` does not exist", param_hint="--file")
    need_evaluation()
    settings = of_book(load_settings(env, needs=("index",)), book)
    # Of a library, the runs of other books are none of this one's cases.
    asked_of = settings.book.id if settings.library.file else None
    filters = Filters(search=search, unanswered=unanswered, disliked=disliked, noted=noted, book=asked_of)
    asked = questions or _kept(settings, filters, limit)
    added = asyncio.run(_new(settings, file, asked, take_first=take_first))
    typer.echo(f"Added {counted(added, 'cases')} to `{file}`.", err=True)


def _kept(settings: Settings, filters: "Filters", limit: int) -> "list[DraftCase]":
    from preceptor.tracing.case import drafts
    from preceptor.tracing.store import TraceStore

    store = TraceStore.from_settings(settings.traces, settings.secrets())

    def tape(trace_id: str) -> "Tape | None":
        try:
            return store.tape(trace_id)
        except TapeMissing:
            return None

    chosen = [run.trace_id for run in store.runs(limit, filters=filters)]
    found = drafts((store.run(one), tape(one)) for one in chosen)
    if not found:
        to_stderr(f"No such run of `{store.path}` has its question; `traces.include_text` keeps them.")
    return found


async def _new(settings: Settings, file: Path, asked: "Path | list[DraftCase]", *, take_first: bool) -> int:
    from preceptor.evaluation.dataset import section_ids
    from preceptor.evaluation.questions import PASSAGES, read_questions
    from preceptor.library import open_engine
    from preceptor.library.library import open_library
    from preceptor.tracing.case import DraftCase, add_cases, known_questions

    async with open_engine(settings) as engine, await open_library(engine, settings) as library:
        chapters = await library.chapters()
        _tell_unknown(file, chapters)
        if isinstance(asked, Path):
            listed = read_questions(asked, chapters)
            for heading in listed.headings:
                to_stderr(
                    f"Left out: “{heading}” is a heading of the book, which the search finds by its very words."
                )
            asked = [DraftCase(question=question) for question in listed.questions]
        known = known_questions(file)
        fresh = [draft for draft in asked if draft.question not in known]
        if len(fresh) < len(asked):
            to_stderr(f"Left out: {counted(len(asked) - len(fresh), 'questions')} that the file has already.")

        def search(words: str, chapter: str | None) -> "Awaitable[Sequence[Hit]]":
            return library.search(words, chapter=chapter, limit=PASSAGES)

        terminal = _Terminal(search, section_ids(chapters))
        added = 0
        for number, draft in enumerate(fresh, start=1):
            if take_first:
                ticked = await _first(draft, search)
            else:
                ticked = await terminal.ticked(draft, f"{number} of {len(fresh)}")
            if ticked == "stop":
                break
            if ticked != "skip":
                added += add_cases(file, [ticked])
    return added


async def _first(draft: "DraftCase", search: "Search") -> "DraftCase":
    """Returns the case with the sections that its answer cited, else with the first that the search finds."""
    from preceptor.evaluation.questions import propose

    if draft.sections:
        return draft
    found = await propose(draft.question, lambda words: search(words, draft.chapter))
    remark = ", ".join(
        filter(None, [draft.remark, _UNCHECKED if found else "not checked: nothing was found"])
    )
    return replace(draft, sections=tuple(one.section for one in found[:1]), remark=remark)


@dataclass(frozen=True, slots=True)
class _Words:
    """Other words to search for."""

    text: str


class _Terminal:
    """Asks a person which sections answer a question."""

    def __init__(self, search: "Search", known: Sequence[str]) -> None:
        self._search, self._known = search, known

    async def ticked(self, draft: "DraftCase", place: str) -> "DraftCase | Literal['skip', 'stop']":
        """Returns the case as the person decided."""
        from preceptor.evaluation.questions import propose

        words, cited = draft.question, [section for section in draft.sections if section in self._known]
        typer.secho(f"\n[{place}] {draft.question}", bold=True, err=True)
        while True:
            proposed = await propose(words, lambda words: self._search(words, draft.chapter))
            listed = list(dict.fromkeys([*cited, *(one.section for one in proposed)]))
            _show(listed, proposed, cited)
            decided = self._decided(draft, listed, cited)
            if not isinstance(decided, _Words):
                return decided
            words = decided.text

    def _decided(
        self, draft: "DraftCase", listed: Sequence[str], cited: Sequence[str]
    ) -> "DraftCase | _Words | Literal['skip', 'stop']":
        """Reads lines until one of them is a decision."""
        while True:
            kept = ", Enter = those marked *" if cited else ""
            typed: str = typer.prompt(f"{_KEYS}{kept}", default="", show_default=False, err=True).strip()
            if typed in ("s", "q"):
                return "skip" if typed == "s" else "stop"
            if typed == "n":
                return replace(draft, sections=())
            if typed.startswith("/") and any(map(str.isalnum, typed)):
                return _Words(typed[1:])
            chosen = [self._section(one, listed) for one in typed.replace(",", " ").split()] or list(cited)
            if chosen and None not in chosen:
                return replace(draft, sections=tuple(dict.fromkeys(filter(None, chosen))))
            if not typed:
                to_stderr("Say which sections answer it.")

    def _section(self, typed: str, listed: Sequence[str]) -> str | None:
        """Returns the section of a number or a name; None after saying that there is no such."""
        from preceptor.evaluation.dataset import unknown_section

        if typed.isdecimal():
            if 1 <= int(typed) <= len(listed):
                return listed[int(typed) - 1]
            to_stderr(f"There is no number {typed}: they go from 1 to {len(listed)}.")
            return None
        if typed in self._known or f"{typed}#" in self._known:
            return typed
        to_stderr(f"There is no section {unknown_section(typed, self._known)}.")
        return None


def _show(listed: Sequence[str], proposed: "Sequence[Proposed]", cited: Sequence[str]) -> None:
    by_section = {one.section: one for one in proposed}
    for number, section in enumerate(listed, start=1):
        shown = by_section.get(section)
        title = f"  {shown.title}" if shown else ""
        typer.echo(f"{'*' if section in cited else ' '}{number:2}  {section}{title}", err=True)
        if shown and shown.sentence:
            typer.secho(f"      {shorten(shown.sentence, _WIDTH, placeholder=' …')}", dim=True, err=True)
    if not listed:
        to_stderr("The search finds nothing.")


_WIDTH = 140


def _tell_unknown(file: Path, chapters: "Sequence[Chapter]") -> None:
    """Say which sections the cases that are there expect and the index lacks."""
    from preceptor.evaluation.dataset import load_cases, not_in_index
    from preceptor.tracing.case import known_questions

    for told in not_in_index(load_cases(file), chapters) if known_questions(file) else ():
        to_stderr(f"Not in the index: {told}")

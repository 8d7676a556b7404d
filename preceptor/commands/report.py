"""`preceptor report`: what readers asked and did not get, from the runs that are kept."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from preceptor.commands.opening import AsJson, BookId, Env, of_book
from preceptor.settings import Settings, load_settings

if TYPE_CHECKING:
    from preceptor.evaluation.gaps import GapReport

_DAY = 86_400


def report(
    days: Annotated[float, typer.Option(min=0.01, help="How far back.")] = 30,
    least: Annotated[int, typer.Option(min=1, help="Fewest times that something is asked to be a gap.")] = 3,
    issues: Annotated[
        Path | None, typer.Option(help="Write each gap to a file of this folder, as the text of an issue.")
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Write the gaps as evaluation cases to this YAML file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the report with plots to this file, as one HTML page.")
    ] = None,
    book: BookId = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Say what readers asked and the book did not answer, which chapters nobody is sent to, and how each day went.

    Questions that ask the same are one gap, most asked first, with the nearest sections. Nothing leaves this machine.
    Prints Markdown; --html has plots.

    Example: `preceptor report --days 7 --html report.html --cases gaps.yaml`
    """
    from preceptor.evaluation.gaps import to_cases, to_issue, to_markdown

    settings = of_book(load_settings(env, needs=("index",)), book)
    made = asyncio.run(_report(settings, since=time.time() - days * _DAY, least=least))
    typer.echo(made.to_json() if as_json else to_markdown(made))
    if html is not None:
        from preceptor.evaluation.gap_page import gaps_to_html

        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(gaps_to_html(made), encoding="utf-8")
    if issues is not None:
        issues.mkdir(parents=True, exist_ok=True)
        for number, gap in enumerate(made.gaps, start=1):
            (issues / f"{number:02}.md").write_text(to_issue(gap), encoding="utf-8")
    if cases is not None:
        cases.write_text(to_cases(made.gaps), encoding="utf-8")


async def _report(settings: Settings, *, since: float, least: int) -> "GapReport":
    from preceptor.evaluation.gaps import asked_run
    from preceptor.evaluation.kept_runs import report_of_runs
    from preceptor.library import open_engine
    from preceptor.library.library import open_library
    from preceptor.tracing.store import TraceStore

    store = TraceStore.from_settings(settings.traces)
    book = settings.book.id if settings.library.file else None
    runs = [asked_run(*run) for run in store.facts(since, book=book)]
    async with open_engine(settings) as engine, await open_library(engine, settings) as library:
        return await report_of_runs(
            runs, library, settings, least=least, book=(await library.info()).title if book else ""
        )

"""`preceptor evaluate`: run the cases of a book, compare two reports, judge recorded answers again."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from preceptor.commands.opening import SAMPLE, AsJson, Env, given, index_book, kept_traces, sample_book
from preceptor.errors import CostUnknown, ExtraMissing
from preceptor.settings import Settings, load_settings

if TYPE_CHECKING:
    from preceptor.agents.answer import Answer
    from preceptor.agents.preceptor import Preceptor
    from preceptor.evaluation.dataset import Cases
    from preceptor.evaluation.record import Record
    from preceptor.evaluation.report import Report
    from preceptor.library.passage import Passage

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})


def _writable(file: Path | None) -> Path | None:
    """Checked before a run of minutes, whose report would be lost."""
    if file is None:
        return None
    if not file.parent.is_dir():
        raise typer.BadParameter(f"the folder `{file.parent}` does not exist")
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise typer.BadParameter(f"`{file}` cannot be written")
    return file


Save = Annotated[
    Path | None,
    typer.Option(callback=_writable, help="Write the report as JSON to this file; a stopped run goes on from it."),
]  # fmt: skip


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    cases: Annotated[
        Path | None,
        typer.Option(help="YAML file of cases; default: those of the sample book, which is indexed first."),
    ] = None,
    k: Annotated[
        int | None, typer.Option(help="A section counts as found when it is among the first K.")
    ] = None,
    save: Save = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Ask each case this often.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Questions at a time.")] = 4,
    per_minute: Annotated[
        float | None, typer.Option(min=0.1, help="Questions that may begin in a minute, for a provider's limit.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="US dollars after which no further question is asked.")
    ] = None,
    allow_degraded: Annotated[
        bool, typer.Option("--allow-degraded", help="Pass although the offline tutor stood in for a provider.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="OLD NEW", help="Compare two saved reports instead.")
    ] = None,
    no_worse_than: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="With --compare: largest fall of a share that is accepted, such as 0.02."),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            help="demo, local or production; default: demo for the sample book, else PRECEPTOR_ENV, else production.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Run the cases of a book: is the right section found and cited, is what is not in the book declined?

    Without options: the sample book and its cases, without any key. With --cases: the book that the settings
    name, as `preceptor ask` asks it. Exit code 1 when a threshold of the settings (`evaluation.found` and
    others) is missed, the index is empty, the offline tutor answered in a provider's place, the budget was spent, or
    the newer of two compared reports is worse.
    """
    if context.invoked_subcommand is not None:
        return
    if compare is not None:
        _compare(*compare, no_worse_than=no_worse_than, as_json=as_json)
        return
    _need_extra()
    sample = {} if cases else {"book": SAMPLE, "index": {"collection": "demo"}}
    settings = load_settings(
        env or (None if cases else "demo"),
        needs=("index", "tutor"),
        overrides={**sample, "evaluation": given({"k": k})},
    )
    if cases is None:
        index_book(sample_book(), settings, quiet=False)
    options = {"concurrency": concurrency, "repeat": repeat, "per_minute": per_minute, "budget": budget}
    report = asyncio.run(_evaluate(cases or sample_book() / "evaluation.yaml", settings, save, options))
    _finish(report.model_copy(update={"allow_degraded": allow_degraded}), save, as_json=as_json)


@app.command()
def score(
    report: Annotated[Path, typer.Argument(help="A report that `--save` wrote.")],
    cases: Annotated[
        Path | None, typer.Option(help="YAML file of cases; default: those of the sample book.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(callback=_writable, help="Write the new report to this file.")
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Judge the answers of an old report again, by cases that were changed since; nothing is asked.

    Example: `preceptor evaluate score before.json --cases my-cases.yaml`
    """
    _need_extra()
    from preceptor.evaluation.dataset import load_cases
    from preceptor.evaluation.report import Report
    from preceptor.evaluation.run import judge_again

    asked = load_cases(cases or sample_book() / "evaluation.yaml")
    limits = load_settings(env or "demo").evaluation
    _finish(asyncio.run(judge_again(asked, Report.load(report), thresholds=limits)), save, as_json=as_json)


def _need_extra() -> None:
    if not find_spec("pydantic_evals"):
        raise ExtraMissing("evaluate", "to run the cases of an evaluation")


def _finish(report: "Report", save: Path | None, *, as_json: bool) -> None:
    """Print and save a report; exit with 1 if it did not pass."""
    from rich.console import Console

    from preceptor.evaluation.report import render

    if as_json:
        typer.echo(report.to_json())
    else:
        Console().print(render(report))
    if save is not None:
        save.write_text(report.to_json(), encoding="utf-8")
    if not report.passed:
        raise typer.Exit(1)


def _compare(old: Path, new: Path, *, no_worse_than: float | None, as_json: bool) -> None:
    from rich.console import Console

    from preceptor.evaluation.compare import compare, render
    from preceptor.evaluation.report import Report

    comparison = compare(Report.load(old), Report.load(new), no_worse_than=no_worse_than)
    if as_json:
        typer.echo(comparison.to_json())
    else:
        Console().print(render(comparison))
    if not comparison.passed:
        raise typer.Exit(1)


async def _evaluate(cases: Path, settings: Settings, save: Path | None, options: dict[str, Any]) -> "Report":
    from preceptor.agents.answer import Question
    from preceptor.agents.preceptor import open_preceptor
    from preceptor.evaluation.conditions import conditions
    from preceptor.evaluation.dataset import load_cases
    from preceptor.evaluation.price import Prices
    from preceptor.evaluation.run import evaluate as run_cases

    asked = load_cases(cases)
    limits, price = settings.evaluation, Prices(settings.providers)
    with kept_traces(settings) as traces:
        async with open_preceptor(settings, traces=traces) as preceptor:
            books = await preceptor.library.books()
            made = conditions(settings, books)
            _tell_cost(asked, settings, price, options)

            def ask(question: str, /, *, chapter: str | None = None) -> "Awaitable[Answer]":
                return preceptor.ask(Question(text=question, chapter=chapter))

            total = len(asked.cases) * options["repeat"]
            with _record(save, f"{made.fingerprint} k={limits.k}") as record, _progress(total) as finished:
                report = await run_cases(
                    asked,
                    ask,
                    preceptor.library.search,
                    k=limits.k,
                    thresholds=limits,
                    price=price,
                    read=_reader(preceptor),
                    known=dict(record.outcomes) if record else None,
                    remember=record.add if record else lambda asked, outcome: None,
                    finished=finished,
                    **options,
                )
    if record and report.stopped is None and not any(case.degraded for case in report.cases):
        record.remove()
    return report.model_copy(
        update={
            "book": ", ".join(book.title for book in books),
            "collection": ", ".join((settings.index.collection, *settings.index.also)),
            "conditions": made,
        }
    )


def _reader(preceptor: "Preceptor") -> "Callable[[Any], Awaitable[Passage | None]]":
    """Returns a function that reads the passage of a source; a chapter is read once."""
    chapters: dict[tuple[str, str], dict[str, Passage]] = {}

    async def read(source: Any) -> "Passage | None":
        place = source.book, source.chapter
        if place not in chapters:
            _, passages = await preceptor.library.chapter(source.chapter, book=source.book)
            chapters[place] = {passage.key: passage for passage in passages}
        return chapters[place].get(source.key)

    return read


@contextmanager
def _record(save: Path | None, fingerprint: str) -> "Generator[Record | None, None, None]":
    """Keep the outcomes beside the report until it is whole."""
    from preceptor.evaluation.record import Record

    if save is None:
        yield None
        return
    record = Record(save.with_name(save.name + ".part"), fingerprint)
    if record.other:
        typer.echo(f"`{record.path}` is of another index, prompt or model, and is begun anew.", err=True)
    elif record.outcomes:
        typer.echo(f"Going on: `{record.path}` has {len(record.outcomes)} answers.", err=True)
    with record:
        yield record


@contextmanager
def _progress(total: int) -> "Generator[Callable[[], object], None, None]":
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("asking", total=total)
        yield lambda: progress.advance(task)


def _tell_cost(cases: "Cases", settings: Settings, price: Any, options: dict[str, Any]) -> None:
    """Say what a run will cost before it begins.

    Raises:
        CostUnknown: There is a budget, and no price by which to keep to it.
    """
    from preceptor.evaluation.price import estimate

    told = estimate(settings, price, questions=len(cases.cases) * options["repeat"])
    if told is None:
        return
    if options["budget"] is not None and told.dollars is None:
        raise CostUnknown(told.model)
    typer.echo(told.sentence, err=True)

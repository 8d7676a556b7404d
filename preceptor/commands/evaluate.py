"""`preceptor evaluate`: run the cases of a book, compare two reports, judge recorded answers again."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from preceptor.commands.label import label
from preceptor.commands.new_cases import new
from preceptor.commands.opening import (
    SAMPLE,
    AsJson,
    BookId,
    Env,
    given,
    index_book,
    kept_traces,
    library_book,
    need_evaluation,
    of_book,
    sample_book,
)
from preceptor.errors import BookWithoutSource, CostUnknown
from preceptor.settings import Settings, load_settings
from preceptor.text.number import counted

if TYPE_CHECKING:
    from preceptor.agents.answer import Answer
    from preceptor.agents.preceptor import Preceptor
    from preceptor.evaluation.book import Changes
    from preceptor.evaluation.dataset import Cases
    from preceptor.evaluation.price import Prices
    from preceptor.evaluation.record import Record
    from preceptor.evaluation.report import Report
    from preceptor.library.passage import Passage

app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
app.command()(new)
app.command()(label)


_FORMATS = (".json", ".html", ".xml", ".md")


def _writable(files: list[Path] | None) -> list[Path]:
    """Checked before a run of minutes, whose report would be lost."""
    for file in files or []:
        if file.suffix not in _FORMATS:
            raise typer.BadParameter(f"`{file}` should end with one of {', '.join(_FORMATS)}")
        if not file.parent.is_dir():
            raise typer.BadParameter(f"the folder `{file.parent}` does not exist")
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise typer.BadParameter(f"`{file}` cannot be written")
    return files or []


Save = Annotated[
    list[Path] | None,
    typer.Option(
        callback=_writable,
        help="Write the report to this file: .json (for --compare; a stopped run goes on from it), .html, .xml (JUnit) "
        "or .md (a summary). May be given more than once.",
    ),
]


def _falls(values: list[str] | None) -> dict[str, float]:
    """Returns the largest falls that are accepted by tag: `0.02` for all cases and tags, `language ur=0.1` for one."""
    falls: dict[str, float] = {}
    for value in values or []:
        tag, _, number = value.rpartition("=")
        try:
            falls[tag.strip()] = most = float(number)
        except ValueError:
            raise typer.BadParameter(f"`{value}` should be like 0.02, or like `language en=0.02`") from None
        if not 0 <= most <= 1:
            raise typer.BadParameter(f"`{value}` should have a number from 0 to 1")
    return falls


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
        list[str] | None,
        typer.Option(
            metavar="[TAG=]FALL",
            help="With --compare: largest fall of a share that is accepted, such as 0.02, for all cases and for each "
            "language and kind; `language ur=0.1`: for that one. May be given more than once.",
        ),
    ] = None,
    book: BookId = None,
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
        _compare(*compare, falls=_falls(no_worse_than), as_json=as_json)
        return
    need_evaluation()
    if cases is None and book is not None:
        raise typer.BadParameter("--book goes with --cases; without, the sample book is asked")
    from preceptor.evaluation.labels import Labels

    sample = {} if cases else {"book": SAMPLE, "index": {"collection": "demo"}, "library": {"file": None}}
    settings = load_settings(
        env or (None if cases else "demo"),
        needs=("index", "tutor", "judge"),
        overrides={**sample, "evaluation": given({"k": k})},
    )
    settings = of_book(settings, book)
    if cases is None:
        index_book(sample_book(), settings, quiet=False)
    options = {"concurrency": concurrency, "repeat": repeat, "per_minute": per_minute, "budget": budget}
    kept = next((file for file in save or [] if file.suffix == ".json"), None)
    report = asyncio.run(_evaluate(cases or sample_book() / "evaluation.yaml", settings, kept, options))
    report = report.model_copy(update={"allow_degraded": allow_degraded})
    if kept is not None:
        report = Labels.beside(kept).written_into(report)
    _finish(report, save, settings, as_json=as_json)


@app.command()
def score(
    report: Annotated[Path, typer.Argument(help="A report that `--save` wrote.")],
    cases: Annotated[
        Path | None, typer.Option(help="YAML file of cases; default: those of the sample book.")
    ] = None,
    save: Save = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Judge the answers of an old report again, by cases that were changed since; nothing is asked.

    Example: `preceptor evaluate score before.json --cases my-cases.yaml`
    """
    need_evaluation()
    from preceptor.evaluation.dataset import load_cases
    from preceptor.evaluation.labels import Labels
    from preceptor.evaluation.report import Report
    from preceptor.evaluation.run import judge_again

    asked = load_cases(cases or sample_book() / "evaluation.yaml")
    settings = load_settings(env or "demo")
    judged = asyncio.run(judge_again(asked, Report.load(report), thresholds=settings.evaluation))
    _finish(Labels.beside(report).written_into(judged), save, settings, as_json=as_json)


@app.command()
def book(
    since: Annotated[
        str | None, typer.Option(metavar="REV", help="Compare with the book at this commit, branch or tag.")
    ] = None,
    old: Annotated[
        Path | None, typer.Option(help="Compare with the book in this folder instead.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", "-s", help="Folder of the book's pages; default: that of --book, else the sample book."
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="YAML file of cases; default: those of the sample book.")
    ] = None,
    annotate: Annotated[
        bool, typer.Option("--github", help="Print annotations for GitHub's review of a pull request as well.")
    ] = False,
    of_library: BookId = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Say which cases lost their page, heading, passage or answer by an edit of the book, as file:line.

    Needs no key, no index and no network. Exit code 1 when a case lost something, or expects a section that there is
    not.

    Example: `preceptor evaluate book --since main --source docs --cases cases.yaml`
    """
    need_evaluation()
    if (since is None) == (old is None):
        raise typer.BadParameter("give either --since REV or --old FOLDER")
    from preceptor.commands.editions import SentenceLikeness, at_revision, read_edition
    from preceptor.evaluation.book import compare_editions
    from preceptor.evaluation.dataset import load_cases

    settings = load_settings(env or "demo")
    own = source is not None or cases is None
    found = None if own and of_library is None else library_book(settings, of_library)
    if found is not None:
        settings = found.settings
        if source is None and found.source is None:
            raise BookWithoutSource(found.id)
    folder = source or (found and found.source) or sample_book()
    asked = load_cases(cases or sample_book() / "evaluation.yaml")
    with nullcontext(old) if old else at_revision(folder, since or "") as before:
        earlier = read_edition(before, settings)
    likeness = SentenceLikeness(settings)
    try:
        changes = asyncio.run(compare_editions(asked, earlier, read_edition(folder, settings), likeness))
    finally:
        likeness.close()
    _print_changes(changes, folder, annotate=annotate, as_json=as_json)
    if changes.losses or changes.unknown:
        raise typer.Exit(1)


def _print_changes(changes: "Changes", folder: Path, *, annotate: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(changes.to_json())
        return
    for loss in changes.losses:
        typer.echo(f"{folder / loss.file}:{loss.line}: {loss.case}: {loss.message}")
        typer.echo(f"    {loss.question}")
        if annotate:
            typer.echo(f"::error file={folder / loss.file},line={loss.line}::{loss.case}: {loss.message}")
    for case, section in changes.unknown:
        typer.echo(f"{case}: expects `{section}`, which is in neither edition")
    lost = len({loss.case for loss in changes.losses})
    typer.echo(f"The edit touches {counted(len(changes.touched), 'cases')}; {lost} lost something.", err=True)


def _finish(report: "Report", save: list[Path] | None, settings: Settings, *, as_json: bool) -> None:
    """Print and save a report; exit with 1 if it did not pass."""
    from rich.console import Console

    from preceptor.evaluation.report import render

    if as_json:
        typer.echo(report.to_json())
    else:
        Console().print(render(report))
    for file in save or []:
        file.write_text(_written(report, file.suffix, settings), encoding="utf-8")
    if not report.passed:
        raise typer.Exit(1)


def _written(report: "Report", suffix: str, settings: Settings) -> str:
    from preceptor.evaluation.junit import to_junit
    from preceptor.evaluation.markdown import to_markdown
    from preceptor.evaluation.page import to_html

    match suffix:
        case ".html":
            return to_html(report, traces=f"{settings.server.address}/traces")
        case ".xml":
            return to_junit(report)
        case ".md":
            return to_markdown(report)
        case _:
            return report.to_json()


def _compare(old: Path, new: Path, *, falls: dict[str, float], as_json: bool) -> None:
    from rich.console import Console

    from preceptor.evaluation.compare import compare, render
    from preceptor.evaluation.report import Report

    before, after = Report.load(old), Report.load(new)
    overall = falls.pop("", None)
    known = dict.fromkeys(tag for case in after.cases for tag in case.tags)
    for tag in falls:
        if tag not in known:
            raise typer.BadParameter(f"--no-worse-than: no case is of `{tag}`; there are: {', '.join(known)}")
    comparison = compare(before, after, no_worse_than=overall, tags_no_worse_than=falls)
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
    from preceptor.evaluation.dataset import load_cases, not_in_index
    from preceptor.evaluation.price import Prices
    from preceptor.evaluation.run import evaluate as run_cases

    asked = load_cases(cases)
    limits, price = settings.evaluation, Prices(settings.providers)
    with kept_traces(settings) as traces:
        async with open_preceptor(settings, traces=traces) as preceptor:
            books = await preceptor.library.books()
            made = conditions(settings, books)
            gone = not_in_index(asked, await preceptor.library.chapters())
            for told in gone:  # before a run that may cost money
                typer.echo(f"Not in the index: {told}", err=True)
            _tell_cost(asked, settings, price, options)

            def ask(question: str, /, *, chapter: str | None = None) -> "Awaitable[Answer]":
                return preceptor.ask(Question(text=question, chapter=chapter))

            async def converse(questions: Sequence[str], /, *, chapter: str | None = None) -> "list[Answer]":
                answers: list[Answer] = []
                for question in questions:
                    session = answers[-1].session_id if answers else None
                    answers.append(
                        await preceptor.ask(Question(text=question, chapter=chapter, session_id=session))
                    )
                return answers

            total = len(asked.cases) * options["repeat"]
            with _record(save, f"{made.fingerprint} k={limits.k}") as record:
                with _progress(total, "asking") as finished:
                    report = await run_cases(
                        asked,
                        ask,
                        preceptor.library.search,
                        k=limits.k,
                        thresholds=limits,
                        converse=converse,
                        price=price,
                        read=_reader(preceptor),
                        known=dict(record.outcomes) if record else None,
                        remember=record.add if record else lambda asked, outcome: None,
                        finished=finished,
                        **options,
                    )
                if limits.judge.provider:
                    report = await _judge(report, settings, price, record, options)
    if record and report.stopped is None and not any(case.degraded for case in report.cases):
        record.remove()
    return report.model_copy(
        update={
            "book": ", ".join(book.title for book in books),
            "collection": ", ".join((settings.index.collection, *settings.index.also)),
            "conditions": made,
            "not_in_index": tuple(gone),
        }
    )


async def _judge(
    report: "Report", settings: Settings, price: "Prices", record: "Record | None", options: dict[str, Any]
) -> "Report":
    from preceptor.evaluation.model_judge import judge_report, open_judge

    limits = {name: options[name] for name in ("budget", "concurrency", "per_minute")}
    with _progress(len(report.cases), "judging") as finished:
        async with open_judge(settings, price) as judge:
            return await judge_report(
                report,
                judge,
                known=dict(record.verdicts) if record else None,
                remember=record.add_verdict if record else lambda verdict: None,
                finished=finished,
                **limits,
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
def _progress(total: int, doing: str) -> "Generator[Callable[[], object], None, None]":
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda: progress.advance(task)


def _tell_cost(cases: "Cases", settings: Settings, price: "Prices", options: dict[str, Any]) -> None:
    """Say what a run will cost before it begins.

    Raises:
        CostUnknown: There is a budget, and no price by which to keep to it.
    """
    from preceptor.evaluation.price import estimate, estimate_judge

    asked = sum(1 + len(case.inputs.turns) for case in cases.cases)
    answers = len(cases.cases) * options["repeat"]
    estimates = [
        estimate(settings, price, questions=asked * options["repeat"]),
        estimate_judge(settings, price, answers=answers),
    ]
    for told in filter(None, estimates):
        if options["budget"] is not None and told.dollars is None:
            raise CostUnknown(told.model)
        typer.echo(told.sentence, err=True)

"""`preceptor traces`: list and search runs, show one, replay, compare, share, note, remove."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from preceptor.commands.opening import AsJson, Env, kept_traces, of_book
from preceptor.errors import TapeMissing, TraceNotFound
from preceptor.settings import Settings, load_settings
from preceptor.text.number import counted

if TYPE_CHECKING:
    from preceptor.agents.answer import Answer
    from preceptor.tracing.store import TraceStore
    from preceptor.tracing.tape import Tape

_DEFAULT = "list"
_PATIENCE = 10.0
"""Longest wait for the file, in seconds."""

TraceId = Annotated[str, typer.Argument(metavar="ID", help="Trace id of a run, or the beginning of it.")]


class _Listing(TyperGroup):
    """A group that lists runs when no command is named: `preceptor traces`, `preceptor traces ID`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before what is no command."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Listing,
    help="Look into runs: list and search them, show one, replay it, compare two, share one.\n\n"
    "Without a command, runs are listed: `preceptor traces --search node` is `preceptor traces list --search node`.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_(
    trace_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this run as a tree.")] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search", "-s", help="Words of question and answer, or of one passage; “…” is a phrase."
        ),
    ] = None,
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="The book did not answer, or nobody did.")
    ] = False,
    weak: Annotated[
        bool, typer.Option("--weak", help="Answered from the book, with a confidence below 0.5.")
    ] = False,
    fell_over: Annotated[
        bool, typer.Option("--fell-over", help="A tutor failed or was passed over.")
    ] = False,
    left: Annotated[
        str | None, typer.Option("--from", metavar="PROVIDER", help="This tutor failed or was passed over.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="… for this reason, such as rate_limited (docs/tutors.md).")
    ] = None,
    degraded: Annotated[
        bool, typer.Option("--degraded", help="The offline tutor answered in a provider's place.")
    ] = False,
    slower: Annotated[float | None, typer.Option(metavar="SECONDS", help="Took at least so long.")] = None,
    dearer: Annotated[
        float | None, typer.Option(metavar="USD", help="Cost at least so many US dollars.")
    ] = None,
    disliked: Annotated[bool, typer.Option("--disliked", help="The reader's thumb is down.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="It ended with an error.")] = False,
    provider: Annotated[str | None, typer.Option(help="This provider answered.")] = None,
    tool: Annotated[str | None, typer.Option(help="This tool was called.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Of this conversation.")] = None,
    noted: Annotated[
        Literal["good", "bad", "any"] | None, typer.Option(help="Marked so with `preceptor traces note`.")
    ] = None,
    book: Annotated[str | None, typer.Option(help="Id of the book that was asked, of several.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs to list, newest first.")] = 20,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """List the runs that are kept, or show one as a tree: agents, model calls, tools, failures, times.

    Example: `preceptor traces --search "topic" --weak`, then `preceptor traces ID`.
    """
    from rich.console import Console

    from preceptor.tracing.filters import WEAK, Filters
    from preceptor.tracing.report import run_tree, runs_table

    store = _store(load_settings(env))
    if trace_id is not None:
        run = store.run(trace_id)
        if as_json:
            _print_json(asdict(run))
        else:
            Console().print(run_tree(run, _tape_of(store, trace_id)))
        return
    filters = Filters(
        search=search, unanswered=unanswered, weak=WEAK if weak else None, fell_over=fell_over, left=left,
        reason=reason, degraded=degraded, slower=slower, dearer=dearer, disliked=disliked, failed=failed,
        provider=provider, tool=tool, session_id=session, book=book, noted=noted,
    )  # fmt: skip
    runs = store.runs(limit, filters=filters)
    if as_json:
        _print_json([asdict(run) for run in runs])
    elif runs:
        Console().print(runs_table(runs))
    elif filters != Filters():
        typer.echo(f"No run of `{store.path}` meets all of these conditions.")
    else:
        typer.echo(
            f'No run is kept in `{store.path}` yet. Ask something: `preceptor demo --ask "What is ROS 2?"`.'
        )


@app.command()
def replay(
    trace_id: TraceId,
    live_from: Annotated[
        int | None,
        typer.Option(
            "--from",
            min=1,
            metavar="STEP",
            help="Play the steps before this one, and make it and the rest anew (docs/traces.md).",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="[PROVIDER:]MODEL",
            help="Another model, of the provider that was asked first or of this one.",
        ),
    ] = None,
    prompt: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="File with another system prompt.")
    ] = None,
    book: Annotated[
        str | None,
        typer.Option(
            metavar="BOOK", help="Search in another collection; of a library, in the book with this id."
        ),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Play a run again, as it was or with something changed.

    Without options every step comes from the tape: the answer is made anew from the same replies and passages, and no
    request leaves this machine. Exit code 1 when it is not the recorded answer. With --from, --model, --prompt or
    --book the steps are live from the first one that this concerns, and the new run is kept beside the old one.

    Example: `preceptor traces replay ID --model gemini-2.5-pro`, then `preceptor traces diff ID NEW`.
    """
    from preceptor.agents.replay import first_step
    from preceptor.agents.replay import replay as played

    live = live_from is not None or model is not None or prompt is not None or book is not None
    settings = load_settings(env, needs=("index", "tutor") if live else ())
    store = _store(settings)
    run = store.run(trace_id).summary
    full_id = run.trace_id
    tape = store.tape(full_id)
    if not live:
        _print_same(tape, asyncio.run(played(tape, settings)), as_json=as_json)
        return
    several = settings.library.file is not None
    changes = _changes(tape, settings, model=model, collection=None if several else book)
    settings = load_settings(env, needs=("index", "tutor"), overrides=changes)
    if several:
        settings = of_book(settings, book or run.book)
    step = live_from or first_step(tape, tool=model is None and prompt is None)
    if step > len(tape.steps) + 1:
        raise typer.BadParameter(f"the run has {counted(len(tape.steps), 'steps')}", param_hint="--from")
    answer = asyncio.run(_live(tape, settings, step, prompt and prompt.read_text(encoding="utf-8"), full_id))
    if as_json:
        _print_json(
            {"trace_id": answer.trace_id, "replay_of": full_id, "live_from": step, "answer": asdict(answer)}
        )
        return
    typer.echo(answer.text)
    typer.secho(
        f"\n{answer.provider}, {answer.seconds:.1f} s, live from step {step}. "
        f"Compare: preceptor traces diff {full_id[:14]} {answer.trace_id[:14]}",
        err=True,
    )


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="Trace id of a run.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Trace id of another run.")],
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Name the first step in which two runs differ: question, prompt, model, provider, argument, passage, text.

    Exit code 1 when they differ.
    """
    from preceptor.tracing.diff import first_difference

    store = _store(load_settings(env))
    old, new = store.tape(before), store.tape(after)
    found = first_difference(old, new)
    if as_json:
        _print_json(asdict(found) if found else None)
    else:
        typer.echo(
            str(found) if found else f"The runs are the same in all {counted(len(old.steps), 'steps')}."
        )
    if found:
        raise typer.Exit(1)


@app.command()
def prune(
    keep_runs: Annotated[
        int | None, typer.Option(min=0, help="Newest runs to keep; default: traces.keep_runs.")
    ] = None,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="Days to keep; default: traces.keep_days.")
    ] = None,
    env: Env = None,
) -> None:
    """Remove old runs now, and give their space back to the file system."""
    settings = load_settings(env).traces
    removed = _store_of(settings).prune(
        settings.keep_runs if keep_runs is None else keep_runs,
        settings.keep_days if keep_days is None else keep_days,
    )
    typer.echo(f"Removed {counted(removed, 'runs')} from `{settings.path}`.")


@app.command()
def export(
    trace_id: TraceId,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that needs nothing beside it.")
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Share one run: as one file of HTML (at most 300 kB), or with --json as JSON lines: the run, then its spans.

    Secrets of the settings, and what has the shape of one, are removed. Readers' words are in it.
    """
    from preceptor.tracing.page import shared_file, shared_lines
    from preceptor.tracing.redaction import Redactor

    if as_json == (html is not None):
        raise typer.BadParameter("give either --html FILE or --json")
    settings = load_settings(env)
    store, redact = _store(settings), Redactor(settings.secrets())
    run, tape = store.run(trace_id), _tape_of(store, trace_id)
    if html is None:
        typer.echo(shared_lines(run, tape, redact=redact), nl=False)
        return
    html.write_text(shared_file(run, tape, redact=redact), encoding="utf-8")
    typer.echo(f"Wrote `{html}`.", err=True)


@app.command()
def note(
    trace_id: TraceId,
    verdict: Annotated[Literal["good", "bad", "none"], typer.Argument(help="none takes the mark back.")],
    why: Annotated[str, typer.Option(help="Why.")] = "",
    env: Env = None,
) -> None:
    """Mark a run as good or bad; `preceptor traces --noted bad` lists those."""
    store = _store(load_settings(env))
    full_id = store.run(trace_id).summary.trace_id
    kept = store.note(full_id, None if verdict == "none" else verdict, why).result(_PATIENCE)
    store.close()
    if not kept:
        raise TraceNotFound(full_id, store.path)


@app.command()
def case(
    trace_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="Runs.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", dir_okay=False, help="Add them to this file; default: print."),
    ] = None,
    disliked: Annotated[bool, typer.Option("--disliked", help="All runs with a thumb down.")] = False,
    unanswered: Annotated[
        bool, typer.Option("--unanswered", help="All runs that were not answered.")
    ] = False,
    noted: Annotated[
        Literal["good", "bad", "any"] | None, typer.Option(help="All runs with this mark.")
    ] = None,
    book: Annotated[str | None, typer.Option(help="With one of these: runs of this book.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs at most.")] = 100,
    env: Env = None,
) -> None:
    """Turn runs into cases of an evaluation: the question, and the sections that the answer cites.

    A question that is in the file already is left out. Check the cases of runs that were bad: the sections are those
    of the answer.

    Example: `preceptor traces case ID --file my-cases.yaml`, then `preceptor evaluate --cases my-cases.yaml`.
    """
    from preceptor.tracing.case import add_cases, drafts, file_text
    from preceptor.tracing.filters import Filters

    filters = Filters(disliked=disliked, unanswered=unanswered, noted=noted, book=book)
    if bool(trace_ids) == (disliked or unanswered or noted is not None):
        raise typer.BadParameter("give either runs or one of --disliked, --unanswered, --noted")
    store = _store(load_settings(env))
    chosen = trace_ids or [run.trace_id for run in store.runs(limit, filters=filters)]
    runs = [(store.run(one), _tape_of(store, one)) for one in chosen]
    if file is None:
        typer.echo(file_text("from-traces", drafts(runs)), nl=False)
        return
    added = add_cases(file, drafts(runs))
    typer.echo(f"Added {counted(added, 'cases')} to `{file}`, of {counted(len(runs), 'runs')}.", err=True)


async def _live(tape: "Tape", settings: Settings, step: int, prompt: str | None, replay_of: str) -> "Answer":
    from preceptor.agents.replay import replay_live

    with kept_traces(settings) as store:
        return await replay_live(
            tape, settings, live_from=step, traces=store, prompt=prompt, replay_of=replay_of
        )


def _changes(
    tape: "Tape", settings: Settings, *, model: str | None, collection: str | None
) -> dict[str, dict[str, Any]]:
    """Returns the settings that a replay changes."""
    changes: dict[str, dict[str, Any]] = {"index": {"collection": collection}} if collection else {}
    if model:
        # A model's own name may hold a colon, as `llama3:8b` does.
        provider, _, name = model.partition(":")
        if provider not in settings.providers:
            provider, name = _first_provider(tape), model
        changes["providers"] = {provider: {"model": name}}
    return changes


def _first_provider(tape: "Tape") -> str:
    from preceptor.agents.replay import handed_to

    asked = [provider for step in tape.steps for provider in handed_to(step) if provider != "offline"]
    if not asked:
        raise typer.BadParameter("the run asked no provider", param_hint="--model")
    return asked[0]


def _print_same(tape: "Tape", answer: "Answer", *, as_json: bool) -> None:
    recorded: Any = tape.answer
    same = answer.text == recorded["text"]
    if as_json:
        _print_json({"same": same, "steps": len(tape.steps), "answer": asdict(answer)})
    else:
        typer.echo(answer.text)
        if same:
            told = f"\nThe recorded answer, byte for byte ({counted(len(tape.steps), 'steps')})."
        else:
            told = f"\nThis is not the recorded answer, which was:\n\n{recorded['text']}"
        typer.secho(told, err=True)
    if not same:
        raise typer.Exit(1)


def _store(settings: Settings) -> "TraceStore":
    return _store_of(settings.traces, settings.secrets())


def _store_of(settings: Any, redact: Sequence[str] = ()) -> "TraceStore":
    from preceptor.tracing.store import TraceStore

    return TraceStore.from_settings(settings, redact)


def _tape_of(store: "TraceStore", trace_id: str) -> "Tape | None":
    try:
        return store.tape(trace_id)
    except TapeMissing:
        return None


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False, default=str))

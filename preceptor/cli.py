"""The command line: each command parses, calls and prints.

stdout is the result (`--json` for machines), stderr is progress and errors. Exit code 0: done; 1: failed;
2: misused. What takes long to import is imported by the command that needs it.
"""

import asyncio
import gc
import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from preceptor import __version__
from preceptor.commands import evaluate, report, tools, traces
from preceptor.commands.late import import_late
from preceptor.commands.opening import (
    SAMPLE,
    AsJson,
    BookId,
    Env,
    given,
    index_book,
    kept_traces,
    of_book,
    sample_book,
    to_stderr,
)
from preceptor.errors import PreceptorError, SettingsError, VectorIndexError, why_unread
from preceptor.log_levels import LOG_LEVELS
from preceptor.private import make_private
from preceptor.settings import Settings, load_settings
from preceptor.text.number import counted

if TYPE_CHECKING:
    from preceptor.agents.answer import Answer
    from preceptor.agents.readiness import Finding
    from preceptor.library.protocol import Engine

app = typer.Typer(
    name="preceptor",
    help="Ask a textbook: every citation of an answer opens the right heading of the book.",
    epilog="No account yet? `preceptor demo` indexes a sample book and serves it without any key.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ERROR_LOG = Path(".preceptor/error.log")
_SHORTEST_QUESTION = 2
"""Characters; as over HTTP."""

Source = Annotated[Path, typer.Option("--source", "-s", help="Folder of the book's Markdown pages.")]


def main() -> None:
    """Entry point: runs a command and turns what went wrong into a message and an exit code."""
    try:
        app()
    except PreceptorError as error:
        told = "\n".join([str(error), *getattr(error, "__notes__", ())])
        typer.secho(f"Error: {told}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.secho("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the edge: a person gets a sentence, the log the traceback
        make_private(_ERROR_LOG)
        _ERROR_LOG.write_text(traceback.format_exc(), encoding="utf-8")
        told = (
            f"something unexpected happened ({type(error).__name__}). The details are in `{_ERROR_LOG}`; please report "
            "them."
        )
        if isinstance(error, OSError) and error.filename:  # most often the name of a person's file
            told = f"`{error.filename}` cannot be read or written: {why_unread(error)}."
        typer.secho(f"Error: {told}", fg="red", err=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")] = False,
) -> None:
    level = logging.INFO if verbose or context.invoked_subcommand == "serve" else logging.WARNING
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("preceptor").setLevel(level)
    for name, lowest in LOG_LEVELS.items():
        logging.getLogger(name).setLevel(lowest)
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _question(text: str | None) -> str | None:
    if text is not None and len(text.strip()) < _SHORTEST_QUESTION:
        raise typer.BadParameter(f"a question has at least {_SHORTEST_QUESTION} characters")
    return text


@app.command()
def demo(
    ask: Annotated[
        str | None, typer.Option(callback=_question, help="Ask this one question, print the answer and end.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", "-s", help="Your own book in place of the sample.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    as_json: AsJson = False,
) -> None:
    """Try it without any key: index the sample book, then serve it, or ask one question.

    The index is embedded in the process and lies in `.preceptor/`; answers are quotations from the book, found
    on this machine.
    """
    book: Mapping[str, Any] = {} if source else {"book": SAMPLE}
    # The one book, whatever library the settings name.
    overrides = {**book, "server": {"host": host, "port": port}, "library": {"file": None}}
    settings = load_settings("demo", overrides=overrides)
    if ask is None:
        _check_address(settings)
    summary = index_book(source or sample_book(), settings, quiet=False)
    typer.secho(
        f"Indexed {counted(summary.pages, 'pages')}, {counted(summary.passages, 'passages')}.", err=True
    )
    if ask is None:
        address = settings.server.address
        typer.secho(f"\nOpen {address}/ or ask:\n\n  {_curl(address)}\n\nCtrl-C ends it.\n", err=True)
        _serve(settings)
    else:
        _print_answer(asyncio.run(_ask(settings, ask)), as_json=as_json)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(callback=_question, help="What you want to know.")],
    chapter: Annotated[str | None, typer.Option(help="Answer only from the chapter with this id.")] = None,
    book: BookId = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Ask the indexed book one question.

    Example: `preceptor ask "What is ROS 2?"`
    """
    settings = of_book(load_settings(env, needs=("index", "tutor")), book)
    _print_answer(asyncio.run(_ask(settings, question, chapter=chapter)), as_json=as_json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default: server.port.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve; default: server.workers. See docs/deploy.md.")
    ] = None,
    reload_tools: Annotated[
        bool, typer.Option("--reload-tools", help="Load plug-ins anew when their files change.")
    ] = False,
    env: Env = None,
) -> None:
    """Serve the indexed book over HTTP.

    The start fails with one message that lists every setting that is missing or wrong. SIGTERM and Ctrl-C let
    running answers end; a second one cuts them.
    """
    chosen = given({"host": host, "port": port, "workers": workers})
    settings = load_settings(env, needs=("index", "tutor"), overrides={"server": chosen})
    if reload_tools and settings.server.workers > 1:
        raise typer.BadParameter("--reload-tools serves with one process; give `--workers 1`")
    _serve(settings, reload_tools=reload_tools)


@app.command("mcp")
def mcp_server(book: BookId = None, env: Env = None) -> None:
    """Serve the indexed book to an MCP client over stdin and stdout: search, chapters, the tutor.

    Such a client starts it itself; see docs/mcp.md. For clients elsewhere, `server.mcp` opens `/mcp` of
    `preceptor serve`.
    """
    from preceptor.server.mcp import serve_stdio

    settings = of_book(load_settings(env, needs=("index", "tutor")), book)
    with kept_traces(settings) as traces:
        asyncio.run(serve_stdio(settings, traces))


def _serve(settings: Settings, *, reload_tools: bool = False) -> None:
    if settings.server.workers == 1:
        # What is imported is no garbage, and to look for some takes a fifth of the start. The service itself begins to
        # collect, in `collected_rarely`.
        gc.disable()
    # The SDK wants one exception of it. The rest takes a seventh of the start and 24 MiB.
    import_late("mcp", now="mcp.shared.exceptions")
    from preceptor.server.serve import serve

    serve(settings, reload_tools=reload_tools)


def _check_address(settings: Settings) -> None:
    from preceptor.server.serve import check_address

    check_address(settings.server.host, settings.server.port)


async def _ask(settings: Settings, question: str, *, chapter: str | None = None) -> "Answer":
    from preceptor.agents.answer import Question
    from preceptor.agents.preceptor import open_preceptor

    with kept_traces(settings) as traces:
        async with open_preceptor(settings, traces=traces) as preceptor:
            return await preceptor.ask(Question(text=question, chapter=chapter))


def _print_answer(answer: "Answer", *, as_json: bool) -> None:
    if as_json:
        from preceptor.server.contract import ChatResponse

        typer.echo(ChatResponse.of(answer).model_dump_json(by_alias=True, indent=2))
        return
    typer.echo(answer.told)
    if answer.sources:
        typer.echo("\nSources")
    for source in answer.sources:
        typer.echo(f"  [{source.number}] {' › '.join(source.breadcrumb)}\n      {source.url}")
    typer.secho(f"\n{answer.provider}, {answer.seconds:.1f} s, {answer.trace_id}", err=True)


def _curl(address: str) -> str:
    body = json.dumps({"content": "What is ROS 2?"})
    return f"curl {address}/api/v1/chat -H 'Content-Type: application/json' -d '{body}'"


@app.command()
def index(
    source: Annotated[Path | None, typer.Option("--source", "-s", help="Folder of the book's pages.")] = None,
    library: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All books of this `books.toml` (docs/library.md).")
    ] = None,
    book: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="With --library: only this book. May be given more than once."),
    ] = None,
    on: Annotated[
        str,
        typer.Option(
            metavar="WHERE", help="Where their tasks run: local, ray, or the address of a Ray cluster."
        ),
    ] = "local",
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=256, help="Passages embedded and written at once.")
    ] = None,
    chunk_size: Annotated[
        int | None, typer.Option(min=32, max=4096, help="Longest passage, in tokens of the embedding model.")
    ] = None,
    chunk_overlap: Annotated[
        int | None, typer.Option(min=0, max=512, help="Tokens that neighbouring passages share.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the book.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="Where it goes, or which is meant; default: index.collection.")
    ] = None,
    site_config: Annotated[
        Literal["files", "build"] | None,
        typer.Option(
            help="Read the site's files, or ask Docusaurus itself, with Node; default: site.config."
        ),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Take nothing from the index that is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be indexed; write nothing.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when something of the book could not be taken in.")
    ] = False,
    init: Annotated[bool, typer.Option("--init", help="Make the collection, without a page.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the collections.")] = False,
    info: Annotated[bool, typer.Option("--info", help="What the collection says of itself.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the version before.")] = False,
    delete: Annotated[str | None, typer.Option(metavar="NAME", help="Delete this collection.")] = None,
    layout: Annotated[
        Literal["separate", "shared"] | None,
        typer.Option(
            help="Layout of the cloud; alone: copy into it what is in the other; default: index.layout."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Index a book: read its pages, embed what is new or changed, remove what is gone.

    It can be interrupted at any time and goes on where it was. Exit code 1 when a page failed, and with --strict when
    anything could not be taken in; the rest is indexed all the same. With --init, --list, --info, --rollback or
    --delete, or --layout alone, it manages what is there instead.

    Example: `preceptor index --source my-book`
    """
    tasks = {"init": init, "list": list_, "info": info, "rollback": rollback, "delete": delete is not None}
    chosen = [name for name, wanted in tasks.items() if wanted]
    if layout and not chosen and source is None and library is None:
        chosen = ["move"]
    if len(chosen) + (source is not None) + (library is not None) != 1:
        raise typer.BadParameter(
            "give either --source BOOK, --library FILE, or one of --init, --list, --info, --rollback, --delete"
        )
    one_book = {"--title": title, "--collection": collection, "--dry-run": dry_run, "--strict": strict}
    if library is not None and (misplaced := [name for name, value in one_book.items() if value]):
        raise typer.BadParameter(f"{', '.join(misplaced)} goes with --source, not with --library")
    if library is None and (on != "local" or book):
        raise typer.BadParameter(f"{'--book' if book else f'--on {on}'} goes with --library")
    options = {
        "batch_size": batch_size, "chunk_size": chunk_size, "chunk_overlap": chunk_overlap, "collection": collection,
        "layout": layout,
    }  # fmt: skip
    settings = load_settings(
        env,
        needs=() if dry_run else ("index",),
        overrides={
            "index": given(options),
            "book": given({"title": title}),
            "site": given({"config": site_config}),
        },
    )
    if library is not None:
        from preceptor.commands.library import index_books

        index_books(library, settings, only=book or (), on=on, rebuild=rebuild, quiet=quiet, as_json=as_json)
    elif source is None:
        told = asyncio.run(_manage(chosen[0], delete or settings.index.collection, settings))
        typer.echo(json.dumps(told, ensure_ascii=False, default=str) if as_json else _lines(told))
    elif dry_run:
        _dry_run(source, settings, strict=strict, as_json=as_json)
    elif settings.library.file and collection is None:
        raise typer.BadParameter(
            f"`library.file` names several books: index one of them with `--library {settings.library.file} "
            "--book ID`, or say with --collection where this one goes"
        )
    else:
        _run_index(source, settings, quiet=quiet, rebuild=rebuild, strict=strict, as_json=as_json)


def _run_index(
    source: Path, settings: Settings, *, quiet: bool, rebuild: bool, strict: bool, as_json: bool
) -> None:
    from preceptor.indexing.report import summary_text

    try:
        summary = index_book(source, settings, quiet=quiet, rebuild=rebuild)
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. Readers still see the book as it was; run the same command again: it goes on where it was.",
            err=True,
        )
        raise typer.Exit(130) from None
    typer.echo(json.dumps(summary.as_json(), ensure_ascii=False) if as_json else summary_text(summary))
    if summary.failed or (strict and summary.missing):
        raise typer.Exit(1)


async def _manage(task: str, collection: str, settings: Settings) -> "dict[str, Any]":
    """Carry out one of the tasks on what is there; says what came of it."""
    from preceptor.indexing.run import prepare
    from preceptor.library import open_engine

    async with open_engine(settings) as engine:
        await engine.verify_connection()
        match task:
            case "list":
                names = await engine.collections()
                return {
                    "where": engine.where,
                    "collections": [await _described(engine, name) for name in names],
                }
            case "delete":
                await engine.delete(collection)
                return {"deleted": collection, "where": engine.where}
            case "rollback":
                return {
                    "collection": collection,
                    "where": engine.where,
                    **asdict(await engine.rollback(collection)),
                }
            case "move":
                return {"moved": await _moved(engine, settings), "where": engine.where}
            case "init":
                made = await prepare(engine, settings)
                return {"made" if made else "already there": collection, "where": engine.where}
            case _:
                opened = await engine.open(collection)
                try:
                    return {"collection": collection, "where": opened.where, **asdict(await opened.info())}
                finally:
                    await opened.close()


async def _moved(engine: "Engine", settings: Settings) -> list[str]:
    """Copy the books of the other layout into this one."""
    if settings.index.backend == "embedded":
        raise typer.BadParameter("--layout is of Qdrant Cloud, and `index.backend` is `embedded`")
    from preceptor.library import open_engine
    from preceptor.library.cloud import QdrantCloud
    from preceptor.library.cloud_move import move_all

    other = "separate" if settings.index.layout == "shared" else "shared"
    index = settings.index.model_copy(update={"layout": other})
    async with open_engine(settings.model_copy(update={"index": index})) as source:
        assert isinstance(source, QdrantCloud)
        assert isinstance(engine, QdrantCloud)
        return await move_all(source, engine)


async def _described(engine: "Engine", collection: str) -> dict[str, Any]:
    """One line of the list; a collection that cannot be opened says why."""
    try:
        opened = await engine.open(collection)
        try:
            found = await opened.info()
        finally:
            await opened.close()
    except VectorIndexError as error:
        return {"collection": collection, "problem": str(error)}
    return {
        "collection": collection, "book": found.book, "title": found.title, "passages": found.points,
        "built_at": found.built_at,
    }  # fmt: skip


def _lines(told: Mapping[str, Any]) -> str:
    lines = [f"{name}: {value}" for name, value in told.items() if name != "collections"]
    if "collections" in told:
        lines += _table(told["collections"]) or ["no collection yet"]
    return "\n".join(lines)


def _table(collections: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each collection under the names of the columns; one with a problem says that instead."""
    if not collections:
        return []
    rows = [("collection", "book", "title", "passages", "built at")]
    rows += [tuple(map(str, row.values())) for row in collections]
    widths = [
        max(map(len, column))
        for column in zip(*(row for row in rows if len(row) == len(rows[0])), strict=True)
    ]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def _dry_run(source: Path, settings: Settings, *, strict: bool, as_json: bool) -> None:
    from preceptor.indexing.report import missing_text, notes_text, page_json, page_text
    from preceptor.indexing.run import Indexing

    failed = 0
    indexing = Indexing(source, settings, tell=to_stderr)
    for page, made in indexing.pages():
        failed += page.status == "failed"
        rendered = page_json(page, made, indexing.notes) if as_json else page_text(page, made)
        typer.echo(json.dumps(rendered, ensure_ascii=False) if as_json else rendered)
    if indexing.notes:
        typer.echo(notes_text(indexing.notes), err=as_json)
    missing = indexing.missing
    if missing:
        typer.echo(missing_text(missing), err=as_json)
    if failed or (strict and missing):
        raise typer.Exit(1)


app.add_typer(evaluate.app, name="evaluate")
app.add_typer(traces.app, name="traces")
app.command()(report.report)


@app.command()
def check(env: Env = None, as_json: AsJson = False) -> None:
    """Say what is configured, what is missing and what cannot be reached; exit 0 when questions can be answered.

    Spends no tokens.
    """
    found, ways = asyncio.run(_findings(env))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False))
    else:
        marks = {"ok": "ok  ", "off": "off ", "warning": "WARN", "failed": "FAIL"}
        for finding in found:
            typer.echo(f"{marks[finding.state]}  {finding.what}: {finding.detail}")
    for way in ways:
        typer.echo(way, err=True)
    answers = any(finding.state == "ok" and finding.is_tutor for finding in found)
    if not answers or any(finding.state == "failed" for finding in found):
        raise typer.Exit(1)


async def _findings(env: str | None) -> "tuple[list[Finding], Sequence[str]]":
    """Returns the findings, and alternatives to whatever is missing."""
    from preceptor.agents.readiness import Finding, findings

    unset: list[Finding] = []
    ways: Sequence[str] = ()
    try:
        settings = load_settings(env, needs=("index", "tutor"))
    except SettingsError as error:
        unset, ways = [Finding("settings", "failed", problem) for problem in error.problems], error.ways
        try:
            settings = load_settings(env, needs=("index",))
        except SettingsError:
            return unset, ways
    unset += [Finding("settings", "warning", doubt) for doubt in settings.doubts()]
    found: list[Finding] = []
    try:
        if settings.library.file is not None:
            from preceptor.books import read_books
            from preceptor.commands.library import index_finding

            books = [*read_books(settings.library.file, settings).values()]
            found.append(await index_finding(books))
            settings = books[0].settings  # the rest is the same for all of them
        async for finding in findings(settings):
            found.append(finding)  # noqa: PERF401 - what was found before an error is told
    except SettingsError as error:
        unset += [Finding("settings", "failed", problem) for problem in error.problems]
    return [*unset, *found], ways


app.add_typer(tools.app, name="tools")

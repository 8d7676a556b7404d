"""`preceptor evaluate label`: a page on this machine on which a person labels the answers of a report."""

import functools
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qs, quote

import typer

from preceptor.errors import RequestInvalid
from preceptor.text.number import counted

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from preceptor.evaluation.labels import Labels
    from preceptor.evaluation.report import CaseResult, Report

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def label(
    report: Annotated[Path, typer.Argument(help="A report that `--save` wrote as JSON.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on this machine; 0: one that is free.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(help="Seed by which answers are drawn; a file that was begun keeps its own.")
    ] = 0,
) -> None:
    """Label the answers of a report good or bad on a page in the browser, in an order drawn by chance.

    Each label is at once in a file beside the report: those of report.json in report.labels.jsonl. Stop with Ctrl-C
    whenever you like; it goes on where it was.

    Example: `preceptor evaluate label after.json`
    """
    import uvicorn

    from preceptor.evaluation.labels import Labels
    from preceptor.evaluation.report import Report, judged

    found = Report.load(report)
    labels = Labels.beside(report, seed=seed)
    try:
        listening = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise typer.BadParameter(f"{port} cannot be listened at: {reason}", param_hint="--port") from None
    with listening:
        config = uvicorn.Config(
            app(found, report, seed=seed), log_level="warning", timeout_graceful_shutdown=1
        )
        drawn = counted(len(found.sample(labels.seed)), "answers")
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        typer.echo(f"Label {drawn} at {address} (Ctrl-C ends it).", err=True)
        with suppress(KeyboardInterrupt):  # the server raises it again when it has stopped
            uvicorn.Server(config).run(sockets=[listening])
    for line in judged(Labels.beside(report, seed=seed).written_into(found)):
        typer.echo(line)


def app(report: "Report", path: Path, *, seed: int = 0) -> "Starlette":
    """Returns the application, which serves this machine alone.

    Args:
        report: The report.
        path: Its file; the labels lie beside it.
        seed: Seed by which answers are drawn, if there are no labels yet.
    """
    # Here and not above: the command line starts without it.
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    from preceptor.errors import PreceptorError
    from preceptor.evaluation.label_page import SCRIPT, STYLE
    from preceptor.evaluation.labels import Labels
    from preceptor.server.access import OperatorInBrowser, SecurityHeaders
    from preceptor.server.faults import on_error

    pages = _Pages(report, functools.partial(Labels.beside, path, seed=seed))
    here = [Middleware(OperatorInBrowser, key=None)]
    return Starlette(
        routes=[
            Route("/", pages.shown, middleware=here),
            Route("/label", pages.labelled, methods=["POST"], middleware=here),
            Route("/label.css", functools.partial(_asset, STYLE, "text/css"), middleware=here),
            Route("/label.js", functools.partial(_asset, SCRIPT, "text/javascript"), middleware=here),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={PreceptorError: on_error},
    )


class _Pages:
    def __init__(self, report: "Report", labels: "Callable[[], Labels]") -> None:
        self._report = report
        self._labels = labels
        """Reads the file anew: a person may write in it meanwhile."""

    async def shown(self, request: "Request") -> "Response":
        """The answer of the query, else the first one without a label."""
        from starlette.responses import HTMLResponse

        from preceptor.evaluation.label_page import all_labelled, to_label
        from preceptor.evaluation.labels import next_to_label

        labels = self._labels()
        sample = self._report.sample(labels.seed)
        wanted, after = request.query_params.get("case"), request.query_params.get("after", "")
        case = self._named(sample, wanted) if wanted else next_to_label(sample, labels)
        if case is None:
            page = all_labelled(self._report, sample, labels, after)
        else:
            page = to_label(self._report, sample, labels, case, after)
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})

    async def labelled(self, request: "Request") -> "Response":
        """Keeps a label, and leads to the next answer."""
        from starlette.responses import RedirectResponse

        from preceptor.evaluation.label_page import LONGEST_REASON

        form = parse_qs((await request.body()).decode(errors="replace"))
        name, verdict = form.get("case", [""])[0], form.get("verdict", [""])[0]
        if verdict not in ("good", "bad"):
            raise RequestInvalid({"verdict": "must be `good` or `bad`"})
        labels = self._labels()
        case = self._named(self._report.sample(labels.seed), name)
        why = "\n".join(form.get("why", [""])[0].strip().splitlines())[:LONGEST_REASON]
        labels.add(case, verdict, why)
        return RedirectResponse(f"/?after={quote(name, safe='')}", 303)

    @staticmethod
    def _named(sample: "list[CaseResult]", name: str) -> "CaseResult":
        for case in sample:
            if case.name == name:
                return case
        raise RequestInvalid({"case": "no answer of the report is to such a case"})


def _asset(file: Path, kind: str, request: "Request") -> "Response":
    from starlette.responses import Response

    return Response(file.read_text("utf-8"), media_type=kind, headers={"Cache-Control": "no-cache"})

"""Pages of runs for the operator: `GET /traces`, one run, two side by side, a run as a file or as a case; and the gaps.

They are rendered on the server and read the file of runs when they are opened; a service whose operator never opens
them pays nothing.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs, quote

from pydantic import SecretStr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from preceptor.agents.preceptor import Preceptor
from preceptor.books import Book
from preceptor.errors import RequestInvalid, TapeMissing, TraceNotFound
from preceptor.server.access import OperatorInBrowser
from preceptor.server.shelf import Shelf
from preceptor.settings import Settings
from preceptor.tracing.filters import WEAK, Filters
from preceptor.tracing.run import RunSummary
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Tape

T = TypeVar("T")

_BASE = "/traces"
_LISTED = 50
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STYLE = '<link rel=icon href="/static/icon.svg"><link rel=stylesheet href="/traces/page.css">'
_FOLLOWS = "<noscript><meta http-equiv=refresh content=3></noscript>"
_SCRIPT = '<script defer src="/traces/page.js"></script>'
_PLOTS = '<link rel=stylesheet href="/traces/plots.css">'
_DAY = 86_400


def routes(key: SecretStr | None, opens: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """Returns the routes, which serve whoever bears the operator's key or, without one, this machine.

    Args:
        key: The operator's key.
        opens: Middleware that finds and opens a book, where there are several.
    """
    operates = [Middleware(OperatorInBrowser, key=key)]

    def route(path: str, endpoint: Callable[[Request], Any], *methods: str) -> Route:
        return Route(f"{_BASE}{path}", endpoint, methods=methods or ["GET"], middleware=operates)

    return [
        route("", listed),
        route("/page.css", functools.partial(_asset, "page.css", "text/css")),
        route("/page.js", functools.partial(_asset, "page.js", "text/javascript")),
        route("/plots.css", plots),
        route("/compare", compared),
        Route(f"{_BASE}/report", gaps, middleware=[*operates, *opens]),
        route("/{id}", shown),
        route("/{id}/note", noted, "POST"),
        route("/{id}/export.html", exported),
        route("/{id}/export.jsonl", exported_lines),
        route("/{id}/case.yaml", case),
    ]


async def listed(request: Request) -> Response:
    """The list of runs, by the filters of the query."""
    form = {name: value for name, value in request.query_params.items() if value}
    filters = _filters(form)
    store = _store(request)
    runs = await _read(lambda: store.runs(_LISTED, filters=filters))
    return _page(request, "Runs", lambda page: page.list(runs, filters, form, _LISTED), runs)


async def shown(request: Request) -> Response:
    """One run."""
    run, tape = await _run(request, request.path_params["id"])
    if run.summary.seconds is None:
        _store(request).follow(run.summary.trace_id)
    title = run.summary.question or run.summary.trace_id
    return _page(request, title, lambda page: page.run(run, tape), [run.summary])


async def compared(request: Request) -> Response:
    """Two runs side by side."""
    pairs = [await _run(request, request.query_params.get(name, "")) for name in ("a", "b")]
    runs, tapes = zip(*pairs, strict=True)
    return _page(request, "Two runs", lambda page: page.compare(runs, tapes))


async def noted(request: Request) -> Response:
    """Mark a run, and show it again."""
    form = parse_qs((await request.body()).decode(errors="replace"))
    trace_id = request.path_params["id"]
    verdict = form.get("verdict", [""])[0]
    if verdict not in ("good", "bad", ""):
        raise RequestInvalid({"verdict": "must be `good`, `bad` or empty"})
    store = _store(request)
    why = form.get("why", [""])[0]
    kept = await asyncio.wrap_future(store.note(trace_id, cast("Any", verdict or None), why))
    if not kept:
        raise TraceNotFound(trace_id, store.path)
    return RedirectResponse(f"{_BASE}/{quote(trace_id, safe='')}", 303)


async def exported(request: Request) -> Response:
    """One run as a file."""
    from preceptor.tracing.page import shared_file

    run, tape = await _run(request, request.path_params["id"])
    return HTMLResponse(
        await _read(lambda: shared_file(run, tape, redact=_redactor(request))), headers=_HEADERS
    )


async def exported_lines(request: Request) -> Response:
    """One run as JSON lines."""
    from preceptor.tracing.page import shared_lines

    run, tape = await _run(request, request.path_params["id"])
    text = shared_lines(run, tape, redact=_redactor(request))
    return Response(text, media_type="application/x-ndjson", headers=_HEADERS)


async def case(request: Request) -> Response:
    """One run as a case of an evaluation."""
    from preceptor.tracing.case import drafts, file_text

    run, tape = await _run(request, request.path_params["id"])
    text = _redactor(request)(file_text("from-traces", drafts([(run, tape)])))
    return Response(text, media_type="application/yaml", headers=_HEADERS)


async def gaps(request: Request) -> Response:
    """Send the report of what readers did not get, that of `preceptor report`, as a page."""
    # Here and not above: whoever does not open the page need not import it.
    from preceptor.evaluation.gap_page import gaps_body
    from preceptor.evaluation.gaps import asked_run
    from preceptor.evaluation.kept_runs import report_of_runs
    from preceptor.tracing.page import report_form, report_shelf

    days, least = _count(request, "days", 30), _count(request, "least", 3)
    preceptor: Preceptor | None = request.state.preceptor
    if preceptor is None:
        shelf: Shelf = request.state.shelf
        titles = {name: book.settings.book.title or name for name, book in shelf.books.items()}
        return _page(request, "Of which book?", lambda _: report_shelf(titles))
    book: Book | None = getattr(request.state, "book", None)
    store, redact = _store(request), _redactor(request)
    since = time.time() - days * _DAY
    kept = await _read(lambda: store.facts(since, book=book.id if book else None))
    runs = [
        replace(run, question=run.question and redact(run.question))
        for run in (asked_run(*one) for one in kept)
    ]
    title = (await preceptor.library.info()).title if book else ""
    report = await report_of_runs(runs, preceptor.library, preceptor.settings, least=least, book=title)
    form = report_form(days, least, book.id if book else "")
    return _page(request, report.title, lambda _: form + gaps_body(report), style=_PLOTS)


async def plots(request: Request) -> Response:
    """The styles of plots."""
    from preceptor.evaluation.plot import STYLE

    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "no-cache"})


def _count(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, "")
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 5 and 0 < int(given) <= 10_000):
        raise RequestInvalid({name: "must be a whole number from 1 to 10000"})
    return int(given)


async def _asset(name: str, kind: str, request: Request) -> Response:
    from preceptor.tracing.page import STYLE

    return Response(
        STYLE.with_name(name).read_text("utf-8"), media_type=kind, headers={"Cache-Control": "no-cache"}
    )


def _page(
    request: Request,
    title: str,
    render: Callable[[Any], str],
    runs: Sequence[RunSummary] = (),
    *,
    style: str = "",
) -> Response:
    from preceptor.tracing.page import Page, document

    redact = _redactor(request)
    head = f'<nav><a href="{_BASE}">Runs</a> <a href="{_BASE}/report">What readers did not get</a></nav>'
    settings: Settings = request.state.settings
    page = Page(base=_BASE, redact=redact, longest_run=settings.tutor.deadline)
    style = _STYLE + style + _SCRIPT + (_FOLLOWS if page.follows(runs) else "")
    return HTMLResponse(
        document(title, render(page), style=style, head=head, redact=redact), headers=_HEADERS
    )


async def _run(request: Request, trace_id: str) -> "tuple[Any, Tape | None]":
    store = _store(request)

    def read() -> "tuple[Any, Tape | None]":
        run = store.run(trace_id)
        try:
            return run, store.tape(run.summary.trace_id)
        except TapeMissing:
            return run, None

    return await _read(read)


async def _read(work: Callable[[], T]) -> T:
    """Reads the file in a thread, so that answers go on meanwhile."""
    return await asyncio.to_thread(work)


def _filters(form: Mapping[str, str]) -> Filters:
    def number(name: str) -> float | None:
        try:
            return float(form[name]) if form.get(name) else None
        except ValueError:
            raise RequestInvalid({name: "must be a number"}) from None

    noted = form.get("noted")
    if noted not in (None, "good", "bad", "any"):
        raise RequestInvalid({"noted": "must be `good`, `bad` or `any`"})
    return Filters(
        search=form.get("search"),
        session_id=form.get("session"),
        book=form.get("book"),
        unanswered="unanswered" in form,
        weak=WEAK if "weak" in form else None,
        fell_over="fell_over" in form,
        left=form.get("from"),
        reason=form.get("reason"),
        degraded="degraded" in form,
        slower=number("slower"),
        dearer=number("dearer"),
        disliked="disliked" in form,
        failed="failed" in form,
        provider=form.get("provider"),
        tool=form.get("tool"),
        noted=cast("Any", noted),
        before=form.get("before"),
    )


def _store(request: Request) -> TraceStore:
    store: TraceStore = request.state.traces
    return store


def _redactor(request: Request) -> Callable[[str], str]:
    return _store(request).redacted

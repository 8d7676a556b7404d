"""Serves the page for readers at `/`, the widget's script, and the static files of both.

Nothing is built and nothing comes from another host: see docs/decisions/0007-page-without-a-build.md.
"""

import html
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from preceptor.agents.preceptor import Preceptor
from preceptor.errors import VectorIndexError
from preceptor.library.passage import Chapter, origin_of
from preceptor.server.access import PAGE_HEADERS, bears_key
from preceptor.server.listing import listed
from preceptor.server.shelf import Shelf, base_path
from preceptor.settings import Settings

_HERE = Path(__file__).parent

_SCRIPTED_PAGE_HEADERS = {
    # Trusted types: markup is made by the sanitiser or not at all.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}; "
        "require-trusted-types-for 'script'; trusted-types dompurify"
    ),
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_STATIC_HEADERS = {
    # Asked for anew each time, answered with 304: after an update no page mixes old and new modules.
    "Cache-Control": "no-cache",
    # The widget's modules are public; who may ask is decided at the API, by `server.cors_origins`.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

COMPRESSED = [Middleware(GZipMiddleware, compresslevel=6)]
"""Middleware of pages and documents; never of answers, whose events would wait for one another."""

_EXAMPLES = 4
_SCRIPTS = (".js", ".mjs")


def routes(chosen: Sequence[Middleware] = (), of_book: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """Returns the routes `/`, `/about.json`, `/widget.js` and `/static`.

    Args:
        chosen: Middleware that opens the book of a request, if it is for one.
        of_book: Middleware that opens the book of a request, which must be for one.
    """
    files = _Files(directory=_HERE / "static")

    async def widget(request: Request) -> Response:
        return await files.get_response("embed.js", request.scope)

    return [
        Route("/", chat_page, middleware=[*COMPRESSED, *chosen]),
        Route("/about.json", about, middleware=[*COMPRESSED, *of_book]),
        Route("/widget.js", widget),
        Mount("/static", files, middleware=COMPRESSED),
    ]


async def chat_page(request: Request) -> Response:
    """Renders the page for readers, with the book's title and language."""
    if request.state.preceptor is None:
        return await books_page(request)
    preceptor: Preceptor = request.state.preceptor
    title, language = preceptor.settings.book.title, preceptor.settings.book.language
    chapters: Sequence[Chapter] = ()
    try:
        info = await preceptor.library.info()
        title, language = title or info.title, info.language
        chapters = await preceptor.library.chapters()
    except VectorIndexError:
        pass  # the page still opens, and says what is wrong when it is asked something
    page = _template("chat.html").substitute(
        title=html.escape(title),
        language=html.escape(language),
        attributes=attributes(request, preceptor.settings, books="../../"),
    )
    return HTMLResponse(page, headers=page_headers(preceptor.settings, chapters))


async def books_page(request: Request) -> Response:
    """Renders the books of the service, of which the reader chooses one."""
    # Relative, as all addresses of our pages: a proxy may serve them below a path. `//HOST/` stays as it is.
    rows = [
        f'<li><a href="{html.escape(re.sub("^/(?!/)", "", one.url))}" lang="{html.escape(one.language)}" dir="auto">'
        f"{html.escape(one.title)}</a></li>"
        for one in await listed(request)
    ]
    page = _template("books.html").substitute(books="\n".join(rows))
    return HTMLResponse(page, headers={**PAGE_HEADERS, "Cache-Control": "no-cache"})


def attributes(request: Request, settings: Settings, *, books: str) -> str:
    """Returns the attributes that tell a page's script, or the widget's, what the settings say.

    Args:
        request: For the page.
        settings: Those of the book.
        books: Address of the list of books, as seen from the page.
    """
    questions = settings.book.example_questions
    said = {
        "disclaimer": settings.server.disclaimer,
        "keep": None if settings.server.keep_in_browser else "none",
        "questions": json.dumps(questions, ensure_ascii=False) if questions else None,
        "books": books if _one_of_several(request) else None,
    }
    return "".join(
        f' data-{name}="{html.escape(value)}"' for name, value in said.items() if value is not None
    )


def _one_of_several(request: Request) -> bool:
    """Whether the request is for one of several books by its path, so that `/` lists them all."""
    if not base_path(request.scope):
        return False
    shelf: Shelf = request.state.shelf
    return len(shelf.books) > 1 and shelf.of_host(request.headers.get("host", "")) is None


def page_headers(settings: Settings, chapters: Iterable[Chapter] = ()) -> Mapping[str, str]:
    """Returns the headers of a page for readers, which runs our own scripts and no others.

    Args:
        settings: Those of the book.
        chapters: Those of the book, whose site may show its images.
    """
    # The site's address may be known to the index alone, which found it in the site's own files.
    sites = {origin_of(chapter.url) for chapter in chapters} - {""}
    policy = _SCRIPTED_PAGE_HEADERS["Content-Security-Policy"].format(
        frame_ancestors=" ".join(settings.server.frame_ancestors) or "'none'",
        images=" ".join(["'self'", *sorted(sites), *settings.site.image_origins]),
    )
    return {**_SCRIPTED_PAGE_HEADERS, "Content-Security-Policy": policy}


def _template(name: str) -> Template:
    return Template((_HERE / "templates" / name).read_text(encoding="utf-8"))


async def about(request: Request) -> Response:
    """Tells the page and the widget what they need before the first question.

    The outline of a book takes 40 kB; the four titles that example questions are made of are chosen here.
    """
    preceptor: Preceptor = request.state.preceptor
    settings = preceptor.settings.server
    titles: list[str] = []
    language = preceptor.settings.book.language
    with suppress(VectorIndexError):
        language = (await preceptor.library.info()).language
    if not settings.reader_keys or bears_key(request.scope, settings.reader_keys):
        with suppress(VectorIndexError):
            titles = [chapter.title for chapter in await preceptor.library.chapters()]
    count = min(_EXAMPLES, len(titles))
    # From all over the book: the middle of each of its parts.
    chosen = [titles[int((place + 0.5) * len(titles) / count)] for place in range(count)]
    return JSONResponse(
        {"longest": settings.max_question, "language": language, "titles": chosen},
        headers={"Cache-Control": "no-cache"},
    )


class _Files(StaticFiles):
    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_STATIC_HEADERS)
        if str(full_path).endswith(_SCRIPTS):
            # Some systems' tables call it text/plain, and then no browser runs a module.
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        return response

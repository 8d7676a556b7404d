"""Pages for a book without a site: its chapters at their own URLs, so that every citation opens the heading.

Only while `site.url` is empty: then links begin with `/`, and on the tutor's own host they would lead nowhere. A site
that is served under the same host answers these paths itself, before the tutor is asked. Where readers need a key
there are no such pages, because a link bears none.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from urllib.parse import unquote

from markdown_it import MarkdownIt
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from preceptor.agents.preceptor import Preceptor
from preceptor.library.passage import Chapter, Passage
from preceptor.server.access import PAGE_HEADERS, client_of
from preceptor.server.limits import Limits

_TEMPLATE = Path(__file__).parent / "templates" / "chapter.html"


class LastResort(Route):
    """A route that matches only paths without any other route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match less than any other route, so that a wrong method on a known path stays a 405."""
        match, found = super().matches(scope)
        return (Match.PARTIAL if match is Match.FULL else Match.NONE), found


async def chapter_page(request: Request) -> Response:
    """Serve the chapter of this URL as the index has it."""
    preceptor: Preceptor = request.state.preceptor
    settings = preceptor.settings
    closed = settings.site.url or settings.server.reader_keys
    chapter = None if closed else await _at(preceptor, request.url.path)
    if chapter is None:
        raise HTTPException(404)
    limits: Limits = request.state.limits
    # Only where there is a chapter: mistyped addresses are not held against a reader.
    await limits.ask(client_of(request.scope))
    _, passages = await preceptor.library.chapter(chapter.id, book=chapter.book)
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(chapter.title),
        book=escape(passages[0].breadcrumb[0]),
        language=escape(passages[0].language),
        text="\n".join(_sections(chapter, passages)),
    )
    return HTMLResponse(page, headers=PAGE_HEADERS)


async def _at(preceptor: Preceptor, path: str) -> Chapter | None:
    wanted = path.rstrip("/")
    chapters = await preceptor.library.chapters()
    return next(
        (chapter for chapter in chapters if unquote(chapter.url.partition("#")[0]).rstrip("/") == wanted),
        None,
    )


def _sections(chapter: Chapter, passages: Sequence[Passage]) -> Iterator[str]:
    """Renders the sections as HTML: each heading with the id in its citations."""
    # The book's text is data: HTML in it is shown, not run.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    yield f"<h1>{escape(chapter.title)}</h1>"
    for (anchor, heading), group in groupby(passages, key=lambda passage: (passage.anchor, passage.heading)):
        if heading and heading != chapter.title:
            yield f'<h2 id="{escape(anchor)}" dir="auto">{escape(heading)}</h2>'
        elif anchor:
            yield f'<span id="{escape(anchor)}"></span>'
        for passage in group:
            yield f'<div dir="auto">{markdown.render(passage.text)}</div>'

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
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from preceptor.agents.preceptor import Preceptor
from preceptor.library.passage import Chapter, Passage
from preceptor.server.access import client_of
from preceptor.server.limits import Limits
from preceptor.server.pages import attributes, page_headers
from preceptor.server.shelf import base_path

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TEMPLATE = Path(__file__).parent / "templates" / "chapter.html"
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


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
    chapter = None if closed else await _at(preceptor, request.url.path, base_path(request.scope))
    if chapter is None:
        raise HTTPException(404)
    limits: Limits = request.state.limits
    # Only where there is a chapter: mistyped addresses are not held against a reader.
    await limits.ask(client_of(request.scope))
    chapters = await preceptor.library.chapters()
    _, passages = await preceptor.library.chapter(chapter.id, book=chapter.book)
    language = passages[0].language
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(chapter.title),
        book=escape(passages[0].breadcrumb[0]),
        language=escape(language),
        direction="rtl" if language.partition("-")[0] in _RIGHT_TO_LEFT else "ltr",
        outline="\n".join(_outline(chapter)),
        text="\n".join(_sections(chapter, passages)),
        attributes=attributes(request, settings, books="/"),
        tutor=f"{base_path(request.scope)}/",
        beside="".join(_beside(chapter, chapters)),
    )
    return HTMLResponse(page, headers=page_headers(settings, chapters))


async def _at(preceptor: Preceptor, path: str, base: str) -> Chapter | None:
    # The links of a book may begin with what its paths begin with here, or not.
    wanted = {each.rstrip("/") for each in (path, base + path)}
    chapters = await preceptor.library.chapters()
    return next(
        (chapter for chapter in chapters if unquote(chapter.url.partition("#")[0]).rstrip("/") in wanted),
        None,
    )


def _outline(chapter: Chapter) -> Iterator[str]:
    """Renders a link to each heading of the chapter."""
    for section in chapter.sections:
        if section.anchor and section.heading and section.heading != chapter.title:
            yield f'<li><a href="#{escape(section.anchor)}" dir="auto">{escape(section.heading)}</a></li>'


def _beside(chapter: Chapter, chapters: Sequence[Chapter]) -> Iterator[str]:
    """Renders links to the chapters before and after this one in its book."""
    book = [each for each in chapters if each.book == chapter.book]
    place = next(at for at, each in enumerate(book) if each.id == chapter.id)
    for relation, at in (("prev", place - 1), ("next", place + 1)):
        if 0 <= at < len(book):
            url, title = book[at].url.partition("#")[0], book[at].title
            yield f'<a rel="{relation}" href="{escape(url)}" dir="auto">{escape(title)}</a>'


def _formula(renderer: object, tokens: "Sequence[Token]", at: int, *rest: object) -> str:
    """Renders a formula as TeX, which the page's script draws."""
    token = tokens[at]
    block = token.type.startswith("math_block")
    shown = ("pre", "tex display") if block else ("code", "tex")
    return f'<{shown[0]} class="{shown[1]}">{escape(token.content.strip())}</{shown[0]}>'


def _markdown() -> "MarkdownIt":
    # By the first page: a service that shows none starts without them.
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    # The book's text is data: HTML in it is shown, not run.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    dollarmath_plugin(markdown, allow_space=False, allow_digits=False, double_inline=True)
    for kind in ("math_inline", "math_inline_double", "math_block", "math_block_label"):
        markdown.add_render_rule(kind, _formula)
    return markdown


def _sections(chapter: Chapter, passages: Sequence[Passage]) -> Iterator[str]:
    """Renders the sections as HTML: each heading with the id in its citations."""
    markdown = _markdown()
    yield f"<h1>{escape(chapter.title)}</h1>"
    for (anchor, heading), group in groupby(passages, key=lambda passage: (passage.anchor, passage.heading)):
        if heading and heading != chapter.title:
            yield f'<h2 id="{escape(anchor)}" dir="auto">{escape(heading)}</h2>'
        elif anchor:
            yield f'<span id="{escape(anchor)}"></span>'
        for passage in group:
            yield f'<div dir="auto">{markdown.render(passage.text)}</div>'

"""The book as Markdown for machines: `/llms.txt`, `/llms-full.txt`, and each chapter at its own URL with `.md`."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import groupby
from urllib.parse import quote, unquote, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from preceptor.agents.preceptor import Preceptor
from preceptor.library.passage import Chapter, Passage
from preceptor.server.shelf import base_path

_MARKDOWN = "text/markdown"
_PLAIN = "text/plain"


def chapter_markdown(chapter: Chapter, passages: Sequence[Passage], *, base: str) -> str:
    """Returns a chapter as Markdown, each heading with its address below it.

    Args:
        chapter: The chapter.
        passages: Its passages in reading order.
        base: Put before addresses that begin with `/`.
    """
    head = [f"# {chapter.title}", f"<{absolute(chapter.url, base)}>"]
    return "\n\n".join([*head, *_sections(chapter, passages, base)]) + "\n"


def _sections(chapter: Chapter, passages: Sequence[Passage], base: str) -> Iterator[str]:
    above = min((len(passage.breadcrumb) for passage in passages), default=0)
    for (anchor, heading), group in groupby(passages, key=lambda passage: (passage.anchor, passage.heading)):
        section = list(group)
        if heading and heading != chapter.title:
            depth = min(max(len(section[0].breadcrumb) - above + 1, 2), 6)
            yield f"{'#' * depth} {heading}"
            if anchor:
                yield f"<{absolute(section[0].url, base)}>"
        yield from (passage.text for passage in section)


def absolute(url: str, base: str) -> str:
    """Returns an address of the book with the scheme and host that readers reach it by."""
    return f"{base.rstrip('/')}{url}" if url.startswith("/") else url


def base_of(preceptor: Preceptor, request: Request) -> str:
    """Returns the site's address, or that of the service, which shows the chapters where there is no site."""
    return preceptor.settings.site.url or str(request.base_url)


def _host(request: Request) -> str:
    """Returns the address below which the book is served."""
    return f"{str(request.base_url).rstrip('/')}{base_path(request.scope)}"


async def llms_txt(request: Request) -> Response:
    """List the chapters with their addresses, as https://llmstxt.org has it."""
    preceptor: Preceptor = request.state.preceptor
    titles = {info.book: (info.title, info.subject) for info in await preceptor.library.books()}
    lines: list[str] = []
    for book, chapters in groupby(await preceptor.library.chapters(), key=lambda chapter: chapter.book):
        title, subject = titles.get(book, (book, ""))
        lines += [f"# {title}", ""] if not lines else ["", f"## {title}", ""]
        if len(lines) == 2:
            about = (
                f"The textbook, which teaches {subject}." if subject else "The textbook, chapter by chapter."
            )
            lines += [
                f"> {about} Everything in one file: {_host(request)}/llms-full.txt",
                "",
                "## Chapters",
                "",
            ]
        for chapter in chapters:
            about = ", ".join(section.heading for section in chapter.sections[:5] if section.heading)
            path = base_path(request.scope) + _path(chapter).removeprefix(base_path(request.scope))
            place = f"{request.base_url}{quote(path.lstrip('/'))}.md"
            lines.append(f"- [{chapter.title}]({place}){f': {about}' if about else ''}")
    return PlainTextResponse("\n".join(lines) + "\n", media_type=_PLAIN)


async def llms_full_txt(request: Request) -> Response:
    """Send all chapters in one file, in reading order."""
    preceptor: Preceptor = request.state.preceptor
    chapters = await preceptor.library.chapters()

    async def written() -> AsyncGenerator[str, None]:
        for chapter in chapters:
            _, passages = await preceptor.library.chapter(chapter.id, book=chapter.book)
            yield chapter_markdown(chapter, passages, base=base_of(preceptor, request)) + "\n"

    return StreamingResponse(written(), media_type=_PLAIN)


async def chapter_as_markdown(request: Request) -> Response:
    """Send the chapter whose URL this is, but for `.md`."""
    preceptor: Preceptor = request.state.preceptor
    path = "/" + str(request.path_params["path"]).strip("/")
    wanted = (path, base_path(request.scope) + path)
    chapters = await preceptor.library.chapters()
    chapter = next((one for one in chapters if _path(one) in wanted), None)
    if chapter is None:
        raise HTTPException(404)
    found, passages = await preceptor.library.chapter(chapter.id, book=chapter.book)
    text = chapter_markdown(found, passages, base=base_of(preceptor, request))
    return PlainTextResponse(text, media_type=_MARKDOWN)


def _path(chapter: Chapter) -> str:
    """Returns the path of a chapter's address; that of a page at the root is `/index`."""
    return "/" + (unquote(urlsplit(chapter.url).path).strip("/") or "index")

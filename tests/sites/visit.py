"""A built site at its own address in Chromium, and the tutor that its pages' tag names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tests.server.chromium import Browser, Page, Reader, Script, opened, serving

if TYPE_CHECKING:
    from playwright.async_api import Route

ROOT = Path(__file__).parents[2]
HOME = "https://book.example"
TUTOR = "https://tutor.example"


@asynccontextmanager
async def visiting(
    browser: Browser, built: Path, path: str, tutor: ASGIApp, *, script: Script | None = None
) -> AsyncGenerator[Reader]:
    """A page of a site below `/book/`; both addresses lead to loopback.

    Args:
        browser: From `chromium`.
        built: The site's files.
        path: The page's.
        tutor: A service whose settings name `HOME`.
        script: Answers of the tutor, if a test writes them.
    """
    site = Starlette(routes=[Mount("/book", StaticFiles(directory=built, html=True))])
    async with serving(site) as home, serving(tutor) as service:

        async def forward(route: "Route") -> None:
            url = route.request.url.replace(HOME, home, 1).replace(TUTOR, service, 1)
            await route.fulfill(response=await route.fetch(url=url))

        async with opened(browser, script or Script(), color_scheme="light") as reader:
            await reader.page.route(lambda url: url.startswith((HOME, TUTOR)), forward)
            await reader.page.goto(HOME + path)
            yield reader
            # What the page still loads at the end would find no site.
            await reader.page.goto("about:blank")
            await reader.page.unroute_all(behavior="ignoreErrors")


async def marks(page: Page, sentence: str) -> bool:
    """Whether the browser marks this sentence: nothing but a picture shows it."""
    place = page.get_by_text(sentence).filter(visible=True)  # the closed widget may quote it, too
    before = await place.screenshot()
    style = await page.add_style_tag(content="::target-text { background: #f0f; color: #0f0 }")
    after = await place.screenshot()
    await style.evaluate("element => element.remove()")
    return before != after

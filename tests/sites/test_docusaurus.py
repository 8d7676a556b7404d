"""The plug-in on a real Docusaurus build, opened in Chromium; `make test-sites` builds it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.server.chromium import Browser, Reader, Script, chromium, expect, opened, service, serving

if TYPE_CHECKING:
    from playwright.async_api import Route

BUILT = Path(__file__).parents[2] / "build/sites/docusaurus"
TUTOR = "https://tutor.example"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (BUILT / "ur/index.html").is_file(), reason="not built: `make test-sites`"),
]


@asynccontextmanager
async def visiting(browser: Browser, path: str) -> AsyncGenerator[Reader]:
    """A page of the built site; the address that its tag names leads to a service on loopback."""
    script = Script()
    site = Starlette(routes=[Mount("/book", StaticFiles(directory=BUILT, html=True))])
    async with serving(site) as home, serving(service(script, origins=[home])) as tutor:

        async def forward(route: "Route") -> None:
            await route.fulfill(response=await route.fetch(url=route.request.url.replace(TUTOR, tutor, 1)))

        async with opened(browser, script, color_scheme="light") as reader:
            await reader.page.route(f"{TUTOR}/**", forward)
            await reader.page.goto(home + path)
            await reader.page.locator(".launcher").wait_for()
            # Before that, the buttons of the static page do nothing.
            await reader.page.locator("html[data-has-hydrated='true']").wait_for()
            yield reader


async def test_a_section_is_asked_about_with_its_own_text_alone() -> None:
    async with chromium() as browser, visiting(browser, "/book/") as reader:
        heading = reader.page.locator("#what-a-node-is")
        await heading.hover()
        await heading.get_by_role("button", name="Ask about this section").click()
        reader.script.says("One job.")
        await reader.ask("Why?")
        await reader.answered()
        (asked,) = reader.script.asked
        assert asked["selected_text"].split("\n\n") == [
            "What a node is", "A node is a process that does one job.", "Its name", "Every node has a name of its own.",
        ]  # fmt: skip
        assert asked["source_page"] == "/book/"


async def test_the_navbar_opens_it_in_the_theme_of_the_site() -> None:
    async with chromium() as browser, visiting(browser, "/book/") as reader:
        await reader.page.locator(".navbar").get_by_role("button", name="Ask the book").click()
        panel = reader.page.locator(".panel")
        await expect(panel).to_have_css("background-color", "rgb(252, 252, 251)")
        await reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        await expect(panel).to_have_css("background-color", "rgb(22, 24, 23)")


async def test_an_urdu_page_has_an_urdu_widget_and_buttons() -> None:
    async with chromium() as browser, visiting(browser, "/book/ur/") as reader:
        await reader.page.locator(".navbar").get_by_role("button", name="کتاب سے پوچھیں").click()
        await expect(reader.page.locator(".panel")).to_have_css("direction", "rtl")
        await expect(
            reader.page.get_by_role("button", name="اس حصے کے بارے میں پوچھیں").first
        ).to_be_attached()

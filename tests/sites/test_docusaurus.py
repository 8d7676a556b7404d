"""The plug-in on a real Docusaurus build, opened in Chromium; `make test-sites` builds it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.server.chromium import ROS, Browser, Reader, Script, expect, service
from tests.sites.visit import HOME, ROOT, marks, visiting

BUILT = ROOT / "build/sites/docusaurus"
pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not (BUILT / "ur/index.html").is_file(), reason="not built: `make test-sites`"),
]


@asynccontextmanager
async def reading(browser: Browser, path: str) -> AsyncGenerator[Reader]:
    """A page of the built site, ready to be used."""
    script = Script()
    async with visiting(browser, BUILT, path, service(script, origins=[HOME]), script=script) as reader:
        await reader.page.locator(".launcher").wait_for()
        # Before that, the buttons of the static page do nothing.
        await reader.page.locator("html[data-has-hydrated='true']").wait_for()
        yield reader


async def test_a_section_is_asked_about_with_its_own_text_alone(browser: Browser) -> None:
    async with reading(browser, "/book/") as reader:
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


async def test_a_citation_leads_to_the_quoted_sentence_on_the_site(browser: Browser) -> None:
    cited = {
        **ROS,
        "url": f"{HOME}/book/#starting-nodes",
        "quote": "A launch file starts many nodes at once.",
    }
    async with reading(browser, "/book/topics") as reader:
        await reader.page.locator(".navbar").get_by_role("button", name="Ask the book").click()
        reader.script.says("With a launch file. [1]", cited)
        await reader.ask("How is a node started?")
        await reader.answered()
        await reader.page.set_viewport_size({"width": 1100, "height": 450})
        await reader.page.locator(".sources a").click()
        await reader.page.wait_for_url(f"{cited['url']}:~:text=*")
        await reader.page.locator("html[data-has-hydrated='true']").wait_for()
        await expect(reader.page.get_by_text("How they speak to each other")).to_be_in_viewport()
        await expect(reader.answer).to_contain_text("With a launch file.")
        # It may lie upon what is looked at.
        await reader.page.evaluate("Preceptor.close()")
        assert await marks(reader.page, "How they speak to each other")
        assert not await marks(reader.page, "A node is a process")


async def test_the_navbar_opens_it_in_the_theme_of_the_site(browser: Browser) -> None:
    async with reading(browser, "/book/") as reader:
        await reader.page.locator(".navbar").get_by_role("button", name="Ask the book").click()
        panel = reader.page.locator(".panel")
        await expect(panel).to_have_css("background-color", "rgb(252, 252, 251)")
        await reader.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        await expect(panel).to_have_css("background-color", "rgb(22, 24, 23)")


async def test_an_urdu_page_has_an_urdu_widget_and_buttons(browser: Browser) -> None:
    async with reading(browser, "/book/ur/") as reader:
        await reader.page.locator(".navbar").get_by_role("button", name="کتاب سے پوچھیں").click()
        await expect(reader.page.locator(".panel")).to_have_css("direction", "rtl")
        await expect(
            reader.page.get_by_role("button", name="اس حصے کے بارے میں پوچھیں").first
        ).to_be_attached()

"""A chapter's own page, with everything real behind it, in a headless Chromium."""

import base64
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

import pytest

from preceptor.server import create_app
from preceptor.settings import Settings
from tests.server.chromium import Browser, Script, expect, opened, serving
from tests.server.test_page_accessibility import AXE, findings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

LOOKS: Sequence[Literal["light", "dark"]] = ("dark", "light")
SENSORS = "/docs/perception-and-navigation/sensors"
QUOTED = "From one picture alone it cannot be recovered"

MARKED = """async (png) => {
    const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const paint = new OffscreenCanvas(image.width, image.height).getContext('2d');
    paint.drawImage(image, 0, 0);
    const { data } = paint.getImageData(0, 0, image.width, image.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4)
        if (data[at] === 0xff && data[at + 1] === 0xe5 && data[at + 2] === 0x8a) count += 1;
    return count;
}"""
"""How many pixels of a picture have the colour of a sentence that was quoted."""


async def test_a_chapter_is_read_and_asked_about(browser: Browser, demo_settings: Settings) -> None:
    async with serving(create_app(demo_settings)) as address, opened(browser, Script()) as reader:
        page = reader.page
        await page.goto(address + SENSORS)
        formula = page.locator("main .formula.display").first
        await expect(formula.locator("math")).to_be_visible()
        await expect(page.locator("main .formula:not(.display) math").first).to_be_visible()
        await expect(page.locator("main .tex")).to_have_count(0)

        section = page.locator(".outline a").nth(2)
        heading = await section.get_attribute("href") or ""
        await section.click()
        await expect(page.locator(f"h2{heading}")).to_be_in_viewport()
        await expect(page.locator(f"h2{heading}")).to_have_css("background-color", "rgb(255, 243, 196)")

        for relation, back in (("next", "prev"), ("prev", "next")):
            await page.locator(f".beside [rel={relation}]").click()
            await page.locator(f".beside [rel={back}]").click()
            await expect(page).to_have_url(address + SENSORS)

        await page.goto(f"{address}/docs/ros2/nodes-and-packages")
        block = page.locator("main .code").first
        await expect(block.locator(".hljs-keyword, .hljs-built_in, .hljs-comment").first).to_be_visible()
        await expect(block.get_by_role("button", name="Copy")).to_be_visible()
        # Whether axe is there is asked in the module that it is named after.
        for look in LOOKS if AXE.is_file() else ():
            await page.emulate_media(color_scheme=look)
            for chapter in (SENSORS, "/docs/ros2/nodes-and-packages"):
                await page.goto(address + chapter)
                await page.locator("main .code, main .formula.display").first.wait_for()
                assert await findings(page) == []

        await page.locator(".ask input").fill("What is a ROS 2 node?")
        await page.locator(".ask button").click()
        await reader.answered()
        assert await reader.answer.get_by_role("link").count()
        await expect(page.locator(".ask input")).to_have_value("")
        await page.keyboard.press("Escape")
        await expect(reader.answer).to_be_hidden()
        await page.locator(".ask button").click()
        await expect(reader.answer).to_be_visible()


async def test_the_quoted_sentence_is_marked_in_its_chapter(
    browser: Browser, demo_settings: Settings
) -> None:
    async with serving(create_app(demo_settings)) as address, opened(browser, Script()) as reader:
        page, empty = reader.page, await reader.page.context.new_page()
        found: list[int] = []
        for directive in (f":~:text={quote(QUOTED)}", ":~:text=not%20in%20the%20book"):
            await page.goto("about:blank")
            await page.goto(f"{address}{SENSORS}#{directive}")
            await page.locator("main .formula math").first.wait_for()
            paragraph = page.get_by_text(QUOTED)
            if not found:
                await expect(paragraph).to_be_in_viewport()
            picture = base64.b64encode(await paragraph.screenshot()).decode()
            found.append(await empty.evaluate(MARKED, picture))
        assert found[0] > 1000
        assert found[1] == 0


async def test_a_page_that_is_not_there_says_so_in_words(browser: Browser, demo_settings: Settings) -> None:
    async with serving(create_app(demo_settings)) as address, opened(browser, Script()) as reader:
        page = reader.page
        await page.goto(f"{address}/docs/nothing")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await page.get_by_role("link", name="Ask the book").click()
        await expect(reader.field).to_be_visible()

"""Layouts, parameter and events of the widget, in a headless Chromium."""

import pytest

from tests.server.chromium import Browser, expect
from tests.server.test_widget import visiting

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

DOCKED = "document.documentElement.style.getPropertyValue('--preceptor-docked')"


async def test_a_docked_panel_is_as_high_as_the_window_and_tells_its_width(browser: Browser) -> None:
    async with visiting(browser, attributes='data-layout="docked" data-position="left"') as guest:
        await guest.launcher.click()
        await expect(guest.field).to_be_focused()
        box = await guest.panel.bounding_box()
        assert box == {"x": 0, "y": 0, "width": 400, "height": 800}
        assert await guest.page.evaluate(DOCKED) == "400px"
        await guest.page.keyboard.press("Escape")
        assert await guest.page.evaluate(DOCKED) == ""


async def test_an_expanded_panel_is_large_from_the_beginning(browser: Browser) -> None:
    async with visiting(browser, attributes='data-layout="expanded"') as guest:
        await guest.launcher.click()
        await expect(guest.field).to_be_focused()
        box = await guest.panel.bounding_box()
        assert box == {"x": 320, "y": 20, "width": 760, "height": 760}
        await expect(guest.panel.get_by_role("button", name="Larger")).to_have_count(0)


async def test_the_author_gives_the_list_of_books(browser: Browser) -> None:
    link = 'data-books="https://books.example/" data-lang="ur"'
    async with visiting(browser, attributes=link) as guest:
        await guest.launcher.click()
        books = guest.panel.get_by_role("link", name="کوئی اور کتاب چنیں")
        await expect(books).to_have_attribute("href", "https://books.example/")
        await expect(books).to_have_attribute("target", "_blank")


async def test_the_author_chooses_the_parameter_that_asks(browser: Browser) -> None:
    async with visiting(browser, attributes='data-parameter="ask"') as guest:
        guest.script.says("A process.")
        await guest.page.goto(f"{guest.page.url}?q=no&ask=What%20is%20a%20node%3F")
        await expect(guest.answer).to_have_text("A process.")
        assert [each["content"] for each in guest.script.asked] == ["What is a node?"]
        assert guest.page.url.endswith("?q=no")


async def test_the_page_hears_of_all_that_happens(browser: Browser) -> None:
    async with visiting(browser) as guest:
        await guest.page.evaluate("""() => {
            window.heard = [];
            for (const event of ['open', 'close', 'question', 'answer', 'error', 'rating'])
                Preceptor.on(event, (told) => heard.push([event, told?.question ?? told?.rating, told?.code]));
        }""")
        await guest.launcher.click()
        guest.script.says("A process.")
        await guest.ask("What is a node?")
        await guest.answered()
        async with guest.page.expect_response("**/api/v1/feedback"):
            await guest.page.get_by_role("button", name="Helpful", exact=True).click()
        guest.script.refuses(503, "SERVICE_UNAVAILABLE", "Later.")
        await guest.ask("And now?")
        await expect(guest.panel.locator(".error")).to_be_visible()
        await guest.page.evaluate("Preceptor.close()")
        heard = await guest.page.evaluate("heard")
    assert [each[0] for each in heard] == [
        "open",
        "question",
        "answer",
        "rating",
        "question",
        "error",
        "close",
    ]
    assert heard[1][1] == heard[2][1] == "What is a node?"
    assert heard[5][1:] == ["And now?", "SERVICE_UNAVAILABLE"]

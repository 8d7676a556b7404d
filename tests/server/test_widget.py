"""The widget, on a site of another origin, in a headless Chromium."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.server.chromium import (
    ROS,
    Browser,
    Locator,
    Reader,
    Script,
    done,
    expect,
    opened,
    service,
    serving,
    site,
    start,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOOK = """<!doctype html>
<html lang="en">
<head><meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body>
<h1>Nodes</h1>
<p id="first">A node is a process that does one job.</p>
<p>Much more.</p>
<input id="search">
<script async src="{tutor}/widget.js" data-title="Ask the robots" {attributes}></script>
</body>
</html>"""

HOSTILE = """<style>
:root { --accent: red; --text: yellow; font-size: 5px }
* { box-sizing: content-box; letter-spacing: 3px }
body { font: italic 30px serif; text-transform: uppercase; direction: rtl }
body > div { display: none; transform: scale(.1); opacity: 0 }
button, textarea, section, header { display: none !important; background: red !important }
</style>"""

PHONE: Mapping[str, Any] = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}


class Guest(Reader):
    """A reader on a page of the book."""

    @property
    def launcher(self) -> Locator:
        return self.page.locator(".launcher")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog", name="Ask the robots")

    @property
    def field(self) -> Locator:
        return self.panel.locator("textarea")

    @property
    def bubble(self) -> Locator:
        return self.page.get_by_role("button", name="Ask about this")

    async def mark(self) -> None:
        """Mark the first paragraph."""
        await self.page.locator("#first").evaluate("element => getSelection().selectAllChildren(element)")


@asynccontextmanager
async def visiting(
    browser: Browser,
    *,
    head: str = "",
    attributes: str = "",
    policy: str = "",
    allowed: bool = True,
    **options: Any,
) -> AsyncGenerator[Guest]:
    """A page of the book, which lies on another origin than the tutor.

    Args:
        browser: From `chromium`.
        head: The page's head.
        attributes: Attributes of the widget's tag.
        policy: The page's Content-Security-Policy; `TUTOR` stands for the tutor's address.
        allowed: Whether the tutor's settings name the book's origin.
        options: Options of Playwright's `new_context`.
    """
    script = Script()
    book = site()
    async with serving(book) as home, serving(service(script, origins=[home] if allowed else [])) as tutor:
        page = BOOK.format(head=head, tutor=tutor, attributes=attributes)
        for path in ("/docs/nodes", "/docs/topics"):
            book.state.pages[path] = page
        book.state.policy = policy.replace("TUTOR", tutor)
        async with opened(browser, script, kind=Guest, **options) as guest:
            await guest.page.goto(f"{home}/docs/nodes")
            await guest.launcher.wait_for()
            yield guest


@pytest_asyncio.fixture(loop_scope="module")
async def guest(browser: Browser) -> AsyncGenerator[Guest]:
    """A page of the book with the widget, in a window of 1100 × 800."""
    async with visiting(browser) as found:
        yield found


async def test_a_question_is_answered_on_a_page_of_another_origin(guest: Guest) -> None:
    await guest.launcher.click()
    await expect(guest.field).to_be_focused()
    guest.script.says("A process [1].", ROS)
    await guest.ask("What is a node?")
    await guest.answered()
    await expect(guest.answer).to_have_text("A process 1.")
    assert guest.script.asked == [
        {"content": "What is a node?", "source_page": "/docs/nodes", "stream": True}
    ]


async def test_marked_text_is_asked_about(guest: Guest) -> None:
    await guest.mark()
    await guest.bubble.click()
    await expect(guest.field).to_be_focused()
    await expect(guest.panel.locator(".marked")).to_contain_text("A node is a process that does one job.")
    await guest.panel.get_by_label("Only from this text").check()
    guest.script.says("It means …")
    await guest.ask("What does that mean?")
    await guest.answered()
    assert guest.script.asked == [
        {
            "content": "What does that mean?",
            "selected_text": "A node is a process that does one job.",
            "mode": "selected_text_only",
            "source_page": "/docs/nodes",
            "stream": True,
        }
    ]
    await expect(guest.panel.locator(".marked")).to_be_hidden()


async def test_marked_text_needs_no_question_of_its_own(guest: Guest) -> None:
    await guest.mark()
    await guest.bubble.click()
    guest.script.says("It means …")
    await guest.field.press("Enter")
    await guest.answered()
    assert guest.script.asked[0]["content"] == "Explain this."


async def test_the_bubble_goes_with_the_mark(guest: Guest) -> None:
    await expect(guest.bubble).to_be_hidden()
    await guest.mark()
    await expect(guest.bubble).to_be_visible()
    await guest.page.evaluate("getSelection().removeAllRanges()")
    await expect(guest.bubble).to_be_hidden()
    await guest.page.locator("#search").fill("some words")
    await guest.page.locator("#search").select_text()
    await guest.mark()
    await expect(guest.bubble).to_be_visible()


async def test_the_page_is_named_that_the_reader_is_on_when_asking(guest: Guest) -> None:
    await guest.launcher.click()
    await guest.field.wait_for()
    await guest.page.evaluate("history.pushState({}, '', '/docs/topics')")
    guest.script.says("Yes.")
    await guest.ask("Is this about topics?")
    await guest.answered()
    assert guest.script.asked[0]["source_page"] == "/docs/topics"


async def test_neither_side_styles_the_other(browser: Browser) -> None:
    async with visiting(browser, head=HOSTILE) as guest:
        own = """() => ['h1', 'p', 'input', 'html', 'body'].map((name) => {
            const style = getComputedStyle(document.querySelector(name));
            return Array.from(style, (property) => property + style.getPropertyValue(property)).join();
        })"""
        # As it is without the widget: its place in the page is taken out and put back.
        around = "document.querySelector('[data-preceptor]').remove()"
        before = await guest.page.evaluate(own)
        await guest.launcher.click()
        await guest.field.wait_for()
        assert await guest.page.evaluate(own) == before
        style = await guest.panel.evaluate("""panel => {
            const style = getComputedStyle(panel);
            const names = ['letterSpacing', 'fontStyle', 'textTransform', 'direction', 'fontSize', 'opacity'];
            return names.map((name) => style[name]);
        }""")
        assert style == ["normal", "normal", "none", "ltr", "16px", "1"]
        send = guest.panel.get_by_role("button", name="Send")
        await expect(send).to_be_visible()
        await expect(send).not_to_have_css("background-color", "rgb(255, 0, 0)")
        await guest.page.evaluate(around)
        assert await guest.page.evaluate(own) == before


async def test_one_global_name_is_all_it_leaves(guest: Guest) -> None:
    await guest.launcher.click()
    await guest.field.wait_for()
    extra = await guest.page.evaluate("""() => {
        const frame = document.body.appendChild(document.createElement('iframe'));
        const usual = new Set(Object.getOwnPropertyNames(frame.contentWindow));
        frame.remove();
        return Object.getOwnPropertyNames(window).filter((name) => !usual.has(name) && !/^\\d+$/.test(name));
    }""")
    assert [name for name in extra if not name.startswith("__playwright")] == ["Preceptor"]


async def test_the_page_itself_can_open_and_close_it(guest: Guest) -> None:
    await guest.page.evaluate("Preceptor.then((tutor) => tutor.open('These words.'))")
    await expect(guest.panel.locator(".marked")).to_contain_text("These words.")
    await guest.page.evaluate("Preceptor.then((tutor) => tutor.close())")
    await expect(guest.panel).to_be_hidden()


async def test_a_strict_policy_of_the_page_is_enough(browser: Browser) -> None:
    policy = (
        "default-src 'none'; script-src TUTOR; connect-src TUTOR; "
        "require-trusted-types-for 'script'; trusted-types dompurify"
    )
    async with visiting(browser, policy=policy) as guest:
        await guest.launcher.click()
        guest.script.says("**Yes** [1].", ROS)
        await guest.ask("Does it work?")
        await guest.answered()
        await expect(guest.answer.locator("strong")).to_have_text("Yes")


async def test_escape_closes_it_and_focus_goes_back(guest: Guest) -> None:
    await guest.launcher.focus()
    await guest.page.keyboard.press("Enter")
    await expect(guest.field).to_be_focused()
    await guest.page.keyboard.press("Escape")
    await expect(guest.panel).to_be_hidden()
    await expect(guest.launcher).to_be_focused()


async def test_tab_goes_round_inside_the_panel(guest: Guest) -> None:
    await guest.launcher.click()
    await expect(guest.field).to_be_focused()
    inside = "document.activeElement.matches('[data-preceptor]')"
    for key in ("Tab", "Shift+Tab"):
        for _ in range(6):
            await guest.page.keyboard.press(key)
            assert await guest.page.evaluate(inside)


async def test_what_is_typed_does_not_set_off_the_pages_shortcuts(guest: Guest) -> None:
    await guest.page.evaluate("addEventListener('keydown', () => (document.title = 'shortcut'))")
    await guest.launcher.click()
    await guest.field.press_sequentially("/s")
    await expect(guest.field).to_have_value("/s")
    assert await guest.page.title() == ""


async def test_it_is_as_dark_as_the_page(browser: Browser) -> None:
    dark_in_css = "<style>body.night { color-scheme: dark }</style>"
    async with visiting(browser, head=dark_in_css, color_scheme="light") as guest:
        await guest.launcher.click()
        for way in (
            "document.documentElement.dataset.theme = '{}'",
            "document.body.dataset.theme = '{}'",
            "document.body.className = '{}' === 'dark' ? 'night' : ''",
        ):
            for theme, ground in (("dark", "rgb(22, 24, 23)"), ("", "rgb(252, 252, 251)")):
                await guest.page.evaluate(way.format(theme))
                await expect(guest.panel).to_have_css("background-color", ground)


async def test_colour_corner_and_language_are_the_tags(browser: Browser) -> None:
    attributes = 'data-color="#ffd400" data-position="left" data-lang="ur"'
    async with visiting(browser, attributes=attributes) as guest:
        ground = await guest.launcher.evaluate("element => getComputedStyle(element).backgroundColor")
        assert ground.startswith("oklch(0.8")
        box = await guest.launcher.bounding_box()
        assert box is not None
        assert box["x"] < 100
        # Black on yellow, as white could not be read.
        lightness = await guest.launcher.evaluate("element => getComputedStyle(element).color")
        assert lightness.startswith("oklch(0 ")
        await guest.launcher.click()
        await expect(guest.panel).to_have_css("direction", "rtl")
        await expect(guest.field).to_have_attribute("placeholder", "کتاب کے بارے میں سوال پوچھیں")


async def test_on_a_phone_it_is_the_whole_screen_until_a_source_is_opened(browser: Browser) -> None:
    async with visiting(browser, **PHONE) as guest:
        await guest.launcher.tap()
        await expect(guest.panel).to_have_attribute("aria-modal", "true")
        assert await guest.panel.bounding_box() == {"x": 0, "y": 0, "width": 360, "height": 640}
        guest.script.says("See [1].", {**ROS, "url": "/docs/topics#first"})
        await guest.ask("Where?")
        await guest.answered()
        await guest.answer.get_by_role("link").tap()
        card = guest.page.locator(".source-card")
        await expect(card).to_contain_text(ROS["quote"])
        await card.get_by_role("link").tap()
        await guest.page.wait_for_url("**/docs/topics#first*")
        await guest.launcher.wait_for()
        await expect(guest.panel).to_be_hidden()


async def test_a_source_opens_in_the_book_and_the_conversation_goes_on_there(guest: Guest) -> None:
    await guest.launcher.click()
    guest.script.says("See [1].", {**ROS, "url": "/docs/topics#first"})
    await guest.ask("Where?")
    await guest.answered()
    await guest.answer.get_by_role("link").click()
    await guest.page.wait_for_url("**/docs/topics#first*")
    await expect(guest.answer).to_have_text("See 1.")
    guest.script.says("There.")
    await guest.ask("And then?")
    await expect(guest.answer).to_have_text("There.")
    assert guest.script.asked[1]["session_id"] == "s1"
    assert guest.script.asked[1]["source_page"] == "/docs/topics"


async def test_an_origin_that_the_settings_do_not_name_is_refused_by_the_browser(browser: Browser) -> None:
    async with visiting(browser, allowed=False) as guest:
        guest.expects("blocked by CORS policy")
        guest.expects("net::ERR_FAILED")
        await guest.launcher.click()
        await guest.ask("What is a node?")
        await expect(guest.panel.locator(".error")).to_contain_text("The tutor cannot be reached.")
        assert guest.script.asked == []


async def test_an_answer_goes_on_while_the_panel_is_closed(guest: Guest) -> None:
    written = asyncio.Event()
    await guest.launcher.click()
    guest.script.answers(start(), ("token", {"content": "Whole"}), written, done("Whole."))
    await guest.ask("Well?")
    await expect(guest.answer).to_have_text("Whole")
    await guest.page.keyboard.press("Escape")
    written.set()
    await guest.launcher.click()
    await expect(guest.answer).to_have_text("Whole.")

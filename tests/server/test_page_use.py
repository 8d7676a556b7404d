"""What readers do with an answer, and what authors do with the widget: in a headless Chromium."""

import asyncio
import gzip
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from preceptor.server import pages
from tests.server.chromium import (
    ROS,
    Browser,
    Reader,
    Script,
    asking,
    expect,
    reading,
    service,
    start,
)
from tests.server.test_widget import visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC = Path(pages.__file__).parent / "static"
TOPICS = {**ROS, "n": 2, "breadcrumb": ["Physical AI", "Topics"], "url": "/docs/topics#t", "support": 0.2}
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="170"/>'


@pytest_asyncio.fixture(loop_scope="module")
async def reader(browser: Browser) -> AsyncGenerator[Reader]:
    async with reading(browser, permissions=["clipboard-read", "clipboard-write"]) as found:
        yield found


async def test_a_closed_widget_costs_twenty_kilobytes_at_most() -> None:
    loaded = [
        "embed.js",
        "widget.js",
        "dom.js",
        "words.js",
        "shortcuts.js",
        "words/en.json",
        "tutor.css",
        "widget.css",
    ]
    imported = re.findall(r"from '\./([\w/.]+)'", (STATIC / "widget.js").read_text())
    assert set(imported) <= set(loaded)
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in loaded) <= 20_000


async def test_the_page_may_be_framed_by_whom_the_settings_name(browser: Browser) -> None:
    async with asking(service(Script())) as client:
        assert "frame-ancestors 'none'" in (await client.get("/")).headers["content-security-policy"]
    script = Script(ancestors=("https://lms.example",))
    async with asking(service(script)) as client:
        page = await client.get("/")
    assert "frame-ancestors https://lms.example;" in page.headers["content-security-policy"]


@pytest.mark.long
async def test_one_of_several_books_leads_to_the_others(reader: Reader) -> None:
    page, address = reader.page, reader.page.url
    link = page.get_by_role("link", name="Choose another book")
    await page.goto(f"{address}b/ros2/")
    await reader.field.wait_for()
    await expect(link).to_have_count(0)
    reader.script.books.append("ros1")
    await page.reload()
    await expect(link).to_have_js_property("href", address)
    assert await link.get_attribute("target") is None


@pytest.mark.long
async def test_a_marker_shows_its_quotation_to_pointer_and_keyboard(reader: Reader) -> None:
    reader.script.says("A process [1]. A bus [2].", ROS, TOPICS)
    await reader.ask("What is a node?")
    await reader.answered()
    card = reader.page.locator(".source-card")
    await reader.answer.locator(".cite").first.hover()
    await expect(card).to_contain_text(ROS["quote"])
    await expect(card).to_contain_text("Physical AI › ROS 2 › Nodes")
    await card.hover()
    await expect(card).to_be_visible()
    await reader.page.mouse.move(5, 5)
    await expect(card).to_be_hidden()
    await reader.answer.locator(".cite").nth(1).focus()
    await expect(card).to_contain_text("Supports this only weakly")
    await reader.page.keyboard.press("Escape")
    await expect(card).to_be_hidden()
    await expect(reader.page.locator(".cards .weak")).to_have_count(1)


@pytest.mark.long
async def test_a_source_shows_the_books_images_and_nothing_of_broken_ones(browser: Browser) -> None:
    async def serve(route: Any) -> None:
        if "arm" in route.request.url:
            await route.fulfill(body=DRAWING, content_type="image/svg+xml")
        else:
            await route.fulfill(status=404, body="Not found.", content_type="text/html")

    # The site of the book is where its chapters are.
    async with reading(browser, chapters=["Nodes"]) as reader:
        page = reader.page
        await page.route("https://book.example/**", serve)
        urls = {"The arm": "https://book.example/arm.png", "Lost": "https://book.example/lost.png"}
        elsewhere = {"url": "https://elsewhere.example/arm.png", "alt": "Elsewhere"}
        images = [{"url": url, "alt": alt} for alt, url in urls.items()]
        reader.expects("violates the following Content Security Policy directive")
        reader.script.says("An arm [1].", {**ROS, "images": [*images, elsewhere]})
        await reader.ask("What does it look like?")
        await reader.answered()
        figure = page.locator(".cards").get_by_role("figure")
        await expect(figure).to_have_count(1)
        await expect(figure.locator("figcaption")).to_have_text("The arm")
        await expect(figure.locator("img")).to_have_attribute("loading", "lazy")
        await expect(figure.locator("img")).to_have_js_property("naturalWidth", 300)
        # Unlike a mouse that rests, the focus stays where it is when the page moves under it.
        await reader.answer.locator(".cite").focus()
        card = page.locator(".source-card")
        await expect(card.locator("figcaption")).to_have_text(["The arm"])
        # Also once the image is there, the card is within the window.
        await expect(card.locator("img")).to_have_js_property("naturalWidth", 300)
        assert await card.evaluate("card => card.getBoundingClientRect().top >= 0")


@pytest.mark.long
async def test_more_than_three_sources_fold(reader: Reader) -> None:
    sources = [{**ROS, "n": number, "url": f"{ROS['url']}{number}"} for number in range(1, 6)]
    reader.script.says("All [1][2][3][4][5].", *sources)
    await reader.ask("Where?")
    await reader.answered()
    await expect(reader.page.locator(".cards li:visible")).to_have_count(3)
    await reader.page.get_by_text("2 more sources").click()
    await expect(reader.page.locator(".cards li:visible")).to_have_count(5)


@pytest.mark.long
async def test_what_can_be_done_with_an_answer(reader: Reader) -> None:
    page = reader.page
    reader.script.says("A process [1].", ROS, also_relevant=[{**TOPICS, "n": 0}])
    await reader.ask("What is a node?")
    await reader.answered()
    await page.get_by_role("button", name="Copy the answer").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(
        "A process [1].\n\n[1]: <https://book.example/docs/ros2/nodes#what-a-node-is:~:text="
    )
    assert copied.endswith('> "What a node is"')
    await page.get_by_role("button", name="Share the question").click()
    await expect(page.get_by_text("Link copied").first).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).endswith("/?q=What+is+a+node%3F")
    reader.script.says("Again.")
    await page.get_by_role("button", name="Answer again").click()
    await expect(reader.answer).to_have_text("Again.")
    await expect(page.locator(".turn")).to_have_count(1)
    reader.script.says("Other [1].", ROS, also_relevant=[{**TOPICS, "n": 0}])
    await page.get_by_role("button", name="Edit the question").click()
    await expect(reader.field).to_have_value("What is a node?")
    await reader.field.press("Enter")
    await reader.answered()
    reader.script.says("Follow.")
    await page.get_by_role("button", name="What should I know about “Topics”?").click()
    await expect(page.locator(".answer")).to_have_text(["Other 1.", "Follow."])
    reader.script.says("Simple.")
    await page.locator(".turn:last-child").get_by_role("button", name="Simpler").click()
    await expect(page.locator(".answer")).to_have_text(["Other 1.", "Follow.", "Simple."])
    assert reader.script.asked[-1]["content"] == "Explain that in simpler words."


@pytest.mark.long
async def test_an_answer_is_followed_until_the_reader_scrolls(reader: Reader) -> None:
    lines = [("token", {"content": f"Paragraph {number}.\n\n"}) for number in range(60)]
    gate, end = asyncio.Event(), asyncio.Event()
    reader.script.answers(start(), *lines, gate, *lines, end)
    await reader.ask("Long?")
    log = reader.page.locator(".log")
    below = "element => element.scrollHeight - element.clientHeight - element.scrollTop"
    await expect(reader.answer.locator("p")).to_have_count(60)
    assert await log.evaluate(below) < 5
    await log.hover()
    await reader.page.mouse.wheel(0, -300)
    to_end = reader.page.get_by_role("button", name="To the end")
    await expect(to_end).to_be_visible()
    at = await log.evaluate("element => element.scrollTop")
    gate.set()
    await expect(reader.answer.locator("p")).to_have_count(120)
    assert await log.evaluate("element => element.scrollTop") == at
    await to_end.click()
    assert await log.evaluate(below) < 5
    end.set()


@pytest.mark.long
async def test_a_question_in_the_address_is_asked_once(browser: Browser) -> None:
    async with reading(browser) as reader:
        reader.script.says("Yes.")
        await reader.page.goto(f"{reader.page.url}?q=Is%20it%3F")
        await reader.answered()
        await reader.page.reload()
        await expect(reader.answer).to_have_text("Yes.")
        assert [each["content"] for each in reader.script.asked] == ["Is it?"]
        await reader.field.blur()
        await reader.page.keyboard.press("/")
        await expect(reader.field).to_be_focused()
        await expect(reader.field).to_have_value("")


@pytest.mark.long
async def test_an_author_opens_asks_listens_and_has_no_button(browser: Browser) -> None:
    head = "<script>window.Preceptor = {queue: [['on', 'answer', (told) => (document.title = told.answer)]]}</script>"
    attributes = 'data-layout="modal" data-questions=\'["What is a node?", "Why?"]\' data-trigger="#search"'
    async with visiting(browser, head=head, attributes=attributes) as guest:
        await guest.page.locator("#search").click()
        await expect(guest.panel).to_have_attribute("aria-modal", "true")
        await expect(guest.panel.locator(".examples button")).to_have_text(["What is a node?", "Why?"])
        await guest.page.keyboard.press("Escape")
        await expect(guest.page.locator("#search")).to_be_focused()
        await guest.page.locator("#search").blur()
        guest.script.says("A process.")
        await guest.page.evaluate("Preceptor.ask('What is a node?')")
        await guest.answered()
        await expect(guest.page).to_have_title("A process.")
        await guest.page.evaluate("Preceptor.clear()")
        await expect(guest.panel.locator(".answer")).to_have_count(0)
        await guest.page.evaluate("Preceptor.close()")
        await guest.page.keyboard.press("Control+k")
        await expect(guest.field).to_be_focused()


CONTRAST = """async (accents) => {
    const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = (colour) => {
        paint.fillStyle = '#000';
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map((part) => {
            const at = part / 255;
            return at <= 0.04045 ? at / 12.92 : ((at + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const root = document.querySelector('[data-preceptor]').shadowRoot.firstElementChild;
    const [launcher, probe] = [root.querySelector('.launcher'), root.appendChild(document.createElement('p'))];
    const poor = [];
    for (const theme of ['light', 'dark']) {
        root.dataset.theme = theme;
        document.documentElement.dataset.theme = theme;
        await new Promise(requestAnimationFrame);
        for (const accent of accents) {
            root.style.setProperty('--accent', accent);
            const button = getComputedStyle(launcher);
            const found = [contrast(button.color, button.backgroundColor)];
            for (const ground of ['ground', 'raised', 'asked']) {
                probe.style.color = 'var(--accent-text)';
                probe.style.backgroundColor = `var(--${ground})`;
                const seen = getComputedStyle(probe);
                found.push(contrast(seen.color, seen.backgroundColor));
            }
            if (Math.min(...found) < 4.5) poor.push([theme, accent, found.map((each) => each.toFixed(2)).join(' ')]);
        }
    }
    return poor;
}"""


@pytest.mark.long
async def test_every_accent_leaves_enough_contrast(browser: Browser) -> None:
    accents = [
        f"hsl({hue} {saturation}% {lightness}%)"
        for hue in range(0, 360, 20)
        for saturation in (0, 50, 100)
        for lightness in (5, 25, 40, 50, 55, 60, 75, 95)
    ]
    async with visiting(browser) as guest:
        assert await guest.page.evaluate(CONTRAST, [*accents, "#e67e22", "#ff8800", "#2e8555"]) == []


@pytest.mark.long
async def test_each_text_has_its_language_and_direction(browser: Browser) -> None:
    async with visiting(browser, attributes='data-lang="fr"') as guest:
        await guest.launcher.click()
        guest.script.says("A node [1].", ROS, language="en")
        await guest.ask("نوڈ کیا ہے؟")
        await guest.answered()
        lang = "element => element.closest('[lang]').lang"
        assert await guest.panel.locator(".question p").evaluate(lang) == "ur"
        assert await guest.answer.locator("p").evaluate(lang) == "en"
        assert await guest.panel.locator(".cards a").evaluate(lang) == "en"
        assert await guest.panel.locator("footer p").evaluate(lang) == "fr"

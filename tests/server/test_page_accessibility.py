"""Deque's axe finds nothing to object to in any state of the page and the widget: in a headless Chromium."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from preceptor.server import pages
from preceptor.settings import BookSettings
from tests.server.chromium import (
    ROS,
    Browser,
    Page,
    Reader,
    Script,
    done,
    expect,
    opened,
    reading,
    serving,
    start,
)
from tests.server.test_widget import visiting

AXE = Path(__file__).parent.parent / "standins/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not AXE.is_file(), reason="needs axe: run `npm install` in tests/standins"),
]

RUN = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => [id, target.flat().join(' '), failureSummary]));
}"""

ANSWER = """A **node** is a process [1] with $x_1^2$ and $5.

$$
\\frac{a}{b}
$$

```python
def node(): return "x"  # a comment, 1
```

| a | b |
|---|---|
| 1 | `two` |

- H~2~O and a note.[^a]

[^a]: Said below."""


MADE = "Not TeX:\n\n$$\n\\nosuchcommand{x}\n$$"
FAILED_OVER: dict[str, Any] = {
    "in_book": False,
    "truncated": True,
    "failover": [{"from": "gemini", "reason": "rate_limited"}],
    "artifacts": [
        {"kind": "table", "title": "Sizes", "data": {"columns": ["a", "b"], "rows": [["1", "2"]]}},
        {
            "kind": "image",
            "title": "The arm",
            "data": {"url": "https://book.example/arm.png", "alt": "An arm"},
        },
    ],
}
"""An answer with all that may stand below one."""


async def findings(page: Page) -> list[Any]:
    """Returns axe's findings on the page as it is now, the widget's shadow root included."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))
    found: list[Any] = await page.evaluate(RUN)
    return found


def ours(found: list[Any]) -> list[Any]:
    """Returns the findings on the widget; the site around it is not ours."""
    return [each for each in found if "data-preceptor" in each[1]]


async def every_state(reader: Reader) -> dict[str, list[Any]]:
    """Returns the findings on each state from the empty conversation to the list of them, by name."""
    page, found = reader.page, {}
    found["empty"] = await findings(page)
    reader.script.answers(start(), ("source", ROS), ("token", {"content": "As far [1]"}), asyncio.Event())
    await reader.ask("What is a node?")
    await expect(reader.answer).to_have_text("As far 1")
    found["running"] = await findings(page)
    await page.locator(".send").click()
    sources = [{**ROS, "n": number, "support": 0.2} for number in range(1, 6)]
    reader.script.says(ANSWER, *sources, also_relevant=[{**ROS, "breadcrumb": ["Topics"]}])
    await reader.ask("What is a node?")
    await reader.answered()
    await reader.answer.locator(".cite").first.focus()
    found["answer"] = await findings(page)
    await page.locator(".turn:last-child summary").click()
    await page.locator(".turn:last-child .rating button").first.click()
    await page.locator(".comment").wait_for()
    found["sources and comment"] = await findings(page)
    await page.locator(".turn:last-child .share").click()
    await expect(page.locator(".undo")).to_be_visible()
    found["shared"] = await findings(page)
    await page.locator(".comment input").fill("Short.")
    await page.locator(".comment input").press("Enter")
    await expect(page.locator(".comment")).to_have_count(0)
    found["thanks"] = await findings(page)
    reader.script.refuses(429, "RATE_LIMIT_EXCEEDED", "Too many.", **{"Retry-After": "60"})
    await reader.ask("And a topic?")
    await page.locator(".turn:last-child .error").wait_for()
    await reader.field.fill("x" * 4001)
    found["error"] = await findings(page)
    await reader.field.fill("")
    reader.script.answers(start(), ("restart", {}), done(MADE, **FAILED_OVER))
    await reader.ask("And a table?")
    await reader.answered()
    found["another tutor"] = await findings(page)
    reader.script.refuses(401, "AUTHENTICATION_ERROR", "A key is needed.")
    await reader.ask("And a key?")
    await page.locator("input[type=password]").wait_for()
    found["key"] = await findings(page)
    reader.expects("net::ERR_INTERNET_DISCONNECTED")
    await page.context.set_offline(True)
    await reader.ask("And now?")
    await page.locator(".turn:last-child .error").wait_for()
    found["offline"] = await findings(page)
    await page.locator(".turn:last-child .error button").first.click()
    await expect(page.locator(".turn:last-child .error button")).to_have_count(1)
    found["queued"] = await findings(page)
    await page.locator(".tutor header .icon").nth(1).click()
    await page.context.set_offline(False)
    await expect(page.locator(".undo button")).to_be_visible()
    found["begun"] = await findings(page)
    await page.locator(".tutor header .icon").first.click()
    found["list"] = await findings(page)
    await page.locator(".others li .icon").click()
    await expect(page.locator(".undo button")).to_be_visible()
    found["deleted"] = await findings(page)
    return {state: each for state, each in found.items() if each}


async def test_the_page_in_every_state(browser: Browser) -> None:
    async with reading(browser, chapters=["Nodes", "Topics"]) as reader:
        assert await every_state(reader) == {}


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "dark"},
        {"forced_colors": "active"},
        {"viewport": {"width": 320, "height": 640}},
        # 1280 × 1024 at 400 %.
        {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4},
        {"language": "ur"},
        {"language": "ur", "color_scheme": "dark", "viewport": {"width": 320, "height": 640}},
    ],
    ids=["dark", "forced", "narrow", "zoomed", "urdu", "urdu-dark-narrow"],
)
async def test_the_page_in_every_look(browser: Browser, options: dict[str, Any]) -> None:
    async with reading(browser, chapters=["Nodes", "ROS 2 نوڈ کیا ہے"], **options) as reader:
        assert await every_state(reader) == {}
        # Nothing is cut off: the page itself never scrolls sideways.
        assert await reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


FOCUSED = """() => {
    const at = document.activeElement;
    return at === document.body ? 'the browser' : at.ariaLabel || at.textContent;
}"""

BY_TAB = [
    "the browser",
    "Conversations",
    "New conversation",
    "Conversation",
    "Edit the question",
    "Source 1: What a node is",
    "Formula",
    "Copy as TeX",
    "Wrap long lines",
    "Copy",
    "Code: python",
    "Table",
    "Footnote a",
    "What a node is",
    "What a node is",
    "What a node is",
    "2 more sources",
    "Copy the answer",
    "Share the question",
    "Answer again",
    "Helpful",
    "Not helpful",
    "What should I know about “Topics”?",
    "Simpler",
    "An example",
    "Ask a question about the book",
]
"""All places that Tab goes to, from the question on, after an answer."""


async def told(page: Page) -> list[tuple[str, str]]:
    """Returns role and name of what Chromium tells a screen reader, in order."""
    session = await page.context.new_cdp_session(page)
    found = await session.send("Accessibility.getFullAXTree")
    nodes = {node["nodeId"]: node for node in found["nodes"]}
    in_order: list[tuple[str, str]] = []

    def walk(node: dict[str, Any]) -> None:
        if not node["ignored"]:
            in_order.append((node["role"]["value"], node.get("name", {}).get("value", "")))
        for child in node.get("childIds", ()):
            walk(nodes[child])

    walk(found["nodes"][0])
    return in_order


@pytest.mark.long
async def test_by_keyboard_alone_all_is_reached_and_a_screen_reader_is_told_it(browser: Browser) -> None:
    # So high that nothing scrolls: "To the end" would be one more stop as long as there is more below.
    async with reading(browser, chapters=["Nodes"], viewport={"width": 1100, "height": 2400}) as reader:
        page = reader.page
        press = page.keyboard.press
        sources = [{**ROS, "n": number} for number in range(1, 6)]
        reader.script.says(ANSWER, *sources, also_relevant=[{**ROS, "breadcrumb": ["Topics"]}])
        await page.keyboard.type("What is a node?")
        await press("Enter")
        await reader.answered()
        await reader.answer.locator(".display math").wait_for()
        await expect(page.get_by_role("status").last).to_have_text(
            "A node is a process 1 with x_1^2 and $5. \\frac{a}{b} "
            'def node(): return "x" # a comment, 1 a b 1 two H2O and a note. a Said below. '
            "The answer is complete, with 5 sources."
        )
        reached: list[str] = []
        for _ in BY_TAB:
            await press("Tab")
            name = await page.evaluate(FOCUSED)
            reached.append(name)
            if name == "Source 1: What a node is":
                await expect(page.locator(".source-card")).to_be_visible()
                await press("Escape")
                await expect(page.locator(".source-card")).to_be_hidden()
            elif name == "2 more sources":
                await press("Enter")
                await expect(page.locator(".cards li:visible")).to_have_count(5)
                await press("Enter")
        assert reached == BY_TAB
        tree = await told(page)
        named = {"button", "link", "textbox", "region", "heading", "group", "dialog"}
        assert [each for each in tree if each[0] in named and not each[1]] == [("group", "")]
        levels = [name for role, name in tree if role == "heading"]
        assert levels == ["Physical AI", "You asked", "Answer", "Sources"]
        for one in (
            ("region", "Conversation"),
            ("group", "Code: python"),
            ("columnheader", "b"),
            ("MathMLFraction", ""),
        ):
            assert one in tree
        await page.locator(".tutor header .icon").first.focus()
        await press("Enter")
        await expect(page.get_by_role("region", name="Conversations")).to_be_visible()
        await press("Escape")
        await expect(reader.field).to_be_focused()


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_widget_closed_and_open(browser: Browser, theme: str) -> None:
    head = f'<title>Nodes</title><script>document.documentElement.dataset.theme = "{theme}"</script>'
    async with visiting(browser, head=head, attributes='data-lang="ur" data-color="#e67e22"') as guest:
        assert ours(await findings(guest.page)) == []
        await guest.launcher.click()
        await guest.field.wait_for()
        found = await every_state(guest)
        assert {state: ours(each) for state, each in found.items() if ours(each)} == {}


@pytest.mark.long
@pytest.mark.parametrize("layout", ["docked", "expanded", "modal"])
async def test_the_widget_in_every_layout(browser: Browser, layout: str) -> None:
    attributes = f'data-layout="{layout}" data-books="https://books.example/"'
    async with visiting(browser, head="<title>Nodes</title>", attributes=attributes) as guest:
        await guest.launcher.click()
        await guest.field.wait_for()
        guest.script.says(ANSWER, ROS)
        await guest.ask("What is a node?")
        await guest.answered()
        assert ours(await findings(guest.page)) == []
        await guest.page.emulate_media(color_scheme="dark")
        await guest.page.locator(".tutor header .icon").first.click()
        assert ours(await findings(guest.page)) == []
        tree = await told(guest.page)
        assert ("dialog", "Ask the robots") in tree
        assert "banner" not in dict(tree)


@asynccontextmanager
async def choosing(browser: Browser, **options: Any) -> AsyncGenerator[Reader]:
    """The page on which a reader chooses one of several books."""
    titles = {"ros": ("Physical AI", "en"), "urdu": ("فزیکل اے آئی", "ur"), "long": ("Robots " * 30, "en")}
    books = {
        name: SimpleNamespace(
            id=name, hosts=(), settings=SimpleNamespace(book=BookSettings(title=title, language=language))
        )
        for name, (title, language) in titles.items()
    }

    async def info(book: Any) -> None:
        """No index is open."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[dict[str, Any]]:
        settings = SimpleNamespace(library=SimpleNamespace(paths=True))
        yield {"settings": settings, "shelf": SimpleNamespace(books=books, info=info)}

    app = Starlette(routes=[Route("/", pages.books_page), pages.routes()[-1]], lifespan=lifespan)
    async with serving(app) as address, opened(browser, Script(), **options) as reader:
        await reader.page.goto(address)
        await reader.page.get_by_role("link", name="Physical AI").wait_for()
        yield reader


@pytest.mark.long
@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark"}, {"forced_colors": "active"}, {"viewport": {"width": 320, "height": 256}}],
    ids=["light", "dark", "forced", "zoomed"],
)
async def test_the_choice_of_a_book(browser: Browser, options: dict[str, Any]) -> None:
    async with choosing(browser, **options) as reader:
        assert await findings(reader.page) == []
        assert await reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.long
async def test_the_widget_with_a_marked_text_and_without_its_service(browser: Browser) -> None:
    async with visiting(browser, head="<title>Nodes</title>") as guest:
        await guest.mark()
        await expect(guest.bubble).to_be_visible()
        assert ours(await findings(guest.page)) == []
        await guest.bubble.click()
        await guest.panel.locator(".marked").wait_for()
        assert ours(await findings(guest.page)) == []
        await guest.page.route("**/static/tutor.js", lambda route: route.abort())
        guest.expects("net::ERR_FAILED")
        await guest.page.evaluate("sessionStorage.clear()")
        await guest.page.reload()
        await guest.launcher.click()
        await guest.panel.locator(".lost").wait_for()
        assert ours(await findings(guest.page)) == []

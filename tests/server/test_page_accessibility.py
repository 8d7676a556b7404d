"""Deque's axe finds nothing to object to in any state of the page and the widget: in a headless Chromium."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.server.chromium import (
    ROS,
    Browser,
    Page,
    Reader,
    chromium,
    expect,
    reading,
    start,
)
from tests.server.test_widget import visiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE = Path(__file__).parent.parent / "standins/node_modules/axe-core/axe.min.js"

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    if not AXE.is_file():
        pytest.skip("needs axe: run `npm install` in tests/standins")
    async with chromium() as started:
        yield started


async def findings(page: Page) -> list[Any]:
    """Returns axe's findings on the page as it is now, the widget's shadow root included."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))
    found: list[Any] = await page.evaluate(RUN)
    return found


async def every_state(reader: Reader) -> dict[str, list[Any]]:
    """Returns the findings on the empty conversation, a running answer, a whole one, an error and the list."""
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
    reader.script.refuses(429, "RATE_LIMIT_EXCEEDED", "Too many.", **{"Retry-After": "60"})
    await reader.ask("And a topic?")
    await page.locator(".turn:last-child .error").wait_for()
    await reader.field.fill("x" * 4001)
    found["error"] = await findings(page)
    await reader.field.fill("")
    await page.locator(".tutor header .icon").first.click()
    found["list"] = await findings(page)
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


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_widget_closed_and_open(browser: Browser, theme: str) -> None:
    head = f'<title>Nodes</title><script>document.documentElement.dataset.theme = "{theme}"</script>'
    async with visiting(browser, head=head, attributes='data-lang="ur" data-color="#e67e22"') as guest:
        own = await findings(guest.page)
        assert [each for each in own if "data-preceptor" in each[1]] == []
        await guest.launcher.click()
        await guest.field.wait_for()
        found = await every_state(guest)
        ours = {
            state: [each for each in all_ if "data-preceptor" in each[1]] for state, all_ in found.items()
        }
        assert {state: each for state, each in ours.items() if each} == {}

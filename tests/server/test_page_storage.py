"""Storage that is forbidden, full or unwanted, and pages from the browser's own memory: in a headless Chromium."""

from typing import Any

import pytest

from tests.server.chromium import ROS, Browser, Reader, expect, reading
from tests.server.test_widget import visiting

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

FORBIDDEN = """for (const name of ['localStorage', 'sessionStorage'])
    Object.defineProperty(window, name, { get() { throw new DOMException('', 'SecurityError'); } });"""
FULL = "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); };"

COME_BACK = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"

FILL = """() => {
    for (let size = 1 << 22, at = 0; size; at += 1) {
        try { localStorage.setItem(`other ${at}`, 'x'.repeat(size)); } catch { size >>= 1; }
    }
}"""
"""Leaves no room for a single letter more."""

STORED = """async () => [
    ...Object.entries(localStorage), ...Object.entries(sessionStorage),
    ...await indexedDB.databases(), ...await caches.keys(), document.cookie].filter(Boolean)"""
"""Whatever a page can leave in a browser."""


@pytest.mark.parametrize("storage", [FORBIDDEN, FULL], ids=["forbidden", "full"])
async def test_without_storage_all_lasts_as_long_as_the_page(reader: Reader, storage: str) -> None:
    page = reader.page
    await page.add_init_script(storage)
    await page.reload()
    for question, answer in (("One?", "First."), ("Two?", "Second.")):
        reader.script.says(answer)
        await reader.ask(question)
        await expect(reader.answer).to_have_text(answer)
        await reader.answered()
    assert [each.get("session_id") for each in reader.script.asked] == [None, "s1"]
    await page.get_by_role("button", name="New conversation").click()
    await expect(reader.answer).to_have_count(0)
    await page.get_by_role("button", name="Conversations").click()
    await page.locator(".other").click()
    await expect(page.locator(".answer")).to_have_text(["First.", "Second."])


async def test_the_oldest_conversation_makes_room_and_leaves_the_list(reader: Reader) -> None:
    page = reader.page
    reader.script.says("Long. " * 2000)
    await reader.ask("One?")
    await reader.answered()
    await page.get_by_role("button", name="New conversation").click()
    await page.evaluate(FILL)
    reader.script.says("Second.")
    await reader.ask("Two?")
    await reader.answered()
    await page.reload()
    await expect(page.locator(".answer")).to_have_text(["Second."])
    await page.get_by_role("button", name="Conversations").click()
    await expect(page.locator(".other span")).to_have_text(["Two?"])


async def test_a_page_from_the_browsers_memory_takes_over_what_happened_meanwhile(reader: Reader) -> None:
    reader.script.says("First.")
    await reader.ask("One?")
    await reader.answered()
    turns = [
        {"question": question, "answer": answer, "response_id": id, "sources": []}
        for question, answer, id in (("One?", "First.", "r1"), ("Two?", "Second.", "r2"))
    ]
    reader.script.sessions["s1"] = turns
    await reader.page.evaluate(COME_BACK)
    await expect(reader.page.locator(".answer")).to_have_text(["First.", "Second."])


async def use(reader: Reader, address: str) -> None:
    """Ask, fail, type and load the page anew; look after each step for what is left in the browser."""
    page = reader.page

    async def stored() -> Any:
        return await page.evaluate(STORED)

    reader.script.says("First. [1]", {**ROS, "url": f"{address}/docs/topics#a"})
    await reader.ask("One?")
    await reader.answered()
    assert await stored() == []
    # Following it must not lose the conversation.
    assert await page.locator(".sources a").get_attribute("target") == "_blank"
    reader.script.refuses(503, "SERVICE_UNAVAILABLE", "Later.")
    await reader.ask("Two?")
    await page.locator(".turn:last-child .error").wait_for()
    await reader.field.fill("A draft")
    assert await stored() == []
    assert [each.get("session_id") for each in reader.script.asked] == [None, "s1"]
    await page.get_by_role("button", name="New conversation").click()
    await page.get_by_role("button", name="Undo").click()
    await expect(reader.answer).to_have_count(1)
    await expect(page.get_by_role("button", name="Conversations")).to_have_count(0)
    await reader.field.fill("A draft")
    await page.evaluate(COME_BACK)
    await expect(reader.answer).to_have_count(0)
    await expect(reader.field).to_have_value("")
    await page.reload()


async def test_nothing_stays_in_the_browser_where_the_operator_wants_it_so(browser: Browser) -> None:
    async with reading(browser, keeps=False) as reader:
        page = reader.page
        prefix = f"preceptor:2:{page.url}"
        await page.evaluate("prefix => localStorage.setItem(`${prefix}:list`, '[]')", prefix)
        await page.reload()
        await use(reader, page.url.rstrip("/"))
        await expect(page.locator(".welcome")).to_be_visible()
        await expect(reader.field).to_have_value("")
        assert await page.evaluate(STORED) == []


async def test_nothing_of_the_widget_stays_in_the_browser_where_the_author_wants_it_so(
    browser: Browser,
) -> None:
    async with visiting(browser, attributes='data-keep="none"') as guest:
        await guest.launcher.click()
        await use(guest, guest.page.url.removesuffix("/docs/nodes"))
        await guest.launcher.click()
        await expect(guest.panel.locator(".welcome")).to_be_visible()
        assert await guest.page.evaluate(STORED) == []

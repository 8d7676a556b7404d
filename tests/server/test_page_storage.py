"""Storage that is forbidden or full, and pages that come back from the browser's own memory: in a headless Chromium."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.server.chromium import Browser, Reader, chromium, expect, reading

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

FORBIDDEN = """for (const name of ['localStorage', 'sessionStorage'])
    Object.defineProperty(window, name, { get() { throw new DOMException('', 'SecurityError'); } });"""
FULL = "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); };"

FILL = """() => {
    for (let size = 1 << 22, at = 0; size; at += 1) {
        try { localStorage.setItem(`other ${at}`, 'x'.repeat(size)); } catch { size >>= 1; }
    }
}"""
"""Leaves no room for a single letter more."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def reader(browser: Browser) -> AsyncGenerator[Reader]:
    async with reading(browser) as found:
        yield found


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
    come_back = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    await reader.page.evaluate(come_back)
    await expect(reader.page.locator(".answer")).to_have_text(["First.", "Second."])

"""The page's work comes in small tasks, between which it answers to the reader: in a headless Chromium."""

from typing import Any

import pytest

from tests.server.chromium import ROS, Browser, Reader, expect, reading

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = """() => {
    const { port1, port2 } = new MessageChannel();
    window.task = 0;
    port1.onmessage = () => {
        window.task += 1;
        port2.postMessage(null);
    };
    port2.postMessage(null);
    for (const name of ['setTimeout', 'requestAnimationFrame']) {
        const real = window[name];
        window[name] = (call, ...those) => real.call(window, (...values) => {
            window.task += 1;
            call(...values);
        }, ...those);
    }
}"""
"""Counts tasks: what happened under the same number happened in the same one."""


async def test_a_question_is_there_before_the_request_for_its_answer_is_made(reader: Reader) -> None:
    reader.script.says("A process.")
    await reader.field.fill("What is a node?")
    seen = await reader.field.evaluate("""(field) => {
        const real = window.fetch;
        let asked = false;
        window.fetch = (...those) => {
            asked = true;
            return real(...those);
        };
        field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', cancelable: true, bubbles: true }));
        return [document.querySelector('.question p').textContent, field.value, asked];
    }""")
    assert seen == ["What is a node?", "", False]
    await reader.answered()


async def test_events_that_come_at_once_leave_the_page_its_turn(reader: Reader) -> None:
    await reader.page.evaluate(COUNT)
    tasks: list[int] = await reader.page.evaluate("""async () => {
        const { ask } = await import('/static/stream.js');
        const token = 'event: token\\ndata: {"content": "word "}\\n\\n';
        window.fetch = async () => new Response(token.repeat(200) + 'event: done\\ndata: {}\\n\\n');
        let now = 0;
        performance.now = () => (now += 1);
        const found = new Set();
        const { signal } = new AbortController();
        for await (const { event } of ask('/', {}, { signal })) found.add(event && window.task);
        return [...found];
    }""")
    assert len(tasks) >= 10, tasks


async def test_the_text_its_layout_and_what_belongs_below_it_have_tasks_of_their_own(reader: Reader) -> None:
    await reader.page.evaluate(COUNT)
    await reader.page.evaluate("""() => {
        window.found = { text: [], layout: [], below: [] };
        const { get } = Object.getOwnPropertyDescriptor(HTMLElement.prototype, 'offsetHeight');
        Object.defineProperty(HTMLElement.prototype, 'offsetHeight', {
            get() {
                if (this.matches('.answer')) found.layout.push(task);
                return get.call(this);
            },
        });
        new MutationObserver((changes) => {
            for (const { target } of changes) {
                if (target.closest('.answer')) found.text.push(task);
                else if (target.matches('.below')) found.below.push(task);
            }
        }).observe(document.querySelector('.log'), { childList: true, subtree: true });
    }""")
    reader.script.says("A process [1].\n\n" * 100, ROS)
    await reader.ask("What is a node?")
    await reader.answered()
    found: dict[str, list[int]] = await reader.page.evaluate("found")
    text, layout, below = (set(each) for each in found.values())
    assert text, found
    assert layout, found
    assert below, found
    assert not text & layout, found
    assert max(text | layout) < min(below), found


async def test_fonts_are_looked_up_and_scripts_compiled_before_there_is_an_answer(browser: Browser) -> None:
    async with reading(browser) as reader:
        await reader.page.add_init_script("""
            window.laidOut = [];
            new MutationObserver((changes) => {
                for (const { target, addedNodes } of changes)
                    if (target.className === 'warming' && addedNodes.length) laidOut.push(addedNodes[0].innerHTML);
            }).observe(document, { childList: true, subtree: true });
        """)
        await reader.page.reload()
        await reader.field.wait_for()
        await expect(reader.page.locator(".warming")).to_have_count(0)
        made: Any = await reader.page.evaluate("laidOut.join('')")
    assert all(f"<{tag}" in made for tag in ("p", "strong", "em", "code", "li", "th", "td")), made


async def test_the_next_question_need_not_wait_until_a_long_answer_is_shown(reader: Reader) -> None:
    await reader.page.evaluate("window.requestAnimationFrame = () => 0")
    reader.script.says("A process.\n\n" * 4000)
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".send")).to_have_attribute("data-name", "send")
    await expect(reader.page.locator(".turn footer")).to_have_count(0)
    reader.script.says("A bus.")
    await reader.ask("What is a topic?")
    await expect(reader.page.locator(".question")).to_have_count(2)
    await reader.answered()

"""Odd windows, sites, texts and moments, in which readers still ask and read: in a headless Chromium."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from starlette.responses import Response

from tests.server.chromium import ROS, Browser, expect, reading
from tests.server.test_widget import PHONE, visiting

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

LONG = "Some words of a paragraph.\n\n" * 400


async def height(element: Any) -> float:
    """Returns the height of an element as it is shown."""
    box = await element.bounding_box()
    return float(box["height"])


async def test_at_400_percent_the_conversation_has_half_of_the_window(browser: Browser) -> None:
    # 1280 × 900.
    small: dict[str, Any] = {"viewport": {"width": 320, "height": 225}, "device_scale_factor": 4}
    async with reading(browser, **small) as reader:
        await expect(reader.page.locator(".disclaimer")).to_be_visible()
        reader.script.says("A process.")
        await reader.ask("What is a node?")
        await reader.answered()
        assert await height(reader.page.locator(".log")) > 225 / 2
    on_its_side: dict[str, Any] = {
        "viewport": {"width": 640, "height": 320},
        "is_mobile": True,
        "has_touch": True,
    }
    for window in (small, on_its_side):
        async with visiting(browser, **window) as guest:
            await guest.launcher.click()
            guest.script.says("A process.")
            await guest.ask("What is a node?")
            await guest.answered()
            assert await height(guest.panel) == window["viewport"]["height"]
            assert await height(guest.panel.locator(".log")) > window["viewport"]["height"] / 2


async def test_a_wide_formula_takes_no_more_height_than_it_needs(browser: Browser) -> None:
    async with reading(browser, **PHONE) as reader:
        sums = " + ".join(f"\\sum_{{i=1}}^{{n}} {letter}_i x_i" for letter in "abcd")
        reader.script.says(f"So $${sums}$$ it is.\n\n$$\n\\nosuchcommand{{{'x' * 60}}}\n$$")
        await reader.ask("How?")
        await reader.answered()
        await reader.answer.locator("math").wait_for()
        assert await height(reader.answer.locator(".formula").first) < 80
        # TeX that stays as it is written is all in sight, since nothing of it can be scrolled to by keyboard.
        assert await reader.answer.locator("pre.tex").evaluate(
            "element => element.scrollWidth <= element.clientWidth"
        )


async def test_a_formula_in_a_sentence_leaves_the_next_one_whole(browser: Browser) -> None:
    async with reading(browser) as reader:
        reader.script.says(
            "So $$a$$ it is.\n\n$$\nb\n$$\n\nAnd \\[c\\] too.\n\n\\[\nd\n\\]\n\nEnd\n$$\ne\n$$\n"
        )
        await reader.ask("How?")
        await reader.answered()
        await expect(reader.answer.locator("math")).to_have_text(["a", "b", "c", "d", "e"])
        await expect(reader.answer.locator("p")).to_contain_text(["So", "And", "End"])


async def test_a_question_in_the_address_that_cannot_be_asked_is_left_to_the_reader(browser: Browser) -> None:
    async with reading(browser) as reader:
        address = reader.page.url
        for question, stays in (("", ""), (" \n", ""), ("x", "x"), ("y" * 4100, "y" * 4100)):
            await reader.page.goto(f"{address}?q={quote(question)}")
            await expect(reader.field).to_have_value(stays)
            assert reader.page.url == address
        assert reader.script.asked == []


async def test_a_rating_that_does_not_arrive_is_not_lost_in_silence(browser: Browser) -> None:
    async with reading(browser, **PHONE) as reader:
        reader.expects("net::ERR_INTERNET_DISCONNECTED")
        page = reader.page
        reader.script.says("A process.\n\n" * 12)
        await reader.ask("What is a node?")
        await reader.answered()
        helpful = page.get_by_role("button", name="Helpful", exact=True)
        told = page.locator(".undo")
        await page.context.set_offline(True)
        await helpful.click()
        await expect(told).to_contain_text("The tutor cannot be reached.")
        await expect(helpful).to_have_attribute("aria-pressed", "false")
        await page.context.set_offline(False)
        await expect(told).to_be_hidden()
        await helpful.evaluate("element => element.scrollIntoView({ block: 'end' })")
        await helpful.click()
        comment = page.locator(".comment input")
        await expect(comment).to_be_in_viewport(ratio=0.95)
        await comment.fill("Short.")
        await page.context.set_offline(True)
        await comment.press("Enter")
        await expect(told).to_contain_text("The tutor cannot be reached.")
        await expect(comment).to_have_value("Short.")
        await page.context.set_offline(False)
        await comment.press("Enter")
        await expect(page.get_by_text("Thank you.")).to_be_visible()
        assert [each.get("comment") for each in reader.script.rated] == [None, "Short."]


async def test_a_long_conversation_comes_back_at_its_last_question(browser: Browser) -> None:
    async with reading(browser) as reader:
        page = reader.page
        for question in ("One?", "Two?"):
            reader.script.says(LONG)
            await reader.ask(question)
            await reader.answered()
        await page.reload()
        await expect(reader.answer.locator("p")).to_have_count(400)
        await expect(page.locator(".answer").first.locator("p")).to_have_count(400)
        top = "element => element.getBoundingClientRect().top"
        log = await page.locator(".log").evaluate(top)
        assert 0 <= await page.locator(".turn").last.evaluate(top) - log < 60
        # Once all is there, the browser holds what is read in its place again.
        await expect(page.locator(".log")).to_have_css("overflow-anchor", "auto")


async def test_a_stream_that_something_has_changed_is_told_in_the_readers_words(browser: Browser) -> None:
    async with reading(browser) as reader:
        broken = Response("event: token\ndata: {broken\n\n", media_type="text/event-stream")
        reader.script.steps.append(broken)
        await reader.ask("What is a node?")
        error = reader.page.locator(".error")
        await expect(error).to_contain_text("The connection broke before the answer was complete.")
        await expect(error.get_by_role("button", name="Try again")).to_be_visible()


async def test_a_fault_of_the_page_itself_is_told_in_words_and_to_the_console(browser: Browser) -> None:
    async with reading(browser) as reader:
        reader.expects("no such thing")
        await reader.page.evaluate(
            "() => { window.fetch = () => { throw new TypeError('no such thing'); }; }"
        )
        await reader.ask("What is a node?")
        error = reader.page.locator(".error")
        await expect(error).to_contain_text("Something went wrong")
        await expect(error).not_to_contain_text("no such thing")
        assert any("no such thing" in each for each in reader.complaints)


async def test_what_another_script_has_made_of_the_kept_conversations_stops_nobody(browser: Browser) -> None:
    async with reading(browser) as reader:
        reader.script.says("First.")
        await reader.ask("One?")
        await reader.answered()
        await reader.page.evaluate("""() => {
            for (const name of Object.keys(localStorage)) localStorage.setItem(name, '{"turns": "gone"}');
        }""")
        await reader.page.reload()
        reader.script.says("Second.")
        await reader.ask("Two?")
        await reader.answered()
        await expect(reader.answer).to_have_text("Second.")


async def test_where_nothing_may_become_markup_the_answer_is_there_as_it_is_written(browser: Browser) -> None:
    policy = "require-trusted-types-for 'script'; trusted-types 'none'"
    async with visiting(browser, policy=policy) as guest:
        guest.expects("dompurify")
        guest.expects("TrustedHTML")
        guest.expects("Cannot read properties of null")
        await guest.launcher.click()
        guest.script.says("A **process** [1].\n\n- one", ROS)
        await guest.ask("What is a node?")
        await guest.answered()
        await expect(guest.answer).to_have_text("A **process** [1].\n\n- one")
        await expect(guest.panel.locator(".sources a")).to_have_text("What a node is")


async def test_a_body_that_is_moved_filtered_or_replaced_takes_no_widget_along(browser: Browser) -> None:
    head = "<style>body { transform: translateX(9px); filter: grayscale(1); height: 200px; overflow: hidden }</style>"
    async with visiting(browser, head=head) as guest:
        await guest.launcher.click()
        assert await guest.panel.bounding_box() == {"x": 680, "y": 140, "width": 400, "height": 640}
        guest.script.says("A process.")
        await guest.ask("What is a node?")
        await guest.answered()
        await guest.page.evaluate(
            "document.documentElement.replaceChild(document.createElement('body'), document.body)"
        )
        await expect(guest.answer).to_have_text("A process.")


async def test_the_bubble_at_a_text_that_ends_below_the_window_is_in_the_window(browser: Browser) -> None:
    async with visiting(browser) as guest:
        await guest.page.locator("#first").evaluate("element => (element.textContent = 'word '.repeat(5000))")
        await guest.mark()
        await expect(guest.bubble).to_be_in_viewport(ratio=1)
        await guest.bubble.click()
        guest.script.says("So.")
        await guest.ask("Why?")
        await guest.answered()
        assert len(guest.script.asked[0]["selected_text"]) == 8000


async def test_a_page_makes_room_for_the_docked_panel_as_wide_as_it_is(browser: Browser) -> None:
    docked = "document.documentElement.style.getPropertyValue('--preceptor-docked')"
    wide = "<style>:root { --preceptor-width: 520px }</style>"
    windows: list[tuple[Mapping[str, Any], str]] = [({}, "520px"), (PHONE, "")]
    for window, expected in windows:
        async with visiting(browser, head=wide, attributes='data-layout="docked"', **window) as guest:
            await guest.launcher.click()
            await expect(guest.field).to_be_focused()
            assert await guest.page.evaluate(docked) == expected


async def test_in_forced_colours_a_question_has_a_frame(browser: Browser) -> None:
    async with reading(browser, forced_colors="active") as reader:
        reader.script.answers(asyncio.Event())
        await reader.ask("What is a node?")
        await expect(reader.page.locator(".question")).to_have_css("border-top-width", "1px")

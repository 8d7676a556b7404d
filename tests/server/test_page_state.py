"""What a reader typed and was answered stays, whatever happens to the page: in a headless Chromium."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from preceptor.server import pages
from tests.server.chromium import ROS, Browser, Reader, done, expect, reading, start

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = Path(pages.__file__).parent / "static" / "words"


async def test_a_reload_in_the_middle_of_an_answer_loses_nothing(reader: Reader) -> None:
    reader.script.answers(start(), ("source", ROS), ("token", {"content": "As far [1]"}), asyncio.Event())
    await reader.ask("What is a node?")
    await expect(reader.answer).to_have_text("As far 1")
    await reader.field.fill("What I was about to")
    await reader.page.reload()
    await expect(reader.page.locator(".question")).to_contain_text("What is a node?")
    await expect(reader.answer).to_have_text("As far 1")
    await expect(reader.page.get_by_text("This answer was not finished.")).to_be_visible()
    await expect(reader.field).to_have_value("What I was about to")
    reader.script.says("Whole.")
    await reader.page.get_by_role("button", name="Try again").click()
    await reader.answered()
    await expect(reader.answer).to_have_text("Whole.")


@pytest.mark.long
async def test_the_service_knows_of_an_answer_that_did_not_arrive(reader: Reader) -> None:
    reader.script.answers(start(), ("token", {"content": "Half"}), asyncio.Event())
    await reader.ask("What is a node?")
    await expect(reader.answer).to_have_text("Half")
    turn = {"question": "What is a node?", "answer": "A process [1].", "sources": [ROS], "response_id": "r1"}
    other = {"question": "And a topic?", "answer": "A bus.", "sources": [], "response_id": "r2"}
    reader.script.sessions["s1"] = [turn, other]
    await reader.page.reload()
    await expect(reader.page.locator(".answer")).to_have_text(["A process 1.", "A bus."])
    await expect(reader.page.get_by_text("was not finished")).to_have_count(0)
    await reader.page.reload()
    await expect(reader.page.locator(".answer")).to_have_text(["A process 1.", "A bus."])


@pytest.mark.long
async def test_two_tabs_of_one_conversation_agree(reader: Reader) -> None:
    written = asyncio.Event()
    reader.script.says("First.")
    await reader.ask("One?")
    await reader.answered()
    other = await reader.page.context.new_page()
    await other.goto(reader.page.url)
    await expect(other.locator(".answer")).to_have_text(["First."])
    reader.script.answers(start(), ("token", {"content": "Sec"}), written, done("Second."))
    await reader.ask("Two?")
    await expect(other.locator(".question").last).to_have_text("You askedTwo?")
    await expect(other.get_by_text("Being answered in another tab…")).to_be_visible()
    written.set()
    await expect(other.locator(".answer")).to_have_text(["First.", "Second."])
    await expect(other.locator(".turn:last-child footer")).to_be_visible()
    reader.script.says("Third.")
    await other.get_by_role("textbox").fill("Three?")
    await other.get_by_role("textbox").press("Enter")
    await expect(reader.page.locator(".answer")).to_have_text(["First.", "Second.", "Third."])
    assert [each.get("session_id") for each in reader.script.asked] == [None, "s1", "s1"]
    await reader.page.reload()
    await expect(reader.page.locator(".answer")).to_have_text(["First.", "Second.", "Third."])


@pytest.mark.long
async def test_the_back_button_brings_the_conversation_back(reader: Reader) -> None:
    reader.script.answers(start(), ("token", {"content": "Half"}), asyncio.Event())
    await reader.ask("What is a node?")
    await expect(reader.answer).to_have_text("Half")
    await reader.page.goto("about:blank")
    await reader.page.go_back()
    await expect(reader.answer).to_have_text("Half")
    await expect(reader.page.get_by_role("button", name="Try again")).to_have_count(1)


async def test_a_question_that_is_too_long_stays_and_is_counted(reader: Reader) -> None:
    count = reader.page.locator(".count")
    await reader.field.fill("x" * 3700)
    await expect(count).to_be_hidden()
    await reader.field.fill("🤖" * 3990)
    await expect(count).to_have_text("10 characters left")
    await reader.ask("x" * 4001)
    await expect(count).to_have_text("1 character too many")
    await expect(reader.field).to_have_value("x" * 4001)
    await expect(reader.page.get_by_role("button", name="Send")).to_be_disabled()
    assert reader.script.asked == []


@pytest.mark.long
async def test_an_error_has_the_readers_words_and_another_try_only_where_it_can_help(
    browser: Browser,
) -> None:
    async with reading(browser, language="ur") as reader:
        reader.script.refuses(400, "VALIDATION_ERROR", "Not like this.")
        await reader.ask("کیا؟")
        error = reader.page.locator(".error")
        await expect(error).to_contain_text("اسے بدل کر دوبارہ بھیجیں")
        await expect(error).not_to_contain_text("Not like this")
        await expect(error.get_by_role("button", name="دوبارہ کوشش کریں")).to_have_count(0)
        await error.get_by_role("button", name="سوال بدلیں").click()
        await expect(reader.field).to_have_value("کیا؟")
        await expect(reader.page.locator(".turn")).to_have_count(0)
        reader.script.refuses(504, "DEADLINE_EXCEEDED", "Too slow.")
        await reader.field.press("Enter")
        await expect(error.get_by_role("button", name="دوبارہ کوشش کریں")).to_be_visible()


@pytest.mark.long
async def test_a_question_asked_offline_is_kept_and_sent_when_the_network_is_back(reader: Reader) -> None:
    reader.expects("net::ERR_INTERNET_DISCONNECTED")
    await reader.page.context.set_offline(True)
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".error")).to_contain_text("You are offline. Your question is kept.")
    await reader.page.get_by_role("button", name="Send it when I am online again").click()
    await expect(reader.page.locator(".error")).to_contain_text("as soon as you are online again")
    assert reader.script.asked == []
    reader.script.says("A process.")
    await reader.page.context.set_offline(False)
    await reader.answered()
    await expect(reader.answer).to_have_text("A process.")
    assert len(reader.script.asked) == 1


@pytest.mark.long
async def test_a_new_conversation_is_taken_back_or_the_old_one_found_in_the_list(reader: Reader) -> None:
    page = reader.page
    reader.script.says("First.")
    await reader.ask("One?")
    await reader.answered()
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator(".answer")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator(".answer")).to_have_text(["First."])
    await page.get_by_role("button", name="New conversation").click()
    reader.script.answers(start("s2"), done("Second.", session_id="s2"))
    await reader.ask("Two?")
    await reader.answered()
    await page.get_by_role("button", name="Conversations").click()
    await expect(page.locator(".other span")).to_have_text(["Two?", "One?"])
    await page.locator(".other").nth(1).click()
    await expect(page.locator(".answer")).to_have_text(["First."])
    reader.script.says("Third.")
    await reader.ask("Three?")
    await reader.answered()
    assert [each.get("session_id") for each in reader.script.asked] == [None, None, "s1"]


@pytest.mark.long
async def test_a_conversation_is_deleted_on_the_service_once_it_can_no_longer_be_taken_back(
    browser: Browser,
) -> None:
    async with reading(browser, clock=True) as reader:
        page = reader.page
        reader.script.says("First.")
        await reader.ask("One?")
        await page.clock.run_for(1000)
        await reader.answered()
        for taken_back in (True, False):
            await page.get_by_role("button", name="Conversations").click()
            await page.get_by_role("button", name="Delete “One?”").click()
            await expect(page.locator(".other")).to_have_count(0)
            if taken_back:
                await page.get_by_role("button", name="Undo").click()
                await expect(page.locator(".answer")).to_have_text(["First."])
                await page.clock.run_for(20_000)
                assert reader.script.deleted == []
        async with page.expect_request(lambda request: request.method == "DELETE"):
            await page.clock.run_for(20_000)
        await page.reload()
        await expect(page.locator(".answer")).to_have_count(0)
        assert reader.script.deleted == ["s1"]


def _shape(strings: Mapping[str, Any], *, at: str = "") -> dict[str, set[str]]:
    """Returns the names of all strings with the values that each takes; plurals count as one."""
    found: dict[str, set[str]] = {}
    for name, value in strings.items():
        if isinstance(value, dict) and "other" not in value:
            found |= _shape(value, at=f"{at}{name}.")
        elif not isinstance(value, bool):
            found[at + name] = set(re.findall(r"\{\w+\}", json.dumps(value)))
    return found


async def test_every_language_says_everything() -> None:
    english = _shape(json.loads((WORDS / "en.json").read_text()))
    languages = re.findall(
        r"'(\w\w)'", re.findall(r"LANGUAGES = \[.*\]", (WORDS.parent / "words.js").read_text())[0]
    )
    assert {file.stem for file in WORDS.glob("*.json")} == set(languages)
    for language in languages:
        assert _shape(json.loads((WORDS / f"{language}.json").read_text())) == english, language

"""The page to label answers, in a real browser: with the keyboard, on a phone, in the dark, under its policy."""

import json
from pathlib import Path
from typing import Any

import pytest

from preceptor.commands.label import app
from tests.evaluation.labelling import report
from tests.server.chromium import chromium, expect, serving


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_answers_are_labelled_with_the_keyboard_and_the_policy_holds(
    tmp_path: Path, theme: Any
) -> None:
    made = report(4)
    first, second, third, fourth = (case.name for case in made.sample(0))
    async with serving(app(made, tmp_path / "after.json")) as address, chromium() as browser:
        context = await browser.new_context(color_scheme=theme, viewport={"width": 360, "height": 640})
        page = await context.new_page()
        expect.set_options(timeout=20_000)  # for a busy machine; a test that passes never waits so long
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("dialog", lambda dialog: told.append(dialog.message))
        await page.goto(address)
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(22, 24, 23)") is (theme == "dark")

        async def told_of(text: str) -> None:
            await expect(page.get_by_role("status")).to_contain_text(text)
            await page.wait_for_load_state()  # the keys are there

        await page.keyboard.press("g")
        await told_of(f"{first}: you said good.")
        await page.keyboard.press("w")
        await page.keyboard.type("big bug")
        await page.keyboard.press("Enter")
        await page.keyboard.type("g")
        await page.keyboard.press("Escape")
        await page.keyboard.press("b")
        await told_of(f"{second}: you said bad.")
        await page.keyboard.press("u")
        await expect(page.get_by_label("Why")).to_have_value("big bug\ng")
        await page.wait_for_load_state()
        await page.keyboard.press("g")
        await told_of(f"{second}: you said good.")
        await page.get_by_role("button", name="Bad").click()
        await told_of(f"{third}: you said bad.")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, (
            "it is not wider than a phone"
        )
        assert fourth.split(" &")[0].replace("case", "part") in await page.locator("h1").inner_text()
        assert told == []
    lines = (tmp_path / "after.labels.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    kept = [(line["case"], line["verdict"], line.get("why", "")) for line in map(json.loads, lines)]
    assert kept == [
        (first, "good", ""),
        (second, "bad", "big bug\ng"),
        (second, "good", "big bug\ng"),
        (third, "bad", ""),
    ]

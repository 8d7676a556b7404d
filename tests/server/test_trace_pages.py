"""The operator's pages of runs: who may open them, what they show, and that nothing in them runs."""

import asyncio
import base64
import json
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import function_span, set_trace_processors, trace
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from preceptor.errors import PreceptorError
from preceptor.server import pages, traces
from preceptor.server.access import SecurityHeaders
from preceptor.server.faults import on_error
from preceptor.settings import Settings
from preceptor.tracing.page import shared_file, shared_lines
from preceptor.tracing.processor import LocalProcessor
from preceptor.tracing.redaction import Redactor
from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Tape
from tests.server.chromium import chromium, serving

EVIL = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"
SECRET = "sk-live-" + "abcdefghijklmnop0123456789"
TAPE_ANSWER: dict[str, Any] = {
    "text": "A node is a process [1].",
    "sources": [
        {
            "number": 1,
            "key": "k7qd",
            "chapter": "ros2/nodes",
            "anchor": "what-a-node-is",
            "breadcrumb": ["Book", "Nodes"],
            "url": "javascript:alert(3)",
            "quote": EVIL,
            "support": 0.9,
        }
    ],
}


def run_of(question: str, *, evil: str = EVIL) -> tuple[RunRecord, Tape]:
    spans: Any = [
        {"parent": None, "type": "task", "name": "preceptor", "at": 0, "ms": 100, "data": {}, "error": None},
        {
            "parent": 0,
            "type": "generation",
            "name": "gemini-2.5-flash",
            "at": 1,
            "ms": 50,
            "error": {"message": evil, "data": None},
            "data": {
                "model": "gemini-2.5-flash",
                "usage": {"input_tokens": 7, "output_tokens": 3},
                "input": [{"role": "system", "content": evil}, {"role": "user", "content": question}],
                "output": [{"role": "assistant", "content": evil}],
            },
        },
        {
            "parent": 0,
            "type": "function",
            "name": "search_textbook",
            "at": 60,
            "ms": 5,
            "data": {"input": '{"query": "node"}', "output": evil},
            "error": None,
        },
    ]
    passage = {
        "key": "k7qd",
        "text": f"bedrock {evil}",
        "url": "/docs/nodes",
        "breadcrumb": ["Book", "Nodes", evil],
    }
    step: Any = {
        "kind": "tool",
        "name": "search_textbook",
        "arguments": '{"query": "node"}',
        "call_id": "c",
        "output": evil,
        "passages": [{"passage": passage, "score": 0.8125, "dense": 0.5, "bm25": None}],
    }
    tape = Tape(asked={"text": question, "chapter": None}, steps=[step], answer=TAPE_ANSWER, error=None)
    return RunRecord(
        time.time(), 0.1, "session-1", None, spans, {"usd": 0.0123, "prices": "table", "on": "day"}
    ), tape


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(
        tmp_path / "traces.db", keep_runs=100, keep_days=30, include_text=True, redact=[SECRET]
    )
    for number, question in enumerate(("What is a node?", EVIL, "Where is bedrock?")):
        record, tape = run_of(question)
        opened.add(f"trace_{number}", lambda record=record: record)
        opened.record(f"trace_{number}", lambda tape=tape: tape)
        opened.annotate(
            f"trace_{number}", question=question, answer=EVIL, provider="gemini", in_book=number != 1,
            timings={"first_token": 40.0}, failover=[{"from": "openai", "reason": EVIL}],
        )  # fmt: skip
    opened.flush()
    yield opened
    opened.close()


def app_of(store: TraceStore, key: str | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, Any], None]:
        yield {"traces": store, "settings": Settings(env="demo")}

    return Starlette(
        routes=[*traces.routes(SecretStr(key) if key else None), *pages.routes()],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={PreceptorError: on_error},
        lifespan=lifespan,
    )


@pytest.fixture
def here(store: TraceStore) -> Iterator[TestClient]:
    """A client on this machine, where no key is set."""
    with TestClient(app_of(store), base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        yield client


PAGES = ["/traces", "/traces/trace_1", "/traces/compare?a=trace_0&b=trace_1", "/traces/trace_1/export.html"]


@pytest.mark.parametrize("path", PAGES)
def test_what_others_wrote_is_text_and_no_style_or_script_is_inline(here: TestClient, path: str) -> None:
    page = here.get(path)
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert "alert(2)</script>" not in page.text
    assert 'href="javascript' not in page.text
    assert " style=" not in page.text
    assert not re.search(r"<script(?! defer src=\"/traces/page\.js\")", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_run_shows_its_steps_with_passages_scores_tokens_and_cost(here: TestClient) -> None:
    page = here.get("/traces/trace_0").text
    cost = "$0.0123 (table, prices of day)"
    parts = (
        "What is a node?",
        "7 in, 3 out",
        cost,
        "k7qd",
        "0.812",
        "Sent to the model",
        "40 ms",
        "search_textbook",
    )
    assert [part for part in parts if part not in page] == []


def test_the_list_is_filtered_searched_and_refuses_nonsense(here: TestClient) -> None:
    def listed(query: str) -> list[str]:
        return re.findall(r'href="/traces/(trace_\d)"', here.get(f"/traces?{query}").text)

    assert listed("") == ["trace_2", "trace_1", "trace_0"]
    assert listed("search=bedrock") == ["trace_2", "trace_1", "trace_0"]
    assert listed("search=where+bedrock") == ["trace_2"]
    assert listed("unanswered=1") == ["trace_1"]
    assert listed("tool=search_textbook&provider=gemini&before=trace_1") == ["trace_0"]
    assert listed("dearer=1") == []
    assert here.get("/traces?slower=much").status_code == 400
    assert here.get("/traces?noted=maybe").status_code == 400
    assert here.get("/traces/trace_9").status_code == 404


def test_an_operator_marks_a_run_and_another_site_cannot(here: TestClient, store: TraceStore) -> None:
    form = {"verdict": "bad", "why": "wrong section"}
    marked = here.post("/traces/trace_0/note", data=form, headers={"Origin": "http://127.0.0.1"})
    assert marked.status_code == 200
    assert "wrong section" in marked.text
    assert store.run("trace_0").summary.verdict == "bad"
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://["},
        {"Origin": "null"},
    ):
        assert here.post("/traces/trace_1/note", data=form, headers=headers).status_code == 403
    assert store.run("trace_1").summary.verdict is None
    assert here.post("/traces/trace_1/note", data={"verdict": "x"}).status_code == 400
    assert here.post("/traces/trace_9/note", data=form).status_code == 404


def test_only_this_machine_or_the_operators_key_opens_the_pages(store: TraceStore) -> None:
    with TestClient(app_of(store), base_url="http://book.example", client=("192.0.2.7", 1)) as away:
        assert {away.get(path).status_code for path in [*PAGES, "/traces/page.css"]} == {403}
    with TestClient(app_of(store, "operator-key-123456"), base_url="http://book.example") as away:
        refused = away.get("/traces")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        for scheme, word in (("Bearer", "operator-key-123456"), ("Basic", "any:operator-key-123456")):
            word = word if scheme == "Bearer" else base64.b64encode(word.encode()).decode()
            assert away.get("/traces", headers={"Authorization": f"{scheme} {word}"}).status_code == 200
        for bad in ("Basic any", "Basic " + base64.b64encode(b"any:other").decode(), "Bearer other"):
            assert away.get("/traces", headers={"Authorization": bad}).status_code == 401


def test_a_run_as_a_file_as_lines_and_as_a_case(here: TestClient) -> None:
    lines = here.get("/traces/trace_0/export.jsonl").text.splitlines()
    assert len(lines) == 4
    case = here.get("/traces/trace_0/case.yaml").text
    assert 'inputs: {question: "What is a node?"}' in case
    assert 'sections: ["ros2/nodes#what-a-node-is"]' in case


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_pages_work_with_the_keyboard_and_break_no_policy(store: TraceStore, theme: Any) -> None:
    async with serving(app_of(store)) as address, chromium() as browser:
        context = await browser.new_context(color_scheme=theme, viewport={"width": 360, "height": 640})
        page = await context.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("dialog", lambda dialog: told.append(dialog.message))
        await page.goto(f"{address}/traces")
        await page.keyboard.press("/")
        await page.keyboard.type("where bedrock")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**search=where**")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/trace_2")
        for _ in range(3):
            await page.keyboard.press("j")
        await page.keyboard.press("o")
        assert await page.locator("details[open]").count() == 1
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, "it is not wider than a phone"
        await page.keyboard.press("u")
        await page.wait_for_url("**/traces")
        assert told == []


async def test_a_shared_file_opens_alone_is_small_and_holds_no_secret(
    tmp_path: Path, store: TraceStore
) -> None:
    # Written by a process that did not know the key yet.
    record, tape = run_of("What is a node?", evil=f"{SECRET} opensesame1234 " + "<&> text " * 15_000)
    old = TraceStore(tmp_path / "old.db", keep_runs=10, keep_days=30, include_text=True)
    old.add("trace_large", lambda: record)
    old.record("trace_large", lambda: tape)
    old.annotate("trace_large", question="What?", answer="opensesame1234")
    old.close()
    run, redact = old.run("trace_large"), Redactor(["opensesame1234"])
    file = shared_file(run, old.tape("trace_large"), redact=redact)
    assert len(file.encode()) <= 300_000
    for text in (file, shared_lines(run, old.tape("trace_large"), redact=redact)):
        assert SECRET not in text
        assert "opensesame1234" not in text

    path = tmp_path / "run.html"
    path.write_text(file)
    async with chromium() as browser:
        context = await browser.new_context(offline=True)
        page = await context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(path.as_uri())
        assert await page.locator("h1").inner_text() == "What?"
        assert asked == [path.as_uri()]
        await asyncio.sleep(0)


def unfinished(store: TraceStore, trace_id: str, *, seconds_ago: float) -> None:
    """A run of which only the beginning is in the file."""
    store.annotate(trace_id, question=f"Asked {seconds_ago:.0f} s ago?")
    store.flush()
    with sqlite3.connect(store.path) as file:
        changed = (time.time() - seconds_ago, trace_id)
        file.execute("UPDATE runs SET started = ? WHERE trace_id = ?", changed)
    file.close()


def test_a_run_that_goes_on_is_followed_and_one_without_an_end_is_called_lost(
    here: TestClient, store: TraceStore
) -> None:
    unfinished(store, "trace_now", seconds_ago=5)
    unfinished(store, "trace_killed", seconds_ago=3600)

    listed = here.get("/traces").text
    assert "<span class=running>running</span>" in listed
    assert "<span class=lost>lost</span>" in listed
    assert "data-again" in listed
    now, killed, ended = (here.get(f"/traces/trace_{name}").text for name in ("now", "killed", "0"))
    assert ["data-again" in page for page in (now, killed, ended)] == [True, False, False]
    assert ["http-equiv=refresh" in page for page in (now, killed, ended)] == [True, False, False]
    assert "The run has no end" in killed


@pytest.mark.parametrize("worker", ["the same", "another"])
async def test_the_page_of_a_run_shows_each_step_and_then_the_answer_by_itself(
    store: TraceStore, worker: str
) -> None:
    set_trace_processors([LocalProcessor(store)])
    other = TraceStore(store.path, keep_runs=1000, keep_days=30, include_text=True)
    try:
        run = trace("preceptor", trace_id="trace_live")
        run.start()
        store.annotate("trace_live", question="What goes on?")
        store.flush()
        asked = store if worker == "the same" else other
        async with serving(app_of(asked)) as address, chromium() as browser:
            page = await (await browser.new_context()).new_page()
            told: list[str] = []
            page.on("console", lambda message: told.append(message.text))
            await page.goto(f"{address}/traces/trace_live")
            assert await page.locator("p.running").count() == 1
            with function_span("search_textbook", f"node {SECRET}", parent=run) as span:
                await page.locator("summary", has_text="search_textbook").click()
                assert await page.locator(".steps .took", has_text="not ended").count() == 1
                assert SECRET not in await page.content()
                span.span_data.output = "A passage"
            await page.locator("pre:visible", has_text="A passage").wait_for()
            run.finish()
            store.annotate("trace_live", answer="A process.", provider="gemini")
            await page.locator(".answer", has_text="A process.").wait_for()
            assert await page.locator("p.running").count() == 0
            assert told == []
    finally:
        set_trace_processors([])
        other.close()


def test_a_shared_file_of_hundreds_of_steps_is_small_too_and_says_what_was_cut(tmp_path: Path) -> None:
    record, tape = run_of("What is a node?", evil="word " * 300)
    many = RunRecord(record.started, 1.0, None, None, [*record.spans] * 200)
    opened = TraceStore(tmp_path / "large.db", keep_runs=10, keep_days=30, include_text=True)
    opened.add("trace_large", lambda: many)
    opened.record("trace_large", lambda: replace(tape, steps=[*tape.steps] * 200))
    opened.close()

    file = shared_file(opened.run("trace_large"), opened.tape("trace_large"))
    assert len(file.encode()) <= 300_000
    assert re.search(r"Cut to fit .* all but the first \d+ of 600 steps", file)
    assert "preceptor traces export trace_large --json" in file
    lines = shared_lines(opened.run("trace_large"), opened.tape("trace_large")).splitlines()
    assert sum("step" in json.loads(line) for line in lines) == 200
    record, tape = run_of("What is a node?")
    opened = TraceStore(tmp_path / "small.db", keep_runs=10, keep_days=30, include_text=True)
    opened.add("trace_small", lambda: record)
    opened.close()
    assert "Cut to fit" not in shared_file(opened.run("trace_small"), None)

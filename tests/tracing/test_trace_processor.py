"""Runs of the real SDK, as an author finds them in the file."""

import http.server
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import Agent, OpenAIResponsesModel, Runner, UserError, custom_span, flush_traces, trace
from agents.tracing.processors import default_exporter
from openai import AsyncOpenAI, InternalServerError

from preceptor.errors import TracesUnavailable
from preceptor.tracing.run import Span, Tokens
from tests.standins.desk import open_desk, two_providers
from tests.standins.provider import Provider, call, calls, fails, says
from tests.tracing.sdk_run import ANSWER, PASSAGE, QUESTION, Ask, Install, raw

TRACE = "trace_" + "a" * 32


def outline(span: Span) -> Any:
    """A span and what is inside it, without numbers."""
    label = f"{span.type} {span.name}".strip()
    return {label: [outline(child) for child in span.children]} if span.children else label


def all_spans(spans: tuple[Span, ...]) -> Iterator[Span]:
    for span in spans:
        yield span
        yield from all_spans(span.children)


async def test_a_run_is_found_by_its_trace_id_as_the_tree_of_its_steps(traces: Install, ask: Ask) -> None:
    store = traces()

    await ask(trace_id=TRACE)
    assert store.flush()

    (task,) = store.run(TRACE).spans
    assert outline(task) == {
        "task Agent workflow": [
            {"agent Triage": [{"turn 1": ["handoff Triage → Gemini tutor"]}]},
            {
                "agent Gemini tutor": [
                    {"turn 2": ["generation gemini-2.5-flash", "function search_textbook"]},
                    {"turn 3": ["generation gemini-2.5-flash"]},
                ]
            },
        ]
    }
    assert all(span.ms is not None and span.ms >= 0 and span.at >= 0 for span in all_spans((task,)))


async def test_the_list_says_who_answered_with_which_tools_at_what_cost(traces: Install, ask: Ask) -> None:
    store = traces()

    await ask()
    store.flush()

    (run,) = store.runs()
    assert run.agents == ("Triage", "Gemini tutor")
    assert run.tools == ("search_textbook",)
    assert run.tokens == Tokens(input=200, output=20)
    assert run.session_id == "session-1"
    assert run.seconds is not None
    assert run.error is None


async def test_a_repeated_conversation_is_stored_once_and_read_whole(traces: Install, ask: Ask) -> None:
    store = traces()

    await ask(trace_id=TRACE)
    store.flush()

    calls = [span for span in all_spans(store.run(TRACE).spans) if span.type == "generation"]
    assert [said["role"] for said in calls[0].data["input"]][:2] == ["system", "user"]
    assert calls[1].data["input"][: len(calls[0].data["input"])] == calls[0].data["input"]
    assert PASSAGE in calls[1].data["input"][-1]["content"]
    assert raw(store).count(b"Answer from the book.") == 1


async def test_a_failing_tool_shows_where_and_why(traces: Install, ask: Ask) -> None:
    store = traces()

    with pytest.raises(UserError):
        await ask(trace_id=TRACE, broken=RuntimeError("the index is on fire"))
    store.flush()

    tools = [span for span in all_spans(store.run(TRACE).spans) if span.type == "function"]
    assert tools[0].error is not None
    assert "the index is on fire" in str(tools[0].error)
    assert store.runs(troubled=True)[0].trace_id == TRACE


async def test_a_run_that_raises_is_kept_with_its_error(traces: Install, ask: Ask) -> None:
    store = traces()

    def overloaded(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(500, json={"error": {"message": "overloaded"}})

    with pytest.raises(InternalServerError):
        await ask(trace_id=TRACE, model=overloaded)
    store.flush()

    assert "overloaded" in str([span.error for span in all_spans(store.run(TRACE).spans) if span.error])


async def test_a_call_of_the_responses_api_is_kept_like_any_other(traces: Install) -> None:
    store = traces()

    def responses(_: httpx2.Request) -> httpx2.Response:
        text = {"type": "output_text", "text": ANSWER, "annotations": []}
        message = {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }
        usage: dict[str, Any] = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        usage |= {
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        answer: dict[str, Any] = {"id": "r", "object": "response", "created_at": 1, "model": "gpt-4.1-mini"}
        answer |= {"output": [message], "parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
        return httpx2.Response(200, json=answer | {"usage": usage})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(responses)) as http:
        client = AsyncOpenAI(api_key="unused", base_url="http://provider/v1", http_client=http)
        tutor = Agent[None](name="OpenAI tutor", model=OpenAIResponsesModel("gpt-4.1-mini", client))
        await Runner.run(tutor, QUESTION)
    store.flush()

    (run,) = store.runs()
    (call,) = [span for span in all_spans(store.run(run.trace_id).spans) if span.type == "response"]
    assert call.name == "gpt-4.1-mini"
    assert call.data["output"][0]["content"][0]["text"] == ANSWER
    assert call.data["input"][0]["content"] == QUESTION
    assert run.tokens == Tokens(input=7, output=3)


async def test_a_hand_over_shows_both_tutors_the_reason_and_what_was_said(traces: Install) -> None:
    store = traces()
    with Provider() as gemini, Provider() as openai:
        gemini.will(calls(call("search_textbook", {"query": QUESTION})), fails(429, {"error": "enough"}))
        openai.will(says("It is ", "a process [k7qd]."))
        async with open_desk(two_providers(gemini.base_url, openai.base_url, attempts=1)) as desk:
            await desk.ask(QUESTION)
    store.flush()

    (run,) = store.runs()
    spans = list(all_spans(store.run(run.trace_id).spans))
    assert run.agents == ("Triage", "Gemini tutor", "OpenAI tutor")
    assert [span.data["data"]["reason"] for span in spans if span.name == "failover"] == ["rate_limited"]
    answered = [span for span in spans if span.type == "generation"][-1]
    assert answered.data["output"][0]["content"][0]["text"] == ANSWER
    assert "tools" not in str(answered.data["output"])


async def test_why_a_tutor_was_left_is_kept_even_without_any_text(traces: Install) -> None:
    store = traces(include_text=False)
    with Provider() as gemini, Provider() as openai:
        gemini.will(fails(429, {"error": QUESTION}))
        openai.will(says(ANSWER))
        async with open_desk(two_providers(gemini.base_url, openai.base_url, attempts=1)) as desk:
            await desk.ask(QUESTION)
    store.flush()

    (run,) = store.runs()
    spans = list(all_spans(store.run(run.trace_id).spans))
    (failover,) = [span.data["data"] for span in spans if span.name == "failover"]
    assert (failover["reason"], failover["breaker"]) == ("rate_limited", "closed")
    assert QUESTION not in str(spans)
    assert ANSWER not in str(spans)


async def test_an_answered_run_is_not_in_trouble_for_an_error_it_got_over(traces: Install) -> None:
    store = traces()
    with trace("Agent workflow", trace_id=TRACE), custom_span("step") as span:
        span.set_error({"message": "Error running tool (non-fatal)", "data": None})
    store.flush()
    assert [run.error for run in store.runs(troubled=True)] == ["Error running tool (non-fatal)"]

    store.annotate(TRACE, provider="gemini")
    store.flush()
    assert store.runs(troubled=True) == []
    assert store.runs()[0].error is None


async def test_without_text_no_word_of_reader_or_book_reaches_the_disk(traces: Install, ask: Ask) -> None:
    store = traces(include_text=False)

    await ask(trace_id=TRACE, metadata={"user_context": "my homework"})
    with pytest.raises(UserError):
        await ask(broken=RuntimeError(f"cannot search for {QUESTION}"))
    with trace("Agent workflow", trace_id="trace_custom"), custom_span("failover", {"said": QUESTION}):
        pass
    store.annotate(
        TRACE, question=QUESTION, answer=ANSWER, provider="gemini", response_id="r1", sources=["k7qd"]
    )
    store.feedback("r1", 1, comment="my comment").result(timeout=5)
    store.flush()

    for text in (
        QUESTION,
        "homework",
        PASSAGE[:20],
        "Answer from",
        "a process [k7qd]",
        "my comment",
        '"query"',
    ):
        assert text.encode() not in raw(store)
    assert store.dropped == 0
    run = store.run(TRACE).summary
    assert (run.provider, run.tools, run.rating) == ("gemini", ("search_textbook",), 1)
    assert run.tokens == Tokens(input=200, output=20)
    assert [span.error for span in all_spans(store.run(TRACE).spans) if span.error] == []
    assert len(store.runs(troubled=True)) == 1


async def test_secrets_are_removed_wherever_they_stand(traces: Install, ask: Ask) -> None:
    configured, pasted = 'hunter2"quoted', "sk-" + "proj-abcdefghijklmnop1234"
    store = traces((configured,))

    await ask(f"My key is {configured} and {pasted}, why?", passage=f"{PASSAGE} {configured}", trace_id=TRACE)
    store.annotate(TRACE, question=f"My key is {configured}", response_id="r1")
    store.feedback("r1", -1, comment=f"you leaked {pasted}").result(timeout=5)
    store.flush()

    assert b"hunter2" not in raw(store)
    assert pasted.encode() not in raw(store)
    assert store.run(TRACE).summary.question == "My key is [removed]"


async def test_an_answer_does_not_wait_for_a_locked_file(traces: Install, ask: Ask) -> None:
    store = traces()
    await ask()
    store.flush()

    with sqlite3.connect(store.path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        await ask(trace_id=TRACE)
        assert store.runs(limit=1)[0].trace_id != TRACE
        other.execute("ROLLBACK")
    other.close()

    assert store.flush()
    assert store.run(TRACE).summary.tools == ("search_textbook",)


async def test_a_damaged_file_costs_a_warning_and_no_answer(
    traces: Install, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    store = traces()
    store.path.write_bytes(b"this is no database, and long enough to be read as one" * 100)

    with caplog.at_level(logging.WARNING):
        result = await ask()
        await ask()
        store.flush()

    assert result.final_output == ANSWER
    assert store.dropped >= 2
    assert [record.name for record in caplog.records] == ["preceptor.tracing.store"]
    with pytest.raises(TracesUnavailable, match=r"traces\.db.*not a database"):
        store.runs()

    store.path.rename(store.path.with_suffix(".old"))
    await ask(trace_id=TRACE)
    store.flush()
    assert store.run(TRACE).summary.trace_id == TRACE


async def test_a_run_that_never_ends_does_not_stay_in_memory(traces: Install, ask: Ask) -> None:
    store = traces()

    first = trace("abandoned", trace_id="trace_first")
    first.start()
    for _ in range(1500):
        trace("abandoned").start()
    await ask(trace_id=TRACE)
    first.finish()
    store.flush()

    assert [run.trace_id for run in store.runs()] == [TRACE]


async def test_a_span_that_is_open_when_the_run_ends_is_shown_as_not_ended(traces: Install) -> None:
    store = traces()

    with trace("Agent workflow", trace_id=TRACE):
        custom_span("left open").start()
    store.flush()

    assert [(span.name, span.ms) for span in store.run(TRACE).spans] == [("left open", None)]


class Collector(http.server.BaseHTTPRequestHandler):
    """Stands where OpenAI collects traces."""

    bodies: list[bytes]
    keys: list[str]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.keys.append(self.headers["Authorization"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""


@pytest.fixture
def openai() -> Iterator[type[Collector]]:
    handler = type("Handler", (Collector,), {"bodies": [], "keys": []})
    exporter = default_exporter()
    usual = exporter.endpoint
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        exporter.endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces/ingest"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield handler
        server.shutdown()
        serving.join()
    exporter.endpoint = usual


async def test_nothing_is_uploaded_even_with_a_key_in_the_environment(
    traces: Install, ask: Ask, openai: type[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-fallback")
    traces()

    await ask()
    flush_traces()

    assert openai.bodies == []


async def test_runs_are_uploaded_when_the_author_says_so(
    traces: Install, ask: Ask, openai: type[Collector]
) -> None:
    store = traces(upload_to_openai=True, openai_key="sk-of-the-fallback")

    await ask(trace_id=TRACE)
    flush_traces()

    assert TRACE.encode() in b"".join(openai.bodies)
    assert set(openai.keys) == {"Bearer sk-of-the-fallback"}
    assert store.run(TRACE).summary.trace_id == TRACE


RUN_ONCE = """
import os, signal, sys
from pathlib import Path
from agents import trace, custom_span
from preceptor.settings import TracesSettings
from preceptor.tracing.processor import install
store = install(TracesSettings(path=Path(sys.argv[1])))
with trace("Agent workflow", trace_id="trace_finished"), custom_span("step"):
    pass
"""


def test_a_process_that_just_ends_keeps_its_last_run(tmp_path: Path, traces: Install) -> None:
    subprocess.run([sys.executable, "-c", RUN_ONCE, str(tmp_path / "traces.db")], check=True)

    assert traces().run("trace_finished").spans[0].name == "step"


def test_a_killed_process_loses_only_the_run_in_flight(tmp_path: Path, traces: Install) -> None:
    script = RUN_ONCE + (
        "store.flush()\n"
        "store.annotate('trace_in_flight', question='What is lost?')\n"
        "store.flush()\n"
        "trace('Agent workflow', trace_id='trace_in_flight').start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "traces.db")], check=False)

    assert ended.returncode == -9
    unfinished, finished = traces().runs()
    assert (finished.trace_id, finished.seconds is None) == ("trace_finished", False)
    assert (unfinished.question, unfinished.seconds) == ("What is lost?", None)


def test_reading_runs_does_not_import_the_sdk() -> None:
    script = (
        "import sys, preceptor.tracing.store, preceptor.tracing.report; sys.exit('agents' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

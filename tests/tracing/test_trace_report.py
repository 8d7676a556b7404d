"""The output of `preceptor traces`."""

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from preceptor.tracing.report import line, run_tree, runs_table
from preceptor.tracing.run import RecordedRun, RunSummary, Span, Tokens


def printed(shown: RenderableType) -> str:
    screen = StringIO()
    Console(width=160, file=screen).print(shown)
    return "\n".join(shown_line.rstrip() for shown_line in screen.getvalue().splitlines())


def summary(**changes: Any) -> RunSummary:
    usual: dict[str, Any] = {
        "trace_id": "trace_0123456789abcdef",
        "started": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "seconds": 1.25,
        "session_id": None,
        "response_id": None,
        "question": "What is [bold]a node[/bold]?",
        "provider": "gemini",
        "agents": ("Triage", "Gemini tutor"),
        "tools": ("search_textbook",),
        "failover": (),
        "error": None,
        "tokens": Tokens(820, 41),
        "rating": None,
        "comment": None,
    }
    return RunSummary(**usual | changes)


def test_the_list_has_the_question_of_each_run_and_below_it_what_went_wrong() -> None:
    runs = [
        summary(),
        summary(failover=({"from": "gemini", "reason": "rate_limited"},), provider="openai", rating=-1),
        summary(seconds=None, error="DEADLINE_EXCEEDED", question=None, provider=None),
    ]

    header, good, asked, left, broken = printed(runs_table(runs)).splitlines()
    assert header.split() == ["trace", "when", "took", "tutor", "tools", "question"]
    assert "trace_01234567" in good
    assert "1.25 s" in good
    assert "What is [bold]a node[/bold]?" in good
    assert "What is [bold]a node[/bold]?" in asked
    assert "gemini: rate_limited" in left
    assert "👎" in left
    assert "not ended" in broken
    assert "DEADLINE_EXCEEDED" in broken


def test_one_run_is_a_tree_with_durations_tokens_errors_and_short_texts() -> None:
    conversation = [{"role": "user", "content": "first"}, {"role": "tool", "content": "last"}]
    usage = {"input_tokens": 7, "output_tokens": 3}
    call = Span(
        type="generation",
        name="gemini-2.5-flash",
        at=1,
        ms=2,
        data={"model": "gemini-2.5-flash", "usage": usage, "input": conversation, "output": "x" * 500},
        error={"message": "Error getting response", "data": {"error": "503"}},
        children=(),
    )
    agent = Span(
        type="agent", name="Gemini tutor", at=0, ms=None, data={"tools": ["a"]}, error=None, children=(call,)
    )

    shown = printed(run_tree(RecordedRun(summary=summary(), facts={"question": "What?"}, spans=(agent,))))

    title, *rest = shown.splitlines()
    assert "trace_0123456789abcdef" in title
    assert "820 in, 41 out" in title
    assert rest[0] == "├── question: What?"
    assert rest[1] == "└── agent Gemini tutor  not ended"
    assert rest[2] == "    └── generation gemini-2.5-flash  2.0 ms  7 in, 3 out"
    assert 'Error getting response {"error": "503"}' in rest[3]
    assert "last" in rest[4]
    assert "first" not in shown
    assert "x" * 99 + "…" in shown
    assert "x" * 100 not in shown


def test_a_step_shows_what_was_said_and_not_how_it_was_wrapped() -> None:
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "search_textbook", "arguments": '{"query": "x"}'},
    }
    said: list[tuple[Any, str]] = [
        ([{"role": "assistant", "content": None, "tool_calls": [call]}], 'search_textbook({"query": "x"})'),
        (
            [{"type": "function_call", "name": "get_chapter", "arguments": "{}", "call_id": "c"}],
            "get_chapter({})",
        ),
        ([{"type": "message", "content": [{"type": "output_text", "text": "A node."}]}], "A node."),
        ([{"role": "assistant", "content": "A node."}], "A node."),
        ([{"role": "assistant", "content": ""}], '{"role": "assistant", "content": ""}'),
        ("plain", "plain"),
        (json.dumps({"query": "نوڈ کیا ہے؟"}), '{"query": "نوڈ کیا ہے؟"}'),
        ("\\u is no JSON", "\\u is no JSON"),
    ]
    for output, shown in said:
        span = Span(type="generation", name="m", at=0, ms=1, data={"output": output}, error=None, children=())
        assert f"output: {shown}" in printed(
            run_tree(RecordedRun(summary=summary(), facts={}, spans=(span,)))
        )


def test_a_text_from_outside_cannot_move_the_cursor_or_colour_the_screen() -> None:
    assert line("\x1b[31mred\x1b[0m\r\n\n and\tmore\x9b2J") == "[31mred [0m and more 2J"
    assert line("ا" * 10_000).endswith("…")
    assert len(line("ا" * 10_000)) == 100

"""Whatever a provider does, the reader gets an answer or the contract's error.

A fault is a line of `FAULTS` or `SILENT`: what the provider does with each request, the last thing again and again,
and the reason that the answer must name. Each is put on Gemini, on OpenAI (while Gemini is down) and on both, in JSON
and as a stream, with and without the rule that answers rest on the book.
"""

import gzip
import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
import stamina
from httpx2 import Response
from starlette.testclient import TestClient

from preceptor.errors import TapeMissing
from preceptor.providers.breaker import Breaker
from preceptor.server import create_app
from preceptor.settings import Settings
from preceptor.tracing.page import shared_file, shared_lines
from preceptor.tracing.redaction import REMOVED
from preceptor.tracing.store import TraceStore
from tests.sample import sample_settings
from tests.server.reading import events, tells_nothing
from tests.standins.provider import (
    Answer,
    Json,
    Provider,
    call,
    calls,
    chunk,
    fails,
    says,
    stream,
    usage,
    whole,
)

pytestmark = pytest.mark.long

ASKED = {"content": "What is a node?"}
SECRET = "PSEUDO"
"""Stands in everything that a provider says and that no reader may see."""
KEYS = {"gemini": "of-gemini-without-a-shape", "openai": "of-openai-without-a-shape"}
"""Keys of the providers, who repeat them in whatever they say."""
SSE = {"Content-Type": "text/event-stream"}
BOMB = gzip.compress(b" " * 20_000_000, 1)
"""Unpacked, it is longer than an answer may be."""
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<!doctype html><html><body>Sign in to PSEUDO</body></html>"


def wrong(name: str, arguments: Json | str, **more: Any) -> Answer:
    return calls(call(name, arguments, **more))


def many(name: str, arguments: Json, count: int) -> Answer:
    made = [call(name, {**arguments, "query": f"node {n}"}, index=n, id=f"m{n}") for n in range(count)]
    return stream(chunk({"tool_calls": made}), chunk({}, "tool_calls"))


def numbered(number: int, one: Json) -> Json:
    """A chunk of one of several answers."""
    return {**one, "choices": [{**choice, "index": number} for choice in one["choices"]]}


def body(content: bytes, kind: str | None, status: int = 200) -> Answer:
    return Answer([content], status, {"Content-Type": kind} if kind else {})


SEARCH = wrong("search_textbook", {"query": "PSEUDO node"})
WRITTEN = {
    "a tool_code block": ["```tool_", "code\nprint(default_api.search_textbook(query='PSEUDO'))\n```"],
    "a bare print": ["print(default_api.", "search_textbook(query='PSEUDO'))"],
    "a declaration": ["declaration:default_api:", "search_textbook{query:PSEUDO}"],
    "a JSON object": ['{"name": "search_', 'textbook", "arguments": {"query": "PSEUDO"}}'],
    "a JSON block": ['```json\n{"name": "search_textbook", "arguments": {"query": "PSEUDO"}}\n```'],
    "JSON for a tool that is not there": ['{"name": "transfer_to_', 'tutor", "arguments": {"to": "PSEUDO"}}'],
    "a JSON list": ['[{"name": "get_chapter", "parameters": {"chapter": "PSEUDO"}}]'],
    "OpenAI's own JSON": [
        '{"tool_calls": [{"function": {"name": "search_textbook", "arguments": "PSEUDO"}}]}'
    ],
    "after prose": ["I look.\n\n```tool_code\n", "search_textbook(query='PSEUDO')\n```"],
    "after prose, as Python": ["I look.\n\n```python\n", "x = search_textbook(query='PSEUDO')\n```"],
    "a tag": ["<tool", '_call>\n{"name": "search_textbook", "arguments": {"query": "PSEUDO"}}</tool_call>'],
    "a function tag": ["<function=search_textbook>", '{"query": "PSEUDO"}</function>'],
    "Mistral's": ['[TOOL_CALLS][{"name": "search_textbook", "arguments": {"query": "PSEUDO"}}]'],
    "Llama's": ['<|python_tag|>search_textbook.call(query="PSEUDO")'],
    "DeepSeek's": ["<｜tool▁calls▁begin｜>function search_textbook PSEUDO"],
    "a list of Python calls": ['[search_textbook(query="PSEUDO")]'],
    "a bare call": ["search_text", 'book(query="PSEUDO")'],
    "ReAct": ["Action: search_textbook\nAction Input: PSEUDO"],
    "Qwen's": ["✿FUNCTION✿: search_textbook\n", '✿ARGS✿: {"query": "PSEUDO"}'],
    "gpt-oss's": ["<|channel|>commentary to=functions.", 'search_textbook<|message|>{"query": "PSEUDO"}'],
    "a tag of its name": ["<search_", 'textbook>{"query": "PSEUDO"}</search_textbook>'],
    "in a sentence": ["I call search_textbook(", 'query="PSEUDO").'],
    "after a thought": ["<think>PSEUDO</think>", 'search_textbook("PSEUDO")'],
}

FAULTS: dict[str, tuple[Sequence[Answer], str]] = {
    # what HTTP says
    **{f"a {status}": ([fails(status, {"error": {"message": "PSEUDO"}})], reason) for status, reason in {
        400: "other", 401: "bad_key", 402: "forbidden", 403: "forbidden", 404: "unknown_model",
        408: "read_timeout", 409: "other", 410: "unknown_model", 422: "other", 429: "rate_limited", 500: "server_error",
        502: "server_error", 503: "server_error", 529: "server_error"}.items()},
    "a 429 with a long Retry-After": ([fails(429, {}, retry_after="60")], "rate_limited"),
    "a proxy's 502": ([fails(502, "<html>PSEUDO</html>")], "server_error"),
    "no head": ([Answer(status=None, ending="dropped")], "unreachable"),
    "a 204": ([Answer([b"HTTP/1.1 204 No Content\r\n\r\n"], is_raw=True)], "not_an_api"),
    "a portal's page": ([Answer([PAGE], headers=HTML)], "not_an_api"),
    "a page without a type": ([body(PAGE, None)], "not_an_api"),
    "a page as plain text": ([body(PAGE, "text/plain")], "not_an_api"),
    "a portal's 203": ([Answer([PAGE], 203, HTML)], "not_an_api"),
    "a portal's 302": ([Answer([PAGE], 302, {**HTML, "Location": "/login"})], "unreachable"),
    "a 302 to nowhere": ([Answer([PAGE], 302, HTML)], "not_an_api"),
    "no gzip that says it is": ([Answer([b"PSEUDO"], headers={**SSE, "Content-Encoding": "gzip"})], "stream_cut"),
    "a bomb": ([Answer([BOMB], headers={**SSE, "Content-Encoding": "gzip"})], "stream_cut"),
    "a bomb behind a redirect": (
        [Answer([BOMB], 307, {"Location": "completions", "Content-Encoding": "gzip"})], "unreachable"
    ),
    "another service's JSON": ([body(b'{"PSEUDO": "ok"}', "application/json")], "not_an_api"),
    "no JSON that says it is": ([body(b"PSEUDO", "application/json")], "not_an_api"),
    "JSON without end": ([body(b"[" * 200_000, "application/json")], "not_an_api"),
    "an error without end": ([fails(400, "[" * 200_000, content_type="application/json")], "other"),
    "nothing in one piece": ([whole({"content": " "})], "empty_answer"),
    "half of it in one piece": ([body(b'{"choices": [{"message": {"PSEUDO', "application/json")], "stream_cut"),
    "no message in one piece": ([body(b'{"choices": [{"text": "PSEUDO"}]}', "application/json")], "not_an_api"),
    "an error in a 200": ([fails(200, {"error": {"code": 429, "message": "PSEUDO"}})], "rate_limited"),
    "an error that cannot be unpacked": (
        [Answer([b"PSEUDO"], 500, {"Content-Type": "application/json", "Content-Encoding": "gzip"})], "unreachable"
    ),
    "no head that is HTTP": ([Answer([b"PSEUDO PSEUDO\r\n\r\n"], is_raw=True)], "unreachable"),
    "a change of protocol": (
        [Answer([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: PSEUDO\r\n\r\n"], is_raw=True)], "not_an_api"
    ),
    "two lengths": (
        [Answer([b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 40\r\n\r\nPSEUDO"], is_raw=True)],
        "unreachable",
    ),
    "a redirect without end": ([Answer([b"PSEUDO"], 307, {"Location": "completions"})], "unreachable"),
    "a redirect to no address": ([Answer([b"PSEUDO"], 308, {"Location": "http://[PSEUDO"})], "unreachable"),
    "a Retry-After that is no number": ([fails(429, {}, retry_after="nan")], "rate_limited"),
    "a Retry-After without end": ([fails(429, {}, retry_after="9" * 400)], "rate_limited"),
    "a Retry-After behind all time": (
        [fails(503, {}, retry_after="Fri, 31 Dec 9999 23:59:59 -2359")], "server_error"
    ),
    "an error with a list as code": ([stream({"error": {"code": [429], "message": "PSEUDO"}})], "server_error"),
    # what becomes of the stream
    "an error in the stream": ([stream({"error": {"code": 503, "message": "PSEUDO"}})], "server_error"),
    "a list of errors in it": ([stream([{"error": {"code": 401, "message": "PSEUDO"}}])], "bad_key"),
    "no chunk": ([stream()], "empty_answer"),
    "only [DONE]": ([stream()], "empty_answer"),
    "a finish of null": ([stream(chunk({"content": "Half "}), chunk({}, None), done=False)], "stream_cut"),
    "no JSON in it": ([Answer([b"data: {PSEUDO\n\n"])], "stream_cut"),
    "null": ([Answer([b"data: null\n\ndata: [DONE]\n\n"])], "not_an_api"),
    "a number": ([Answer([b"data: 7\n\ndata: [DONE]\n\n"])], "not_an_api"),
    "no finish reason": ([stream(chunk({"content": "Half "}), done=False)], "stream_cut"),
    "a cut in mid answer": ([stream(chunk({"content": "Half "}), done=False, ending="dropped")], "stream_cut"),
    "choices of null": ([stream({"id": "x", "choices": None}, chunk({}, "stop"))], "empty_answer"),
    "a filter": ([stream(chunk({"content": "Half "}), chunk({}, "content_filter"))], "safety_block"),
    "a filter after all": (
        [stream(chunk({"content": "Half "}), chunk({}, "stop"), chunk({}, "SAFETY"))], "safety_block"
    ),
    "an error as finish reason": ([stream(chunk({"content": "Half "}), chunk({}, "error"))], "stream_cut"),
    "an object as finish reason": ([stream(chunk({"content": ""}, {"PSEUDO": 1}))], "not_an_api"),
    "a refusal": ([stream(chunk({"refusal": "PSEUDO"}), chunk({}, "stop"))], "safety_block"),
    # nothing in it
    "no text": ([says("")], "empty_answer"),
    "white space": ([says(" ", "\n\n ")], "empty_answer"),
    "invented keys": ([says("[z9zz]", " [k0qd].")], "empty_answer"),
    "an invented key in Markdown": ([says("**[z9zz]**", "\n")], "empty_answer"),
    "only a thought": ([says("<thought>PSEUDO", " and so on</thought>\n")], "empty_answer"),
    "an endless thought": ([says("<think>PSEUDO", " and so on")], "empty_answer"),
    "a number of a note": ([says("[^", "1]")], "empty_answer"),
    "a picture": ([says("![PSEUDO](/img/", "PSEUDO.png)")], "empty_answer"),
    "control characters": ([says("\x00\x07", "\x1b\x7f")], "empty_answer"),
    "characters without width": ([says("\u200b\u200d", "\ufeff\u3164")], "empty_answer"),
    "a comment": ([says("<!-- PSEUDO", " is a node. -->")], "empty_answer"),
    "a comment without end": ([says("<!-- PSEUDO", " is a node.")], "empty_answer"),
    "an empty block of code": ([says("```PSEUDO\n", "```\n")], "empty_answer"),
    "an empty table": ([says("| | |\n|---|", "---|\n| | |\n")], "empty_answer"),
    "only punctuation": ([says("… – ", "¡!?")], "empty_answer"),
    "only a token of a template": ([says("<|im_", "end|>")], "empty_answer"),
    "only the beginning of a turn": ([says("<start_of_", "turn>model")], "empty_answer"),
    "only a role": ([says("assis", "tant:")], "empty_answer"),
    "only a label": ([says("**Final ans", "wer:** [z9zz]")], "empty_answer"),
    "null as text": ([says("nu", "ll")], "empty_answer"),
    "characters that were lost": ([says("\ufffd", "\ufffd")], "empty_answer"),
    "only tags": ([says("<PSEUDO><br>", "&nbsp;</PSEUDO>")], "empty_answer"),
    "a length of nothing": ([stream(chunk({"content": ""}, "length"))], "empty_answer"),
    # calls that do not fit
    "a list as query": ([wrong("search_textbook", {"query": ["PSEUDO"]})], "malformed_tool_call"),
    "an object as arguments": (
        [stream(chunk({"tool_calls": [{"function": {"name": "search_textbook", "arguments": {"PSEUDO": 1}}}]}))],
        "malformed_tool_call",
    ),
    "an id that the tutor before had": ([wrong("search_textbook", {}, id="a", index=0)], "malformed_tool_call"),
    "no arguments": ([wrong("search_textbook", {})], "malformed_tool_call"),
    "a number as query": ([wrong("search_textbook", {"query": 5})], "malformed_tool_call"),
    "an empty query": ([wrong("search_textbook", {"query": " "})], "malformed_tool_call"),
    "a part of 0": ([wrong("get_chapter", {"chapter": "PSEUDO", "part": 0})], "malformed_tool_call"),
    "no such chapter": ([wrong("get_chapter", {"chapter": "PSEUDO"})], "malformed_tool_call"),
    "arguments cut off": ([wrong("search_textbook", '{"query": "PSEU')], "malformed_tool_call"),
    "arguments that are a list": ([wrong("search_textbook", '["PSEUDO"]')], "malformed_tool_call"),
    "arguments nested deep": ([wrong("search_textbook", "[" * 9000)], "malformed_tool_call"),
    "a field too many": ([wrong("get_chapter", {"chapter": 5, "PSEUDO": {"a": []}})], "malformed_tool_call"),
    "a long argument": ([wrong("search_textbook", {"query": "PSEUDO " * 300_000})], "malformed_tool_call"),
    "half a character in it": ([wrong("search_textbook", '{"query": "\\ud83d"}')], "malformed_tool_call"),
    "half a character as id": (
        [wrong("search_textbook", {"query": "PSEUDO node"}, id="\ud83d", index=0)], "too_many_tool_calls"
    ),
    "a long id": (
        [wrong("search_textbook", {"query": "PSEUDO node"}, id="x" * 9000, index=0)], "too_many_tool_calls"
    ),
    "null in it": ([wrong("search_textbook", {"query": "\0"})], "malformed_tool_call"),
    "an object nested deep": (
        [wrong("search_textbook", '{"query": ' * 900 + "1" + "}" * 900)], "malformed_tool_call"
    ),
    "a number as arguments": ([wrong("search_textbook", "7")], "malformed_tool_call"),
    "NaN as argument": ([wrong("get_chapter", '{"chapter": "PSEUDO", "part": NaN}')], "malformed_tool_call"),
    "a name in capitals": ([wrong("Search_Textbook", {"query": "PSEUDO"})], "malformed_tool_call"),
    "a name in other letters": ([wrong("search_te\u0445tbook", {"query": "PSEUDO"})], "malformed_tool_call"),
    "one id twice": (
        [calls(*(call("search_textbook", {"query": "PSEUDO node"}, id="a", index=n) for n in range(2)))],
        "too_many_tool_calls",
    ),
    "300 in a reply": ([many("search_textbook", {}, 300)], "too_many_tool_calls"),
    "no name": ([wrong("", {"query": "PSEUDO"})], "malformed_tool_call"),
    "no such tool": ([wrong("browse", {"query": "PSEUDO"})], "malformed_tool_call"),
    "the name of a hand-off": ([wrong("transfer_to_openai_tutor", {})], "malformed_tool_call"),
    "the name of ours": ([wrong("hand over to offline", {})], "malformed_tool_call"),
    "a malformed call": ([stream(chunk({}, "MALFORMED_FUNCTION_CALL"))], "malformed_tool_call"),
    "a legacy call": ([stream(chunk({"function_call": {"name": "x"}}), chunk({}, "stop"))], "empty_answer"),
    # calls without end
    "one call after the other": ([SEARCH], "too_many_tool_calls"),
    "the same id again": ([wrong("search_textbook", {"query": "node"}, id="same", index=0)], "too_many_tool_calls"),
    "no ids": ([wrong("search_textbook", {"query": "node"}, id="", index=0)], "too_many_tool_calls"),
    "40 in each reply": ([many("search_textbook", {}, 40)], "too_many_tool_calls"),
    "text and a call": (
        [stream(chunk({"content": "I look. "}), chunk({"tool_calls": [call("list_chapters", {})]}), chunk({}, "stop"))],
        "too_many_tool_calls",
    ),
    # after a search
    "a 500 after a search": ([SEARCH, fails(500, {})], "server_error"),
    "nothing after a search": ([SEARCH, says("[z9zz]")], "empty_answer"),
    "a cut after a search": ([SEARCH, stream(chunk({"content": "Half "}), done=False)], "stream_cut"),
    **{f"a call in words, {name}": ([says(*words)], "malformed_tool_call") for name, words in WRITTEN.items()},
}  # fmt: skip

SILENT: dict[str, tuple[Sequence[Answer], str]] = {
    "no head": ([Answer(status=None, ending="hanging")], "too_slow"),
    "no body": ([Answer(ending="hanging")], "too_slow"),
    "no token": ([stream(chunk({"role": "assistant"}), done=False, ending="hanging")], "too_slow"),
    "silence in mid answer": (
        [stream(chunk({"content": "Half "}), done=False, ending="hanging")],
        "read_timeout",
    ),
    "a drip": (
        [stream(*(chunk({"content": "Half "}) for _ in range(30)), chunk({}, "stop"), pause=0.1)],
        "read_timeout",
    ),
    "silence after a search": ([SEARCH, Answer(ending="hanging")], "too_slow"),
}

RULE = (
    "Look it up before you answer: call `search_textbook` with the question in your own words, in English "
    "(the book's language), once or a few times."
)
UNGROUNDED: dict[str, tuple[Sequence[Answer], str]] = {
    "an invention": ([says("PSEUDO is a node.", " It costs 119 dollars.")], "uncited"),
    "an invention with an invented key": (
        [says("PSEUDO is a node [z9zz]."), says("It is PSEUDO.")],
        "uncited",
    ),
    "an invention after a search": ([SEARCH, says("PSEUDO is a node.")], "uncited"),
    "an invention in code": ([says("```text\nPSEUDO\n```")], "uncited"),
    "a refusal without a search": ([says("The book does not cover PSEUDO.")], "uncited"),
    "the instructions": ([says(f"PSEUDO. {RULE}")], "disclosed"),
}

GOOD: dict[str, tuple[Answer, str]] = {
    "a plain answer": (says("A node is ", "a process."), "A node is a process."),
    "Python in it": (
        says("So:\n\n```python\n", "import rclpy\nprint(search(1))\n```"),
        "So:\n\n```python\nimport rclpy\nprint(search(1))\n```",
    ),
    "JSON in it": (
        says('```json\n{"name": "arm", "arguments": {}}\n```'),
        '```json\n{"name": "arm", "arguments": {}}\n```',
    ),
    "a tag in code": (says("Write `<tool_call>`."), "Write `<tool_call>`."),
    "a thought before it": (says("<thou", "ght>PSEUDO", "</tho", "ught>A node."), "A node."),
    "parts": (
        stream(chunk({"content": [{"type": "text", "text": "A node."}]}), chunk({}, "stop")),
        "A node.",
    ),
    "thoughts among the parts": (
        stream(
            chunk({"content": [{"type": "reasoning", "text": "PSEUDO"}]}),
            chunk({"content": [{"type": "text", "text": "A node."}]}),
            chunk({}, "stop"),
        ),
        "A node.",
    ),
    "control characters": (says("A no\x00", "de\x1b."), "A node."),
    "another turn behind it": (
        says("<|im_start|>assis", "tant\nA node.<|im_", "end|><|im_start|>user\nPSEUDO?"),
        "A node.",
    ),
    "half a character": (
        stream(chunk({"content": "A \ud83d"}), chunk({"content": "\ude00."}, "stop")),
        "A 😀.",
    ),
    "half a character alone": (stream(chunk({"content": "A \ud83d."}, "stop")), "A \ufffd."),
    "a thought of another kind": (
        says("<|channel|>analysis<|mess", "age|>PSEUDO<|end|>", "A node."),
        "A node.",
    ),
    "the second of several answers alone": (
        stream(*(numbered(1, one) for one in (chunk({"content": "A node."}), chunk({}, "stop")))),
        "A node.",
    ),
    "roles again and again": (
        stream(
            *(chunk({"role": "assistant", "content": text}) for text in ("", "A ", "node.")),
            chunk({}, "stop"),
        ),
        "A node.",
    ),
    "an empty finish reason in each chunk": (
        stream(chunk({"content": "A <thi"}, ""), chunk({"content": "ng> node."}, ""), chunk({}, "stop")),
        "A <thing> node.",
    ),
    "in one piece, whatever was asked for": (whole({"content": "<think>PSEUDO</think>A node."}), "A node."),
    "no choices before": (stream(chunk(), chunk({"content": "A node."}), chunk({}, "stop")), "A node."),
    "two finish reasons": (stream(chunk({"content": "A node."}, "stop"), chunk({}, "stop")), "A node."),
    "an unknown finish reason": (stream(chunk({"content": "A node."}), chunk({}, "eos")), "A node."),
    **{
        f"{name} as usage": (stream(chunk({"content": "A node."}), chunk({}, "stop", spent)), "A node.")
        for name, spent in {
            "a negative number": usage(-5, -7),
            "words": {"prompt_tokens": "PSEUDO", "completion_tokens": "5", "total_tokens": []},
            "half": {"prompt_tokens": 5},
            "endless": usage(10**30, 5),
            "words in detail": {**usage(1, 2), "completion_tokens_details": {"reasoning_tokens": "PSEUDO"}},
            "no detail": {**usage(1, 2), "completion_tokens_details": "PSEUDO", "prompt_tokens_details": []},
            "nothing": {},
        }.items()
    },
    "half a character everywhere": (
        stream(
            *(
                {**one, "id": "\ud83d", "model": "\ud83d", "PSEUDO": "\ud83d"}
                for one in (
                    chunk({"content": "A node.", "reasoning_content": "\ud83d", "PSEUDO": "\ud83d"}),
                    chunk({}, "stop"),
                )
            )
        ),
        "A node.",
    ),
    "nonsense as usage": (stream(chunk({"content": "A node."}, "stop", {"prompt_tokens": None})), "A node."),
}

_HALF, _REST = "A €node.".encode()[:3], "A €node.".encode()[3:]
_TEXT, _STOP = chunk({"content": "A €node."}), chunk({}, "stop")
WIRE: dict[str, Sequence[bytes]] = {
    "a byte order mark": [
        b"\xef\xbb\xbf",
        *(f"data: {json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)),
    ],
    "data in several lines": [
        b'data: {"choices": [{"index": 0,\ndata:  "delta": {"content": "A \xe2\x82\xacnode."}}]}\n\n',
        f"data: {json.dumps(_STOP)}\n\n".encode(),
    ],
    "a byte order mark before each event": [
        f"\ufeffdata: {json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)
    ],
    "CRLF": [f"data: {json.dumps(each)}\r\n\r\n".encode() for each in (_TEXT, _STOP)],
    "CR": [f"data: {json.dumps(each)}\r\r".encode() for each in (_TEXT, _STOP)],
    "no space": [f"data:{json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)],
    "comments": [f": PSEUDO\n\ndata: {json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)],
    "empty events": [f"data:\n\ndata: {json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)],
    "ids": [f"id: 7\nretry: 10\ndata: {json.dumps(each)}\n\n".encode() for each in (_TEXT, _STOP)],
    "a character in two pieces": [
        b'data: {"choices": [{"index": 0, "delta": {"content": "' + _HALF,
        _REST + b'"}}]}\n\n',
        f"data: {json.dumps(_STOP)}\n\n".encode(),
    ],
    "one byte a piece": [
        bytes([one]) for one in f"data: {json.dumps(_TEXT)}\n\ndata: {json.dumps(_STOP)}\n\n".encode()
    ],
    "no end": [f"data: {json.dumps(_TEXT)}\n\n".encode(), f"data: {json.dumps(_STOP)}\n\n".encode()],
    "no role, no ids": [
        b'data: {"choices": [{"delta": {"content": "A \xe2\x82\xacnode."}}]}\n\n',
        b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n',
    ],
}
"""Streams of the same answer, each in a form of its own."""

NO_STREAM: dict[str, tuple[bytes, Sequence[str]]] = {
    "nothing at all": (b"", ("empty_answer", "not_an_api")),
    "comments": (b": ping\n\n: PSEUDO\n\n", ("empty_answer", "not_an_api")),
    "other events": (b"event: ping\ndata: {}\n\n", ("stream_cut", "not_an_api")),
    "a list without end": (b"[" * 200_000, ("empty_answer", "not_an_api")),
    "a list without end in a stream": (b"data: " + b"[" * 200_000 + b"\n\n", ("stream_cut", "not_an_api")),
    "a number without end": (
        b'data: {"created": ' + b"9" * 5000 + b', "choices": []}\n\n',
        ("stream_cut", "not_an_api"),
    ),
    "half a character": (b'data: {"id": "PSEUDO \xe2\x82\n\n', ("stream_cut", "not_an_api")),
}
"""Bodies that are no answer, whether or not a stream was asked for, and the reasons for a stream and for JSON."""

On = Literal["Gemini", "OpenAI", "both"]


class Service(NamedTuple):
    client: TestClient
    gemini: Provider
    openai: Provider
    good: Sequence[Answer]
    """What a tutor that does well says, with the rule or without."""


@contextmanager
def serving(index: Path, folder: Path, *, book_only: bool = False, **provider: float) -> Generator[Service]:
    """The service with both providers scripted and every breaker closed for good."""
    with (
        pytest.MonkeyPatch.context() as patch,
        stamina.set_testing(True, attempts=2, cap=True),
        Provider() as gemini,
        Provider() as openai,
    ):
        patch.setattr(Breaker, "allows", _always)
        settings = sample_settings(
            index,
            folder,
            tutor={"providers": ("gemini", "openai"), "book_only": book_only, "max_tool_calls": 3},
            gemini={"api_key": KEYS["gemini"], "base_url": gemini.base_url, **provider},
            openai={
                "api_key": KEYS["openai"],
                "base_url": openai.base_url,
                "retrieval": "first" if book_only else "agent",
                **provider,
            },
        )
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            good = "A node is a process."
            if book_only:
                found = client.post("/api/v1/search", json={"query": ASKED["content"]}).json()["passages"][0]
                good = f"A node is a participant [{found['key']}]."
            opened = Service(client, gemini, openai, [says(good)])
            yield opened
            put(opened, "Gemini", [says(f"{SECRET} is a node.")])
            assert client.post("/api/v1/chat", json=ASKED).status_code == 200
        nothing_kept_is_secret(settings)


def nothing_kept_is_secret(settings: Settings) -> None:
    """No key of a provider and no header with one is in the file of runs, in a tape, or in a shared run."""
    store = TraceStore.from_settings(settings.traces)
    kept = b"".join(one.read_bytes() for one in store.path.parent.glob(f"{store.path.name}*"))
    shared = [kept.decode(errors="replace")]
    for run in store.runs(100_000):
        whole, tape = store.run(run.trace_id), None
        with suppress(TapeMissing):  # of a very long one
            tape = store.tape(run.trace_id)
        shared += (str(tape), shared_file(whole, tape), shared_lines(whole, tape))
    assert any(REMOVED in text for text in shared), "what a provider said is not there to be looked at"
    for secret in (*KEYS.values(), "Bearer of", "Authorization"):
        assert not [text for text in shared if secret in text], f"{secret} was kept"


def telling(answers: Sequence[Answer], key: str) -> list[Answer]:
    """What a provider says, with the key that it was sent."""
    named = f"{SECRET} {key}".encode()
    return [
        replace(one, pieces=[piece.replace(SECRET.encode(), named, 1) for piece in one.pieces])
        for one in answers
    ]


def _always(_: Breaker) -> bool:
    return True


@pytest.fixture(scope="module")
def service(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    with serving(sample_index, tmp_path_factory.mktemp("faults"), first_token=20.0) as opened:
        yield opened


@pytest.fixture(scope="module")
def held(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    folder = tmp_path_factory.mktemp("held")
    with serving(sample_index, folder, book_only=True, first_token=20.0) as opened:
        yield opened


@pytest.fixture(scope="module", params=[False, True], ids=["open", "held"])
def hasty(
    request: pytest.FixtureRequest, sample_index: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    folder = tmp_path_factory.mktemp("silent")
    with serving(sample_index, folder, book_only=request.param, first_token=0.2, timeout=0.4) as opened:
        yield opened


@pytest.fixture(scope="module", params=["open", "held"])
def either(request: pytest.FixtureRequest, service: Service, held: Service) -> Service:
    """The service without the rule that answers rest on the book, and with it."""
    return held if request.param == "held" else service


def ask(service: Service, *, streamed: bool) -> Json:
    """The whole answer, or the contract's error, after a look at all that was sent."""
    response = service.client.post("/api/v1/chat", json={**ASKED, "stream": streamed})
    tells_nothing(response)
    # The words that a call searches for are told while it runs, and are no part of the answer.
    assert SECRET not in re.sub(r'"about":"[^"]*"', "", response.text)
    if not streamed:
        return _error_free(response)
    assert response.status_code == 200
    seen = events(response.text)
    ends = [event.name for event in seen if event.name in ("done", "error")]
    assert ends == [seen[-1].name], "exactly one terminal event, at the end"
    assert seen[-1].name == "done", seen[-1].data
    begun = max((place for place, event in enumerate(seen) if event.name == "restart"), default=0)
    shown = "".join(event.data["content"] for event in seen[begun:] if event.name == "token")
    assert shown.strip() == seen[-1].data["answer"]
    return seen[-1].data


def _error_free(response: Response) -> Json:
    assert response.status_code == 200, response.text
    return response.json()


def put(service: Service, on: On, answers: Sequence[Answer]) -> None:
    service.gemini.will_only(*telling(answers if on != "OpenAI" else [fails(503, {})], KEYS["gemini"]))
    service.openai.will_only(*telling(answers if on != "Gemini" else service.good, KEYS["openai"]))


def check(service: Service, on: On, fault: tuple[Sequence[Answer], str], *, streamed: bool) -> None:
    answers, reason = fault
    put(service, on, answers)
    told = ask(service, streamed=streamed)
    left = [(each["from"], each["reason"]) for each in told["failover"]]
    assert told["answer"]
    # Of a body that is cut short, nothing has come but its head.
    reasons = {reason, "unreachable"} if reason == "stream_cut" and not streamed else {reason}
    if on == "Gemini":
        assert (told["provider"], len(left), left[0][0]) == ("openai", 1, "gemini")
        assert left[0][1] in reasons
        return
    first = reasons if on == "both" else {"server_error"}
    # What the first has looked up leaves the second less to call.
    second = {*reasons, "too_many_tool_calls"} if on == "both" else reasons
    assert (told["provider"], left[0][0]) == ("offline", "gemini")
    assert left[0][1] in first
    assert left[1][0] == "openai"
    assert left[1][1] in second
    assert told["degraded"] is True
    assert told["in_book"] is True, "the offline tutor looks for itself"


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
@pytest.mark.parametrize("on", ["Gemini", "OpenAI", "both"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_ends_in_an_answer(
    either: Service, fault: tuple[Sequence[Answer], str], on: On, streamed: bool
) -> None:
    check(either, on, fault, streamed=streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
@pytest.mark.parametrize("on", ["Gemini", "OpenAI", "both"])
@pytest.mark.parametrize("fault", SILENT.values(), ids=SILENT)
def test_every_silence_ends_in_an_answer(
    hasty: Service, fault: tuple[Sequence[Answer], str], on: On, streamed: bool
) -> None:
    answers, _ = fault
    put(hasty, on, answers)
    assert ask(hasty, streamed=streamed)["answer"]


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
@pytest.mark.parametrize("on", ["Gemini", "OpenAI", "both"])
@pytest.mark.parametrize("fault", UNGROUNDED.values(), ids=UNGROUNDED)
def test_what_does_not_rest_on_the_book_is_not_shown(
    held: Service, fault: tuple[Sequence[Answer], str], on: On, streamed: bool
) -> None:
    check(held, on, fault, streamed=streamed)


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_what_is_no_fault_passes_as_it_is(service: Service, good: tuple[Answer, str], streamed: bool) -> None:
    answer, text = good
    service.gemini.will_only(answer)
    told = ask(service, streamed=streamed)
    assert (told["answer"], told["failover"], told["truncated"]) == (text, [], False)


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
@pytest.mark.parametrize("on", ["Gemini", "OpenAI", "both"])
@pytest.mark.parametrize("fault", NO_STREAM.values(), ids=NO_STREAM)
def test_a_body_that_is_no_answer_ends_in_one(
    either: Service, fault: tuple[bytes, Sequence[str]], on: On, streamed: bool
) -> None:
    sent, (of_stream, of_json) = fault
    check(
        either, on, ([Answer([sent] if sent else [])], of_stream if streamed else of_json), streamed=streamed
    )


@pytest.mark.parametrize("pieces", WIRE.values(), ids=WIRE)
def test_a_stream_of_any_form_is_read(service: Service, pieces: Sequence[bytes]) -> None:
    service.gemini.will_only(Answer(pieces))
    told = ask(service, streamed=True)
    assert (told["answer"], told["failover"]) == ("A €node.", [])


def test_of_two_answers_at_once_the_first_is_read(service: Service) -> None:
    """The second one calls a tool and is filtered in the end."""
    both = [numbered(1, chunk({"content": "PSEUDO"})), chunk({"content": "de."})]
    service.gemini.will_only(
        stream(
            chunk({"content": "A no"}),
            numbered(1, chunk({"tool_calls": [call("browse", {}, index=0, id="b")]})),
            {**chunk(), "choices": [choice for one in both for choice in one["choices"]]},
            chunk({}, "stop"),
            numbered(1, chunk({}, "content_filter")),
        )
    )
    told = ask(service, streamed=True)
    assert (told["answer"], told["failover"], len(service.gemini.requests)) == ("A node.", [], 1)


RAW = {
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    "a 100 before it": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    "a 103 before it": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200\r\nContent-Type: text/event-stream\r\n\r\n",
    "a head of 100 kB": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX: "
    + b"x" * 100_000
    + b"\r\n\r\n",
}
"""Heads of an answer as HTTP allows them."""


@pytest.mark.parametrize("head", RAW.values(), ids=RAW)
def test_an_answer_behind_any_head_is_read(service: Service, head: bytes) -> None:
    events_of_it = "".join(f"data: {json.dumps(each)}\n\n" for each in (_TEXT, _STOP))
    service.gemini.will_only(Answer([head, events_of_it.encode()], is_raw=True))
    told = ask(service, streamed=True)
    assert (told["answer"], told["failover"]) == ("A €node.", [])


def test_a_model_that_is_told_what_is_wrong_can_correct_itself(service: Service) -> None:
    service.gemini.will_only(
        wrong("get_chapter", {"chapter": "ros2/nodes", "part": 0}, id="1", index=0), says("A node.")
    )
    told = ask(service, streamed=False)
    assert (told["answer"], told["failover"]) == ("A node.", [])
    said = service.gemini.messages[-1]["content"]
    assert "`get_chapter` was not made: `part`: 0 " in said


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
def test_of_a_call_with_its_words_beside_it_the_call_counts(service: Service, streamed: bool) -> None:
    looked = call("search_textbook", {"query": "node"})
    service.gemini.will_only(
        stream(
            chunk({"content": '<tool_call>{"name": "PSEUDO'}),
            chunk({"tool_calls": [looked]}),
            chunk({}, "stop"),
        ),
        says("A node."),
    )
    told = ask(service, streamed=streamed)
    assert (told["answer"], told["failover"], len(_results(service.gemini.requests[1].body))) == (
        "A node.",
        [],
        1,
    )


def test_past_the_last_call_none_is_run_and_the_next_tutor_answers_from_what_was_found(
    service: Service,
) -> None:
    service.gemini.will_only(many("search_textbook", {}, 40))
    service.openai.will_only(says("A node is a process."))
    told = ask(service, streamed=False)
    assert told["failover"] == [{"from": "gemini", "reason": "too_many_tool_calls"}]
    assert [len(_results(request.body)) for request in service.gemini.requests] == [0, 3]
    assert ["tools" in request.body for request in service.gemini.requests] == [True, False]
    assert all("<quotation" in result for result in _results(service.openai.requests[0].body))


@pytest.mark.parametrize("streamed", [False, True], ids=["JSON", "SSE"])
def test_an_answer_that_was_cut_off_says_so(service: Service, streamed: bool) -> None:
    service.gemini.will_only(stream(chunk({"content": "A node is a"}), chunk({}, "length")))
    told = ask(service, streamed=streamed)
    assert (told["answer"], told["truncated"], told["failover"]) == ("A node is a", True, [])
    asked = {
        "model": "preceptor",
        "messages": [{"role": "user", "content": "What is a node?"}],
        "stream": streamed,
    }
    response = service.client.post("/v1/chat/completions", json=asked)
    if streamed:
        data = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
        reasons = [choice["finish_reason"] for each in data for choice in each["choices"]]
    else:
        reasons = [choice["finish_reason"] for choice in response.json()["choices"]]
    assert reasons[-1] == "length"


def test_thoughts_are_counted_as_output(service: Service) -> None:
    thinking = {**usage(100, 5), "total_tokens": 305}
    more = {**usage(900, 20), "total_tokens": 1920, "completion_tokens_details": {"reasoning_tokens": 1000}}
    looked = call("search_textbook", {"query": "node"})
    service.gemini.will_only(
        stream(chunk({"tool_calls": [looked]}), chunk({}, "stop", thinking)),
        stream(chunk({"content": "A node."}), chunk({}, "stop"), chunk(usage=more)),
    )
    told = ask(service, streamed=False)
    assert told["usage"] == {"input_tokens": 1000, "output_tokens": 1225, "requests": 2}


def _results(body: Json) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]

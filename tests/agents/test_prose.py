"""The text of a reply: what a reader may see of it, however it is cut up."""

import pytest

from preceptor.providers.prose import Prose

TOOLS = {"search_textbook", "get_chapter", "glossary"}

CALLS = [
    "```tool_code\nprint(default_api.search_textbook(query='x'))\n```",
    "print( default_api . search_textbook('x'))",
    "declaration:default_api:search_textbook{query:x}",
    '{"name": "search_textbook", "arguments": {"query": "x"}}',
    '  {\n  "name": "default_api.search_textbook",\n  "arguments": {}}',
    '{"arguments": {"query": "x"}, "name": "search_textbook"}',
    '{"name":"glossary","parameters":{}}',
    '{"search_textbook": {"query": "x"}}',
    '{"tool_calls": [{"function": {"name": "get_chapter", "arguments": "{}"}}]}',
    'Let me: {"name": "search_textbook", "arguments": {}}',
    "I look.\n\n```tool_code\nsearch_textbook(query='x')\n```",
    'I look.\n```python\nresult = search_textbook(query="x")\n```',
    "<tool_call>\n{}</tool_call>",
    '<function=search_textbook>{"query": "x"}',
    "[TOOL_CALLS][]",
    "<|python_tag|>x",
    '[search_textbook(query="x")]',
    'search_textbook\n{"query": "x"}',
    "Thought: hm\nAction: search_textbook\nAction Input: x",
    "tool_code\nprint(1)",
    '<think>hm</think>\nsearch_textbook(query="x")',
]

ANSWERS = [
    "A node is a process.",
    "```python\nimport rclpy\nprint(len(x))\nrclpy.init()\n```",
    "Use `<tool_call>` tags or `search_textbook(…)`.",
    '```json\n{"name": "robot_arm", "arguments": {"speed": 3}}\n```',
    "- a\n- b [k7qd] x\n\n[k7qd] says so; a < b and {c}",
    '```python\nglossary("x")\nx = {"name": "glossary"}\ndef search(q): ...\n```',
    "```yaml\nplugins:\n  - glossary\n```\nprint it, please",
    "Markup:\n\n```xml\n<think>\n</think>\n```",
    "```python\nclient = default_apis.x\n```\nx",
]

THOUGHTS = {
    "<thought>a b</thought>A node": "A node",
    "<think>\nx <b>\n</think>\n\nA node": "A node",
    "A\n<THINK>x</THINK>\nB": "A\n\nB",
    "<think>never": "",
    "[THINK]x[/THINK]A": "A",
    "</think>A": "A",
    "\ud83d\ude00 x": "😀 x",
    "a\ud83d": "a\ufffd",
}


def read(text: str, size: int) -> tuple[str, bool]:
    """What is shown of `text` in pieces of `size` characters, and whether it was a call."""
    prose = Prose(TOOLS)
    shown = "".join(prose.feed(text[place : place + size]) for place in range(0, len(text), size))
    return shown + prose.finish(), prose.is_call


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", CALLS)
def test_a_call_in_words_is_found_and_nothing_of_it_is_shown(text: str, size: int) -> None:
    shown, is_call = read(text, size)
    assert is_call
    assert not any(sign in shown for sign in ("search_t", "get_chap", "{", "<", "tool_code"))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_passes_as_it_is(text: str, size: int) -> None:
    assert read(text, size) == (text, False)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(("text", "shown"), THOUGHTS.items())
def test_thoughts_and_halves_of_characters_are_not_shown(text: str, shown: str, size: int) -> None:
    assert read(text, size) == (shown, False)


def test_ordinary_words_are_not_held_back() -> None:
    prose = Prose(TOOLS)
    assert [prose.feed(piece) for piece in ("A no", "de is ", "a process.")] == [
        "A no",
        "de is ",
        "a process.",
    ]

"""The text of a reply: what a reader may see of it, however it is cut up."""

import pytest

from preceptor.providers.prose import Prose, without_unopened_thought

TOOLS = {"search_textbook", "get_chapter", "glossary"}

TAGS = [
    *("<tool_call>", "<tool_calls>", "<tool_code>", "<tool_use>", "<function_call>", "<function_calls>"),
    *("<|tool_call|>", "<|tool_calls_section_begin|>", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"),
    *("<function=", "<function name=", "<invoke name=", "<|python_tag|>", "<｜python_tag｜>"),
    *("<start_function_call>", "[TOOL_CALL]", "[tool_calls]", "<|channel|>commentary"),
]
FENCED = ["tool_code", "tool_call", "tool_calls", "tool_use", "function_call", "function_calls"]
NAME_KEYS = [
    *("name", "tool", "tool_name", "function", "function_name", "function_call", "action", "recipient_name"),
]
ARGUMENT_KEYS = ["arguments", "parameters", "args", "input", "action_input", "tool_input"]
PREFIXES = ["", "default_api.", "functions.", "tools.", "tools : "]
WRAPPED = ["", "await ", "print(", "print( ", "declaration:", "call: ", "[", "[ ", "  await "]
ASSIGNED = ["", "await ", "print( ", "[", "x = ", "x=await ", "  x = print(", "functions."]

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
    "I look<|python_tag|>x",
    '[search_textbook(query="x")]',
    'search_textbook\n{"query": "x"}',
    "Thought: hm\nAction: search_textbook\nAction Input: x",
    "tool_code\nprint(1)",
    '<think>hm</think>\nsearch_textbook(query="x")',
    *(f"{tag}x" for tag in TAGS),
    *(f"I look: {tag}x" for tag in TAGS),
    *(f"{fence}{kind}\nx" for fence in ("```", "~~~ ") for kind in FENCED),
    *(f'{{"{key}": "search_textbook"}}' for key in NAME_KEYS),
    *(f'{{"name": "glossary", "{key}": 1}}' for key in ARGUMENT_KEYS),
    *(f"{{'{key}': 'tools.glossary', 'args': 1}}" for key in NAME_KEYS),
    *(f"{prefix}glossary(x)" for prefix in PREFIXES),
    *(f"Now.\n{prefix}glossary {{}}" for prefix in PREFIXES),
    *(f'I look: {{"name": "{prefix}glossary", "args": 1}}' for prefix in PREFIXES),
    *(f"{before}search_textbook(x)" for before in WRAPPED),
    *(f"Now.\n```python\n{before}search_textbook(x)\n```" for before in ASSIGNED),
    *(f"{name}: default_api.any(x)" for name in ("call", "declaration")),
    "default_api.any(x)",
    "print( default_api : any",
    "I look: default_api.glossary(",
    "I look: default_api : glossary(",
    "tool_calls \nx",
    "  tool_call\nx",
    "  Action: functions.glossary x",
    "  glossary(x)",
    '[{"name": "search_textbook"}]',
    "{name: search_textbook}",
    *(f"{{{key}: 'search_textbook'}}" for key in ("tool", "function", "action")),
    '{"a": {"b": [ {"c": {"name": "search_textbook"}}]}}',
    '{"x": 1, "y": {"z": [1]}, "w": 2, "name": "search_textbook"}',
    '{"glossary_": 1, "name": "glossary", "input": "x"}',
    "I say.\n```xml\n<tool_call>\nsearch_textbook</tool_call>\n```",
    "</reasoning>\nglossary(x)",
    # the dialects of other models
    '✿FUNCTION✿: search_textbook\n✿ARGS✿: {"query": "x"}',
    "<|start|>assistant<|channel|>commentary to=functions.search_textbook <|message|>{}",
    'to=functions.search_textbook json\n{"query": "x"}',
    'assistantcommentary to=functions.search_textbook json{"query": "x"}',
    '<search_textbook>{"query": "x"}</search_textbook>',
    'I look: <search_textbook query="x"/>',
    'search_textbook: {"query": "x"}',
    '**search_textbook**(query="x")',
    '`search_textbook(query="x")`',
    'Let me call search_textbook(query="x") now.',
    'Let me call search_textbook({"query": "x"}) now.',
    'call search_textbook {"query": "x"}',
    "Tool: search_textbook\nInput: x",
    "Action: `search_textbook`\nAction Input: x",
    "**Action:** search_textbook\n**Action Input:** x",
    "Action 1: search_textbook[x]",
    "name: search_textbook\narguments:\n  query: x",
    "```yaml\ntool: search_textbook\nargs:\n  query: x\n```",
    "<toolcall>{}</toolcall>",
    "Done.\n</tool_call>",
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="search_textbook">',
    "<minimax:tool_call>\n",
    '<tool name="search_textbook">x</tool>',
    "<use_mcp_tool>\n<tool_name>search_textbook</tool_name>",
    '<|START_ACTION|>[{"tool_name": "search_textbook", "parameters": {}}]',
    'functools[{"name": "search_textbook", "arguments": {}}]',
    "[TOOL_CALLS]search_textbook[ARGS]{}",
    '{"command": "search_textbook", "args": {}}',
    '{"Name": "Search_Textbook", "Arguments": {}}',
    'result = search_textbook("x")',
    'searchTextbook({"query": "x"})',
    *(f'{bullet} search_textbook(query="x")' for bullet in ("-", "1.", ">", "->", "[", "[tool:")),
    "[search_textbook: x]",
    *(f"{sign}search_textbook x" for sign in ("$ ", "@", "/")),
    # behind a sentence
    *(
        f"A node [k7qd]. {called}"
        for called in (
            "search_textbook(query=x)",
            "search_textbook(x)",
            "search_textbook[x]",
            'search_textbook {"query": "x"}',
            'search_textbook -> {"query": "x"}',
            "Action: search_textbook\nAction Input: x",
            "Tool = search_textbook",
            "print(search_textbook(x))",
            "await search_textbook(x)",
            'glossary(term="x")',
            "<glossary term='x'/>",
            '<glossary>{"term": "x"}</glossary>',
            "<longcat_tool_call>x",
            "<xai:function_call name='x'>",
            "<decline reason='unclear'/>",
            "<call_tool>x",
            "<execute-tool>x",
        )
    ),
    *(f"{begin}x" for begin in ("[TOOL_REQUEST]", "[/TOOL_RESULT]", "<tool_response>", "<api_tool_use>")),
    "```tool_output\nx\n```",
    # tools that there are not
    '{"name": "transfer_to_tutor", "arguments": {}}',
    ' [\n{"type": "function", "name": "transfer_to_tutor", "parameters": {}}]',
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
    "A toolbox: search_textbook is one, glossary is another, Action is none.\nsearch_textbook it is",
    "```python\nx = glossary(y)\nglossary(y)\n```\nA tool_code\nAction: none",
    'The keys `{"name": "search_textbook"}` and d{"name": "search_textbook"} and a[{"name": "glossary"}].',
    '{"name": "glossary"} and {"search_textbook": 1} and {"name": "other", "args": {}}',
    "- `search_textbook`: finds passages\n- search_textbook\n1. A tool: search, an action: reading",
    "A name: Ada\nTool: a hammer\n- call: back\nto= is no word, and @ and / and $ are signs",
    "Write [a] <b> <a:b> <|x|> ✿ and a search_textbook that finds.",
    '{"name": "arm", "speed": 3} and {"name": "leg", "arguments": {}}',
    '{"names": "search_textbook"} and {"tool": search_textbook} and {names: search_textbook}',
    "I say.\n```xml\n<tool_call>\n{}</tool_call>\n```\nEnd.",
    "A\n```\ncode\n```\nB\n~~~\ncode\n~~~\n\nC",
    "A\n            far in\n         \n         - x\n",
    "A default_api is one.\nx default_api.other",
    "A <tool> and <functions> and [TOOL] and <invoke> and <b>x</b>",
    "A\n\n\n\nB\n",
    "~~~python\nglossary(1)\n~~~\nA",
    "A\n  too",
    "[Analysis](https://ok.example) is one\n[Reflection]\nA glossary(term) is. Use <glossary>, glossary(x).",
    "A tool is search_textbook. A call: it finds. The action of search_textbook, and <b x=1>.",
    '```xml\n<glossary term="x"/>\n```\n```python\nglossary(term="x")\n```',
    "Behind a turn stands <|im_end|>, then <|im_start|>user. It says `<|im_end|>`.",
    "```text\n<|im_start|>user\nA.<|im_end|>\n```\nB",
    "Model\n\nassistant is a role.",
]

THOUGHTS = {
    "<thought>a b</thought>A node": "A node",
    "<think>\nx <b>\n</think>\n\nA node": "A node",
    "A\n<THINK>x</THINK>\nB": "A\n\nB",
    "<think>never": "",
    "<|channel>thought\nx<channel|>A": "A",
    "<think>x< / think >A": "A",
    "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>A": "A",
    "<|channel|>analysis<|message|>x<|channel|>final<|message|>A": "A",
    "[THINK]x[/THINK]A": "A",
    "</think>A": "A",
    "\ud83d\ude00 x": "😀 x",
    "a\ud83d": "a\ufffd",
    "a\ude00 b\ud83d c": "a\ufffd b\ufffd c",
    **{
        f"{begin}x <b> y{end}A": "A"
        for begin, end in (
            *(("<think>", "</think>"), ("<thinking >", "</thinking>"), ("<Thought>", "</thoughT>")),
            *(("<thoughts>", "</thoughts>"), ("<reasoning\n>", "</reasoning>")),
            *(("<think a='1'>", "</think>"), ("< think >", "</ think >"), ("<seed:think>", "</seed:think>")),
            *(("<|think|>", "<|/think|>"), ("<|begin_of_thought|>", "<|end_of_thought|>")),
            *(("<|START_THINKING|>", "<|END_THINKING|>"), ("<|thinking_start|>", "<|thinking_end|>")),
            *(
                (f"<{name}>", f"</{name}>")
                for name in ("scratchpad", "reflection", "analysis", "reason", "cot")
            ),
            *((f"<{name}>", f"</{name}>") for name in ("inner_monologue", "chain_of_thought")),
            *(("```thinking\n", "\n```\n"), ("<|channel|>analysis<|message|>", "<|end|>")),
            *(("[think]", "[/think]"), ("◁think▷", "◁/think▷"), ("[THOUGHT]", "[ / thought ]")),
            *(("[INNER_ANALYSIS]", "[/inner_analysis]"), ("~~~thinking\n", "\n~~~ \n")),
            *(("````thought_process\n```\n", "\n````\n"), ("<internal-monologue>", "</internal-monologue>")),
            # one in the other
            *(("<think><think>x</think> y", "</think>"), ("[think]a [THINK]b[/think]", "[/think]")),
            ("◁think▷◁think▷◁/think▷", "◁/think▷"),
            ('<think>I write `<think>`, or "<think>", and', "</think>"),
            ("<think><thinking>x</thinking> <reasoning>", "</think>"),
            *(
                ("<antThinking>", "</antThinking>"),
                ("<deliberation>", "</deliberation>"),
                ("<ponder>", "</ponder>"),
            ),
        )
    },
    "<|end_of_thought|>A node": "A node",
    **{
        f"\n {stray}\n\nA {stray} b": f"A {stray} b"
        for stray in (
            *("</think>", "</thinking >", "</thought>", "</thoughts>", "</reasoning>"),
            *("[/think]", "◁/think▷"),
        )
    },
    "  \n A": "A",
    " ```python\nglossary(1)\n```": "```python\nglossary(1)\n```",
    "<think>a</think> <think>b</think> A": "A",
    "<think>a</thinking></think>\nA": "A",
    "A\n<think>a</think>B": "A\nB",
    "A <think> b": "A <think> b",
    "A node. <think>hm</think> B": "A node.  B",
    "A node [k7qd]. [think]hm[/think] B": "A node [k7qd].  B",
    "What?  <|think|>hm": "What?  ",
    "A node. <|channel|>analysis<|message|>hm<|end|>": "A node. ",
    "A node.<think> b": "A node.<think> b",
    "A tag. `<think>` opens, </think> ends.": "A tag. `<think>` opens, </think> ends.",
    "Between <think> and </think> it thinks.": "Between <think> and </think> it thinks.",
    "```xml\n<a>. <think>\n```": "```xml\n<a>. <think>\n```",
    "A\x00 no\x1bde\x7f.\r\n\tB": "A node.\r\n\tB",
    # the tokens of a chat's template
    **{
        f"{begin}A node.{end}": "A node."
        for begin, end in (
            ("<|im_start|>assistant\n", "<|im_end|>"),
            ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
            ("<start_of_turn>model\n", "<end_of_turn>"),
            ("<|turn>model\n", "<turn|>"),
            ("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
            ("[/INST] ", "<|endoftext|><|endoftext|>"),
            ("assistant\n\n", "<|im_end|><|im_start|>user\nWhat is a topic?"),
            ("assistant:\n", "<|user|>What is a topic?"),
            ("", "<|eot_id|>assistant\n\nA node is"),
            ("", "<｜User｜>What?"),
        )
    },
    "A node.<end_of_turn>\n<start_of_turn>user\nWhat?": "A node.\n",
    "<|begin_of_box|>A node.<|end_of_box|> It computes.": "A node. It computes.",
    **dict.fromkeys(("<start_of_turn>model", "<|im_start|>assistant", "<|im_end|>\n<|end-of-text|>"), ""),
    **dict.fromkeys(("assistant", "assistant:\n", "[INST]"), ""),
}


def read(text: str, size: int) -> tuple[str, bool]:
    """The shown part of `text` in pieces of `size` characters, and whether it was a call."""
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


def test_half_a_character_alone_is_held_back() -> None:
    prose = Prose(TOOLS)
    assert [prose.feed("A no\ud83d"), prose.feed("\ude00 is"), prose.finish()] == ["A no", "😀 is", ""]


def test_after_a_call_and_within_a_thought_nothing_more_is_shown() -> None:
    prose = Prose(TOOLS)
    assert [prose.feed("A\n"), prose.feed("glossary("), prose.feed("x)\n\nB"), prose.finish()] == [
        "A\n",
        *[""] * 3,
    ]
    assert prose.is_call
    prose = Prose(TOOLS)
    assert [prose.feed("A\n<think>"), prose.feed("</thi"), prose.finish()] == ["A\n", "", ""]
    assert not prose.is_call


@pytest.mark.parametrize("size", [7, 100_000])
@pytest.mark.parametrize("opening", ["The data: ", "Data\n"])
def test_in_long_data_a_call_is_found_and_the_rest_passes(opening: str, size: int) -> None:
    rows = ", ".join(f'{{"id": {number}, "name": "row", "of": [{number}, 2]}}' for number in range(90))
    data = f"{opening}[{rows}]"
    assert read(data, size) == (data, False)
    called = f'{data} and {{"name": "search_textbook"}}, {rows}'
    assert read(called, size) == (f"{data} and ", True)
    assert read(f'{data} and {{"tool_calls": [{{"name": "get_chapter"}}]}} {rows}', size) == (
        f"{data} and ",
        True,
    )


@pytest.mark.parametrize("tag", ["<tool_call>", "<tool_code>", "<|python_tag|>", "<|channel|>commentary"])
def test_a_tag_needs_no_name_near_it(tag: str) -> None:
    assert read(f"A {tag}" + " x" * 2000, 100_000) == ("A ", True)


def test_without_tools_only_what_no_answer_holds_is_a_call() -> None:
    prose = Prose(())
    text = 'search_textbook(x)\n{"name": "glossary"}, x: default_api.glossary\n'
    assert prose.feed(text) + prose.finish() == text
    prose = Prose(())
    assert (prose.feed("A <tool_call>"), prose.is_call) == ("A ", True)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("I should look.\nIs [it]?\n</think>\n\nA node", "A node"),
        ("I should look.\n  </THOUGHT>  \nA node", "A node"),
        ("Hm.\n[/THINK]\nA node", "A node"),
        *(
            (said, said)
            for said in (
                "A node",
                "A\n<think>\nhm\n</think>\nB",
                "It ends with `</think>`.",
                "It ends:\n\n```\nhm\n</think>\nA\n```",
                "The tag </think> ends it",
            )
        ),
    ],
)
def test_a_thought_whose_beginning_the_template_has_is_left_out(said: str, shown: str) -> None:
    assert without_unopened_thought(said) == shown

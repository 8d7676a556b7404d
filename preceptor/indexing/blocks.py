"""MkDocs' blocks for markdown-it: `!!! note`, `??? note`, `=== "Tab"`, and `/// note | Title`.

As Python-Markdown's admonitions and the blocks of PyMdown have them: the body of the first three is what is indented by
four more columns, over any number of blank lines; that of the last ends with as many slashes as it began with.
"""

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

_KIND = r"(?P<kind>[\w-]+)(?: +[\w-]+)*?"
_INDENTED = tuple(
    re.compile(pattern)
    for pattern in (
        rf'!!! ?{_KIND}(?: +"(?P<title>.*?)")? *',
        rf'\?{{3}}\+? ?(?:{_KIND})?(?: +"(?P<title>.*?)")? *',
        r'===(?:!\+?|\+!?)? +"(?P<title>.*?)" *',
    )
)
_FENCED = re.compile(r"(?P<fence>/{3,})[ \t]*(?P<kind>[A-Za-z][\w-]*)[ \t]*(?:\|[ \t]*(?P<title>.*?))?[ \t]*")
_UNTITLED = ("html", "caption", "figure-caption", "table-caption", "definition", "tab")
"""Blocks whose kind is not a title."""
_INDENT = 4


@dataclass(frozen=True, slots=True)
class _Block:
    title: str
    first: int
    """First line of the body."""
    end: int
    """Line after the body."""
    after: int
    """Line after the block."""
    indent: int
    """Column of the body."""


def blocks_plugin(md: MarkdownIt) -> None:
    """Adds MkDocs' blocks to the parser.

    Tokens: `mkdocs_block_open` and `_close`; between them `admonition_title_open` and `_close` where there is a title.
    """
    md.block.ruler.before(
        "fence", "mkdocs_block", _rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _rule(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line):
        return False
    block = _indented(state, start_line, end_line) or _fenced(state, start_line, end_line)
    if block is None or silent:
        return block is not None
    outer = state.parentType, state.lineMax, state.blkIndent
    state.parentType, state.lineMax, state.blkIndent = "admonition", block.end, block.indent
    opened = state.push("mkdocs_block_open", "div", 1)
    opened.block, opened.map = True, [start_line, block.after]
    if block.title:
        state.push("admonition_title_open", "p", 1)
        inline = state.push("inline", "", 0)
        inline.content, inline.children, inline.map = block.title, [], [start_line, start_line + 1]
        state.push("admonition_title_close", "p", -1)
    state.md.block.tokenize(state, block.first, block.end)
    state.push("mkdocs_block_close", "div", -1).block = True
    state.parentType, state.lineMax, state.blkIndent = outer
    state.line = block.after
    return True


def _text(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _indented(state: StateBlock, start_line: int, end_line: int) -> _Block | None:
    text = _text(state, start_line)
    if text[:3] not in ("!!!", "???", "==="):
        return None
    match = next((found for pattern in _INDENTED if (found := pattern.fullmatch(text))), None)
    if not match:
        return None
    indent = state.sCount[start_line] + _INDENT
    end = line = start_line + 1
    while line < end_line and (state.isEmpty(line) or state.sCount[line] >= indent):
        line += 1
        end = end if state.isEmpty(line - 1) else line
    named = match.groupdict()
    title = named["title"] if named["title"] is not None else (named.get("kind") or "").capitalize()
    return _Block(title, start_line + 1, end, end, indent) if title or named.get("kind") else None


def _fenced(state: StateBlock, start_line: int, end_line: int) -> _Block | None:
    match = _FENCED.fullmatch(_text(state, start_line))
    if not match:
        return None
    column = state.sCount[start_line]
    end = start_line + 1
    while end < end_line and not (
        state.sCount[end] == column and _text(state, end).rstrip() == match["fence"]
    ):
        end += 1
    first = start_line + 1
    while first < end and not state.isEmpty(first) and state.sCount[first] >= column + _INDENT:
        first += 1  # its options, as YAML
    kind = match["kind"]
    title = "" if kind == "html" else match["title"]
    title = ("" if kind in _UNTITLED else kind.capitalize()) if title is None else title
    return _Block(title, first, end, min(end + 1, end_line), column)

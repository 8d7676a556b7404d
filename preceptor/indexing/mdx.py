"""MDX for markdown-it: tags, `{expressions}`, imports and exports, as Docusaurus parses them.

A page that MDX would refuse is still read: invalid tags and expressions stay text.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, list_block
from markdown_it.rules_inline import StateInline

from preceptor.indexing.jsx import Expression, Scanner, Tag

_ENDS: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote"]}
"""Blocks that an MDX block may interrupt without a blank line."""
_NOT_CODE = re.compile(r"#")
"""Start of a heading's id, `{#id}`, which is not an expression."""


def mdx_plugin(md: MarkdownIt) -> None:
    """Read MDX in place of HTML and indented code.

    Tokens: `mdx_tag` and `mdx_expression`, whose meta has `tag` (a `Tag`) or `expression` (an `Expression`). The code
    of imports and exports is appended to the list `esm` of the environment.
    """
    # MDX has no indented code, since components are indented; its own rules replace those for HTML.
    md.disable(["code", "html_block", "html_inline", "lheading", "paragraph"])
    md.block.ruler.before("fence", "mdx_comment", _comment_block, _ENDS)
    md.block.ruler.before("fence", "mdx_flow", _flow, _ENDS)
    # Not among `_ENDS`: in the middle of a paragraph "import" is a word.
    md.block.ruler.before("fence", "mdx_esm", _esm)
    md.block.ruler.at("list", _list, {"alt": ["paragraph", "reference", "blockquote"]})
    md.block.ruler.after("paragraph", "mdx_paragraph", _paragraph)
    md.inline.ruler.before("autolink", "mdx_text", _text)


def _scanner(state: StateBlock | StateInline) -> Scanner:
    scanner = state.env.get("scanner")
    if not isinstance(scanner, Scanner):
        scanner = state.env["scanner"] = Scanner(len(state.src))
    return scanner


def _flow(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Parses tags and expressions that have their lines to themselves."""
    parts, after = _leading_parts(state, start_line, end_line)
    line = _line_of(state, start_line, after)
    # With text behind them they belong to a paragraph.
    if not parts or state.skipSpaces(after) < state.eMarks[line]:
        return False
    if not silent:
        state.line = line + 1
        for part in parts:
            _push(state, part, line=start_line)
    return True


def _leading_parts(state: StateBlock, line: int, end_line: int) -> tuple[list[Tag | Expression], int]:
    """Returns tags and expressions at the beginning of a line, and the offset after them; they may span lines."""
    after = at = state.bMarks[line] + state.tShift[line]
    parts: list[Tag | Expression] = []
    while state.src[at : at + 1] in ("<", "{"):
        part = _part(state, at, state.eMarks[end_line - 1])
        # `{a} {b}` on one line is a paragraph to MDX, `<A>{b}` is not.
        if part is None or (parts and isinstance(parts[-1], Expression) and isinstance(part[0], Expression)):
            break
        parts.append(part[0])
        after = part[1]
        at = state.skipSpaces(after)
    return parts, after


def _line_of(state: StateBlock, line: int, offset: int) -> int:
    while state.eMarks[line] < offset:
        line += 1
    return line


def _text(state: StateInline, silent: bool) -> bool:
    """Parses tags, expressions and comments among text."""
    if state.src[state.pos] not in "<{":
        return False
    if state.src.startswith("<!--", state.pos):
        close = state.src.find("-->", state.pos + 4, state.posMax)
        if close >= 0:
            state.pos = close + 3
            if not silent:  # the text before it keeps its space: it is part of a heading's id
                state.push("mdx_comment", "", 0)
        return close >= 0
    part = _part(state, state.pos, state.posMax)
    if part is None:
        return False
    if not silent:
        _push(state, part[0])
    state.pos = part[1]
    return True


def _part(state: StateBlock | StateInline, at: int, end: int) -> tuple[Tag | Expression, int] | None:
    scanner = _scanner(state)
    if state.src[at] == "<":
        return scanner.tag(state.src, at, end)
    if _NOT_CODE.match(state.src, at + 1):
        return None
    close = scanner.expression(state.src, at, end)
    return (Expression(state.src[at + 1 : close - 1]), close) if close > 0 else None


def _push(state: StateBlock | StateInline, part: Tag | Expression, *, line: int | None = None) -> None:
    kind = "tag" if isinstance(part, Tag) else "expression"
    token = state.push(f"mdx_{kind}", "", 0)
    token.map = None if line is None else [line, line + 1]
    token.meta = {kind: part}


def _comment_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Parses `<!-- … -->`, which may hold blank lines; the rest of its last line begins a new block."""
    start = state.bMarks[start_line] + state.tShift[start_line]
    if not state.src.startswith("<!--", start):
        return False
    close = state.src.find("-->", start + 4, state.eMarks[end_line - 1])
    if close < 0:
        return False
    if silent:
        return True
    line = _line_of(state, start_line, close)
    state.line = line + 1
    after = state.skipSpaces(close + 3)
    if after < state.eMarks[line]:
        # The rules only know whole lines: for a moment this one begins behind the comment.
        marks = state.bMarks[line], state.tShift[line], state.sCount[line]
        state.bMarks[line], state.tShift[line], state.sCount[line] = after, 0, state.blkIndent
        any(rule(state, line, end_line, False) for rule in state.md.block.ruler.getRules(""))
        state.bMarks[line], state.tShift[line], state.sCount[line] = marks
    return True


def _esm(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Parses imports and exports, which begin a line outside containers after a blank line or another block.

    They interrupt no other block, so that nobody asks with `silent`.
    """
    start = state.bMarks[start_line]
    end = -1 if state.level else _scanner(state).esm(state.src, start)
    if end < 0:
        return False
    line = start_line
    while line + 1 < end_line and state.bMarks[line + 1] <= end:
        line += 1
    state.line = line + 1
    state.env.setdefault("esm", []).append(state.src[start : state.eMarks[line]])
    return True


def _list(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Parses a list at any indentation: the library's rule treats four spaces as indented code."""
    # With -1 the library's rule skips its check for indented code.
    outer, state.listIndent = state.listIndent, -1
    found = list_block(state, start_line, end_line, silent)
    state.listIndent = outer
    return found


def _paragraph(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Parses a paragraph or an underlined heading."""
    rules = state.md.block.ruler.getRules("paragraph")
    old_parent, state.parentType = state.parentType, "paragraph"
    line, level = _after_parts(state, start_line), 0
    while line < state.lineMax and not state.isEmpty(line):
        if state.sCount[line] >= state.blkIndent:
            level = _underline(state, line)
            if level:
                break
        # Negative: a line that belongs to this paragraph however it begins (the library's sign for lazy continuation).
        if state.sCount[line] >= 0 and any(rule(state, line, state.lineMax, True) for rule in rules):
            break
        line = _after_parts(state, line)
    content = state.getLines(start_line, line, state.blkIndent, False).strip()
    state.line = line + bool(level)
    if level:
        _push_inline(state, "heading", f"h{level}", content, (start_line, line))
    else:
        _push_inline(state, "paragraph", "p", content, (start_line, line))
    state.parentType = old_parent
    return True


def _after_parts(state: StateBlock, line: int) -> int:
    """Returns the line after this one, or after a tag that begins on it: `>` in a tag is not a quotation."""
    _, after = _leading_parts(state, line, state.lineMax)
    last = _line_of(state, line, after)
    return next((blank for blank in range(line + 1, last) if state.isEmpty(blank)), last + 1)


def _underline(state: StateBlock, line: int) -> int:
    """Returns the level of the heading that this line underlines; 0 if it is not an underline."""
    text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]].rstrip()
    if set(text) == {"="}:
        return 1
    return 2 if set(text) == {"-"} else 0


def _push_inline(state: StateBlock, name: str, tag: str, content: str, lines: tuple[int, int]) -> None:
    opened = state.push(f"{name}_open", tag, 1)
    opened.map = list(lines)
    inline = state.push("inline", "", 0)
    inline.content, inline.children, inline.map = content, [], list(lines)
    state.push(f"{name}_close", tag, -1)

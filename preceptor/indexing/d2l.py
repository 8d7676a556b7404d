"""d2lbook's additions to Markdown for markdown-it: labels, references, tabs. No reader sees them.

A label below a heading becomes the attribute `labels` of the heading's opening token.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, heading
from markdown_it.rules_inline import StateInline

_LINE = re.compile(r":(?:begin_tab|end_tab|label|eqlabel|width|height|bibliography):(?:`[^`]*`)?")
_LABEL = re.compile(r":label:`(?P<name>[^`]+)`")
_ROLE = re.compile(
    r":(?P<name>numref|ref|eqref|cite|citet|label|eqlabel|width|height|bibliography):`(?P<inside>[^`\n]*)`"
)


def d2l_plugin(md: MarkdownIt) -> None:
    """Reads d2lbook's additions."""
    md.block.ruler.before(
        "fence", "d2l_line", _line, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    md.inline.ruler.before("escape", "d2l_role", _role)
    # Pandoc takes a line that begins with `#` for text where no empty line is before it.
    md.block.ruler.at("heading", heading, {"alt": ["blockquote"]})


def _line(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    line = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]]
    found = _LINE.match(line)
    if not found or line[found.end() :].strip():
        return False
    if not silent:
        state.line = start_line + 1
        label = _LABEL.match(line)
        if label and _is_labelled(state):
            state.tokens[-3].attrs["labels"] = label["name"]
        elif line.startswith((":begin_tab:", ":end_tab:")):
            state.push("d2l_cell", "", 0)
    return True


def _is_labelled(state: StateBlock) -> bool:
    """Whether a heading was read last, of a level whose labels d2lbook reads."""
    kinds = [token.type for token in state.tokens[-3:]]
    return kinds == ["heading_open", "inline", "heading_close"] and state.tokens[-1].tag in ("h1", "h2", "h3")


def _role(state: StateInline, silent: bool) -> bool:
    found = _ROLE.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    state.pos = found.end()
    if (
        found["name"].startswith("cite") and not silent
    ):  # it takes one numbered id, however many works it names
        state.push("d2l_cite", "", 0)
    return True

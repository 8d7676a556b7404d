"""d2lbook's additions to Markdown for markdown-it: labels, references, tabs. No reader sees them."""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_LINE = re.compile(r":(?:begin_tab|end_tab|label|eqlabel|width|height|bibliography):(?:`[^`]*`)?")
_ROLE = re.compile(
    r":(?P<name>numref|ref|eqref|cite|citet|label|eqlabel|width|height|bibliography):`(?P<inside>[^`\n]*)`"
)


def d2l_plugin(md: MarkdownIt) -> None:
    """Reads d2lbook's additions."""
    md.block.ruler.before(
        "fence", "d2l_line", _line, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    md.inline.ruler.before("escape", "d2l_role", _role)


def _line(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    line = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]]
    found = _LINE.match(line)
    if not found or line[found.end() :].strip():
        return False
    if not silent:
        state.line = start_line + 1
    return True


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

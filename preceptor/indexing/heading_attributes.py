"""Heading attributes for markdown-it: `## Title { #id .class key=value }`, as mdBook and Quarto have them.

Also Quarto's fenced divisions, `::: {.callout-note}`, whose first heading is the title of the box and no heading.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from mdit_py_plugins.container import container_plugin

_BLOCK = re.compile(r"[ \t]*\{(?P<inside>[^{}<>\\\n]*)\}[ \t]*$")
_ID = re.compile(r"(?:^|\s)#(?P<id>\S+)")


def heading_attributes_plugin(md: MarkdownIt) -> None:
    """Takes the attributes from the end of headings; the id becomes the attribute `id` of the opening token."""
    md.core.ruler.before("inline", "heading_attributes", _take)


def divisions_plugin(md: MarkdownIt) -> None:
    """Reads fenced divisions; their tokens are `container_division_open` and `_close`."""
    container_plugin(md, "division", validate=lambda params, _: bool(params.strip()))
    md.core.ruler.after("block", "callouts", _title)


def _title(state: StateCore) -> None:
    for opened, first, last in zip(state.tokens, state.tokens[1:], state.tokens[3:], strict=False):
        is_box = opened.type == "container_division_open" and "callout" in opened.info
        if is_box and first.type == "heading_open":
            for token in (first, last):
                token.type, token.tag = token.type.replace("heading", "paragraph"), "p"


def _take(state: StateCore) -> None:
    for opened, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if opened.type != "heading_open" or not (block := _BLOCK.search(inline.content)):
            continue
        inline.content = inline.content[: block.start()]
        ids = _ID.findall(block["inside"])
        if ids:
            opened.attrs["id"] = ids[-1]

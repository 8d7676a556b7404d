"""Directives for markdown-it (`:::note`, `::leaf`, `:text`), as Docusaurus reads them."""

import html
import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from mdit_py_plugins.container import container_plugin

ADMONITIONS = ("secondary", "info", "success", "danger", "note", "tip", "warning", "important", "caution")
"""Directives that Docusaurus renders as a box with a title."""

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?![A-Za-z0-9_-])")
_SPACED_TITLE = re.compile(rf"(?P<name>{'|'.join(ADMONITIONS)})[ ]+(?P<title>.*)")
_ATTRIBUTES = re.compile(r"\{(?:[^{}\"'\n]|\"[^\"\n]*\"|'[^'\n]*')*+\}")
_ATTRIBUTE = re.compile(
    r"(?P<name>[A-Za-z_:][\w:.-]*)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'}]+))"
)
_LABEL_CHARACTERS = re.compile(r"\\.|[\[\]]", re.DOTALL)
# A bracket that never closes is not looked for to the end of the page, again and again.
_LONGEST_LABEL = 1000


@dataclass(frozen=True, slots=True)
class Directive:
    """A directive: `name[label]{attribute="value"}`."""

    name: str
    label: str = ""
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    braces: bool = False
    """Whether the directive has `{…}`."""

    @property
    def title(self) -> str:
        """Returns the Markdown of an admonition's title; empty if it has no title of its own."""
        return self.attributes.get("title") or self.label


def directive_plugin(md: MarkdownIt) -> None:
    """Adds rules for directives.

    Tokens: `container_directive_open` and `_close`, whose info is for `container_directive`; `leaf_directive` and
    `text_directive`, whose meta has `directive` (a `Directive`).
    """
    container_plugin(md, "directive", validate=lambda params, _: container_directive(params) is not None)
    md.block.ruler.before(
        "fence", "leaf_directive", _leaf, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    md.inline.ruler.before("escape", "text_directive", _text)


def container_directive(params: str) -> Directive | None:
    """Parses the text after `:::`; the title of an admonition may follow its name after a space."""
    spaced = _SPACED_TITLE.fullmatch(params)
    if spaced:
        return Directive(spaced["name"], spaced["title"].strip())
    found = _directive(params, 0, len(params))
    return found[0] if found and not params[found[1] :].strip() else None


def _directive(text: str, start: int, end: int) -> tuple[Directive, int] | None:
    name = _NAME.match(text, start, end)
    if not name:
        return None
    at, label = name.end(), ""
    if text.startswith("[", at, end):
        close = _label_end(text, at, min(end, at + _LONGEST_LABEL))
        if close:
            label, at = text[at + 1 : close - 1], close
    braces = _ATTRIBUTES.match(text, at, end)
    if braces:
        at = braces.end()
    return Directive(name[0], label, _attributes(braces[0]) if braces else {}, braces is not None), at


def _label_end(text: str, start: int, end: int) -> int:
    """Returns the offset after the `]` that closes the `[` at `start`; 0 if nothing closes it."""
    depth = 0
    for match in _LABEL_CHARACTERS.finditer(text, start, end):
        depth += {"[": 1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return 0


def _attributes(braces: str) -> dict[str, str]:
    return {
        match["name"]: html.unescape(match["double"] or match["single"] or match["bare"] or "")
        for match in _ATTRIBUTE.finditer(braces)
    }


def _leaf(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    start = state.bMarks[start_line] + state.tShift[start_line]
    end = state.eMarks[start_line]
    if not state.src.startswith("::", start) or state.is_code_block(start_line):
        return False
    found = _directive(state.src, start + 2, end)
    if not found or state.src[found[1] : end].strip():
        return False
    if not silent:
        state.line = start_line + 1
        _push(state, "leaf_directive", found[0])
        state.tokens[-1].map = [start_line, start_line + 1]
    return True


def _text(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != ":" or (state.pos and state.src[state.pos - 1] == ":"):
        return False
    found = _directive(state.src, state.pos + 1, state.posMax)
    # `:smile:` names an emoji.
    if not found or state.src.startswith(":", state.pos + 1 + len(found[0].name)):
        return False
    if not silent:
        _push(state, "text_directive", found[0])
    state.pos = found[1]
    return True


def _push(state: StateBlock | StateInline, kind: str, directive: Directive) -> None:
    token = state.push(kind, "", 0)
    token.meta = {"directive": directive}

"""MyST Markdown for markdown-it: labels, roles and directives, as Sphinx shows them.

A label `(name)=` gives the next heading its id. A directive is what a reader sees of it: a box with its title and its
Markdown, code in its fence; headings in it have no ids. A role is its text.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.attrs import attrs_block_plugin
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

_DIRECTIVE = re.compile(r"\{(?P<name>[\w:.+-]+)\}[ \t]*(?P<argument>.*)", re.DOTALL)
_OPTIONS = re.compile(r"(?:[ \t]*:[\w-]+:[^\n]*(?:\n|\Z))*")
_YAML_OPTIONS = re.compile(r"---\n.*?^---\n?", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"(?P<text>.*\S)\s*<[^<>]*>", re.DOTALL)
_CODE = frozenset(
    {
        "code",
        "code-block",
        "sourcecode",
        "code-cell",
        "prompt",
        "literalinclude",
        "parsed-literal",
        "mermaid",
        "doctest",
    }
)
_BOXES = frozenset(
    {
        "note",
        "tip",
        "warning",
        "important",
        "caution",
        "attention",
        "danger",
        "error",
        "hint",
        "seealso",
        "todo",
    }
)
_TITLED = frozenset(
    {"admonition", "dropdown", "card", "grid-item-card", "tab-item", "topic", "sidebar", "exercise", "prf:theorem",
     "prf:proof", "prf:definition", "prf:lemma", "solution", "margin", "rubric"}
)  # fmt: skip
_UNSEEN = frozenset(
    {"toctree", "tableofcontents", "contents", "index", "bibliography", "raw", "only", "highlight", "currentmodule",
     "image", "iframe", "video", "glue:figure", "include"}
)  # fmt: skip
_DEEPEST = 8


def myst_plugin(md: MarkdownIt) -> None:
    """Reads MyST: directives become tokens of their elements, headings have their `labels` as an attribute."""
    md.use(myst_block_plugin).use(myst_role_plugin).use(colon_fence_plugin).use(deflist_plugin)
    md.use(attrs_block_plugin)
    md.core.ruler.after("block", "myst", _resolve)


def _resolve(state: StateCore) -> None:
    tokens = _Directives(state).resolved(state.tokens, 0)
    state.tokens = list(_labelled(list(tokens), inside=False))


def _labelled(tokens: Sequence[Token], *, inside: bool) -> Iterator[Token]:
    """Yields the tokens, labels given to the headings after them; headings in a directive become text."""
    labels: list[str] = []
    for token in tokens:
        if token.type == "myst_target":
            labels.append(token.content)
            continue
        if token.type in ("myst_line_comment", "myst_block_break"):
            continue
        if token.type == "heading_open" and labels:
            token.attrs["labels"] = "\n".join(labels)
        if token.type in ("heading_open", "heading_close") and inside:
            token.type, token.tag = token.type.replace("heading", "paragraph"), "p"
        labels = []
        yield token


class _Directives:
    """Takes directives apart; the inline Markdown in them is parsed with that of the page."""

    def __init__(self, state: StateCore) -> None:
        self._md, self._env = state.md, state.env

    def resolved(self, tokens: Sequence[Token], depth: int) -> Iterator[Token]:
        """Yields the tokens, with those of directives in the place of their fences."""
        for token in tokens:
            found = (
                _DIRECTIVE.fullmatch(token.info.strip()) if token.type in ("fence", "colon_fence") else None
            )
            if token.type == "colon_fence" and not found:
                yield from self._parsed(token.content, depth)
            elif found:
                yield from self._directive(found["name"], found["argument"].strip(), token.content, depth)
            else:
                yield token

    def _directive(self, name: str, argument: str, content: str, depth: int) -> Iterator[Token]:
        options = _YAML_OPTIONS.match(content) or _OPTIONS.match(content)
        body = content[options.end() :] if options else content
        if name in _UNSEEN:
            return
        if name in _CODE:
            language = argument if name not in ("literalinclude", "doctest") else ""
            info = "mermaid" if name == "mermaid" else language
            yield _token("fence", "code", 0, content=body.lstrip("\n"), info=info)
        elif name == "math":
            yield _token("math_block", "math", 0, content=body.strip())
        elif name in ("figure", "table", "list-table", "csv-table"):
            caption = argument if name != "figure" else ""
            yield from self._parsed("\n\n".join(filter(None, (caption, body))), depth)
        else:
            title = argument if name in _TITLED else name.capitalize() if name in _BOXES else ""
            text = f"{argument}\n\n{body}" if name in _BOXES and argument else body
            yield _token("myst_directive_open", "Admonition" if title else "div", 1, title=title)
            yield from self._parsed(text, depth)
            yield _token("myst_directive_close", "div", -1)

    def _parsed(self, text: str, depth: int) -> Iterator[Token]:
        if depth < _DEEPEST:
            tokens: list[Token] = []
            self._md.block.parse(text, self._md, self._env, tokens)
            yield from _labelled(list(self.resolved(tokens, depth + 1)), inside=True)


def _token(
    kind: str, tag: str, nesting: Literal[-1, 0, 1], *, content: str = "", info: str = "", title: str = ""
) -> Token:
    token = Token(kind, tag, nesting, content=content, info=info, block=True)
    token.attrs = {"title": title} if title else {}
    return token


def role_text(name: str, content: str) -> str:
    """Returns the visible text of a role: the text before its target, if it has one."""
    titled = _TARGET.fullmatch(content)
    return titled["text"] if titled and name not in ("code", "math", "kbd") else content.lstrip("~!")

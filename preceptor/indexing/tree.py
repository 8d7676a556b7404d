"""A page as a tree: one kind of element for Markdown's tokens, MDX's tags and HTML's tags.

Tags need not be balanced: an open tag ends with the Markdown block around it, and a stray end tag is ignored.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, heading
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.dollarmath.index import math_block_dollar, math_inline_dollar
from mdit_py_plugins.footnote import footnote_plugin

from preceptor.indexing.d2l import d2l_plugin
from preceptor.indexing.directive import Directive, container_directive, directive_plugin
from preceptor.indexing.heading_attributes import divisions_plugin, heading_attributes_plugin
from preceptor.indexing.jsx import Bindings, Expression, Scanner, Tag, bindings
from preceptor.indexing.mdx import mdx_plugin
from preceptor.indexing.myst import myst_plugin, role_text

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# fmt: off
VOID = frozenset({
    "area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
})
_BLOCKS = frozenset({
    *HEADINGS, "address", "article", "aside", "blockquote", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
})
# fmt: on
_DEEPEST = 50
"""Deepest nesting of elements; beyond it tags (or, in Markdown, text) are dropped."""
_library_math_inline = math_inline_dollar(allow_double=True)
_NO_FORMULA = re.compile(r"</?[A-Za-z][^<>]*>|\]\(|`|\{/\*")
_library_math_block = math_block_dollar(allow_labels=False, allow_blank_lines=True)
_TAG_LINE = re.compile(r"</?(?!(?:script|style)\b)[A-Za-z]")
_PARENTHESES = re.compile(r"\\\\\((?P<tex>.{1,2000}?)\\\\\)", re.DOTALL)
_UNSHOWN = re.compile(
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*>|<(?P<name>script|style)\b.*?(?:</(?P=name)\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(slots=True)
class Element:
    """An HTML element, a component, or (with `#` before the name) something that HTML has no element for."""

    name: str
    attributes: Mapping[str, str | Expression] = field(default_factory=dict[str, str | Expression])
    children: "list[Element | str]" = field(default_factory=list["Element | str"])
    markdown: bool = False
    """Whether Markdown made the element, rather than a tag."""
    block: bool = False
    """Whether the element is a block."""
    expression: Expression | None = None
    line: int = 0
    """Line of the text that it begins at, or that the block around it begins at."""

    def text(self, *names: str) -> str:
        """Returns the first of these attributes that is a string."""
        return Tag(self.name, attributes=self.attributes).text(*names)


@dataclass(frozen=True, slots=True)
class Flavour:
    """The kind of Markdown that a page is written in."""

    mdx: bool
    """Whether to read MDX instead of HTML and indented code."""
    directives: bool
    """Whether to read Docusaurus' `:::note` and other directives."""
    attributes: bool = False
    """Whether to read `## Title { #id .class }` and definition lists: mdBook and Quarto."""
    divisions: bool = False
    """Whether to read Quarto's `::: {.callout-note}`."""
    myst: bool = False
    """Whether to read labels, roles and directives of MyST."""
    d2l: bool = False
    """Whether to read labels and references of d2lbook."""
    raw_below_tags: bool = False
    """Whether lines below a tag are HTML up to a blank line, as in Hugging Face's courses: no headings among them."""
    math: bool | None = None
    """Formulas between dollars: all (as remark-math), none, or (None) only text that looks like a formula."""


def parse_tree(text: str, flavour: Flavour) -> tuple[Element, Bindings]:
    """Returns the page as a tree, and the names that its imports and exports define."""
    env: dict[str, Any] = {}
    md = _markdown(flavour)
    builder = _Builder(md, env, len(text))
    builder.add(md.parse(text, env))
    return builder.root, bindings("\n".join(env.get("esm", ())))


def html_tree(text: str) -> Element:
    """A piece of HTML as a tree."""
    builder = _Builder(MarkdownIt(), {}, len(text))
    builder.add([Token("html_inline", "", 0, content=text)])
    return builder.root


@lru_cache
def _markdown(flavour: Flavour) -> MarkdownIt:
    md = MarkdownIt("commonmark", {"maxNesting": _DEEPEST, "html": not flavour.mdx})
    md.enable(["table", "strikethrough"])
    md.options["tasklists"] = True
    md.options["strikethrough_single_tilde"] = True
    md.options["alerts"] = not flavour.directives
    md.use(footnote_plugin, inline=False)
    if flavour.math is not False:
        md.use(dollarmath_plugin, allow_labels=False, allow_blank_lines=True, double_inline=True)
        md.block.ruler.at(
            "math_block", _math_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
        )
        md.inline.ruler.before("escape", "parenthesis_math", _parenthesis_math)
        if flavour.math is None:
            md.inline.ruler.at("math_inline", _likely_math)
    if flavour.mdx:
        md.use(mdx_plugin)
    if flavour.raw_below_tags:
        md.block.ruler.at("heading", _heading_of_markdown, {"alt": ["paragraph", "reference", "blockquote"]})
    if flavour.directives:
        md.use(directive_plugin)
    if flavour.myst:
        md.use(myst_plugin)
    if flavour.d2l:
        md.use(d2l_plugin)
    if flavour.divisions:
        md.use(divisions_plugin)
    if flavour.attributes:
        md.use(heading_attributes_plugin).use(deflist_plugin)
    return md


def _heading_of_markdown(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Wraps the library's rule: no heading has a tag above it without a blank line between them."""
    line = start_line - 1
    while line >= 0 and not state.isEmpty(line):
        start = state.bMarks[line] + state.tShift[line]
        if _TAG_LINE.match(state.src, start, state.eMarks[line]):
            return False
        line -= 1
    return heading(state, start_line, end_line, silent)


def _math_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Wraps the library's rule, which lacks a silent mode: a formula may interrupt a paragraph."""
    if silent:
        line = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]]
        # Only a fence on a line of its own: `$$x$$` inside a paragraph belongs to it.
        return line.startswith("$$") and "$" not in line[2:]
    return _library_math_block(state, start_line, end_line, silent)


def _likely_math(state: StateInline, silent: bool) -> bool:
    """Wraps the library's rule for sites that may have no formulas: prices and markup between dollars stay text."""
    start = state.pos
    if not _library_math_inline(state, True):
        return False
    formula, after = state.src[start : state.pos], state.src[state.pos : state.pos + 1]
    state.pos = start
    # `from $5 to $10`: a digit after each dollar.
    if _NO_FORMULA.search(formula) or (formula[1].isdigit() and after.isdigit()):
        return False
    return _library_math_inline(state, silent)


def _parenthesis_math(state: StateInline, silent: bool) -> bool:
    """Parses a formula between escaped parentheses, as in courses for MathJax; it contains no emphasis."""
    match = _PARENTHESES.match(state.src, state.pos, state.posMax)
    if match and not silent:
        token = state.push("math_inline", "math", 0)
        token.content, token.markup = match["tex"], "\\("
    state.pos = match.end() if match else state.pos
    return match is not None


class _Builder:
    """Builds a tree from tokens."""

    def __init__(self, md: MarkdownIt, env: dict[str, Any], length: int) -> None:
        self._md = md
        self._env = env
        self._scanner = Scanner(length)
        self.root = Element("#page", markdown=True)
        self._open = [self.root]
        self._line = 0

    def add(self, tokens: Sequence[Token]) -> None:
        """Append block or inline tokens."""
        for token in tokens:
            if token.map and token.nesting >= 0:
                self._line = token.map[0]
            match token.type:
                case "inline":
                    self.add(token.children or ())
                case "softbreak":
                    self._line += 1
                    self._append("\n")
                case "image":
                    alt = self._apart(token.children or ())
                    self._append(Element("img", {"src": str(token.attrs["src"])}, alt, markdown=True))
                case "mdx_tag":
                    self._tag(token.meta["tag"], block=token.block)
                case "html_inline" | "html_block":
                    self._html(token)
                case "container_directive_open":
                    self._push(
                        self._directive("#container", container_directive(token.info) or Directive(""))
                    )
                case "leaf_directive" | "text_directive":
                    self._append(self._directive(f"#{token.type}", token.meta["directive"]))
                case "myst_role":
                    self._append(_role(token))
                case kind if kind in _LEAVES:
                    self._append(_LEAVES[kind](token))
                case kind if token.nesting > 0:
                    self._push(_opened(token))
                case _ if token.nesting < 0:
                    self._pop()
                case _:
                    self._append(token.content)

    def _append(self, child: Element | str) -> None:
        if isinstance(child, Element):
            child.line = self._line
        self._open[-1].children.append(child)

    def _push(self, element: Element) -> None:
        self._append(element)
        self._open.append(element)

    def _pop(self) -> None:
        """Close the innermost element that Markdown opened, with the tags left open in it."""
        while len(self._open) > 1 and not self._open.pop().markdown:
            pass

    def _apart(self, tokens: Sequence[Token]) -> list[Element | str]:
        """Builds a separate tree from tokens."""
        top = Element("#apart", markdown=True)
        outer, line, self._open = self._open, self._line, [top]
        self.add(tokens)
        self._open, self._line = outer, line
        return top.children

    def _tag(self, tag: Tag, *, block: bool) -> None:
        if tag.closing:
            self._close(tag.name)
            return
        element = Element(tag.name, tag.attributes, block=block or tag.name in _BLOCKS)
        # What is nested too deeply holds nothing, so that no page exhausts the stack.
        if tag.self_closing or tag.name in VOID or len(self._open) > _DEEPEST:
            self._append(element)
        else:
            self._push(element)

    def _close(self, name: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            # An end tag cannot close an element outside of its Markdown block: `</div>` in a list item ends
            # nothing around the list.
            if self._open[depth].markdown:
                return
            if self._open[depth].name == name:
                del self._open[depth:]
                return

    def _html(self, token: Token) -> None:
        for part in html_parts(token.content, self._scanner):
            if isinstance(part, Tag):
                self._tag(replace(part, name=part.name.lower()), block=part.name.lower() in _BLOCKS)
            elif token.block and part.strip():  # as an element, which has a line
                self._append(Element("#text", children=[html.unescape(part)]))
            else:
                self._append(html.unescape(part))
        # A block of HTML separates the text around it, even if its tags are all closed.
        if token.block:
            self._append(Element("#end", block=True))

    def _directive(self, name: str, directive: Directive) -> Element:
        label = Element("#label", markdown=True)
        if directive.title:  # in an environment without footnotes: they would be appended to it
            env = {"references": self._env.get("references", {})}
            label.children = self._apart(self._md.parseInline(directive.title, env))
        bare = not directive.title and not directive.braces
        attributes = {"name": directive.name, "bare": "yes" if bare else ""}
        return Element(name, attributes, [label], markdown=True, block=name != "#text_directive")


_LEAVES: Mapping[str, Callable[[Token], Element]] = {
    "hr": lambda _: Element("hr", markdown=True, block=True),
    "hardbreak": lambda _: Element("br", markdown=True),
    "code_inline": lambda token: Element("code", children=[token.content], markdown=True),
    "fence": lambda token: Element(
        "pre", {"info": token.info.strip()}, [token.content], markdown=True, block=True
    ),
    "code_block": lambda token: Element("pre", {}, [token.content], markdown=True, block=True),
    "math_inline": lambda token: Element("#math", {"mark": token.markup}, [token.content], markdown=True),
    "math_inline_double": lambda token: Element("#math", {"mark": "$$"}, [token.content], markdown=True),
    "math_block": lambda token: Element("#math", {"mark": "$$"}, [token.content], markdown=True, block=True),
    "mdx_expression": lambda token: Element(
        "#expression", block=token.block, expression=token.meta["expression"]
    ),
    "d2l_cite": lambda token: Element("#citation", markdown=True),
    "d2l_cell": lambda token: Element("#cell", markdown=True),
    "footnote_ref": lambda token: Element("#reference", {"number": str(token.meta["id"] + 1)}, markdown=True),
    "footnote_anchor": lambda _: Element("#back", markdown=True),
}


def _role(token: Token) -> Element | str:
    name, content = str(token.meta["name"]), token.content
    if name == "math":
        return Element("#math", {"mark": "$"}, [content], markdown=True)
    if name in ("code", "kbd", "literal"):
        return Element("code", children=[content], markdown=True)
    return role_text(name, content)


def _opened(token: Token) -> Element:
    """Returns the element that a token opens."""
    if token.type == "footnote_block_open":
        return Element("#footnotes", markdown=True, block=True)
    if token.type == "footnote_open":
        return Element("#footnote", {"number": str(token.meta["id"] + 1)}, markdown=True, block=True)
    if token.type in ("alert_title_open", "admonition_title_open"):
        return Element("#title", markdown=True, block=True)
    kept = {
        name: str(token.attrs[name]) for name in ("start", "id", "labels", "title") if name in token.attrs
    }
    return Element(token.tag, kept, markdown=True, block=token.block)


def html_parts(raw: str, scanner: Scanner) -> Iterator[Tag | str]:
    """Yields tags and text of a piece of HTML, in order."""
    raw = _UNSHOWN.sub("", raw)
    text_from = at = 0
    while (at := raw.find("<", at)) >= 0:
        found = scanner.tag(raw, at, len(raw))
        if not found or found[0] == Tag(""):
            at += 1
            continue
        if text_from < at:
            yield raw[text_from:at]
        yield found[0]
        text_from = at = found[1]
    if text_from < len(raw):
        yield raw[text_from:]

"""One file of a page: its tree, and the values and files to which its expressions and components refer."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from preceptor.indexing.anchors import Anchors
from preceptor.indexing.include import raw_path
from preceptor.indexing.jsx import Bindings, Expression
from preceptor.indexing.missing import Note
from preceptor.indexing.tree import HEADINGS, Element

_CODE = re.compile(r"=>|[(`'\"?;]|&&|\|\||\.\.\.|</?[A-Za-z>]|^\s*[\w$]+(?:\.[\w$]+)+\s*$")
_DEFINED = frozenset(
    {"props", "frontMatter", "contentTitle", "toc", "metadata", "assets", "Math", "React", "undefined"}
)
_MEMBER = re.compile(r"(?P<object>frontMatter|props)\.(?P<name>[\w$]+)")
_DASHES = re.compile(r"-{2,}|\.{3}")
"""Characters that become a dash or an ellipsis, which are no part of an id."""
# Its parser makes a dash of two hyphens, not of three.
_DASH = re.compile(r"(?<!-)--(?!-)|\.{3}")
# Brackets are a link to doc-builder's parser, whether anything defines it or not; `[[id]]` names an id.
_REFERENCE = re.compile(r"(?<![\[!])\[([^\[\]]+)\](?:\[[^\[\]]*\])?(?!\])")
_ADDRESS = re.compile(r"\s*(https?://[^\s<]*[^\s<.,:;\"')\]])\s*")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_TRIMMED = re.compile(r"\.(?:default|trim|trimEnd|trimStart|toString)(?:\(\))?$")
_LIKELY_CODE = re.compile(r"\s*[A-Za-z_$][\w$.]+\s*")


def _unnoted(kind: str, line: int, detail: str) -> None:
    """Ignores missing parts."""


def _no_file(imported: str, line: int) -> str:
    """Returns no text, where there are no files to take in."""
    return ""


def _no_image(source: str, markdown: bool) -> str:
    """Returns no address, where there is no site."""
    return ""


@dataclass(frozen=True, slots=True)
class PageSource:
    """A file's tree and the definitions to which its expressions and components refer."""

    tree: Element
    bindings: Bindings
    front: Mapping[str, Any]
    anchors: Anchors
    """Gives the ids of this file's headings: a partial counts its own repeats."""
    load: "Callable[[str, int], PageSource | None]"
    """Reads the Markdown file that an import names, relative to this file; also called with the line that shows it."""
    text_of: Callable[[str, int], str] = _no_file
    """Reads the file that an import takes in as text; also called with the line that shows it."""
    image_url: Callable[[str, bool], str] = _no_image
    """Returns the address of an image, empty if it has none; also called with whether Markdown made it."""
    note: Note = _unnoted
    """Called for each part of the file that cannot be shown."""
    hidden_lines: Mapping[str, str] | None = None
    """MdBook's `hidelines`; None on other sites."""
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    """Properties passed to a partial."""
    given: "tuple[PageSource, Sequence[Element | str]] | None" = None
    """The file that shows a partial, and the content between the partial's tags there."""

    def partial(self, component: str, line: int) -> "PageSource | None":
        """Returns the Markdown file that this component is; None for another kind of component."""
        return self.load(self.bindings.imports[component], line) if self.is_page(component) else None

    def is_page(self, component: str) -> bool:
        """Whether a Markdown file is imported as this component."""
        return self.bindings.imports.get(component, "").endswith((".md", ".mdx"))

    def constant(self, code: str, line: int) -> str | None:
        """Returns the text that a name stands for: an exported string, or a file that is imported as text."""
        name = _TRIMMED.sub("", code.strip())
        if name in self.bindings.constants:
            return self.bindings.constants[name]
        imported = self.bindings.imports.get(name, "")
        return self.text_of(imported, line) if raw_path(imported) else None

    def known(self, code: str) -> object:
        """Returns the value that a name stands for, an export or a field of the front matter; else None.

        Exported lists and objects are returned as an `Expression`.
        """
        name = code.strip()
        path = name.split(".")
        if path[0] == "frontMatter":
            found: Any = self.front
            for step in path[1:]:
                found = found.get(step) if isinstance(found, dict) else None
            return found
        return self.bindings.values.get(name) or self.bindings.constants.get(name)

    def value(self, expression: Expression, *, line: int, alone: bool) -> str:
        """Returns the visible value of an expression: a string, an exported constant, a property; else empty.

        Braces around anything but code are kept: MDX would refuse the page, and other generators show them.

        Args:
            expression: The expression in braces.
            line: The line of the expression, from 0.
            alone: Whether it has its lines to itself.
        """
        if expression.literal is not None:
            return expression.literal
        code = expression.code.strip()
        constant = self.constant(code, line)
        if constant is not None:
            return constant
        member = _MEMBER.fullmatch(code)
        if member:
            values = self.front if member["object"] == "frontMatter" else self.properties
            value = values.get(member["name"])
            return value if isinstance(value, str) else ""
        if expression.is_comment:
            return ""
        defined = _DEFINED | self.bindings.names
        if alone or _CODE.search(code) or not defined.isdisjoint(_IDENTIFIER.findall(code)):
            self.note("`{…}` expressions left out", line, code)
            return ""
        if _LIKELY_CODE.fullmatch(code):
            self.note("`{…}` expressions that stayed", line, code)
        return f"{{{expression.code}}}"

    def verbatim(self, node: Element | str) -> str:
        """Returns the code in an element, including the strings and files that its expressions name."""
        if isinstance(node, str):
            return node
        if node.expression:
            code = node.expression
            text = code.verbatim or self.constant(code.code, node.line)
            if text is None and not code.is_comment and code.literal is None:
                self.note("`{…}` expressions left out", node.line, code.code)
            return text or ""
        return "\n" if node.name == "br" else "".join(map(self.verbatim, node.children))


def title_heading(tree: Element) -> Element | None:
    """Returns the heading that is the page's title: of level 1, the first one, above the first rule, in Markdown."""
    for element in _made_by_markdown(tree):
        if element.name == "hr" or element.name in HEADINGS:
            return element if element.name == "h1" else None
    return None


def _made_by_markdown(tree: Element) -> Iterator[Element]:
    for child in tree.children:
        if isinstance(child, Element):
            if child.markdown:
                yield child
            yield from _made_by_markdown(child)


def slug_text(node: Element | str) -> str:
    """Returns the text from which Docusaurus makes a heading's id, with alternative texts and shortcodes."""
    if isinstance(node, str):
        return node
    if node.expression:
        return node.expression.code
    if node.name == "img" and not node.markdown:
        return ""
    return "".join(map(slug_text, node.children))


def text_alone(node: Element | str, *, smart: bool) -> str:
    """Returns the text from which mdBook makes an id: no alternative texts, typographic dashes if `smart`."""
    if isinstance(node, str):
        return _DASHES.sub("", node) if smart else node
    if node.name == "#reference":
        return node.text("number")
    if node.name == "img":
        return ""
    return "".join(text_alone(child, smart=smart and node.name != "code") for child in node.children)


def spaced_text(node: Element | str) -> str:
    """Returns the text from which Hugging Face's doc-builder makes an id: its parts, joined by spaces."""
    if isinstance(node, str):
        return _REFERENCE.sub(r" \1 ", _ADDRESS.sub(r" \1 ", _DASH.sub("…", node))).strip()
    if node.expression:
        return node.expression.code.strip()
    if node.name == "code" and node.markdown:
        return verbatim(node).strip()
    inside = map(spaced_text, node.children)
    if node.markdown:
        return " ".join(inside).strip()
    return " ".join([node.name, *inside, node.name])  # a tag is text to it


def verbatim(node: Element | str) -> str:
    """Returns the code in an element unchanged, including strings in braces."""
    if isinstance(node, str):
        return node
    if node.expression:
        return node.expression.verbatim
    return "\n" if node.name == "br" else "".join(map(verbatim, node.children))

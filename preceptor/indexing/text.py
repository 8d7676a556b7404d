"""What a reader sees of a page: its headings with their ids, and its text, section by section.

The text is light Markdown: links, emphasis and components are gone, what they hold is there; code has its fence
with language and title, tables have their pipes, formulas their TeX, images their alternative text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from preceptor.indexing.anchors import Anchors
from preceptor.indexing.directive import ADMONITIONS
from preceptor.indexing.jsx import Bindings, Expression
from preceptor.indexing.page import Block, BlockKind, PageSection
from preceptor.indexing.tree import Element
from preceptor.settings import SiteSettings

Child = Element | str

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_OWN_ANCHOR = re.compile(r"\s*\[\[[\w-]+\]\]$")
"""An id in the manner of Hugging Face's courses: shown by no one."""
_EXPLICIT_ID = re.compile(r"\s*\{#((?:.(?!\{#|\}))*.)\}$")
_UNSEEN = frozenset(
    "script style head Head Helmet template noscript svg iframe video audio canvas object map area input link meta "
    "title #back #label TOCInline DocCardList Seo SEO".split()
)
_TITLES = ("title", "label", "summary", "caption", "heading", "header")
"""Attributes of components whose strings a reader most likely sees."""
_TAB_VALUE = re.compile(
    r"\{[^{}]*?\blabel\s*:\s*(?P<quote>['\"])(?P<label>(?:\\.|(?!(?P=quote)).)*)(?P=quote)[^{}]*?\}"
)
_VALUE = re.compile(r"\bvalue\s*:\s*(['\"])(?P<value>(?:\\.|(?!\1).)*)\1")
_CODE_TITLE = re.compile(r"\btitle=(?P<quote>[\"'])(?P<title>.*?)(?<!\\)(?P=quote)")
_LANGUAGE = re.compile(r"[^\s{]+")
_MAGIC_COMMENT = re.compile(
    r"^[ \t]*(?://|#|/\*|\{\s*/\*|<!--|%|--|;|REM|')[ \t]*highlight-(?:next-line|start|end)\b[^\n]*(?:\n|\Z)", re.MULTILINE
)
_CODE_LIKE = re.compile(r"=>|[(`'\"?;]|&&|\|\||\.\.\.|</?[A-Za-z>]|^\s*[\w$]+(?:\.[\w$]+)+\s*$")
_KNOWN = frozenset({"props", "frontMatter", "contentTitle", "toc", "metadata", "assets", "Math", "React", "undefined"})
_MEMBER = re.compile(r"\s*(?P<object>frontMatter|props)\.(?P<name>[\w$]+)\s*")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\u2060\ufeff\ud800-\udfff]")
_LINE_BREAK = "\v"
"""Stands for `<br>` until its paragraph is complete."""
_SHORTCODE = re.compile(r":[\w+-]+:")
_BACKTICKS = re.compile(r"`+")


@dataclass(frozen=True, slots=True)
class Source:
    """One file's tree with what its expressions and components refer to."""

    tree: Element
    bindings: Bindings
    front: Mapping[str, Any]
    anchors: Anchors
    partial: "Callable[[str], Source | None]"
    """Reads the Markdown file that an import names, seen from this file."""
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a partial was given."""


@dataclass(slots=True)
class Heading:
    """A heading of the rendered page."""

    level: int
    id: str
    text: str


@dataclass(slots=True)
class _Section:
    heading: Heading | None
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list[Block])


@dataclass(slots=True)
class _Item:
    """An item of a list that is being written."""

    marker: str
    used: bool = False


def content_title(tree: Element) -> Element | None:
    """The level-1 heading that is the page's title: the first heading, above the first rule, made by Markdown."""
    for element in _elements(tree):
        if element.name == "hr" or element.name in _HEADINGS:
            return element if element.name == "h1" else None
    return None


def _elements(tree: Element) -> Iterator[Element]:
    """Elements that Markdown made, in the order of the text."""
    for child in tree.children:
        if isinstance(child, Element):
            if child.markdown:
                yield child
            yield from _elements(child)


class Writer:
    """Writes what a reader sees of one page."""

    def __init__(self, source: Source, site: SiteSettings, title: Element | None = None) -> None:
        """Prepare to write.

        Args:
            source: The page's file.
            site: Whose rules give ids to headings.
            title: The heading that is the page's title: it is on no section's path.
        """
        self.headings: list[Heading] = []
        self.title = ""
        """Text of the title's heading, once it is written."""
        self._source = source
        self._site = site
        self._title = title
        self._sections = [_Section(None, ())]
        self._path: list[tuple[int, str]] = []
        self._line: list[str] = []
        self._lists: list[_Item] = []
        self._lines: list[str] = []
        self._tab_labels: dict[str, str] = {}

    def write(self) -> tuple[PageSection, ...]:
        """The sections of the page, the one above the first heading included."""
        self._children(self._source.tree.children)
        self._end_line()
        self._end_list()
        return tuple(
            PageSection(
                anchor=section.heading.id if section.heading else "",
                heading=section.heading.text if section.heading else "",
                path=section.path,
                blocks=tuple(section.blocks),
            )
            for section in self._sections
        )

    def plain(self, children: Iterable[Child]) -> str:
        """Elements as one line of text, as in a table's cell."""
        inner = Writer(self._source, self._site)
        inner.headings = self.headings
        inner._children(children)
        inner._end_line()
        inner._end_list()
        blocks = (block.text for section in inner._sections for block in section.blocks)
        return " ".join(" ".join(blocks).split())

    def _children(self, children: Iterable[Child]) -> None:
        for child in children:
            if isinstance(child, str):
                self._line.append(with_emoji(child))
            else:
                self._element(child)

    def _element(self, element: Element) -> None:
        name = element.name
        if name in _UNSEEN:
            return
        if name in _WRITERS:
            _WRITERS[name](self, element)
        elif name[:1].isupper() or "." in name:
            self._component(element)
        elif element.block:
            self._apart(element)
        else:
            self._children(element.children)

    def _apart(self, element: Element) -> None:
        """A block: what is before and after it stands on other lines."""
        self._end_line()
        self._children(element.children)
        self._end_line()

    def _component(self, element: Element) -> None:
        partial = self._source.bindings.imports.get(element.name, "")
        source = self._source.partial(partial) if partial.endswith((".md", ".mdx")) else None
        if source:
            self._partial(source, element)
            return
        title = element.text(*_TITLES) if element.block or not element.children else ""
        if not element.block:
            self._line.append(title)
            self._children(element.children)
            return
        self._lead(title)
        if not element.children:
            self._line.append(element.text("description"))
        self._apart(element)

    def _partial(self, source: Source, element: Element) -> None:
        self._end_line()
        given = {name: Element("", element.attributes).text(name) for name in element.attributes}
        outer = self._source
        self._source = Source(source.tree, source.bindings, source.front, source.anchors, source.partial, given)
        self._children(source.tree.children)
        self._end_line()
        self._source = outer

    def _heading(self, element: Element) -> None:
        self._end_line()
        self._end_list()
        level = int(element.name[1])
        if not element.markdown:
            self._heading_of_a_tag(element, level)
            return
        anchor, text = self._anchor(element)
        if level == 1 and self._site.preset == "docusaurus":
            anchor = ""  # its theme leaves them out
        heading = Heading(level, anchor, text)
        self.headings.append(heading)
        if element is self._title:
            self.title = text
        self._begin_section(heading, is_title=element is self._title)

    def _heading_of_a_tag(self, element: Element, level: int) -> None:
        """`<h2>`: it has an id only if it says so; without one it stays text of its section."""
        heading = Heading(level, element.text("id"), self._shown(element))
        self.headings.append(heading)
        if heading.id:
            self._begin_section(heading, is_title=False)
        elif heading.text:
            self._block(heading.text, lead=True)

    def _anchor(self, element: Element) -> tuple[str, str]:
        """Id and text of a Markdown heading: by a comment, then by `{#id}`, then by its text."""
        if self._site.preset == "plain":
            return self._source.anchors(slug_text(element)), self._shown(element)
        text = self._shown(element)
        last = element.children[-1] if element.children else ""
        comment = last.expression.comment if isinstance(last, Element) and last.expression else ""
        if comment.startswith("#") and comment.split()[0] != "#":
            return comment.split()[0][1:], text
        explicit = _EXPLICIT_ID.search(slug_text(element))
        if explicit:
            return explicit[1].strip(), _EXPLICIT_ID.sub("", text)
        return self._source.anchors(slug_text(element)), text

    def _shown(self, element: Element) -> str:
        """Text of a heading, without marks; the alternative texts of its images if it has nothing else."""
        text = _OWN_ANCHOR.sub("", _tidy(self._bare(element)).replace("\n", " "))
        return text or self.plain(element.children)

    def _bare(self, node: Child) -> str:
        if isinstance(node, str):
            return with_emoji(node)
        if node.expression:
            return self._value(node.expression, alone=node.block)
        if node.name == "code":
            return _verbatim(node)
        if node.name == "#text_directive" and node.text("bare"):
            return f":{node.text('name')}"
        return "" if node.name == "img" else "".join(map(self._bare, node.children))

    def _begin_section(self, heading: Heading, *, is_title: bool) -> None:
        while self._path and self._path[-1][0] >= heading.level:
            self._path.pop()
        if not is_title and heading.text:
            self._path.append((heading.level, heading.text))
        path = tuple(text for _, text in self._path) or ((heading.text,) if heading.text else ())
        self._sections.append(_Section(heading, path))

    def _block(self, text: str, *, kind: BlockKind = "prose", lead: bool = False) -> None:
        self._sections[-1].blocks.append(Block(text, kind, lead))

    def _lead(self, text: str) -> None:
        """A line that announces what follows."""
        self._end_line()
        text = _tidy(text)
        if not text:
            return
        text = text if text[-1] in ".:!?…" else f"{text}:"
        if self._lists:
            self._line.append(text)
            self._end_line()
        else:
            self._block(text, lead=True)

    def _end_line(self) -> None:
        """A paragraph is complete: a block of its own, or lines of the list it is in."""
        text = _tidy("".join(self._line))
        self._line = []
        if not text:
            return
        if not self._lists:
            self._block(text)
            return
        item = self._lists[-1]
        indent = "  " * (len(self._lists) - 1)
        hanging = " " * (len(item.marker) + 1) if item.marker else ""
        first = hanging if item.used or not item.marker else f"{item.marker} "
        item.used = True
        self._lines.append(indent + first + text.replace("\n", f"\n{indent}{hanging}"))

    def _end_list(self) -> None:
        """What was collected of a list becomes a block."""
        if self._lines:
            self._block("\n".join(self._lines))
            self._lines = []

    def _list(self, element: Element) -> None:
        self._end_line()
        number = int(start) if (start := element.text("start")).isdecimal() and len(start) < 10 else 1
        for child in _without_paragraphs(element):
            if isinstance(child, Element) and child.name == "li":
                self._lists.append(_Item(f"{number}." if element.name == "ol" else "-"))
                self._apart(child)
                self._lists.pop()
                number += 1
            else:
                self._children([child])
        self._end_line()
        if not self._lists:
            self._end_list()

    def _item(self, element: Element) -> None:
        """An item that is in no list."""
        self._list(Element("ul", children=[element]))

    def _code(self, element: Element) -> None:
        text = "".join(child for child in element.children if isinstance(child, str)) if element.markdown else ""
        text = " ".join((text or self.plain(element.children)).split())
        if not text:
            return
        longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
        fence = "`" * (longest + 1)
        pad = " " if longest and text[0] == "`" or text[-1] == "`" else ""
        self._line.append(f"{fence}{pad}{text}{pad}{fence}")

    def _pre(self, element: Element) -> None:
        info = element.text("info")
        self._fenced(_verbatim(element), info)

    def _code_component(self, element: Element) -> None:
        title = element.text("title")
        self._fenced(_verbatim(element), f'{element.text("language")} title="{title}"' if title else element.text("language"))

    def _fenced(self, code: str, info: str) -> None:
        self._end_line()
        self._end_list()
        if "highlight-" in code:
            code = _MAGIC_COMMENT.sub("", code)
        code = _INVISIBLE.sub("", code).strip("\n").rstrip()
        if not code.strip():
            return
        language = _LANGUAGE.match(info)
        title = _CODE_TITLE.search(info)
        about = language[0] if language and not (title and title.start() == 0) else ""
        if title and title["title"]:
            about = f'{about} title="{title["title"]}"'.strip()
        longest = max((len(run) for run in _BACKTICKS.findall(code)), default=0)
        fence = "`" * max(3, longest + 1)
        self._block(f"{fence}{about}\n{code}\n{fence}", kind="code")

    def _math(self, element: Element) -> None:
        tex = "".join(child for child in element.children if isinstance(child, str)).strip()
        mark = element.text("mark")
        close = {"\\(": "\\)", "\\[": "\\]"}.get(mark, mark)
        if not element.block:
            self._line.append(f"{mark}{tex}{close}")
            return
        self._end_line()
        self._end_list()
        if tex:
            self._block(f"{mark}\n{tex}\n{close}", kind="code")

    def _table(self, element: Element) -> None:
        self._end_line()
        self._end_list()
        rows = [[self.plain(cell.children) for cell in _inside(row, "th", "td")] for row in _inside(element, "tr")]
        for caption in _inside(element, "caption"):
            self._lead(self.plain(caption.children))
        rows = [row for row in rows if any(row)]
        if not rows:
            return
        columns = max(len(row) for row in rows)
        lines = ["| " + " | ".join([*row, *[""] * (columns - len(row))]) + " |" for row in rows]
        self._block("\n".join([lines[0], "|" + "---|" * columns, *lines[1:]]), kind="table")

    def _container(self, element: Element) -> None:
        """`:::note` with its title, or its kind as title; other names have none."""
        label = element.children[0]
        title = self.plain(label.children) if isinstance(label, Element) else ""
        kind = element.text("name")
        self._lead(title or (kind.capitalize() if kind in ADMONITIONS else ""))
        self._apart(element)

    def _admonition(self, element: Element) -> None:
        self._lead(element.text("title") or element.text("type").capitalize() or "Note")
        self._apart(element)

    def _title_line(self, element: Element) -> None:
        self._lead(self.plain(element.children))

    def _directive(self, element: Element) -> None:
        label = element.children[0]
        if element.text("bare"):
            mark = ":" if element.name == "#text_directive" else ""
            self._line.append(mark + element.text("name") if mark else "")
        elif isinstance(label, Element):
            self._children(label.children)
        if element.block:
            self._end_line()

    def _details(self, element: Element) -> None:
        self._lead(element.text("summary"))
        self._apart(element)

    def _tabs(self, element: Element) -> None:
        outer, values = self._tab_labels, element.attributes.get("values")
        self._tab_labels = _labels(values.code) if isinstance(values, Expression) else {}
        self._apart(element)
        self._tab_labels = outer

    def _tab(self, element: Element) -> None:
        value = element.text("value")
        self._lead(element.text("label") or self._tab_labels.get(value, value))
        self._apart(element)

    def _image(self, element: Element) -> None:
        if element.markdown:
            self._children(element.children)
        else:
            self._line.append(element.text("alt"))

    def _rule(self, element: Element) -> None:  # noqa: ARG002 - the writers share a signature
        self._end_line()

    def _break(self, element: Element) -> None:  # noqa: ARG002
        self._line.append(_LINE_BREAK)

    def _cell(self, element: Element) -> None:
        """A cell outside of a table."""
        self._apart(element)

    def _reference(self, element: Element) -> None:
        self._line.append(f"[^{element.text('number')}]")

    def _footnotes(self, element: Element) -> None:
        self._end_line()
        heading = Heading(2, "footnote-label", "Footnotes")
        self.headings.append(heading)
        self._begin_section(heading, is_title=False)
        self._children(element.children)

    def _footnote(self, element: Element) -> None:
        self._line.append(f"[^{element.text('number')}]: ")
        for child in element.children:  # the mark goes before the first paragraph's text
            if isinstance(child, Element) and child.name == "p":
                self._children(child.children)
                self._end_line()
            else:
                self._children([child])
        self._end_line()

    def _expression(self, element: Element) -> None:
        if element.expression:
            self._line.append(self._value(element.expression, alone=element.block))

    def _value(self, expression: Expression, *, alone: bool) -> str:
        """What an expression shows: a string, an exported constant, a property; nothing when it is other code.

        Braces around what is no code stay as they are: MDX would refuse the page, and other generators show them.
        """
        text = expression.literal
        if text is not None:
            return text
        code = expression.code.strip()
        member = _MEMBER.fullmatch(code)
        if member:
            values = self._source.front if member["object"] == "frontMatter" else self._source.properties
            value = values.get(member["name"])
            return value if isinstance(value, str) else ""
        if code in self._source.bindings.constants:
            return self._source.bindings.constants[code]
        names = set(_IDENTIFIER.findall(code))
        if alone or expression.is_comment or _CODE_LIKE.search(code) or names & (_KNOWN | self._source.bindings.names):
            return ""
        return f"{{{expression.code}}}"


_WRITERS: dict[str, Callable[[Writer, Element], None]] = {
    **dict.fromkeys(_HEADINGS, Writer._heading),
    **dict.fromkeys(("ul", "ol"), Writer._list),
    **dict.fromkeys(("details", "Details"), Writer._details),
    **dict.fromkeys(("td", "th"), Writer._cell),
    **dict.fromkeys(("#text_directive", "#leaf_directive"), Writer._directive),
    **dict.fromkeys(("#title", "summary"), Writer._title_line),
    "li": Writer._item,
    "code": Writer._code,
    "pre": Writer._pre,
    "CodeBlock": Writer._code_component,
    "#math": Writer._math,
    "table": Writer._table,
    "#container": Writer._container,
    "Admonition": Writer._admonition,
    "Tabs": Writer._tabs,
    "TabItem": Writer._tab,
    "img": Writer._image,
    "hr": Writer._rule,
    "#end": Writer._rule,
    "br": Writer._break,
    "#reference": Writer._reference,
    "#footnotes": Writer._footnotes,
    "#footnote": Writer._footnote,
    "#expression": Writer._expression,
}
"""How each element is written; one that is not here is what its children are."""


def slug_text(node: Child) -> str:
    """The text that Docusaurus makes a heading's id of: alternative texts, code and shortcodes as written."""
    if isinstance(node, str):
        return node
    if node.expression:
        return node.expression.code
    if node.name == "img" and not node.markdown:
        return ""
    return "".join(map(slug_text, node.children))


def with_emoji(text: str) -> str:
    """The text with `:shortcodes:` as the emoji they name."""
    return _SHORTCODE.sub(lambda match: _emoji(match[0]), text) if text.count(":") > 1 else text


@lru_cache
def _emoji(shortcode: str) -> str:
    from emoji import emojize  # its tables take a third of a second to load, and few pages need them

    return emojize(shortcode, language="alias")


def _verbatim(node: Child) -> str:
    """Code as it stands in an element, strings in braces included."""
    if isinstance(node, str):
        return node
    if node.expression:
        return node.expression.literal or ""
    return "\n" if node.name == "br" else "".join(map(_verbatim, node.children))


def _inside(element: Element, *names: str) -> Iterator[Element]:
    """Elements of these names, not those inside one another or inside a table of their own."""
    for child in element.children:
        if isinstance(child, Element):
            if child.name in names:
                yield child
            elif child.name != "table":
                yield from _inside(child, *names)


def _without_paragraphs(element: Element) -> Iterator[Child]:
    """What is in an element; `<li>` and text on one line are in a paragraph to Markdown."""
    for child in element.children:
        if isinstance(child, Element) and child.name == "p" and child.markdown:
            yield from child.children
        else:
            yield child


def _labels(code: str) -> dict[str, str]:
    """Labels by value, of the `values` of old `Tabs`."""
    labels: dict[str, str] = {}
    for match in _TAB_VALUE.finditer(code):
        value = _VALUE.search(match[0])
        if value:
            labels[value["value"]] = match["label"]
    return labels


def _tidy(text: str) -> str:
    """Without what cannot be seen, and with white space as a browser shows it."""
    lines = (" ".join(line.split()) for line in _INVISIBLE.sub("", text).split(_LINE_BREAK))
    return "\n".join(filter(None, lines))

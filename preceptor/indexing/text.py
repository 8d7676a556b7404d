"""Extracts the visible text of a page: its headings with their ids, and its text, section by section.

Links, emphasis and components are replaced by their content; code keeps its fence with language and title,
tables keep their pipes, formulas their TeX, images their alternative text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from preceptor.indexing.anchors import D2lAnchors, SphinxAnchors
from preceptor.indexing.directive import ADMONITIONS
from preceptor.indexing.jsx import Expression
from preceptor.indexing.light import (
    LINE_BREAK,
    fenced_code,
    inline_code,
    shown_lines,
    table,
    tidy,
    with_emoji,
)
from preceptor.indexing.outline import Heading, Outline
from preceptor.indexing.props import prose, said
from preceptor.indexing.source import PageSource, slug_text, spaced_text, text_alone, title_heading
from preceptor.indexing.tree import HEADINGS, Element
from preceptor.library.passage import FOOTNOTES, Image
from preceptor.settings import SiteSettings

Child = Element | str

_EXPLICIT_ID = re.compile(r"\s*\{#(?P<id>(?:.(?!\{#|\}))*.)\}$")
_BRACES = ("docusaurus",)
"""Presets with which `{#id}` at the end of a heading is its id, and not taken off before (see `heading_attributes`)."""
_HIDDEN_ID = re.compile(r"\s*\[\[(?P<id>[^\[\]\s]+)\]\]\s*$")
"""A hidden id in the form of Hugging Face's courses."""
_HIDDEN_WORDS = re.compile(r"\s*\[\[\s*(?P<id>[^\[\]]+?)\s*\]\]\s*$")
"""The same where doc-builder reads it: translators put a whole title there, and that is the id, with its spaces."""
# fmt: off
_UNSEEN = frozenset({
    "script", "style", "head", "Head", "Helmet", "Seo", "SEO", "template", "noscript", "title", "link", "meta",
    "svg", "canvas", "iframe", "object", "video", "audio", "map", "area", "input",
    "#back", "#label", "TOCInline", "DocCardList",
})
# fmt: on
_TRANSPARENT = frozenset({"Translate", "Trans", "Fragment", "React.Fragment", "BrowserOnly"})
"""Components whose attributes no reader sees."""
_CODE_ATTRIBUTES = ("code", "children", "source", "content")
"""Attributes that may hold the name of an imported file."""
_TAB = re.compile(
    r"\{[^{}]*?\blabel\s*:\s*(?P<quote>['\"])(?P<label>(?:\\.|(?!(?P=quote)).)*)(?P=quote)[^{}]*?\}"
)
_TAB_VALUE = re.compile(r"\bvalue\s*:\s*(?P<quote>['\"])(?P<value>(?:\\.|(?!(?P=quote)).)*)(?P=quote)")


@dataclass(slots=True)
class _Item:
    """An item of a list that is being written."""

    marker: str
    begun: bool = False


class Writer:
    """Writes the visible text of one page."""

    def __init__(self, source: PageSource, site: SiteSettings, outline: Outline | None = None) -> None:
        """Prepare to write.

        Args:
            source: The page's file.
            site: Whose rules give ids to headings.
            outline: Receives headings and text; default: a new one.
        """
        self.outline = outline or Outline()
        self.title = ""
        """Text of the page's title heading, once it is written."""
        self._source = source
        self._site = site
        self._title: Element | None = None
        self._line: list[str] = []
        self._lists: list[_Item] = []
        self._list_lines: list[str] = []
        self._tab_labels: dict[str, str] = {}

    @property
    def has_title(self) -> bool:
        """Whether a heading already written is the page's title."""
        return self._title is not None

    def write(self) -> Outline:
        """Write the page."""
        self._title = title_heading(self._source.tree)
        self._blocks(self._source.tree.children)
        return self.outline

    def _blocks(self, children: Iterable[Child]) -> None:
        self._children(children)
        self._end_list()

    def _children(self, children: Iterable[Child]) -> None:
        for child in children:
            if isinstance(child, str):
                self._line.append(with_emoji(child))
            elif child.name not in _UNSEEN:
                self._element(child)

    def _element(self, element: Element) -> None:
        name = element.name
        if name in self._writers:
            self._writers[name](self, element)
        elif _is_component(element):
            self._component(element)
        elif element.block:
            self._apart(element)
        else:
            self._children(element.children)

    def _apart(self, element: Element) -> None:
        """Writes a block, separated by line breaks from the text before and after it."""
        self._end_line()
        self._children(element.children)
        self._end_line()

    def _paragraph(self, element: Element) -> None:
        """Writes a paragraph; components that have one to themselves are blocks, as in MDX."""
        shown = [child for child in element.children if not isinstance(child, str) or child.strip()]
        if (
            element.markdown
            and shown
            and all(isinstance(one, Element) and _is_component(one) for one in shown)
        ):
            self._end_line()
            self._children([replace(one, block=True) for one in shown if isinstance(one, Element)])
            self._end_line()
        else:
            self._apart(element)

    def _flat(self, children: Iterable[Child]) -> str:
        """Renders elements as one line of text, as in a table's cell; headings among them still count."""
        outline = Outline()
        outline.headings = self.outline.headings
        Writer(self._source, self._site, outline)._blocks(children)
        self.outline.images.extend(image for section in outline.sections for image in section.images)
        return " ".join(" ".join(f"{section.heading} {section.text}" for section in outline.sections).split())

    # Paragraphs and lists

    def _end_line(self) -> None:
        """Ends a paragraph: a block of its own, or lines of the list that contains it."""
        text = tidy("".join(self._line))
        self._line = []
        if not self._lists:
            self.outline.add(text)
        elif text:
            item = self._lists[-1]
            indent = "  " * (len(self._lists) - 1)
            hanging = " " * (len(item.marker) + 1)
            first = hanging if item.begun else f"{item.marker} "
            item.begun = True
            self._list_lines.append(indent + first + text.replace("\n", f"\n{indent}{hanging}"))

    def _end_list(self) -> None:
        """Ends a list: the collected items become a block, separate from the text that follows."""
        self._end_line()
        self.outline.add("\n".join(self._list_lines))
        self._list_lines = []

    def _list(self, element: Element) -> None:
        self._end_line()
        start = element.text("start")
        number = int(start) if start.isdecimal() else 1
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

    def _item_without_list(self, element: Element) -> None:
        self._list(Element("ul", children=[element]))

    def _lead(self, text: str) -> None:
        """Writes a line that introduces the next block."""
        self._end_line()
        text = tidy(text)
        if text and text[-1] not in ".:!?…":
            text += ":"
        if self._lists:
            self._line.append(text)
            self._end_line()
        else:
            self.outline.add(text, lead=True)

    def _lead_of(self, element: Element) -> None:
        self._lead(self._flat(element.children))

    def _rule(self, _: Element) -> None:
        self._end_line()

    def _break(self, _: Element) -> None:
        self._line.append(LINE_BREAK)

    # Headings

    def _heading(self, element: Element) -> None:
        self._end_list()
        level, text = int(element.name[1]), self._shown(element)
        if element.markdown:
            is_title = element is self._title
            self.title = text if is_title else self.title
            self.outline.begin(Heading(level, self._anchor(element, level), text), is_title=is_title)
        elif element.text("id"):
            self.outline.begin(Heading(level, element.text("id"), text))
        else:  # `<h2>` without an id: no link leads to it, so it is text of the section it stands in
            self.outline.headings.append(Heading(level, "", text))
            self.outline.add(text, lead=True)

    def _theme_heading(self, element: Element) -> None:
        """Writes `<Heading as="h2" id="x">` of Docusaurus' theme as a heading; level 1 has no id there."""
        name = element.text("as")
        if name in HEADINGS:
            kept = {"id": element.text("id")} if name != "h1" else {}
            self._heading(replace(element, name=name, attributes=kept))
        else:
            self._component(element)

    def _anchor(self, element: Element, level: int) -> str:
        """Returns the id of a Markdown heading: from its attribute, a comment, `{#id}`, or its text."""
        # The generators do not agree on what of a heading goes into its id.
        preset = self._site.preset
        if preset in ("mdbook", "quarto"):
            text = text_alone(element, smart=preset == "quarto" or self._site.smart_punctuation)
        else:
            text = spaced_text(element) if preset == "huggingface" else slug_text(element)
        explicit = _explicit_id(element, text) if preset in _BRACES else None
        brackets = _HIDDEN_WORDS.search(text) if preset == "huggingface" else None
        explicit = brackets["id"].replace("'", "’") if brackets else explicit
        anchor = element.text("id") or explicit
        if not anchor:
            anchor = self._labelled(element, text) or self._source.anchors(text)
        return "" if level == 1 and preset == "docusaurus" else anchor  # its theme leaves it out

    def _labelled(self, element: Element, text: str) -> str:
        """Returns the id of a heading with labels before it; docutils gives labels their ids before the text."""
        anchors = self._source.anchors
        labels = [label for label in element.text("labels").split("\n") if label]
        if not labels or not isinstance(anchors, SphinxAnchors):
            return ""
        ids = [anchors.label(label) for label in labels]
        # Asked for also where it is not used: its own id is taken all the same, and the next heading of this text is
        # numbered.
        own = anchors(text)
        # Before docutils 0.22 the text's id is the first, unless it is a mere number (Sphinx' transform `SortIds`).
        return ids[-1] if self._site.label_ids or own.startswith("id") else own

    def _shown(self, element: Element) -> str:
        """Returns the text of a heading without marks; alternative texts of images if it has nothing else."""
        text = tidy(self._bare(element)).replace("\n", " ")
        if self._site.preset in _BRACES:
            text = _EXPLICIT_ID.sub("", text)
        hidden = _HIDDEN_WORDS if self._site.preset == "huggingface" else _HIDDEN_ID
        return hidden.sub("", text) or self._flat(element.children)

    def _bare(self, node: Child) -> str:
        if isinstance(node, str):
            return with_emoji(node)
        if node.expression:
            return self._source.value(node.expression, line=node.line, alone=node.block)
        if node.name == "code":
            return self._source.verbatim(node)
        if node.name == "#text_directive" and node.text("bare"):
            return f":{node.text('name')}"
        return "" if node.name == "img" else "".join(map(self._bare, node.children))

    # Code, formulas, tables, images

    def _code(self, element: Element) -> None:
        self._line.append(
            inline_code(self._source.verbatim(element) if element.markdown else self._flat(element.children))
        )

    def _code_block(self, element: Element) -> None:
        self._end_list()
        title = element.text("title")
        info = element.text("info") or element.text("language") + (f' title="{title}"' if title else "")
        code = self._source.verbatim(element) or self._imported(element)
        if self._source.hidden_lines is not None and element.markdown:
            code = shown_lines(code, info, self._source.hidden_lines)
        if ".input" in info:
            self._cell(element)
        self.outline.add(fenced_code(code, info), kind="code")

    def _imported(self, element: Element) -> str:
        """Returns the text of a file that a component shows as code."""
        values = (element.attributes.get(name) for name in _CODE_ATTRIBUTES)
        texts = (
            self._source.constant(value.code, element.line)
            for value in values
            if isinstance(value, Expression) and value.literal is None
        )
        return next(filter(None, texts), "")

    def _math(self, element: Element) -> None:
        tex, mark = self._source.verbatim(element).strip(), element.text("mark")
        close = "\\)" if mark == "\\(" else mark
        if not element.block:
            self._line.append(f"{mark}{tex}{close}")
        elif tex:
            self._end_list()
            self.outline.add(f"{mark}\n{tex}\n{close}", kind="code")

    def _table(self, element: Element) -> None:
        self._end_list()
        for caption in _inside(element, "caption"):
            self._lead_of(caption)
        rows = [
            [self._flat(cell.children) for cell in _inside(row, "th", "td")] for row in _inside(element, "tr")
        ]
        rows = [row for row in rows if any(row)]
        if rows:
            self.outline.add(table(rows), kind="table")

    def _image(self, element: Element) -> None:
        before = len(self._line)
        if element.markdown:
            self._children(element.children)
        else:
            self._line.append(element.text("alt"))
        alt = tidy("".join(self._line[before:]))
        url = self._source.image_url(element.text("src"), element.markdown)
        # Without words it is an ornament, or nobody can say what it shows.
        if alt and url:
            self.outline.images.append(Image(url, alt))

    # Boxes and components

    def _container(self, element: Element) -> None:
        """Writes `:::note` with its title, or its kind as title; containers of other names have no title."""
        kind = element.text("name")
        self._lead(self._flat(_label(element)) or (kind.capitalize() if kind in ADMONITIONS else ""))
        self._apart(element)

    def _admonition(self, element: Element) -> None:
        self._lead(
            said(element.attributes, self._source.known, "title")
            or element.text("type").capitalize()
            or "Note"
        )
        self._apart(element)

    def _leaf_directive(self, element: Element) -> None:
        self._end_line()
        self._children(_label(element))
        self._end_line()

    def _text_directive(self, element: Element) -> None:
        """Writes `:name` as text, since most authors did not mean a directive."""
        self._line.append(f":{element.text('name')}" if element.text("bare") else "")
        self._children(_label(element))

    def _details(self, element: Element) -> None:
        self._lead(said(element.attributes, self._source.known, "summary"))
        self._apart(element)

    def _tabs(self, element: Element) -> None:
        outer, values = self._tab_labels, element.attributes.get("values")
        self._tab_labels = _tab_labels(values.code) if isinstance(values, Expression) else {}
        self._apart(element)
        self._tab_labels = outer

    def _tab(self, element: Element) -> None:
        value = element.text("value")
        self._lead(
            said(element.attributes, self._source.known, "label") or self._tab_labels.get(value, value)
        )
        self._apart(element)

    def _component(self, element: Element) -> None:
        partial = self._source.partial(element.name, element.line)
        if partial:
            self._partial(partial, element)
        elif element.name in _TRANSPARENT:
            self._children(element.children)
        elif element.block:
            self._block_component(element)
        elif element.children:
            self._children(element.children)
        else:
            text = prose(element.attributes, self._source.known).text
            self._line.append(text)
            if not text:
                self._unseen_component(element)

    def _block_component(self, element: Element) -> None:
        """Writes the title of a component, the text of its other attributes, then its content."""
        found, code = prose(element.attributes, self._source.known), self._imported(element)
        self._lead(found.lead)
        for part in found.parts:
            self._end_line()
            self._line.append(LINE_BREAK.join(part))
            self._end_line()
        if code:
            self._code_block(element)
        elif element.children:
            self._apart(element)
        elif not found.text:
            self._unseen_component(element)

    def _unseen_component(self, element: Element) -> None:
        if not self._source.is_page(element.name):  # that one is noted as an import
            kind = "components whose text is in their own code"
            self._source.note(kind, element.line, f"<{element.name} />")

    def _option(self, element: Element) -> None:
        """Writes a tab of Hugging Face's `<hfoptions>`, whose id is its label."""
        self._lead(element.text("id"))
        self._apart(element)

    def _partial(self, partial: PageSource, element: Element) -> None:
        self._end_line()
        properties = {name: element.text(name) for name in element.attributes}
        outer = self._source
        self._source = replace(partial, properties=properties, given=(outer, element.children))
        self._children(partial.tree.children)
        self._end_line()
        self._source = outer

    def _expression(self, element: Element) -> None:
        if not element.expression:
            return
        inner = self._source
        if inner.given and element.expression.code.strip() in ("props.children", "children"):
            # What a partial is given was written on the page that uses it, and has the names of that page.
            self._source, children = inner.given
            self._children(children)
            self._source = inner
        else:
            text = inner.value(element.expression, line=element.line, alone=element.block)
            self._line.append(text)

    # Footnotes

    def _reference(self, element: Element) -> None:
        self._line.append(f"[^{element.text('number')}]")

    def _cell(self, _: Element) -> None:
        anchors = self._source.anchors
        if isinstance(anchors, D2lAnchors):
            anchors.begin_cell()

    def _citation(self, _: Element) -> None:
        anchors = self._source.anchors
        if isinstance(anchors, D2lAnchors):
            anchors.cite()

    def _footnotes(self, element: Element) -> None:
        self._end_list()
        if self._site.preset in ("docusaurus", "plain"):  # others have a rule in its place
            self.outline.begin(Heading(2, FOOTNOTES, "Footnotes"))
        self._children(element.children)

    def _footnote(self, element: Element) -> None:
        self._line.append(f"[^{element.text('number')}]: ")
        for child in _without_paragraphs(element):
            self._children([child])
        self._end_line()

    _writers: ClassVar[Mapping[str, Callable[[Any, Element], None]]] = {
        **dict.fromkeys(HEADINGS, _heading),
        "Heading": _theme_heading,
        **dict.fromkeys(("ul", "ol"), _list),
        **dict.fromkeys(("details", "Details"), _details),
        **dict.fromkeys(("td", "th"), _apart),
        **dict.fromkeys(("#title", "summary"), _lead_of),
        **dict.fromkeys(("pre", "CodeBlock"), _code_block),
        **dict.fromkeys(("hr", "#end"), _rule),
        "p": _paragraph,
        "li": _item_without_list,
        "code": _code,
        "br": _break,
        "img": _image,
        "table": _table,
        "Admonition": _admonition,
        "Tabs": _tabs,
        "hfoption": _option,
        "TabItem": _tab,
        "#math": _math,
        "#container": _container,
        "#leaf_directive": _leaf_directive,
        "#text_directive": _text_directive,
        "#expression": _expression,
        "#reference": _reference,
        "#footnotes": _footnotes,
        "#citation": _citation,
        "#cell": _cell,
        "#footnote": _footnote,
    }
    """Methods that write each element; other elements are replaced by their children."""


def _is_component(element: Element) -> bool:
    """Whether a tag is the site's own rather than HTML's."""
    return not element.markdown and (element.name[:1].isupper() or "." in element.name or "-" in element.name)


def _explicit_id(element: Element, text: str) -> str | None:
    """Returns the explicit id of a heading: `{/* #id */}` or `{#id}` at its end."""
    last = element.children[-1] if element.children else ""
    comment = last.expression.comment.split() if isinstance(last, Element) and last.expression else []
    if comment and comment[0].startswith("#") and comment[0] != "#":
        return comment[0][1:]
    braces = _EXPLICIT_ID.search(text)
    return braces["id"].strip() if braces else None


def _label(directive: Element) -> list[Child]:
    return [child for part in directive.children[:1] if isinstance(part, Element) for child in part.children]


def _without_paragraphs(element: Element) -> Iterator[Child]:
    """Yields an element's children; Markdown's paragraphs, as in `<li>text`, are replaced by their content."""
    for child in element.children:
        if isinstance(child, Element) and child.name == "p" and child.markdown:
            yield from child.children
        else:
            yield child


def _inside(element: Element, *names: str) -> Iterator[Element]:
    """Yields elements of these names, except those nested in one another or in an inner table."""
    for child in element.children:
        if isinstance(child, Element):
            if child.name in names:
                yield child
            elif child.name != "table":
                yield from _inside(child, *names)


def _tab_labels(code: str) -> dict[str, str]:
    """Returns labels by value, from the `values` of old `Tabs`."""
    tabs = ((_TAB_VALUE.search(tab[0]), tab["label"]) for tab in _TAB.finditer(code))
    return {value["value"]: label for value, label in tabs if value}

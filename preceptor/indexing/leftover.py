"""Directives, roles, template tags and frames that stayed in a page's text because nothing here resolves them.

They are looked for in the parsed page, so that code that shows such a thing is left alone.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from preceptor.indexing.code_references import AUTODOC
from preceptor.indexing.directive import ADMONITIONS
from preceptor.indexing.include import MDBOOK_INCLUDES
from preceptor.indexing.jsx import Expression
from preceptor.indexing.tree import Element

_FRAMES = ("iframe", "frame", "object", "embed")
_ROLE = re.compile(r"(?:(?<![\w:]):(?P<colons>[A-Za-z][\w+.:-]*):|\{(?P<braces>[A-Za-z][\w+.:-]*)\})\Z")
"""Name of a role at the end of the text before code: `:numref:` in Sphinx, `{ref}` in MyST."""
_TAB_ROLES = ("begin_tab", "end_tab")
_SIGNS = tuple(
    (re.compile(pattern, re.MULTILINE), kind)
    for pattern, kind in (
        (r"\{\{\s*#(?P<name>[\w-]+)(?:\s[^{}\n]*)?\}\}", "`{{{{#{name}}}}}` not resolved"),
        (
            r"\{\{[<%]\s*/?\s*(?P<name>[\w./-]+)[^\n]*?[>%]\}\}",
            "`{{{{< {name} >}}}}` shortcodes not resolved",
        ),
        (r"\{%-?\s*(?P<name>[\w-]+)[^\n]*?%\}", "`{{% {name} %}}` tags not resolved"),
        (r"\{\{(?![#<%{\u2060])[^{}\n]+\}\}", "`{{{{ … }}}}` expressions that stayed"),
        (r"\{(?:![-+]?>?|\*)\s*[\w./-]+[^{}\n]*[!*]\}", "`{{! … !}}` includes not resolved"),
        (r"^[ \t]*-+8<-+(?:[ \t]+[\"'][^\n]+)?[ \t]*$", "`--8<--` snippets not resolved"),
        (r"^<<<[ \t]+\S[^\n]*$", "`<<<` includes not resolved"),
        (r"(?<!\S)!\[\[[^\[\]\n]+\]\]", "`![[ … ]]` embeds not resolved"),
        (r"^\[\[autodoc\]\][^\n]*", "`[[autodoc]]` not resolved"),
        (r"^:::+[ \t]*[A-Za-z_][\w.]*[ \t]*$", "`:::` directives not resolved"),
        (r"^:::+[ \t]*\{(?P<name>[\w:+.-]+)\}", "`:::{{{name}}}` directives not resolved"),
        (r"^\.\. (?P<name>[\w:-]+)::(?:[ \t][^\n]*)?$", "`.. {name}::` directives not resolved"),
        (r"^===[!+]*[ \t]+\"[^\"\n]+\"[ \t]*$", "`===` tab markers not read"),
        (r"(?<![\w:]):end_tab:", "`:end_tab:` tab markers not read"),
        (r"<(?P<name>iframe|frame|object|embed)\b[^\n]*", "`<{name}>` with broken quotes, or without an end"),
    )
)
_CODE_SIGNS = re.compile(r"^(?P<mark>#@tab|%%tab)\b[^\n]*", re.MULTILINE)
"""Marks in d2l's books that tell for which framework a block of code is."""
_CODE_DIRECTIVE = re.compile(r"\{(?P<name>[A-Za-z][\w:+-]*)\}")
_PROGRAMS = frozenset(
    {
        "python", "r", "julia", "ojs", "bash", "sh", "sql", "rust", "cpp", "c", "js", "javascript", "code-cell",
        "code", "code-block", "sourcecode", "mermaid", "dot", "math",
    }
)  # fmt: skip
"""Directives whose body is shown unchanged."""


class Leftover(NamedTuple):
    """Something on a page that nothing resolves."""

    kind: str
    detail: str
    line: int
    """Line of the text, from 0."""


def leftovers(tree: Element, *, includes: bool) -> Iterator[Leftover]:
    """Yields the unresolved markup of a page.

    Args:
        tree: The parsed page.
        includes: Whether includes were resolved before, so that any that remain are text about includes.
    """
    taken = (
        {"`--8<--` snippets not resolved", *(f"`{{{{#{name}}}}}` not resolved" for name in MDBOOK_INCLUDES)}
        if includes
        else set[str]()
    )
    return (found for found in _inside(tree) if found.kind not in taken)


def _inside(element: Element) -> Iterator[Leftover]:
    if element.name in ("script", "style"):
        return
    if element.name == "#math":
        return
    if element.name in ("pre", "code", "CodeBlock"):
        yield from _code(element)
        return
    if element.name in _FRAMES:
        yield Leftover(f"`<{element.name}>` frames", element.text("src", "data"), element.line)
    if element.name == AUTODOC:
        yield Leftover("`:::` blocks of mkdocstrings not read", f"::: {element.text('name')}", element.line)
        return
    if element.name in ("#container", "#leaf_directive", "#text_directive"):
        yield from _directive(element)
    run, line = "", element.line
    for child in element.children:
        if isinstance(child, str):
            run += child
            continue
        if child.name == "code" and child.markdown:
            yield from _role(run, line)
        yield from _signs(run, line)
        after = line + run.count("\n")
        word = child.expression.code if isinstance(child.expression, Expression) else ""
        run, line = (f"{{{word}}}" if re.fullmatch(r"[A-Za-z][\w:-]*", word) else ""), max(after, child.line)
        yield from _inside(child)
    yield from _signs(run, line)


def _signs(text: str, line: int) -> Iterator[Leftover]:
    for pattern, kind in _SIGNS:
        for match in pattern.finditer(text):
            yield Leftover(
                kind.format(**match.groupdict()), match[0], line + text.count("\n", 0, match.start())
            )


def _role(text: str, line: int) -> Iterator[Leftover]:
    role = _ROLE.search(text)
    if role:
        name = role["colons"] or role["braces"]
        kind = "tab markers not read" if name in _TAB_ROLES else "roles not resolved"
        yield Leftover(f"`{role[0]}` {kind}", "", line + text.count("\n"))


def _code(element: Element) -> Iterator[Leftover]:
    info = element.text("info")
    directive = _CODE_DIRECTIVE.match(info)
    if directive and directive["name"].lower() not in _PROGRAMS:
        yield Leftover(f"`{directive[0]}` directives not resolved", info, element.line)
    if info.split()[1:2] == ["reference"]:
        text = "".join(child for child in element.children if isinstance(child, str))
        yield Leftover("code references not resolved", text.strip(), element.line)
    for child in element.children:
        if isinstance(child, str) and element.name == "pre":
            for match in _CODE_SIGNS.finditer(child):
                line = element.line + 1 + child.count("\n", 0, match.start())
                yield Leftover(f"`{match['mark']}` tab markers not read", match[0], line)


def _directive(element: Element) -> Iterator[Leftover]:
    name, mark = element.text("name"), {"#container": ":::", "#leaf_directive": "::"}.get(element.name, ":")
    if name not in ADMONITIONS and not (mark == ":" and element.text("bare")):
        yield Leftover(f"`{mark}{name}` directives that are unknown", "", element.line)

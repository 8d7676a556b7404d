"""Finds the text that readers see in the attributes of components.

A component's code is not run, so that its attributes are judged by their values: words are prose, whatever their
name; a single word is shown where its name says so (`title`, `buttonText`); classes, addresses and styles are not.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from preceptor.indexing.jsx import Expression, Scanner, strings
from preceptor.indexing.tree import html_parts

_SHOWN = re.compile(
    r"(?i).*(?:title|label|summary|caption|heading|header|description|text|question|answer|quote|author|term"
    r"|definition|message|note|hint|body|explain|explanation|item|option|choice|tab|step|content|subtitle|tagline)(?:s|es)?"
)
"""Names of attributes whose value is shown even if it is one word."""
_HIDDEN = re.compile(
    r"(?i)(?:.*class(?:names?|es)?|.*styles?|sx|css|.*ids?|key|ref|slot|src.*|.*srcset|.*href|to|.*url|.*links?|.*path|d"
    r"|view-?box|transform|points|.*icons?|types?|kind|variant|.*colou?rs?|.*sizes?|width|height|lang(?:uage)?|font.*"
    r"|allow.*|rel|target|sandbox|media|loading|data-.*|aria-hidden|role|grid.*|columns?|.*template|.*pattern"
    r"|.*options?schema|include|exclude|import|from|as|mode|theme|align|format|layout|position|meta(?:string|data)?"
    r"|on[A-Z].*|group.*|query.*|highlight.*|show.*|default.*)"
)
"""Names of attributes whose value no reader sees, were it words."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
"""Words in scripts that use few spaces or none."""
_NO_PROSE = re.compile(
    r"\S+|[a-z][a-z+.-]*://.*|(?:[\w-]+\s*:\s*[^;:]+;\s*)+(?:[\w-]+\s*:\s*[^;:]+)?|[\w.-]+(?:/[\w.-]+)+.*",
    re.DOTALL,
)
"""One word, an address, styles, or a path."""
_LITERAL = ("[", "{", "<", "(")
_LEADS = ("title", "label", "summary", "caption", "heading", "header", "question")
"""Names of attributes that announce the others and what is inside."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Text in the attributes of a component."""

    lead: str
    """The title, or the attribute most like one."""
    parts: Sequence[Sequence[str]]
    """The other texts in order, grouped by the object that holds them."""

    @property
    def text(self) -> str:
        """The whole text in one line."""
        return " ".join(filter(None, [self.lead, *(" ".join(part) for part in self.parts)]))


Known = Callable[[str], object]
"""Function that returns the value that a name stands for on the page."""


def prose(attributes: Mapping[str, str | Expression], known: Known) -> Prose:
    """Returns the text in the attributes of a component.

    Args:
        attributes: The attributes by name.
        known: Resolves names in their values.
    """
    found = {name: list(_parts(name, value, known)) for name, value in attributes.items() if _may_show(name)}
    found = {name: parts for name, parts in found.items() if parts}
    lead = next((name for name in _LEADS if name in found and len(found[name]) == 1), "")
    title = " ".join(found.pop(lead)[0]) if lead else ""
    return Prose(title, [part for parts in found.values() for part in parts])


def said(attributes: Mapping[str, str | Expression], known: Known, *names: str) -> str:
    """Returns the text of the first of these attributes that has any."""
    for name in names:
        value = attributes.get(name)
        if value is not None:
            text = " ".join(text for _, _, text in _texts(name, value, known))
            if text:
                return text
    return ""


def plain(text: str) -> str:
    """Returns the text without tags."""
    if "<" not in text:
        return text
    parts = (
        part if isinstance(part, str) else " " * (part.name.lower() == "br")
        for part in html_parts(text, Scanner(len(text)))
    )
    return "".join(parts).strip()


def _may_show(name: str) -> bool:
    return not _HIDDEN.fullmatch(name) or bool(_SHOWN.fullmatch(name) and not name.lower().endswith("schema"))


def _parts(name: str, value: str | Expression, known: Known) -> Iterator[list[str]]:
    """Yields the texts of one attribute, grouped by the object that holds them."""
    group, part = -1, list[str]()
    for number, key, text in _texts(name, value, known):
        if not _is_shown(key, text):
            continue
        if number != group and part:
            yield part
            part = []
        group = number
        part.append(text)
    if part:
        yield part


def _texts(name: str, value: str | Expression, known: Known) -> Iterator[tuple[int, str, str]]:
    """Yields the texts in an attribute's value as (number of its object, key in it, text)."""
    if isinstance(value, Expression) and value.literal is None and value.code.lstrip()[:1] not in _LITERAL:
        yield from _data(name, known(value.code), count())
    else:
        yield from _data(name, value, count())


def _data(name: str, value: object, numbers: Iterator[int]) -> Iterator[tuple[int, str, str]]:
    """Yields the texts in a value of the page's code or of its front matter."""
    if isinstance(value, Expression):
        text = value.literal
        if text is not None:
            yield next(numbers), name, plain(text)
        elif value.code.lstrip()[:1] in _LITERAL:
            for found in strings(value.code):
                yield found.group, found.name or name, plain(found.text)
    elif isinstance(value, str):
        yield next(numbers), name, plain(value)
    elif isinstance(value, list):
        for item in value:
            yield from _data(name, item, numbers)
    elif isinstance(value, dict):
        number = next(numbers)
        for key, inner in value.items():
            for _, inner_name, text in _data(str(key), inner, numbers):
                yield number, inner_name, text


def _is_shown(name: str, text: str) -> bool:
    if not text.strip() or not _may_show(name):
        return False
    if _SHOWN.fullmatch(name):
        return bool(_WORD.search(text) or _UNSPACED.search(text) or text.strip().isalnum())
    if _UNSPACED.search(text):
        return True
    return len(_WORD.findall(text)) > 1 and not _NO_PROSE.fullmatch(text.strip())

"""Pages as Python-Markdown renders them, with the extensions that a MkDocs site names: ids are its own, not guesses.

Only Python-Markdown's extensions and those of PyMdown are used, and only functions that are named here; nothing else
that a site names is imported. Snippets come from the site's folder alone, and nothing is fetched.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from markdown import Markdown
from markdown.extensions.toc import slugify as ascii_slug
from markdown.extensions.toc import slugify_unicode
from pymdownx import emoji, slugs

from preceptor.indexing.code_references import CodeReferences
from preceptor.indexing.tree import HEADINGS, Element, html_tree

EXTENSIONS = frozenset({
    "abbr", "admonition", "attr_list", "codehilite", "def_list", "extra", "fenced_code", "footnotes", "legacy_attrs",
    "legacy_em", "md_in_html", "meta", "nl2br", "sane_lists", "smarty", "tables", "toc", "wikilinks",
    *(f"pymdownx.{name}" for name in (
        "arithmatex", "betterem", "blocks.admonition", "blocks.caption", "blocks.definition", "blocks.details",
        "blocks.html", "blocks.tab", "caret", "critic", "details", "emoji", "escapeall", "extra", "fancylists",
        "highlight", "inlinehilite", "keys", "magiclink", "mark", "progressbar", "quotes", "saneheaders",
        "smartsymbols", "snippets", "striphtml", "superfences", "tabbed", "tasklist", "tilde",
    )),
    "pymdownx.b64", "pymdownx.pathconverter",
})  # fmt: skip
CODE_REFERENCES = "mkdocstrings"
"""Name by which the additions of the plug-ins mkdocstrings and autorefs are among the extensions."""
_LEFT_OUT = ("pymdownx.b64", "pymdownx.pathconverter", "pymdownx.snippets", "meta")
"""Extensions that change addresses of files only, or whose work is done before (see `snippets`)."""
# What a site adds for the eye: signs beside headings, colours, tabs of which each has two forms.
_FORCED: Mapping[str, Mapping[str, Any]] = {
    "toc": {"permalink": False, "anchorlink": False, "marker": "", "title": ""},
    "codehilite": {"use_pygments": False},
    "pymdownx.highlight": {"use_pygments": False},
    "pymdownx.arithmatex": {"generic": True},
    "pymdownx.tabbed": {"alternate_style": False},
    "pymdownx.blocks.tab": {"alternate_style": False},
    "pymdownx.magiclink": {},
}
_ICON = re.compile(r":(?:material|fontawesome|octicons|simple|custom)-[\w-]+:")
_SLUGS: Mapping[str, Callable[..., Any]] = {
    "markdown.extensions.toc.slugify": lambda: ascii_slug,
    "markdown.extensions.toc.slugify_unicode": lambda: slugify_unicode,
    "pymdownx.slugs.slugify": slugs.slugify,
    "pymdownx.slugs.uslugify": partial(slugs.slugify, case="lower"),
    "pymdownx.slugs.uslugify_encoded": partial(slugs.slugify, case="lower", percent_encode=True),
    "pymdownx.slugs.uslugify_cased": slugs.slugify,
    "pymdownx.slugs.uslugify_cased_encoded": partial(slugs.slugify, percent_encode=True),
    "pymdownx.slugs.gfm": partial(slugs.slugify, case="lower-ascii"),
    "pymdownx.slugs.gfm_encoded": partial(slugs.slugify, case="lower-ascii", percent_encode=True),
}
"""Makers of the functions that make ids."""
_LANGUAGE = re.compile(r"language-(\S+)")


@dataclass(frozen=True, slots=True)
class Function:
    """A function that a site's configuration names, with the options that it is made with."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether it is one of those that make ids."""
        return self.name in _SLUGS

    def made(self) -> Callable[[str, str], str]:
        """Returns the function."""
        known = {
            name: value for name, value in self.options if name in ("case", "percent_encode", "normalize")
        }
        return _SLUGS[self.name](**known)


@dataclass(frozen=True, eq=False)
class Dialect:
    """The Markdown of one site."""

    extensions: Mapping[str, Mapping[str, Any]]
    """Options by the name of the extension."""

    @cached_property
    def markdown(self) -> Markdown:
        """The parser, made once for all pages: making it takes an eighth of the time of a page."""
        used = {
            name: options
            for name, options in self.extensions.items()
            if name in EXTENSIONS and name not in _LEFT_OUT
        }
        own = [CodeReferences()] if CODE_REFERENCES in self.extensions else []
        return Markdown(
            extensions=[*used, *own], extension_configs={name: _options(name, used[name]) for name in used}
        )


def python_markdown_tree(text: str, dialect: Dialect) -> Element:
    """Returns a page as a tree, headings with their ids.

    Args:
        text: The page below its front matter.
        dialect: The site's Markdown.
    """
    page = html_tree(dialect.markdown.reset().convert(text))
    page.children = list(_shaped(page))
    return page


def _options(name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    options = {key: value for key, value in (given or {}).items() if not isinstance(value, Function)}
    if name == "toc":
        slugify = (given or {}).get("slugify")
        if isinstance(slugify, Function) and slugify.is_known:
            options["slugify"] = slugify.made()
        # Nothing that a site names is imported: the default makes the ids then.
        elif "slugify" in options:
            del options["slugify"]
    if name in ("pymdownx.superfences", "pymdownx.extra"):
        # For every language: the extension's own form would lose a fence's title.
        fences = [{"name": "*", "class": "", "format": _fence, "validator": _any_option}]
        if name == "pymdownx.superfences":
            return {"custom_fences": fences}
        return {"pymdownx.superfences": {"custom_fences": fences}}
    if name == "pymdownx.emoji":
        return {"emoji_index": _emoji_index, "emoji_generator": _emoji}
    if name == "pymdownx.blocks.tab" or name == "pymdownx.tabbed":
        options = {}
    return {**options, **_FORCED.get(name, {})}


def _any_option(
    language: str, inputs: dict[str, str], options: dict[str, Any], attrs: dict[str, Any], md: Any
) -> bool:
    options.update(inputs)
    return True


def _fence(
    source: str, language: str | None, class_name: str, options: dict[str, Any], md: Any, **_: Any
) -> str:
    """Code in fences, with its language and title where the writer of pages looks for them."""
    title = str(options.get("title") or "")
    info = (language or "") + (f' title="{title}"' if title else "")
    return f'<pre info="{html.escape(info)}">{html.escape(source)}</pre>'


class _Icons(dict[str, Any]):
    """Emoji by name; names of the icons of a theme are known, too: they are pictures without a text."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and _ICON.fullmatch(name) is not None)

    def __missing__(self, name: str) -> dict[str, str]:
        return {"name": name, "category": "icon", "unicode": "20"}

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - `get` is what is defined here


def _emoji_index(options: Any, md: Any) -> dict[str, Any]:
    index: dict[str, Any] = emoji.twemoji({}, md)
    known: Mapping[str, Any] = index["emoji"]
    return {**index, "emoji": _Icons(known)}


def _emoji(
    index: Any,
    shortname: str,
    alias: Any,
    uc: Any,
    alt: str,
    title: Any,
    category: str,
    options: Any,
    md: Any,
) -> Any:
    return md.htmlStash.store("" if category == "icon" else alt)


def _shaped(element: Element) -> Iterator[Element | str]:
    """Yields the children in the form that the writer knows: boxes, tabs, code, formulas, footnotes."""
    for child in element.children:
        if isinstance(child, str):
            yield child
            continue
        kind = child.text("class").split()
        child.children = list(_shaped(child))
        if child.name in HEADINGS and child.text("id"):
            yield replace(child, markdown=True)
        elif child.name == "pre" and not child.text("info"):
            language = next(
                (found[1] for part in _codes(child) if (found := _LANGUAGE.search(part.text("class")))), ""
            )
            yield replace(child, attributes={"info": language})
        elif child.name == "p" and ("admonition-title" in kind or "filename" in kind):
            yield replace(child, name="#title")
        elif child.name == "label":
            yield replace(child, name="#title", block=True)
        elif "arithmatex" in kind:
            yield _formula(child)
        elif child.name == "a" and "footnote-backref" in kind:
            continue
        elif child.name == "a" and "footnote-ref" in kind:
            yield Element(
                "#reference", {"number": "".join(part for part in child.children if isinstance(part, str))}
            )
        else:
            yield child


def _codes(element: Element) -> Iterator[Element]:
    return (child for child in element.children if isinstance(child, Element) and child.name == "code")


def _formula(element: Element) -> Element:
    tex = "".join(child for child in element.children if isinstance(child, str)).strip()
    for opening, closing, mark in (("\\(", "\\)", "$"), ("\\[", "\\]", "$$")):
        if tex.startswith(opening) and tex.endswith(closing):
            return Element("#math", {"mark": mark}, [tex[2:-2]], markdown=True, block=mark == "$$")
    return element

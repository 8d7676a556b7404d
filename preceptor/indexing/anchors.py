"""Heading ids of site generators: one `Anchors` for each page, since repeats are numbered.

Each rule was checked against the generator itself; see docs/links.md.
"""

import re
import unicodedata
from typing import Protocol

from preceptor.settings import SiteSettings

_NOT_WORD = re.compile(r"[^\w\- ]")
_KEPT_CATEGORIES = frozenset({"Nd", "Nl", "Pc"})
_LETTER_SYMBOLS = (("Ⓐ", "ⓩ"), ("🄰", "🅉"), ("🅐", "🅩"), ("🅰", "🆉"))
"""Circled and squared letters: alphabetic to Unicode, symbols by category."""
_COUNTED = re.compile(r"(.+)_(\d+)")


class Anchors(Protocol):
    """Gives the headings of one page their ids, in order."""

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading, unique on the page."""
        ...


class GithubAnchors:
    """Ids of github-slugger, which Docusaurus and GitHub use."""

    def __init__(self, *, maintain_case: bool = False) -> None:
        self._maintain_case = maintain_case
        self._seen: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading: `Node & topic` is `node--topic`, and the second one `node--topic-1`."""
        slug = github_slug(text, maintain_case=self._maintain_case)
        unique = slug
        while unique in self._seen:
            self._seen[slug] += 1
            unique = f"{slug}-{self._seen[slug]}"
        self._seen[unique] = 0
        return unique


class MdbookAnchors:
    """Ids of mdBook, which counts repeats by the id without a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        slug = re.sub(r"[A-Z]", lambda letter: letter[0].lower(), re.sub(r"\s", "-", text.strip()))
        slug = "".join(character for character in slug if character.isalnum() or character in "_-")
        count = self._seen.get(slug, 0)
        self._seen[slug] = count + 1
        return f"{slug}-{count}" if count else slug


class MkdocsAnchors:
    """Default ids of Python-Markdown's `toc` extension: ASCII only, repeats as `_1`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        slug = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
        while slug in self._seen or not slug:
            counted = _COUNTED.fullmatch(slug)
            slug = f"{counted[1]}_{int(counted[2]) + 1}" if counted else f"{slug}_1"
        self._seen.add(slug)
        return slug


def anchors(site: SiteSettings) -> Anchors:
    """Returns the id rule of this kind of site, for one page."""
    if site.preset == "mdbook":
        return MdbookAnchors()
    if site.preset == "mkdocs":
        return MkdocsAnchors()
    return GithubAnchors(maintain_case=site.maintain_case)


def github_slug(text: str, *, maintain_case: bool = False) -> str:
    """Returns the text in lower case, with `-` for spaces and only letters, marks, digits, `_` and `-`."""
    text = text if maintain_case else text.lower()
    if text.isascii():
        return _NOT_WORD.sub("", text).replace(" ", "-")
    return "".join(filter(_github_keeps, text)).replace(" ", "-")


def _github_keeps(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category[0] in "LM"
        or category in _KEPT_CATEGORIES
        or character in "- "
        or any(first <= character <= last for first, last in _LETTER_SYMBOLS)
    )

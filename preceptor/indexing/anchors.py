"""Heading ids of site generators: one `Anchors` for each page, since repeats are numbered.

Each rule was checked against the generator itself; see docs/links.md.
"""

import re
import unicodedata
from itertools import chain, count
from typing import Protocol

import regex

from preceptor.settings import SiteSettings

_NOT_WORD = re.compile(r"[^\w\- ]")
_KEPT_CATEGORIES = frozenset({"Nd", "Nl", "Pc"})
_LETTER_SYMBOLS = (("Ⓐ", "ⓩ"), ("🄰", "🅉"), ("🅐", "🅩"), ("🅰", "🆉"))
"""Circled and squared letters: alphabetic to Unicode, symbols by category."""
_COUNTED = re.compile(r"(.*)_([0-9]+)")
_NOT_RUST_ALPHANUMERIC = regex.compile(r"[^\p{Alphabetic}\p{N}_-]")
"""Characters that Rust's `is_alphanumeric` refuses; Python's `isalnum` differs, since it knows no vowel signs."""
_NOT_PANDOC = regex.compile(r"[^\p{L}\p{N}\s_.-]")
_BEFORE_LETTER = regex.compile(r"^[^\p{L}]+")
_NOT_LETTER_OR_DIGIT = regex.compile(r"[^\p{L}\p{N}-]")


_DOCUTILS_LETTERS = str.maketrans(
    dict(zip("øđħıłŧƀƃƈƌƒƙƚƞƥƫƭƴƶǥȥȴȵȶȷȼȿɀɇɉɋɍɏ", "odhiltbbcdfklnpttyzgzlntjcszejqry", strict=True))
    | {"ß": "sz", "æ": "ae", "œ": "oe", "ȸ": "db", "ȹ": "qp"}
)


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
        # Counted by itself as well: a later heading may be called "Node 1".
        self._seen[unique] = 0
        return unique


class MdbookAnchors:
    """Ids of mdBook: letters, digits, `_` and `-` of all scripts; repeats end in `-1`."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        slug = _NOT_RUST_ALPHANUMERIC.sub("", re.sub(r"\s", "-", text.strip().lower()))
        numbered = (f"{slug}-{number}" for number in count(1))
        unique = next(name for name in chain([slug], numbered) if name not in self._used)
        self._used.add(unique)
        return unique


class HuggingFaceAnchors:
    """Ids of Hugging Face's doc-builder: letters, digits and `-`; repeats stay equal."""

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        return _NOT_LETTER_OR_DIGIT.sub("", re.sub(r"\s+", "-", text.strip().lower()))


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


class PandocAnchors:
    """Ids of Pandoc: letters, digits, `_`, `-` and `.`, from the first letter on; repeats end in `-1`."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        slug = pandoc_slug(text)
        numbered = (f"{slug}-{number}" for number in count(1))
        unique = next(name for name in chain([slug], numbered) if name not in self._used)
        self._used.add(unique)
        return unique


class SphinxAnchors:
    """Ids of docutils: ASCII only; repeats, and headings without such a letter, are `id1`, `id2`, …."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._counted = count(1)

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        return self._take(docutils_id(text))

    def label(self, name: str) -> str:
        """Returns the id of a label."""
        return self._take(docutils_id(name))

    def _take(self, wanted: str) -> str:
        if not wanted or wanted in self._used:
            numbered = (f"id{number}" for number in self._counted)
            wanted = next(name for name in numbered if name not in self._used)
        self._used.add(wanted)
        return wanted


class D2lAnchors(SphinxAnchors):
    """Ids of d2lbook: those of docutils, behind Pandoc, which labels a heading whose text was there before."""

    def __init__(self) -> None:
        super().__init__()
        self._pandoc = PandocAnchors()

    def __call__(self, text: str) -> str:
        """Returns the id of the next heading."""
        name = self._pandoc(text)
        if name != pandoc_slug(text):
            self.label(name)  # d2lbook puts it to the heading before, but a number of the page is used up
        return super().__call__(text)

    def cite(self) -> None:
        """Uses up one of the numbered ids, as a citation does."""
        self._take("")

    def begin_cell(self) -> None:
        """Forgets the headings so far: Pandoc reads each cell of a notebook by itself, and code and tabs end one."""
        self._pandoc = PandocAnchors()


def anchors(site: SiteSettings) -> Anchors:
    """Returns the id rule of this kind of site, for one page."""
    if site.preset == "mdbook":
        return MdbookAnchors()
    if site.preset == "quarto":
        return PandocAnchors()
    if site.preset == "d2l":
        return D2lAnchors()
    if site.preset == "sphinx":
        return SphinxAnchors()
    if site.preset == "huggingface":
        return HuggingFaceAnchors()
    if site.preset == "mkdocs":
        return MkdocsAnchors()
    return GithubAnchors(maintain_case=site.maintain_case)


def pandoc_slug(text: str) -> str:
    """Returns the text in lower case, with `-` for spaces and only letters, digits, `_`, `-` and `.`."""
    return _BEFORE_LETTER.sub("", "-".join(_NOT_PANDOC.sub("", text.lower()).split())) or "section"


def github_slug(text: str, *, maintain_case: bool = False) -> str:
    """Returns the text in lower case, with `-` for spaces and only letters, marks, digits, `_` and `-`."""
    text = text if maintain_case else text.lower()
    if text.isascii():
        return _NOT_WORD.sub("", text).replace(" ", "-")
    return "".join(filter(_github_keeps, text)).replace(" ", "-")


def docutils_id(text: str) -> str:
    """Returns the text in lower case without accents, and with one `-` for what else is no letter or digit of ASCII."""
    plain = text.lower().translate(_DOCUTILS_LETTERS)
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"^[-0-9]+|-+$", "", re.sub(r"[^a-z0-9]+", "-", " ".join(ascii_only.split())))


def _github_keeps(character: str) -> bool:
    category = unicodedata.category(character)
    return (
        category[0] in "LM"
        or category in _KEPT_CATEGORIES
        or character in "- "
        or any(first <= character <= last for first, last in _LETTER_SYMBOLS)
    )

"""Reads the top of a page's file: its bytes as text, and its front matter."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from preceptor.errors import PageUnreadable

_FENCED = re.compile(
    r"---[ \t]*(?:ya?ml|(?P<json>json))?[ \t]*(?=\n)(?P<inside>.*?)\n---\n?", re.DOTALL | re.IGNORECASE
)
"""Delimiters of gray-matter: `---` at a line's beginning closes the front matter, whatever follows it."""
_OPENED = re.compile(r"---(?!-)[ \t]*(?:ya?ml)?[ \t]*(?:\n|\Z)", re.IGNORECASE)
_HEADING = re.compile(r"#[ \t]+(?P<title>\S.*)|(?P<underlined>\S.*)\n=+[ \t]*(?:\n|$)")
_TITLE_TAIL = re.compile(r"\s*(?:\{#[\w-]+\}|#+)$")
_UNREADABLE_CHARACTERS = str.maketrans("", "", "\0\ufeff")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C where it was built in
    """YAML loader like js-yaml: `yes` and dates stay strings; numbers become strings in JavaScript's notation."""

    # Empty: PyYAML's own make a boolean of `yes` and a date of 2024-01-01.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_number(self, node: yaml.ScalarNode) -> str:
        return _number_text(self.construct_scalar(node))


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
        r"|\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor("tag:yaml.org,2002:merge", _Loader.construct_scalar)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """Front matter, as far as links, order and text depend on it."""

    id: str | None = None
    title: str | None = None
    slug: str | None = None
    sidebar_label: str | None = None
    sidebar_position: float | None = None
    draft: bool = False
    unlisted: bool = False
    hide_title: bool = False
    number_prefixes: bool = True
    """Docusaurus' `parse_number_prefixes`."""
    format: str | None = None
    """Docusaurus' `mdx: {format: …}`: `md` (CommonMark with HTML), `mdx`, or `detect` (by the file's suffix)."""
    language: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """All values, for `{frontMatter.…}` in the page."""


def read_text(path: Path, source: str) -> str:
    """Reads a page's text: UTF-8 (or UTF-16 with a BOM), with line feeds as its only line endings.

    Args:
        path: The file.
        source: How the page is named in messages.

    Raises:
        PageUnreadable: The file cannot be opened, or its bytes are no text.
    """
    try:
        raw = path.read_bytes()
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        text = raw.decode(encoding)
    except OSError as error:
        raise PageUnreadable(source, error.strerror or "it cannot be opened") from error
    except UnicodeDecodeError as error:
        raise PageUnreadable(source, f"it is not UTF-8 text (byte {error.start})") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_UNREADABLE_CHARACTERS)


def split_front_matter(text: str, source: str, *, must_end: bool = False) -> tuple[FrontMatter, str]:
    """Splits a page into front matter and the rest.

    Args:
        text: The text of the page.
        source: How the page is named in messages.
        must_end: Whether a `---` at the page's beginning opens front matter that goes on until the page's end where no
            other `---` closes it, as in Docusaurus. It is a rule otherwise.

    Raises:
        PageUnreadable: The front matter is not YAML; no site generator would build the page.
    """
    fenced = _FENCED.match(text)
    opened = _OPENED.match(text) if must_end and not fenced else None
    if opened:
        return _front_matter(_unclosed(text[opened.end() :], source)), ""
    read = read_json if fenced and fenced["json"] else read_yaml
    values = read(fenced["inside"] + "\n", source) if fenced else None
    if not fenced or values is None:  # a page may begin with a rule that looks like a fence
        return FrontMatter(), text
    return _front_matter(values), text[fenced.end() :]


def _unclosed(text: str, source: str) -> dict[str, Any]:
    """Reads front matter that nothing closes: the page's text follows it, unless there is none."""
    try:
        values = read_yaml(text, source)
    except PageUnreadable:
        values = None
    if values is None:
        raise PageUnreadable(source, "no line with `---` ends its front matter")
    return values


def read_json(text: str, source: str) -> dict[str, Any] | None:
    """Reads a JSON object with numbers as strings; None if the JSON is not an object.

    Raises:
        PageUnreadable: It is not JSON.
    """
    try:
        loaded: object = json.loads(
            text, parse_int=_number_text, parse_float=_number_text, parse_constant=_number_text
        )
    except (ValueError, RecursionError) as error:
        raise PageUnreadable(source, f"its front matter is not valid ({error})") from error
    return loaded if isinstance(loaded, dict) else None


def read_yaml(text: str, source: str) -> dict[str, Any] | None:
    """Reads a YAML mapping with strings, booleans or None as scalars; None if the YAML is not a mapping.

    Raises:
        PageUnreadable: It is not YAML.
    """
    try:
        loaded: object = yaml.load(text, _Loader)  # noqa: S506 - the loader is a safe one
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise PageUnreadable(source, f"its front matter is not valid ({problem}{where})") from error
    if loaded is None:
        return {}
    return {str(name): value for name, value in loaded.items()} if isinstance(loaded, dict) else None


def content_title(body: str) -> str | None:
    """Returns the level-1 heading that opens the page, as Docusaurus finds it; imports may come before it."""
    rest = body.strip()
    while rest.startswith("import ") and "\n\n" in rest:
        rest = rest.split("\n\n", 1)[1].lstrip("\n")
    heading = _HEADING.match(rest)
    if not heading:
        return None
    title = heading["title"] or heading["underlined"]
    return _TITLE_TAIL.sub("", title.strip()).replace("`", "").strip() or None


def _front_matter(values: Mapping[str, Any]) -> FrontMatter:
    mdx = values.get("mdx")
    return FrontMatter(
        id=_text(values.get("id")),
        title=_text(values.get("title")),
        slug=_text(values.get("slug")),
        sidebar_label=_text(values.get("sidebar_label")),
        sidebar_position=_number(values.get("sidebar_position")),
        draft=_flag(values.get("draft"), default=False),
        unlisted=_flag(values.get("unlisted"), default=False),
        hide_title=_flag(values.get("hide_title"), default=False),
        number_prefixes=_flag(values.get("parse_number_prefixes"), default=True),
        format=_text(mdx.get("format")) if isinstance(mdx, dict) else None,
        language=_text(values.get("lang")) or _text(values.get("language")),
        values=values,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _number_text(written: str) -> str:
    """Formats a number of YAML or JSON like JavaScript's `String`."""
    text = written.lower().lstrip("+")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(text.lstrip("-")[:2])
    try:
        number = float(int(text, base)) if base else float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except OverflowError:  # only of whole numbers: JavaScript has none of that size
        number = -math.inf if text.startswith("-") else math.inf
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number and not 1e-6 <= abs(number) < 1e21:
        return re.sub(r"e([-+])0", r"e\1", repr(number)).replace(".0e", "e")
    return f"{Decimal(repr(number + 0.0)):f}".removesuffix(".0")


def _flag(value: object, *, default: bool) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else default

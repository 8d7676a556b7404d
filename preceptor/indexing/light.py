"""The light Markdown of passages: visible text with as few marks as possible."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

LINE_BREAK = "\v"
"""Placeholder for `<br>` in text that `tidy` has not processed."""

_CODE_TITLE = re.compile(r"\btitle=(?P<quote>[\"'])(?P<title>.*?)(?<!\\)(?P=quote)")
_LANGUAGE = re.compile(r"(?!title=)[^\s{]+")
_LINE_RANGE = re.compile(r"\{[\d,-]+\}")
_MAGIC_COMMENT = re.compile(
    r"^[ \t]*(?://|#|/\*|\{\s*/\*|<!--|%|--|;|REM|')[ \t]*highlight-(?:next-line|start|end)\b[^\n]*(?:\n|\Z)",
    re.MULTILINE,
)
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\u2060\ufeff\ud800-\udfff]")
_BACKTICKS = re.compile(r"`+")
_RUST_HIDDEN = re.compile(r"[ \t]*#(?: .*)?")
_RUST_ESCAPED = re.compile(r"^([ \t]*)##", re.MULTILINE)
_HIDE_LINES = re.compile(r"\bhidelines=(?P<prefix>[^\s,}]+)")
_SHORTCODE = re.compile(r":[\w+-]+:")


def tidy(text: str) -> str:
    """Removes invisible characters and collapses white space like a browser."""
    lines = (" ".join(line.split()) for line in _INVISIBLE.sub("", text).split(LINE_BREAK))
    return "\n".join(filter(None, lines))


def with_emoji(text: str) -> str:
    """Replaces `:shortcodes:` by the emoji that they name."""
    return _SHORTCODE.sub(lambda match: _emoji(match[0]), text) if text.count(":") > 1 else text


def inline_code(text: str) -> str:
    """Wraps code between as many backticks as it needs; empty if there is no code."""
    text = " ".join(text.split())
    if not text:
        return ""
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def fenced_code(code: str, info: str) -> str:
    """Returns a code block with its language and title; empty if there is no code.

    Args:
        code: Source text; Docusaurus' comments that only highlight lines are removed.
        info: Text after the fence in the source: language, `title="…"` and more.
    """
    if "highlight-" in code and not _LINE_RANGE.search(info):
        code = _MAGIC_COMMENT.sub("", code)
    code = _INVISIBLE.sub("", code).strip("\n").rstrip()
    if not code.strip():
        return ""
    language = _LANGUAGE.match(info)
    title = _CODE_TITLE.search(info)
    about = [language[0] if language else "", f'title="{title["title"]}"' if title and title["title"] else ""]
    fence = "`" * max(3, _longest_run(code) + 1)
    return f"{fence}{' '.join(filter(None, about))}\n{code}\n{fence}"


def shown_lines(code: str, info: str, prefixes: Mapping[str, str]) -> str:
    """Returns a code block without the lines that mdBook hides: after `# ` in Rust, after a prefix elsewhere.

    Args:
        code: The code in the source.
        info: The text after the opening fence.
        prefixes: Prefixes by language, from `output.html.code.hidelines` of book.toml.
    """
    language = re.split(r"[\s,{]", info, maxsplit=1)[0]
    if language == "rust":
        lines = [line for line in code.split("\n") if not _RUST_HIDDEN.fullmatch(line)]
        return _RUST_ESCAPED.sub(r"\1#", "\n".join(lines))
    own = _HIDE_LINES.search(info)
    prefix = own["prefix"] if own else prefixes.get(language, "")
    if not prefix:
        return code
    return "\n".join(line for line in code.split("\n") if not line.lstrip().startswith(prefix))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table whose first row is its header."""
    columns = max(map(len, rows))
    lines = [" | ".join(["", *row, *[""] * (columns - len(row)), ""]).strip() for row in rows]
    return "\n".join([lines[0], "|" + "---|" * columns, *lines[1:]])


def _longest_run(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)


@lru_cache
def _emoji(shortcode: str) -> str:
    from emoji import emojize  # its tables take a third of a second to load, and few pages need them

    return emojize(shortcode, language="alias")

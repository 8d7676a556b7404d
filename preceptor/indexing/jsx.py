"""Scans JavaScript inside MDX only to separate it from text: tags, `{expressions}`, imports, exports.

Nothing is evaluated. Brackets and quotes are matched, strings are read, all other code is skipped.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

# Whether a slash begins a regular expression depends on the token before it, which a scanner without a
# grammar does not have. The preceding character is a good stand-in: after an operator, an opening bracket or
# `return` an operand follows. Quantifiers are possessive, so that an unclosed literal fails in linear time.
_REGEX = (
    r"(?:(?<=[=(,:\[!&|?;{])|(?<==>)|(?<=\breturn))[ \t]*(?:\n[ \t]*)?"
    r"/(?![*/>])(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n])*+\]|[^/\\\[\n])++/[a-z]*"
)
"""A regular expression literal; in other places a slash divides, or belongs to a comment or a tag."""
# Everything inside which a bracket does not count, and the brackets of `{…}`. `//` after a colon is the
# middle of an address in text, not a comment.
_CODE = re.compile(
    rf"""{_REGEX}|[{{}}`]|'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|/\*|(?<![:\\])//[^\n]*""", re.DOTALL
)
# A template literal has rules of its own: only `${` returns to code.
_TEMPLATE = re.compile(r"\\.|`|\$\{", re.DOTALL)
# Imports and exports also nest in `()` and `[]`, and end at a blank line outside of them.
_BLANK = re.compile(r"\n[ \t]*(?=\n|\Z)")
_BRACKETS = re.compile(rf"{_CODE.pattern}|[()\[\]]|{_BLANK.pattern}", re.DOTALL)
# A name with dots or a colon: `<Tabs.Item>`, `<svg:path>`.
_TAG_NAME = re.compile(r"[A-Za-z_$][\w$-]*(?:[.:][A-Za-z_$][\w$-]*)*")
_SPACE = re.compile(r"\s*")
# Vue's `:prop`, `@event` and `#slot` and Angular's `[prop]` and `(event)` occur in HTML that pages quote.
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_$@:*#\[(][\w$.:\-\])]*")
_BARE_VALUE = re.compile(r"[^\s\"'=<>`{}]+")
_STRING = re.compile(r"""\s*(?P<quote>['"`])(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)\s*""", re.DOTALL)
_HOLE = re.compile(r"\$\{[^{}]*\}")
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "", "b": "", "f": "", "v": "", "0": "", "\n": ""}
# Atomic: alternatives that overlap in white space would backtrack exponentially.
_COMMENTS = re.compile(r"(?>\s+|/\*.*?\*/|//[^\n]*)*+", re.DOTALL)

# Narrow on purpose: a paragraph may begin with "import" or "export", and MDX would refuse such a page.
_ESM = re.compile(
    r"import \s*(?:['\"{*]|type\b|[\w$]+\s*(?:,|\sfrom\b))"
    r"|export \s*(?:\{|\*|(?:default|const|let|var|function|async|class|type|interface|enum|declare|abstract)\b)"
)
# Bounded: without its `from`, each `import` would be followed to the end of the code.
_IMPORT = re.compile(
    r"^[ \t]*import\s+(?P<what>[^'\";]{1,1000}?)\bfrom\s*['\"](?P<path>[^'\"\n]+)['\"]", re.MULTILINE
)
_EXPORTED = re.compile(
    r"^[ \t]*export\s+(?:default\s+)?(?:const|let|var|function\*?|async\s+function|class)\s+(?P<name>[\w$]+)"
    r"(?:\s*(?::[^=\n]*)?=\s*(?P<value>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|`[^`$]*`|-?\d[\d.]*)\s*(?:;|$))?",
    re.MULTILINE,
)
_EXPORTED_VALUE = re.compile(r"\s*(?::[^=\n]*)?=\s*(?=[\[{])")
_NEXT_STATEMENT = re.compile(r"^(?:export|import)\b", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_DEFAULT = re.compile(r"\bdefault\s+as\s+(?P<name>[\w$]+)")
_ALL = re.compile(r"\*\s*as\s+(?P<name>[\w$]+)")

_QUOTED = r"""'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|`(?:[^`\\]|\\.)*+`"""
_VALUE = re.compile(
    rf"""/\*.*?\*/|(?<!:)//[^\n]*|(?P<name>[\w$-]+|'[\w -]+'|"[\w -]+")\s*:(?=\s*[\['"`{{<(])"""
    rf"""|(?P<string>{_QUOTED})|(?P<mark>[{{}}\[\],])"""
    r"""|(?P<tag></?[A-Za-z][^<>{}]*>|</?>)(?P<text>[^<>{}]*)""",
    re.DOTALL,
)

_WORK_PER_CHARACTER = 40
"""Average number of times that a character may be visited in the search for closing brackets."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression: the code between `{` and `}`."""

    code: str

    @property
    def is_comment(self) -> bool:
        """Whether it contains only comments."""
        return _COMMENTS.fullmatch(self.code) is not None

    @property
    def comment(self) -> str:
        """Returns the text of the comment, if the code is exactly one `/* … */`."""
        code = self.code.strip()
        return (
            code[2:-2].strip()
            if self.is_comment and code[:2] == "/*" and code.find("*/") == len(code) - 2
            else ""
        )

    @property
    def literal(self) -> str | None:
        """Returns the text of a string without `${}`, or a number; None for any other code."""
        return literal(self.code)

    @property
    def verbatim(self) -> str:
        """Returns the text of a string with its `${}` unchanged, or a number; empty for any other code."""
        return literal(self.code, holes=True) or ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag: `<Name attribute="value">`, `</Name>` or `<Name/>`; a fragment's name is empty."""

    name: str
    closing: bool = False
    self_closing: bool = False
    attributes: Mapping[str, str | Expression] = field(default_factory=dict[str, str | Expression])

    def text(self, *names: str) -> str:
        """Returns the first of these attributes that is a string."""
        for name in names:
            value = self.attributes.get(name)
            text = value.literal if isinstance(value, Expression) else value
            if text:
                return text
        return ""


@dataclass(frozen=True, slots=True)
class Bindings:
    """Names that a page's imports and exports define."""

    imports: Mapping[str, str] = field(default_factory=dict[str, str])
    """Paths of default imports by the name in tags."""
    constants: Mapping[str, str] = field(default_factory=dict[str, str])
    """Exported strings and numbers."""
    values: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    """Exported lists and objects."""
    names: frozenset[str] = frozenset()
    """Every name that is imported or exported."""


class Scanner:
    """Reads tags and expressions from one text, in time linear in its length.

    A bracket without its partner makes a search run to the end of the text. Many of them would make the time grow
    with the square, so that the searches share an allowance; when it is used up, brackets are plain text.
    """

    def __init__(self, length: int) -> None:
        self._left = length * _WORK_PER_CHARACTER + 10_000

    def expression(self, text: str, start: int, end: int) -> int:
        """Returns the end of the expression that begins at `start` (after its `}`); -1 if it does not end."""
        open_: list[str] = []
        at = start
        while self._left > 0:
            inside_template = open_[-1:] == ["`"]
            match = (_TEMPLATE if inside_template else _CODE).search(text, at, end)
            if not match:
                break
            at = match.end()
            found = match[0]
            if found == "/*":
                at = text.find("*/", at, end)
                if at < 0:
                    break
                at += 2
            elif found in ("{", "${") or (found == "`" and not inside_template):
                open_.append(found[-1])
            elif found in ("}", "`"):
                open_.pop()
                if not open_:
                    self._left -= at - start
                    return at
        self._left -= end - start
        return -1

    def esm(self, text: str, start: int) -> int:
        """Returns the end of the imports and exports that begin at `start`: the first blank line outside brackets.

        Returns:
            The offset of the line break before the blank line, or the text's length; -1 when it is no import or
            export.
        """
        if not _ESM.match(text, start):
            return -1
        depth, in_template, at = 0, False, start
        while self._left > 0 and (match := (_TEMPLATE if in_template else _BRACKETS).search(text, at)):
            at = match.end()
            found = match[0]
            if found == "`":
                in_template = not in_template
            elif in_template:
                continue
            elif found == "/*":
                close = text.find("*/", at)
                at = close + 2 if close >= 0 else len(text)
            elif found in "{([":
                depth += 1
            elif found in "})]":
                depth -= 1
            elif found.isspace() and depth <= 0:
                break
        else:
            # A bracket that never closes would swallow the page, so that the first blank line ends the code.
            self._left -= len(text) - start
            if depth <= 0 and not in_template:
                return len(text)
            # Brackets or a template that never close would take the rest of the page with them.
            blank = _BLANK.search(text, start)
            return blank.start() if blank else len(text)
        self._left -= at - start
        return match.start()

    def tag(self, text: str, start: int, end: int) -> tuple[Tag, int] | None:
        """Returns the tag that begins at `start` and its end; None if the text is not a tag."""
        at = start + 1
        closing = text.startswith("/", at)
        at += closing
        name = _TAG_NAME.match(text, at, end)
        at = name.end() if name else at
        attributes: dict[str, str | Expression] = {}
        while self._left > 0:
            before = at
            at = self._spaces(text, at, end)
            if at >= end:
                break
            if text[at] == ">":
                self._left -= at - start
                return Tag(name[0] if name else "", closing, False, attributes), at + 1
            if text.startswith("/>", at, end):
                self._left -= at - start
                return Tag(name[0] if name else "", closing, True, attributes), at + 2
            # A fragment has no attributes, and a name must be followed by a space: `a <b, c` is text.
            if not name or (at == before and attributes == {} and text[at] != "{"):
                return None
            after = self._attribute(text, at, end, attributes)
            if after < 0:
                self._left -= at - start
                return None
            at = after
        self._left -= end - start
        return None

    def _spaces(self, text: str, at: int, end: int) -> int:
        match = _SPACE.match(text, at, end)
        return match.end() if match else at

    def _attribute(self, text: str, at: int, end: int, attributes: dict[str, str | Expression]) -> int:
        if text[at] == "{":  # {...spread}
            return self.expression(text, at, end)
        name = _ATTRIBUTE_NAME.match(text, at, end)
        if not name:
            return -1
        equals = self._spaces(text, name.end(), end)
        if not text.startswith("=", equals, end):
            attributes[name[0]] = ""
            return name.end()
        at = self._spaces(text, equals + 1, end)
        if at >= end:
            return -1
        if text[at] in "\"'":
            close = text.find(text[at], at + 1, end)
            if close < 0:
                self._left -= end - at
                return -1
            attributes[name[0]] = html.unescape(text[at + 1 : close])
            return close + 1
        if text[at] == "{":
            close = self.expression(text, at, end)
            if close > 0:
                attributes[name[0]] = Expression(text[at + 1 : close - 1])
            return close
        bare = _BARE_VALUE.match(text, at, end)
        if not bare:
            return -1
        attributes[name[0]] = html.unescape(bare[0])
        return bare.end()


def bindings(code: str) -> Bindings:
    """Returns the names that these imports and exports define."""
    imports: dict[str, str] = {}
    constants: dict[str, str] = {}
    values: dict[str, Expression] = {}
    names: set[str] = set()
    for match in _IMPORT.finditer(code):
        what = match["what"]
        names.update(_NAME.findall(what))
        # `import A from` and `import {default as A} from` name the same thing.
        for default in (_NAME.match(what), _DEFAULT.search(what)):
            if default:
                imports[default[default.lastgroup or 0]] = match["path"]
        every = _ALL.search(what)
        if every:
            imports[f"{every['name']}.default"] = match["path"]
    for match in _EXPORTED.finditer(code):
        names.add(match["name"])
        value = literal(match["value"]) if match["value"] else None
        if value is not None:
            constants[match["name"]] = value
        start = _EXPORTED_VALUE.match(code, match.end())
        if start:
            following = _NEXT_STATEMENT.search(code, start.end())
            values[match["name"]] = Expression(
                code[start.end() : following.start() if following else len(code)]
            )
    # Without the words of the statements, which look like names.
    return Bindings(imports, constants, values, frozenset(names - {"from", "as", "type", "default"}))


@dataclass(frozen=True, slots=True)
class Text:
    """A string in a JavaScript literal, or text between its tags."""

    group: int
    """Number of the object that holds the string; strings of a list have numbers of their own."""
    name: str
    """Key in the object, or name of the list."""
    text: str


def strings(code: str) -> Iterator[Text]:
    """Yields the strings in a literal of lists, objects and tags, in order."""
    lists: list[str | None] = []  # for each open bracket the list's name, or None of an object
    groups, count, name, between = [0], 0, "", list[str]()
    for match in _VALUE.finditer(code):
        if match["tag"] is not None:
            between.append(match["text"])
            continue
        yield from _text_between(between, groups[-1], name)
        between.clear()
        if match["name"]:
            name = match["name"].strip("'\"")
        elif match["string"]:
            text = literal(match["string"], holes=True)
            if text:
                yield Text(groups[-1], name, _HOLE.sub(" ", text))
        elif match["mark"] == "[":
            lists.append(name)
        elif match["mark"] == "{":
            count += 1
            lists.append(None)
            groups.append(count)
            name = ""
        elif match["mark"] == ",":
            name = (lists[-1] if lists else None) or ""
            if len(groups) == 1:  # of a list outside of objects: each item is by itself
                count += 1
                groups = [count]
        elif lists:
            is_object = lists.pop() is None
            groups = groups[:-1] if is_object and len(groups) > 1 else groups
            name = ""
    yield from _text_between(between, groups[-1], name)


def _text_between(tags: Sequence[str], group: int, name: str) -> Iterator[Text]:
    text = " ".join(" ".join(tags).split())
    if text:
        yield Text(group, name, text)


def literal(code: str, *, holes: bool = False) -> str | None:
    """Returns the text of a string, or of a number; None for any other code.

    Args:
        code: JavaScript.
        holes: Whether a template may hold `${}`.
    """
    number = _NUMBER.fullmatch(code)
    if number:
        return number[1]
    string = _STRING.fullmatch(code)
    # An escaped `\${` is text.
    if not string or (string["quote"] == "`" and not holes and "${" in _ESCAPE.sub(" ", string["text"])):
        return None
    return _ESCAPE.sub(_unescaped, string["text"])


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits is None:
        return _ESCAPED.get(match[4], match[4])
    code = int(digits, 16)
    # Half of a pair is no character, and could not be written to the index.
    return chr(code) if code < 0xD800 or 0xE000 <= code <= 0x10FFFF else "\ufffd"

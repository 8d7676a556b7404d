"""Reads the literals of a JavaScript or TypeScript file without running it.

Strings, numbers, lists and objects; constants, also those of files beside it; templates; conditions whose outcome is
plain. Environment variables are taken to be unset (`NODE_ENV` is `production`, as in a build), and are named. Anything
else is `Computed`: it names the code, so that the author can be told which setting to write.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

_DEEPEST = 60
_MOST_FILES = 20
_SUFFIXES = ("", ".js", ".ts", ".mjs", ".cjs", ".mts", ".cts", ".json", "/index.js", "/index.ts")
_TYPES = frozenset(
    {"as_expression", "satisfies_expression", "non_null_expression", "parenthesized_expression"}
)
_FUNCTIONS = frozenset({"arrow_function", "function_declaration", "function_expression", "function"})
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that only running the code would give."""

    code: str
    line: int


@dataclass(frozen=True, slots=True)
class Undefined:
    """JavaScript's `undefined`."""


class Members(Mapping[str, Any]):
    """An object: each member is read when it is asked for."""

    def __init__(self, file: "JavaScript", scope: "_Scope", node: Node) -> None:
        self._file = file
        self._read: dict[str, Any] = {}
        self._nodes: dict[str, tuple[Node, _Scope]] = {}
        self.unread: Computed | None = None
        """The first part, such as `...options`, of whose members nothing is known."""
        for child in node.named_children:
            self._add(child, scope)

    def __getitem__(self, name: str) -> Any:
        if name in self._nodes:
            node, scope = self._nodes[name]
            return self._file.value(node, scope)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._read, **self._nodes})

    def __len__(self) -> int:
        return len({**self._read, **self._nodes})

    def _add(self, child: Node, scope: "_Scope") -> None:
        match child.type:
            case "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                name = self._file.name(key, scope) if key else None
                if name is not None and value:
                    self._nodes[name] = (value, scope)
            case "shorthand_property_identifier":
                self._nodes[_text(child)] = (child, scope)
            case "method_definition":
                name = child.child_by_field_name("name")
                if name:
                    self._nodes[_text(name)] = (child, scope)
            case "spread_element":
                spread = self._file.value(child.named_children[0], scope)
                if isinstance(spread, Members):
                    self._nodes |= spread._nodes
                    self._read |= spread._read
                    self.unread = self.unread or spread.unread
                elif isinstance(spread, Mapping):
                    self._read |= spread
                elif isinstance(spread, Computed):
                    self.unread = self.unread or spread
            case _:
                pass


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names and the code that they stand for; an inner scope looks into the outer one."""

    names: dict[str, Node] = field(default_factory=dict[str, Node])
    outer: "_Scope | None" = None

    def find(self, name: str) -> "tuple[Node, _Scope] | None":
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name], scope
            scope = scope.outer
        return None


class JavaScript:
    """One file, parsed."""

    def __init__(self, path: Path, root: Path, *, opened: "dict[Path, JavaScript] | None" = None) -> None:
        """Parses a file.

        Args:
            path: The file.
            root: The folder outside of which no file is opened.
            opened: Files that are parsed already.

        Raises:
            OSError: It cannot be opened.
        """
        self._path, self._root = path, root
        self._opened = opened if opened is not None else {}
        self._opened[path] = self
        self._tree = _parser(typescript=path.suffix in (".ts", ".mts", ".cts")).parse(path.read_bytes())
        self._scope = _Scope()
        self._depth = 0
        self.assumed: set[str] = set()
        """Environment variables that values so far were read without."""
        _declare(self._tree.root_node, self._scope)

    def exported(self) -> Any:
        """Returns the default export; the object that a function returns where it is a function."""
        found = self._exported()
        if found is None:
            return Computed(self._path.name, 1)
        value = self.value(found, self._scope)
        return self._returned(found, self._scope) if isinstance(value, Computed) else value

    def export(self, name: str) -> Any:
        """Returns the constant of this name."""
        found = self._scope.find(name)
        if found:
            return self.value(*found)
        exported = self.exported()
        return exported.get(name, Undefined()) if isinstance(exported, Mapping) else Computed(name, 1)

    def value(self, node: Node, scope: _Scope) -> Any:
        """Returns a value as Python has it, or `Computed`."""
        if self._depth > _DEEPEST:
            return _computed(node)
        self._depth += 1
        try:
            return self._value(node, scope)
        finally:
            self._depth -= 1

    def name(self, node: Node, scope: _Scope) -> str | None:
        """Returns the name of an object's member."""
        if node.type == "computed_property_name":
            value = self.value(node.named_children[0], scope)
            return value if isinstance(value, str) else None
        value = self.value(node, scope) if node.type in ("string", "number") else _text(node)
        return str(value)

    def _value(self, node: Node, scope: _Scope) -> Any:
        kind = node.type
        if kind in _TYPES or kind == "await_expression":
            return self.value(node.named_children[0], scope)
        match kind:
            case "string":
                return _string(node)
            case "template_string":
                return self._template(node, scope)
            case "number":
                return _number(node)
            case "true" | "false":
                return kind == "true"
            case "null":
                return None
            case "undefined":
                return Undefined()
            case "array":
                return self._list(node, scope)
            case "object":
                return Members(self, scope, node)
            case "identifier" | "shorthand_property_identifier":
                return self._named(node, scope)
            case "member_expression" | "subscript_expression":
                return self._member(node, scope)
            case "unary_expression":
                return self._unary(node, scope)
            case "binary_expression":
                return self._binary(node, scope)
            case "ternary_expression":
                return self._choice(node, scope)
            case "call_expression":
                return self._call(node, scope)
            case _:
                return _computed(node)

    def _template(self, node: Node, scope: _Scope) -> Any:
        parts: list[str] = []
        for child in node.named_children:
            if child.type == "template_substitution":
                value = self.value(child.named_children[0], scope)
                if not isinstance(value, str | int | float) or isinstance(value, bool):
                    return _computed(node)
                parts.append(str(value))
            else:
                parts.append(_unescaped(child))
        return "".join(parts)

    def _list(self, node: Node, scope: _Scope) -> list[Any]:
        found: list[Any] = []
        for child in node.named_children:
            if child.type == "spread_element":
                inner = self.value(child.named_children[0], scope)
                found += inner if isinstance(inner, list) else [_computed(child)]
            elif child.type != "comment":
                found.append(self.value(child, scope))
        return found

    def _named(self, node: Node, scope: _Scope) -> Any:
        name = _text(node)
        if name == "undefined":
            return Undefined()
        if name == "__dirname":
            return str(self._path.parent)
        found = scope.find(name)
        if not found:
            return _computed(node)
        return self._import(*found, name) if found[0].type == "import_statement" else self.value(*found)

    def _import(self, statement: Node, scope: _Scope, name: str) -> Any:
        source = statement.child_by_field_name("source")
        file = self._file(_string(source)) if source else None
        if file is None:
            return _computed(statement)
        if not isinstance(file, JavaScript):
            return file
        for specifier in _all(statement, "import_specifier"):
            alias = specifier.child_by_field_name("alias") or specifier.child_by_field_name("name")
            original = specifier.child_by_field_name("name")
            if alias and original and _text(alias) == name:
                return self._of(file, file.export(_text(original)))
        return self._of(file, file.exported())

    def _of(self, file: "JavaScript", value: Any) -> Any:
        self.assumed |= file.assumed
        return value

    def _file(self, name: str) -> Any:
        """Returns another file of the site, by a path as seen from this one; None when it is not to be read."""
        if not name.startswith("."):
            return None
        base = self._path.parent / name
        for suffix in _SUFFIXES:
            path = Path(f"{base}{suffix}").resolve()
            if not path.is_file() or not path.is_relative_to(self._root):
                continue
            if path in self._opened:
                return self._opened[path]
            if len(self._opened) >= _MOST_FILES:
                return None
            try:
                if path.suffix == ".json":
                    return json.loads(path.read_text(encoding="utf-8-sig"))
                return JavaScript(path, self._root, opened=self._opened)
            except (OSError, ValueError, RecursionError):
                return None
        return None

    def _member(self, node: Node, scope: _Scope) -> Any:
        written = _text(node)
        if written.startswith("process.env."):
            variable = written.removeprefix("process.env.")
            if variable == "NODE_ENV":
                return "production"
            self.assumed.add(variable)
            return Undefined()
        owner = node.child_by_field_name("object")
        member = node.child_by_field_name("property") or node.child_by_field_name("index")
        held = self.value(owner, scope) if owner else Undefined()
        key = _text(member) if member and member.type == "property_identifier" else None
        if member and key is None:
            key = self.value(member, scope)
        if isinstance(held, Mapping) and isinstance(key, str):
            unread = held.unread if isinstance(held, Members) else None
            return held[key] if key in held else unread or Undefined()
        if isinstance(held, list) and isinstance(key, int) and 0 <= key < len(held):
            return held[key]
        return _computed(node)

    def _unary(self, node: Node, scope: _Scope) -> Any:
        argument, operator = node.child_by_field_name("argument"), node.child_by_field_name("operator")
        value = self.value(argument, scope) if argument else Undefined()
        if isinstance(value, Computed):
            return _computed(node)
        match _text(operator) if operator else "":
            case "!":
                return not _true(value)
            case "-" if isinstance(value, int | float):
                return -value
            case _:
                return _computed(node)

    def _binary(self, node: Node, scope: _Scope) -> Any:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if not left or not right or not operator:
            return _computed(node)
        one = self.value(left, scope)
        if isinstance(one, Computed):
            return _computed(node)
        match _text(operator):
            case "??":
                return self.value(right, scope) if one is None or isinstance(one, Undefined) else one
            case "||":
                return one if _true(one) else self.value(right, scope)
            case "&&":
                return self.value(right, scope) if _true(one) else one
            case _:
                pass
        other = self.value(right, scope)
        if isinstance(other, Computed):
            return _computed(node)
        match _text(operator):
            case "===" | "==":
                return one == other
            case "!==" | "!=":
                return one != other
            case "+" if isinstance(one, str) and isinstance(other, str):
                return one + other
            case _:
                return _computed(node)

    def _choice(self, node: Node, scope: _Scope) -> Any:
        condition = node.child_by_field_name("condition")
        value = self.value(condition, scope) if condition else Undefined()
        if isinstance(value, Computed):
            return _computed(node)
        chosen = node.child_by_field_name("consequence" if _true(value) else "alternative")
        return self.value(chosen, scope) if chosen else _computed(node)

    def _call(self, node: Node, scope: _Scope) -> Any:
        function, given = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        called = _text(function) if function else ""
        arguments = [child for child in (given.named_children if given else ()) if child.type != "comment"]
        if called == "require" and arguments:
            file = self._file(str(self.value(arguments[0], scope)))
            if isinstance(file, JavaScript):
                return self._of(file, file.exported())
            return _computed(node) if file is None else file
        if called == "require.resolve" and arguments:
            return self.value(arguments[0], scope)
        if called in ("path.join", "path.resolve", "join", "resolve"):
            parts = [self.value(argument, scope) for argument in arguments]
            if parts and all(isinstance(part, str) for part in parts):
                return str(PurePosixPath(*parts))
        if function and function.type == "member_expression" and called.endswith(".filter"):
            owner = function.child_by_field_name("object")
            held = self.value(owner, scope) if owner else None
            if isinstance(held, list) and [_text(argument) for argument in arguments] == ["Boolean"]:
                return [one for one in held if isinstance(one, Computed) or _true(one)]
        return _computed(node)

    def _exported(self) -> Node | None:
        found = None
        for statement in self._tree.root_node.named_children:
            if statement.type == "export_statement" and any(
                part.type == "default" for part in statement.children
            ):
                found = (
                    statement.child_by_field_name("value")
                    or statement.child_by_field_name("declaration")
                    or found
                )
            if statement.type == "expression_statement" and statement.named_children:
                assigned = statement.named_children[0]
                left = (
                    assigned.child_by_field_name("left") if assigned.type == "assignment_expression" else None
                )
                if left and _text(left) in ("module.exports", "exports.default"):
                    found = assigned.child_by_field_name("right") or found
        return found

    def _returned(self, node: Node, scope: _Scope) -> Any:
        """Returns the object that a function returns at its end, or that a call is given first."""
        while node.type in _TYPES:
            node = node.named_children[0]
        if node.type == "identifier" and (found := scope.find(_text(node))):
            node, scope = found
        if node.type in _FUNCTIONS:
            body = node.child_by_field_name("body")
            if body is None:
                return _computed(node)
            if body.type != "statement_block":
                return self.value(body, scope)
            inner = _Scope(outer=scope)
            _declare(body, inner)
            returned = [part for part in body.named_children if part.type == "return_statement"]
            return self.value(returned[-1].named_children[0], inner) if returned else _computed(node)
        if node.type == "call_expression" and (given := node.child_by_field_name("arguments")):
            first = next((part for part in given.named_children if part.type != "comment"), None)
            value = self.value(first, scope) if first else None
            return value if isinstance(value, Mapping) else _computed(node)
        return _computed(node)


@cache
def _parser(*, typescript: bool) -> Parser:
    grammar = (
        tree_sitter_typescript.language_typescript if typescript else tree_sitter_typescript.language_tsx
    )
    return Parser(Language(grammar()))


def _declare(block: Node, scope: _Scope) -> None:
    """Enters what the statements of a block declare."""
    for statement in block.named_children:
        declared = (
            statement.child_by_field_name("declaration")
            if statement.type == "export_statement"
            else statement
        )
        if declared is None:
            continue
        if declared.type in ("lexical_declaration", "variable_declaration"):
            for declarator in declared.named_children:
                name, value = declarator.child_by_field_name("name"), declarator.child_by_field_name("value")
                if name and value and name.type == "identifier":
                    scope.names[_text(name)] = value
        elif declared.type == "function_declaration" and (name := declared.child_by_field_name("name")):
            scope.names[_text(name)] = declared
        elif declared.type == "import_statement":
            for clause in _all(declared, "import_clause"):
                named = (one for one in clause.named_children if one.type == "identifier")
                scope.names.update((_text(one), declared) for one in named)
            for specifier in _all(declared, "import_specifier"):
                alias = specifier.child_by_field_name("alias") or specifier.child_by_field_name("name")
                if alias:
                    scope.names[_text(alias)] = declared


def _all(node: Node, kind: str) -> Iterator[Node]:
    for child in node.named_children:
        if child.type == kind:
            yield child
        yield from _all(child, kind)


def _computed(node: Node) -> Computed:
    code = " ".join(_text(node).split())
    return Computed(code if len(code) <= 60 else f"{code[:59]}…", node.start_point[0] + 1)


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _string(node: Node) -> str:
    return "".join(map(_unescaped, node.named_children))


def _unescaped(part: Node) -> str:
    text = _text(part)
    if part.type != "escape_sequence":
        return text
    digits = text[2:].strip("{}")
    if text[1] in "ux" and digits:
        return chr(int(digits, 16))
    return "" if text[1] in "\r\n" else _ESCAPES.get(text[1], text[1:])


def _number(node: Node) -> float | int | Computed:
    text = _text(node).replace("_", "")
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return _computed(node)


def _true(value: Any) -> bool:
    """Whether JavaScript takes it for true: an empty list or object is."""
    return not isinstance(value, Undefined) and (isinstance(value, list | Mapping) or bool(value))

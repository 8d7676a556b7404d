"""Would the tests notice? Makes small faults in one module, one at a time, and runs the tests that pass through them.

    python bench/mutants.py preceptor/library/fusion.py --count 40 --seed 0
    python bench/mutants.py preceptor/library/fusion.py --tests tests/retrieval/test_fusion.py --json

All of it happens in a copy of the tree. First the tests run once, with a note of each statement that each of them
passes; then each fault is tried with the tests that pass its statement, the quickest first, until one fails. Faults
that change nothing are listed with the reason in `bench/mutants.toml`, as is which tests belong to which module.

Why not mutmut or cosmic-ray: mutmut leaves module-level code (regular expressions, constants) alone, removes no
statement and no operand, and forks after it has run the tests, so that a fifth of the faults in an asynchronous module
ended in a time-out; cosmic-ray changes the tree that one is working in. Neither takes a sample.
"""

import argparse
import ast
import builtins
import gc
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Literal

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "bench" / "mutants.toml"
_SEEN = "__mutants_seen__"
_ALWAYS = 0
"""The statement that stands for all that runs at the import."""

_HEAVY = [
    *[
        "agents",
        "agents.testing",
        "openai",
        "numpy",
        "pydantic",
        "dynaconf",
        "qdrant_client",
        "qdrant_edge",
        "fastembed",
    ],
    *[
        "onnxruntime",
        "tokenizers",
        "starlette.testclient",
        "sse_starlette",
        "uvicorn",
        "httpx",
        "httpx2",
        "typer",
    ],
    *[
        "rich",
        "markdown_it",
        "limits",
        "prometheus_client",
        "sqlalchemy",
        "pydantic_evals",
        "semantic_text_splitter",
    ],
    *["schemathesis.pytest.plugin", "respx.plugin", "llmock.pytest_plugin"],
]
"""Imported before the fork, once for all faults."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change: `after` in the place of the characters from `start` to `end`."""

    line: int
    statement: int
    """Line of the innermost statement around it; 0 for what runs at the import."""
    start: int
    end: int
    new: str
    kind: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.line}: {self.before} → {self.after}"


# --- the faults -----------------------------------------------------------------------------------------------------

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<= >="),
    ast.LtE: ("<=", "< >"),
    ast.Gt: (">", ">= <="),
    ast.GtE: (">=", "> <"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
}
_WORDS: dict[type[ast.AST], tuple[str, str]] = {
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
}
_SWAPPED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith", "endswith": "startswith",
    "find": "rfind", "rfind": "find", "partition": "rpartition", "rpartition": "partition", "search": "match",
    "match": "search", "fullmatch": "match", "ceil": "floor", "floor": "ceil", "append": "clear", "lstrip": "rstrip",
    "rstrip": "lstrip", "removeprefix": "removesuffix", "popleft": "pop", "isdigit": "isalpha",
}  # fmt: skip
_DROPPED = {
    "strip",
    "lstrip",
    "rstrip",
    "lower",
    "upper",
    "casefold",
    "sorted",
    "set",
    "reversed",
    "copy",
    "aclose",
}
_REGEX_EDITS = (
    (r"(?<=[\])\w.])\*(?![*?])", "+"),
    (r"(?<=[\])\w.])\+(?![+?])", "*"),
    (r"(?<=[\])\w])\?(?![?:=!<>P])", ""),
    (r"\\b", ""),
    (r"\[\^", "["),
    (r"\(\?!", "(?="),
    (r"\(\?=", "(?!"),
    (r"\|[^|()\[\]]+(?=[|)]|$)", ""),
    (r"\^", ""),
    (r"\$$", ""),
)
_LOGGING = re.compile(r"^(?:await )?_?(?:log|logger|console|warnings)\.")
_MESSAGES = re.compile(
    r"Error$|Exception$|Invalid|Damaged|Missing|NotFound|Exceeded|Unavailable|Busy|Warning$"
)


class _Finder:
    """Finds the places of one module."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Mutant] = []

    def all(self) -> list[Mutant]:
        """Every fault that gives another program."""
        tree = ast.parse(self.source)
        self._body(tree.body, inside=False)
        same = ast.dump(tree)
        kept: dict[str, Mutant] = {}
        for one in self.found:
            text = mutated(self.source, one)
            try:
                changed = ast.dump(ast.parse(text))
            except SyntaxError:
                continue
            if changed != same:
                kept.setdefault(changed, one)
        return sorted(kept.values(), key=lambda one: (one.start, one.end, one.new))

    def _offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.source[start:end]

    def _add(self, start: int, end: int, new: str, kind: str, statement: int) -> None:
        line = self.source.count("\n", 0, start) + 1
        first = self.starts[line - 1]
        last = self.source.find("\n", end)
        last = len(self.source) if last < 0 else last
        before = " ".join(self.source[first:last].split())
        after = " ".join((self.source[first:start] + new + self.source[end:last]).split())
        self.found.append(Mutant(line, statement, start, end, new, kind, before, after))

    def _replace(self, node: ast.AST, new: str, kind: str, statement: int) -> None:
        self._add(*self._span(node), new, kind, statement)

    def _body(self, body: list[ast.stmt], *, inside: bool) -> None:
        for number, node in enumerate(body):
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if docstring or isinstance(
                node, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Assert)
            ):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                continue
            self._statement(node, inside=inside, alone=number == len(body) - 1)

    def _statement(self, node: ast.stmt, *, inside: bool, alone: bool) -> None:
        at = node.lineno if inside else _ALWAYS
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self._expression(default, at)
            if not any(self._text(one) == "overload" for one in node.decorator_list):
                self._body(node.body, inside=True)
            return
        if isinstance(node, ast.ClassDef):
            if any("Protocol" in self._text(base) for base in node.bases):
                return
            self._body(node.body, inside=inside)
            return
        if _LOGGING.match(self._text(node)):
            return
        match node:
            case ast.Expr():
                if not isinstance(node.value, (ast.Yield, ast.YieldFrom)):
                    self._replace(node, "pass", "statement removed", at)
            case ast.AugAssign():
                self._replace(node, "pass", "statement removed", at)
                between = self._span(node.target)[1], self._span(node.value)[0]
                self._operator(node.op, between, at)
            case ast.Assign() if inside and not isinstance(node.targets[0], (ast.Name, ast.Tuple)):
                self._replace(node, "pass", "statement removed", at)
            case ast.Return() if node.value is not None and self._text(node.value) != "None":
                self._replace(node, "return None", "return value dropped", at)
            case ast.Raise():
                self._replace(node, "pass", "raise removed", at)
            case ast.Continue():
                self._replace(node, "break", "continue → break", at)
            case ast.Break():
                self._replace(node, "continue", "break → continue", at)
            case ast.If() | ast.While():
                for new in ("True", "False") if isinstance(node, ast.If) else ("False",):
                    self._replace(node.test, new, f"condition {new}", at)
            case _:
                pass
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "type_comment") or (
                name == "targets" and isinstance(node, (ast.Assign, ast.Delete))
            ):
                continue
            children = value if isinstance(value, list) else [value]
            for child in children:
                if isinstance(child, ast.stmt):
                    self._body([child], inside=inside)
                elif isinstance(child, ast.ExceptHandler):
                    if isinstance(child.type, ast.Tuple) and len(child.type.elts) > 1:
                        for one in child.type.elts:
                            rest = ", ".join(
                                self._text(other) for other in child.type.elts if other is not one
                            )
                            self._replace(child.type, f"({rest},)", "exception dropped", at)
                    self._body(child.body, inside=inside)
                elif isinstance(child, ast.match_case):
                    if child.guard is not None:
                        self._expression(child.guard, at)
                    self._body(child.body, inside=inside)
                elif isinstance(child, ast.withitem):
                    self._expression(child.context_expr, at)
                elif isinstance(child, ast.expr):
                    self._expression(child, at, message=isinstance(node, ast.Raise))

    def _expression(self, node: ast.AST, at: int, *, message: bool = False) -> None:
        # Types say nothing at run time.
        if isinstance(node, ast.Subscript) and self._text(node.value) == "Literal":
            return
        if isinstance(node, ast.Call) and self._text(node.func) == "cast":
            self._expression(node.args[1], at)
            return
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
                    self._operator(operator, (self._span(left)[1], self._span(right)[0]), at)
            case ast.BinOp():
                self._operator(node.op, (self._span(node.left)[1], self._span(node.right)[0]), at)
            case ast.BoolOp():
                word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
                for number, (left, right) in enumerate(zip(node.values, node.values[1:], strict=False)):
                    gap = self._span(left)[1], self._span(right)[0]
                    self._swap(gap, rf"\b{word}\b", other, f"{word} → {other}", at)
                    if number == 0:
                        self._add(self._span(left)[0], self._span(right)[0], "", "operand dropped", at)
                    self._add(self._span(left)[1], self._span(right)[1], "", "operand dropped", at)
            case ast.UnaryOp():
                if isinstance(node.op, (ast.Not, ast.USub)):
                    self._replace(node, f"({self._text(node.operand)})", "sign or not dropped", at)
            case ast.IfExp():
                self._replace(node, f"({self._text(node.body)})", "always the first", at)
                self._replace(node, f"({self._text(node.orelse)})", "always the second", at)
            case ast.Constant():
                if not message:
                    self._constant(node, at)
            case ast.Slice():
                if node.lower is not None:
                    self._replace(node.lower, "", "bound dropped", at)
                if node.upper is not None:
                    self._replace(node.upper, "", "bound dropped", at)
            case ast.Call():
                self._call(node, at)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                for one in node.generators:
                    for test in one.ifs:
                        self._replace(test, "True", "filter dropped", at)
            case _:
                pass
        if isinstance(node, ast.Lambda):
            self._expression(node.body, at)
            return
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.FormattedValue) and not message:
                    self._expression(part.value, at)
            return
        called = self._text(node.func) if isinstance(node, ast.Call) else ""
        message = message or bool(_MESSAGES.search(called)) or bool(_LOGGING.match(called + "."))
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.Call) and child is node.func:
                if isinstance(child, ast.Attribute):
                    self._expression(child.value, at)
            elif isinstance(child, ast.comprehension):
                self._expression(child.iter, at)
                for test in child.ifs:
                    self._expression(test, at)
            elif isinstance(child, ast.keyword) and child.arg == "strict":
                continue  # of `zip`: it guards against faults elsewhere
            elif isinstance(child, ast.keyword):
                self._expression(child.value, at, message=message)
            elif not isinstance(child, (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)):
                self._expression(child, at, message=message)

    def _operator(self, operator: ast.AST, gap: tuple[int, int], at: int) -> None:
        if type(operator) in _WORDS:
            pattern, new = _WORDS[type(operator)]
            self._swap(gap, pattern, new, f"{pattern.strip(chr(92) + 'b')} → {new}", at)
        elif type(operator) in _OPERATORS:
            old, others = _OPERATORS[type(operator)]
            for new in others.split():
                self._swap(gap, re.escape(old), new, f"{old} → {new}", at)

    def _swap(self, gap: tuple[int, int], pattern: str, new: str, kind: str, at: int) -> None:
        found = re.search(pattern, self.source[gap[0] : gap[1]])
        if found:
            self._add(gap[0] + found.start(), gap[0] + found.end(), new, kind, at)

    def _constant(self, node: ast.Constant, at: int) -> None:
        value, text = node.value, self._text(node)
        if isinstance(value, bool):
            self._replace(node, str(not value), "bool", at)
        elif isinstance(value, int):
            self._replace(node, str(value + 1), "constant + 1", at)
            if value > 0:
                self._replace(node, str(value - 1), "constant - 1", at)
        elif isinstance(value, float):
            self._replace(node, repr(value * 2), "constant × 2", at)
            self._replace(node, repr(value / 2), "constant ÷ 2", at)
        elif isinstance(value, str) and not text.startswith(("f", "F")):
            is_regex = text[:1] in "rR" and text[1:2] in "\"'"
            if is_regex:
                for pattern, new in _REGEX_EDITS:
                    for found in re.finditer(pattern, text):
                        edited = text[: found.start()] + new + text[found.end() :]
                        with suppress(SyntaxError, ValueError, re.error):
                            re.compile(ast.literal_eval(edited))
                            self._replace(node, edited, "regular expression", at)
            else:
                self._replace(node, '""' if value else '"XX"', "text", at)

    def _call(self, node: ast.Call, at: int) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else self._text(node.func)
        if name in _SWAPPED:
            end = self._span(node.func)[1]
            self._add(end - len(name), end, _SWAPPED[name], f"{name} → {_SWAPPED[name]}", at)
        if name in _DROPPED and isinstance(node.func, ast.Attribute):
            self._add(self._span(node.func.value)[1], self._span(node)[1], "", f"{name} dropped", at)
        elif name in _DROPPED and len(node.args) == 1:
            self._replace(node, f"({self._text(node.args[0])})", f"{name} dropped", at)
        for one in node.keywords:
            if one.arg in (None, "strict") or name[:1].isupper():  # a class says itself what it needs
                continue
            start = self._offset(one.lineno, one.col_offset)
            end = self._span(one.value)[1]
            rest = re.match(r"\s*,\s*", self.source[end:])
            self._add(start, end + rest.end() if rest else end, "", "keyword dropped", at)


def mutated(source: str, mutant: Mutant) -> str:
    """The module with the fault in it."""
    return source[: mutant.start] + mutant.new + source[mutant.end :]


def faults(source: str) -> list[Mutant]:
    """Every fault that this program makes in a module, in the module's order."""
    return _Finder(source).all()


# --- which tests pass where -----------------------------------------------------------------------------------------


_FALLBACK = f"""
import builtins as _builtins
vars(_builtins).setdefault("{_SEEN}", set())
vars(_builtins).setdefault("__mutants_documented__", lambda text: lambda function: function)
"""
"""For processes that a test starts: they note nothing."""


class _Noting(ast.NodeTransformer):
    """Puts a note before every statement of a function."""

    def _noted(self, body: list[ast.stmt]) -> list[ast.stmt]:
        noted: list[ast.stmt] = []
        for node in body:
            note = ast.parse(f"{_SEEN}.add({node.lineno})").body[0]
            if not isinstance(node, (ast.Global, ast.Nonlocal)):
                noted.append(ast.copy_location(note, node))
            noted.append(node)
        return [ast.fix_missing_locations(one) for one in noted]

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node, (ast.Module, ast.ClassDef)):
            for name in ("body", "orelse", "finalbody"):
                body = getattr(node, name, None)
                if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                    setattr(node, name, self._noted(body))
        return node


def noting(source: str) -> str:
    """The module, which notes the line of every statement in a function that is run."""
    tree = ast.parse(source)
    for node in ast.walk(tree):  # a docstring that is no longer first is none, and pages are made of some
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node, clean=False):
            first, *rest = node.body
            node.body = rest or [ast.copy_location(ast.Pass(), first)]
            node.decorator_list = [*node.decorator_list, _documented(first)]
    tree = _Noting().visit(tree)
    first = next((n for n, one in enumerate(tree.body) if not isinstance(one, (ast.Expr, ast.ImportFrom))), 0)
    tree.body[first:first] = ast.parse(_FALLBACK).body
    return ast.unparse(ast.fix_missing_locations(tree))


def _documented(first: ast.stmt) -> ast.expr:
    assert isinstance(first, ast.Expr)
    decorator = ast.parse("__mutants_documented__(None)", mode="eval").body
    assert isinstance(decorator, ast.Call)
    decorator.args = [first.value]
    return ast.copy_location(decorator, first)


def _with_docstring(text: str) -> Callable[..., object]:
    def put(function: Callable[..., object]) -> Callable[..., object]:
        function.__doc__ = text
        return function

    return put


_Cache = type(lru_cache(len))


class _Recorder:
    """A plug-in of pytest: which test passed which statements, how long it took, and whether it failed."""

    def __init__(self, file: Path) -> None:
        self.seen: set[int] = set()
        self._file = file
        self._caches: list[_Cache] = []
        self.passed: dict[str, list[int]] = {}
        self.set_up: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_collection_finish(self) -> None:
        for one in gc.get_objects():
            function = one.__wrapped__ if type(one) is _Cache else None  # type: ignore[attr-defined]
            if type(function) is FunctionType and function.__code__.co_filename == str(self._file):
                self._caches.append(one)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        for one in self._caches:  # else only the first of its tests would pass through a cached function
            one.cache_clear()
        self.seen.clear()
        yield
        self.set_up[item.nodeid] = sorted(self.seen)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        yield
        self.passed[item.nodeid] = sorted(self.seen)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)


class _Only:
    """A plug-in of pytest: these tests, in this order."""

    def __init__(self, names: list[str]) -> None:
        self._order = {name: number for number, name in enumerate(names)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = self.of(items)

    def of(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Those of these tests."""
        here = [one for one in items if one.nodeid in self._order]
        return sorted(here, key=lambda one: self._order[one.nodeid])


class _Server:
    """A plug-in of pytest: forks one process for each fault, once all tests are collected.

    The fault is put into the functions that are there: their code is replaced, so that whoever imported them has it.
    """

    def __init__(self, file: Path, work: list["_Work"], log: Path) -> None:
        self._file, self._work, self._log = file, work, log
        self._parent = os.getpid()

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        functions = _functions(self._file)
        gc.freeze()
        for one in self._work:
            code = _forked_here(self._log, one.limit)
            if code == "child":
                _put(functions, self._file, one.text)
                session.items = _Only(one.names).of(session.items)
                return None
            one.done(code)
        return True

    def finish(self, code: int) -> None:
        """End a child as pytest would."""
        if os.getpid() != self._parent:
            os._exit(code)


def _functions(file: Path) -> list[FunctionType]:
    """The functions of a loaded module, wherever they are held."""
    found = [
        one for one in gc.get_objects() if type(one) is FunctionType
    ]  # isinstance() would wake lazy objects
    return [one for one in found if one.__code__.co_filename == str(file)]


def _put(functions: list[FunctionType], file: Path, text: str) -> None:
    """Give the functions of a loaded module the code that they have in another text of it."""
    codes: dict[tuple[str, int], list[CodeType]] = {}

    def gather(code: CodeType) -> None:
        for one in code.co_consts:
            if isinstance(one, CodeType):
                codes.setdefault((one.co_qualname, one.co_firstlineno), []).append(one)
                gather(one)

    gather(compile(text, str(file), "exec"))
    for function in functions:
        old = function.__code__
        found = codes.get((old.co_qualname, old.co_firstlineno), [])
        if len(found) == 1:
            with suppress(
                ValueError
            ):  # another number of free variables: a fault that took the last use of one
                function.__code__ = found[0]


# --- the runs -------------------------------------------------------------------------------------------------------

_PYTEST = (
    "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
_NOTICED, _MISSED, _HUNG = "noticed", "missed", "hung"


def _copy(folder: Path) -> Path:
    """A copy of what git knows of, beside the books where there are any."""
    tree = folder / "tree"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, names.split("\0")):
        source, target = ROOT / name, tree / name
        if source.is_file() and not source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    modules = ROOT / "tests/standins/node_modules"
    if modules.is_dir():
        (tree / "tests/standins/node_modules").symlink_to(modules.resolve())
    if (ROOT.parent / "shared").is_dir():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    return tree


@dataclass(frozen=True, slots=True)
class _Work:
    """One fault to be tried."""

    text: str
    names: list[str]
    limit: float
    done: Callable[[int | None], None]


def _forked_here(log: Path, limit: float) -> int | Literal["child"] | None:
    """Fork: `"child"` in the new process, in the old one its exit code, None when it took too long."""
    pid = os.fork()
    if not pid:
        os.setsid()
        out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.dont_write_bytecode = True
        return "child"
    ends = time.monotonic() + limit
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done or time.monotonic() > ends:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            if not done:
                os.waitpid(pid, 0)
            return os.waitstatus_to_exitcode(status) if done else None
        time.sleep(0.02)


def _forked(run: Callable[[], int], log: Path, limit: float) -> int | None:
    """Result of `run` in a process of its own; None when it took too long."""
    found = _forked_here(log, limit)
    if found != "child":
        return found
    code = 70
    try:
        code = int(run())
    finally:
        os._exit(code)


def _baseline(tree: Path, file: str, tests: list[str], work: Path, limit: float) -> _Recorder:
    """Run the tests as they are."""
    source = (tree / file).read_text()
    notes = work / "notes.json"

    def run() -> int:
        recorder = _Recorder(tree / file)
        vars(builtins)[_SEEN] = recorder.seen
        vars(builtins)["__mutants_documented__"] = _with_docstring
        arguments = [one for one in _PYTEST if one != "-x"]
        code = pytest.main([*arguments, *tests], plugins=[recorder])
        found = {name: getattr(recorder, name) for name in ("passed", "set_up", "seconds", "failed")}
        notes.write_text(json.dumps(found))
        return int(code)

    (tree / file).write_text(noting(source))
    code = _forked(run, work / "baseline.log", limit)
    (tree / file).write_text(source)
    if not notes.is_file() or code not in (0, 1):
        sys.exit(f"The tests did not run (code {code}):\n{(work / 'baseline.log').read_text()[-3000:]}")
    recorder = _Recorder(tree / file)
    for name, value in json.loads(notes.read_text()).items():
        setattr(recorder, name, value)
    for name in recorder.failed:
        print(f"left out, it fails without any fault: {name}", file=sys.stderr)
    return recorder


def _choice(baseline: _Recorder, statement: int) -> list[str]:
    """The tests that pass a statement, quickest first; those first that pass it themselves, not their fixtures."""
    names = [name for name in baseline.passed if name not in baseline.failed]
    if statement != _ALWAYS:
        in_fixtures = {line for lines in baseline.set_up.values() for line in lines}
        own = {
            name for name in names
            if statement in baseline.passed[name] and statement not in baseline.set_up.get(name, ())
        }  # fmt: skip
        with_fixtures = set(names) if statement in in_fixtures else own
        names = [name for name in names if name in own | with_fixtures]
    else:
        own = set(names)
    files: dict[str, float] = {}
    for name in names:
        file = name.partition("::")[0]
        files[file] = files.get(file, 0.0) + baseline.seconds.get(name, 0.0)
    return sorted(
        names,
        key=lambda name: (
            name not in own, files[name.partition("::")[0]], name.partition("::")[0], baseline.seconds.get(name, 0.0)
        ),
    )  # fmt: skip


def _attempt_all(
    tree: Path, file: str, source: str, tried: list[tuple[Mutant, list[str], float]], *, work: Path,
    told: Callable[[Mutant, str], None],
) -> None:  # fmt: skip
    """Try each fault; those in functions in children of one process that has imported and collected everything."""
    target = tree / file

    def outcome(code: int | None, noticed: tuple[int, ...] = (1,)) -> str:
        if code is None:
            return _HUNG
        if code >= 0 and code not in (0, *noticed):
            sys.exit(f"pytest ended with {code}:\n{(work / 'log').read_text()[-3000:]}")
        return _NOTICED if code else _MISSED

    inside: list[tuple[Mutant, list[str], float]] = []
    for mutant, names, limit in tried:
        if not names:
            told(mutant, _MISSED)
        elif mutant.statement != _ALWAYS:
            inside.append((mutant, names, limit))
        else:
            target.write_text(mutated(source, mutant))
            files = list(dict.fromkeys(name.partition("::")[0] for name in names))
            only = _Only(names)
            code = _forked(lambda: int(pytest.main([*_PYTEST, *files], plugins=[only])), work / "log", limit)  # noqa: B023
            target.write_text(source)
            told(mutant, outcome(code, (1, 2, 4)))  # 2 and 4: it could not be imported
    if not inside:
        return
    files = list(dict.fromkeys(name.partition("::")[0] for _, names, _ in inside for name in names))
    jobs = [
        _Work(mutated(source, mutant), names, limit, lambda code, mutant=mutant: told(mutant, outcome(code)))
        for mutant, names, limit in inside
    ]
    server = _Server(target, jobs, work / "log")
    server.finish(int(pytest.main([*_PYTEST, "--capture=no", *files], plugins=[server])))


def _belonging(table: dict[str, object], file: str) -> list[str]:
    tests = table.get("tests")
    assert isinstance(tests, dict)
    found = tests.get(file.removeprefix("preceptor/"))
    if not found:
        sys.exit(f"No tests are listed for {file} in {TABLE.relative_to(ROOT)}: list them, or say --tests.")
    return list(found)


def _equivalent(table: dict[str, object], file: str) -> Iterator[tuple[str, str, str]]:
    for one in table.get("equivalent", ()):  # type: ignore[attr-defined]
        if one["file"] == file.removeprefix("preceptor/"):
            yield one["before"], one["after"], one["why"]


def main() -> None:
    """Print the share of the faults that tests notice, and those that none does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", help="the module")
    parser.add_argument(
        "--tests", nargs="+", help="tests to run (default: those listed in bench/mutants.toml)"
    )
    parser.add_argument("--count", type=int, default=40, help="faults to try; 0: all (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="which of them (default: 0)")
    parser.add_argument(
        "--limit", type=float, default=120.0, help="seconds for one fault, at most (default: 120)"
    )
    parser.add_argument("--line", type=int, nargs="+", help="only faults in these lines")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    file = str(Path(given.file).resolve().relative_to(ROOT)) if Path(given.file).is_absolute() else given.file
    source = (ROOT / file).read_text()
    table = tomllib.loads(TABLE.read_text())
    tests = given.tests or _belonging(table, file)
    known = {(before, after): why for before, after, why in _equivalent(table, file)}
    there = [one for one in faults(source) if given.line is None or one.line in given.line]
    chosen = [one for one in there if (one.before, one.after) not in known]
    if given.count and given.count < len(chosen):
        chosen = sorted(random.Random(given.seed).sample(chosen, given.count), key=lambda one: one.start)

    for name in _HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    results: list[tuple[Mutant, str]] = []
    began = time.monotonic()

    def told(mutant: Mutant, outcome: str) -> None:
        results.append((mutant, outcome))
        shown = f"{len(results)}/{len(chosen)} {outcome}  {mutant.kind}  {file}:{mutant}\n"
        if not given.json:
            os.write(2, shown.encode())

    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        work = Path(name).resolve()
        tree = _copy(work)
        os.chdir(tree)
        sys.path[:] = [
            str(tree),
            *(one for one in sys.path if one not in ("", str(ROOT), str(ROOT / "bench"))),
        ]
        os.environ["PYTHONPATH"] = str(tree)
        baseline = _baseline(tree, file, tests, work, 1800)
        shutil.rmtree(tree / Path(file).parent / "__pycache__", ignore_errors=True)
        tried: list[tuple[Mutant, list[str], float]] = []
        for mutant in chosen:
            names = _choice(baseline, mutant.statement)
            expected = sum(baseline.seconds.get(one, 0.0) for one in names)
            tried.append((mutant, names, min(given.limit, 4 * expected + 30)))
        _attempt_all(tree, file, source, tried, work=work, told=told)
    missed = [mutant for mutant, outcome in results if outcome == _MISSED]
    noticed = len(results) - len(missed)
    share = noticed / len(results) if results else 1.0
    if given.json:
        found = {
            "file": file,
            "possible": len(there),
            "equivalent": sum((one.before, one.after) in known for one in there),
            "tried": len(results),
            "noticed": noticed,
            "hung": sum(outcome == _HUNG for _, outcome in results),
            "share": round(share, 3),
            "seconds": round(time.monotonic() - began),
            "missed": [asdict(one) for one in missed],
        }
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in missed:
        print(f"{file}:{one}")
    print(
        f"{file}: {noticed} of {len(results)} noticed ({share:.0%}), of {len(there)} possible; "
        f"{time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()

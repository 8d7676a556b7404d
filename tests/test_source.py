"""Rules of the source tree: one direction of imports, nothing opened by an import, no secret."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "preceptor"

_GROUND = {"errors", "text", "private", "log_levels"}
_LEAVES = _GROUND | {"settings"}
_RUN = _LEAVES | {"library", "tracing", "providers", "tools", "agents"}

MAY_IMPORT = {
    "errors": set[str](),
    "text": set[str](),
    "private": set[str](),
    "log_levels": set[str](),
    "settings": _GROUND,
    "books": _GROUND | {"settings"},
    "library": _LEAVES,
    "tracing": _LEAVES,
    "providers": _LEAVES | {"library", "tracing"},
    "tools": _LEAVES | {"library", "tracing"},
    "agents": _RUN - {"agents"},
    "indexing": _LEAVES | {"library", "books"},
    "evaluation": _RUN,
    "server": _RUN | {"books", "evaluation"},
    "commands": _RUN | {"books", "indexing", "evaluation", "server"},
    "testing": _RUN | {"indexing"},
    "cli": _RUN | {"books", "commands", "indexing", "evaluation", "server"},
}
"""For each part, the parts that it may import (see docs/architecture.md)."""

_SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,}|AIza[0-9A-Za-z_-]{35}|eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"
    r"|(?i:api[_-]?key|secret|token)\s*[=:]\s*[\"'][A-Za-z0-9_\-./+]{20,}[\"']"
)


def _part(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def _imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("preceptor"):
            if node.module == "preceptor":
                found.update(alias.name for alias in node.names if alias.name in MAY_IMPORT)
            else:
                found.add(_part(node.module))
        elif isinstance(node, ast.Import):
            found.update(_part(alias.name) for alias in node.names if alias.name.startswith("preceptor."))
    return found


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_imports_point_one_way(part: str) -> None:
    place = PACKAGE / part
    files = sorted(place.rglob("*.py")) if place.is_dir() else [PACKAGE / f"{part}.py"]
    assert files
    wrong = {
        str(file.relative_to(ROOT)): sorted(_imports(file) - MAY_IMPORT[part] - {part})
        for file in files
        if _imports(file) - MAY_IMPORT[part] - {part}
    }
    assert wrong == {}


def test_every_part_has_a_place_in_the_direction_of_imports() -> None:
    parts = {file.stem for file in PACKAGE.glob("*.py")} | {
        file.parent.name for file in PACKAGE.glob("*/__init__.py")
    }
    assert parts - {"__init__", "__main__"} == set(MAY_IMPORT)


def test_the_folder_agents_says_what_is_wrong_when_it_shadows_the_sdk() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import agents"], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "OpenAI Agents SDK" in found.stderr


def test_the_command_line_starts_without_what_is_heavy() -> None:
    heavy = {"agents", "fastembed", "qdrant_client", "openai", "starlette", "pydantic_evals", "numpy"}
    code = "import sys, preceptor.cli; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy & set(found.stdout.split()) == set()


_WITHOUT_SUBJECT = re.compile(r"\s*Of\b|.*\n +[\w, ]+: Of\b", re.DOTALL)
_HALF_A_SENTENCE = re.compile(r"\s*(?:What|Where|When|None|By|For|In)\b")


def _descriptions(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and text of every docstring, those below attributes and constants included."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def test_every_docstring_has_a_subject() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for folder in (PACKAGE, ROOT / "tests", ROOT / "bench", ROOT / "examples")
        for file in sorted(folder.rglob("*.py"))
        if "node_modules" not in file.parts
        for line, text in _descriptions(file.read_text())
        if _WITHOUT_SUBJECT.match(text)
    ]
    assert wrong == [], "write a sentence: `Length of the vectors.`, not `Of the vectors.`"


def test_no_docstring_of_the_package_begins_in_the_middle_of_a_sentence() -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in _descriptions(file.read_text())
        if _HALF_A_SENTENCE.match(text)
    ]
    assert wrong == [], (
        "say what it is: `Stems near each negation.`, not `For each negation the stems near it.`"
    )


@pytest.mark.parametrize(
    "source",
    [
        '"""Of the book."""',
        'def made(text: str) -> str:\n    """Of one\n    run."""',
        'class Passage:\n    url: str\n    """Of the section."""',
        'def made(text: str) -> str:\n    """Returns it.\n\n    Args:\n        text: Of the answer.\n    """',
    ],
)
def test_a_docstring_without_a_subject_is_found(source: str) -> None:
    assert [text for _, text in _descriptions(source) if _WITHOUT_SUBJECT.match(text)]
    assert not any(
        _WITHOUT_SUBJECT.match(text) for _, text in _descriptions(source.replace("Of ", "Length of "))
    )


def test_no_file_holds_a_secret() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("needs a git checkout to know which files are the project's")
    suspicious: list[str] = []
    for name in listed.stdout.splitlines():
        file = ROOT / name
        if file.is_file() and file.stat().st_size < 1_000_000 and file.suffix != ".onnx":
            found = _SECRETS.finditer(file.read_text(encoding="utf-8", errors="replace"))
            suspicious.extend(f"{name}: {match.group()[:12]}…" for match in found)
    assert suspicious == []


def test_the_scan_for_secrets_finds_one() -> None:
    assert _SECRETS.search("GEMINI_API_KEY=" + repr("A" * 24))
    assert _SECRETS.search("sk-" + "a" * 24)

"""The documentation is true: links lead somewhere, code runs, commands exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.library import open_engine
from preceptor.library.library import open_library
from preceptor.settings import Settings
from preceptor.tools.discovery import load_tools
from preceptor.tools.plugin import Deps

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
_COMMAND = re.compile(r"^\$ (?:preceptor|make) .*$|`(?:preceptor|make) [^`]+`", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in _HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken: list[str] = []
    for target in _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:|/", target):  # elsewhere, or on the site of a book
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_block_is_python(page: Path) -> None:
    for language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            compile(code, str(page), "exec")


def test_the_program_of_embed_md_asks_the_sample_book(sample_index: Path, tmp_path: Path) -> None:
    (code,) = (
        code
        for language, code in _BLOCK.findall((ROOT / "docs/embed.md").read_text())
        if language == "python"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PRECEPTOR_INDEX__PATH": str(sample_index)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("ROS 2, the Robot Operating System")
    assert "[1] /docs/ros2/#what-is-ros-2" in found.stdout


def test_every_command_that_is_named_exists() -> None:
    help_text = subprocess.run(
        [sys.executable, "-m", "preceptor", "--help"], capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown: list[str] = []
    for page in PAGES:
        for found in _COMMAND.findall(page.read_text(encoding="utf-8")):
            program, *words = found.strip("`$ ").split()
            word = next((word for word in words if not word.startswith("-")), "")
            known = targets if program == "make" else set(re.findall(r"\w+", help_text)) | {"COMMAND"}
            if word and word not in known:
                unknown.append(f"{page.name}: {found}")
    assert unknown == []


async def test_the_example_of_a_tool_is_a_tool(demo_settings: Settings, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((ROOT / "docs/tools.md").read_text(encoding="utf-8"))
    file = tmp_path / "glossary.py"
    file.write_text(next(code for language, code in blocks if language == "python"), encoding="utf-8")
    settings = demo_settings.model_copy(
        update={"tools": demo_settings.tools.model_copy(update={"plugins": (str(file),)})}
    )
    engine = open_engine(settings)
    library = await open_library(engine, settings)
    try:
        names = [tool.name for tool in load_tools(Deps(library, settings))]
    finally:
        await library.close()
        await engine.close()
    assert names == ["get_chapter", "list_chapters", "search_textbook", "define"]


def test_no_text_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("needs a git checkout to know which files are the project's")
    wrong = re.compile(r"/work/(?:main|shared)|/root/|files\.pythonhosted|pypi\.org/simple|registry\.npmjs")
    found = [
        name
        for name in listed.stdout.splitlines()
        if name != "tests/test_docs.py"
        and (file := ROOT / name).is_file()
        and file.suffix not in (".onnx", ".png")
        and wrong.search(file.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []

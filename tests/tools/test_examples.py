"""The example plug-ins, used as an author uses them, and the five minutes of the docs."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from preceptor.testing import open_book

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples/plugins"


def installed(project: Path, where: Path) -> None:
    """Install a package without a network: what a wheel of it holds, unpacked, with its metadata."""
    import tomllib

    table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    [package] = [one.parent for one in project.glob("*/__init__.py")]
    wheel = where / "one.whl"
    info = f"{table['name'].replace('-', '_')}-{table['version']}.dist-info"
    points = table["entry-points"]["preceptor.tools"]
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, file.relative_to(project))
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {table['name']}\nVersion: {table['version']}\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        archive.writestr(f"{info}/entry_points.txt", f"[preceptor.tools]\n{lines}")
        archive.writestr(f"{info}/RECORD", "")
    named = where / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    wheel.rename(named)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(where / "site"), named], check=True)


async def test_the_glossary_is_installed_switched_on_and_cited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(EXAMPLES / "glossary", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    file = tmp_path / "glossary.yaml"
    file.write_text("Gimbal: A ring that lets a camera turn about one axis.\n")
    section = {"glossary": {"file": str(file), "url": "https://book.example/glossary"}}
    pages = {"nodes.md": "# Nodes\n\nA node is a process that computes.\n"}
    async with open_book(pages, enabled=["glossary"], settings=section) as book:
        assert book.faults == []
        answer = await book.ask("What is a gimbal?", calls=[("define", {"term": "gimbal"})])
        [source] = answer.sources
        assert (source.title, source.tool, source.url) == (
            "Gimbal",
            "define",
            "https://book.example/glossary",
        )
        assert "There is: Gimbal." in (await book.call("define", term="gimbl")).text


async def test_the_figures_of_a_page_are_artifacts(tmp_path: Path) -> None:
    page = "# Arms\n\n![A robot arm with six joints](img/arm.png)\n\n![](img/nothing.png)\n"
    (tmp_path / "arms.md").write_text(page)
    section = {"figures": {"source": str(tmp_path), "base_url": "https://book.example/docs"}}
    plugins = [str(EXAMPLES / "figures.py")]
    async with open_book({"arms.md": page}, plugins=plugins, settings=section) as book:
        assert book.faults == []
        called = await book.call("show_figures", subject="robot arm")
        [figure] = called.run.artifacts
        assert (figure.kind, figure.title) == ("image", "A robot arm with six joints")
        assert figure.data["url"] == "https://book.example/docs/img/arm.png"
        assert (await book.call("show_figures", subject="sourdough")).run.artifacts == []


@pytest.mark.long
def test_the_five_minutes_of_the_docs_are_true(tmp_path: Path) -> None:
    """Runs each block of the section as it stands there."""
    text = (ROOT / "docs/tools.md").read_text(encoding="utf-8")
    section = text.partition("## Your first tool in five minutes")[2].partition("\n## ")[0]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    ran = 0
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        if language == "toml":
            (tmp_path / "settings.toml").write_text(block)
        elif language == "sh":
            subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environment, check=True, timeout=240)
            ran += 1
        elif language == "json":
            assert json.loads(block)
    assert ran >= 3

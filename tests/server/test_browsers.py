"""The scripts of the pages use nothing that a browser of the summer of 2024 lacks."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STANDINS = ROOT / "tests/standins"
ESLINT = STANDINS / "node_modules/eslint/bin/eslint.js"


def lint(*arguments: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run eslint, with a script as its input or on the files that `arguments` name."""
    node = shutil.which("node")
    if node is None or not ESLINT.is_file():
        pytest.skip("needs Node and eslint: run `npm install` in tests/standins")
    command = [node, str(ESLINT), "--config", str(STANDINS / "eslint.config.mjs"), *arguments]
    return subprocess.run(command, cwd=ROOT, input=script, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_every_script_runs_in_firefox_and_safari_too() -> None:
    done = lint("preceptor/server/static", "preceptor/tracing/page.js")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_an_interface_that_safari_lacks_is_found() -> None:
    done = lint(
        "--stdin", "--stdin-filename", "preceptor/server/static/new.js", script="scheduler.yield();\n"
    )
    assert "scheduler is not supported in Safari" in done.stdout, done.stdout + done.stderr

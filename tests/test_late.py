"""Packages that are imported with their first use."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from preceptor.commands.late import import_late


def test_mcp_is_imported_with_its_first_use_and_is_the_one_that_the_sdk_knows() -> None:
    code = """
import sys
from preceptor.commands.late import import_late
import_late("mcp", now="mcp.shared.exceptions")
import agents
import mcp
assert mcp.__name__ == "mcp" and mcp.__file__
assert "mcp.client" not in sys.modules
assert "Client" in vars(mcp)  # the SDK looks for it there
import agents.mcp._compat
assert mcp.MCPError is mcp.shared.exceptions.MCPError is agents.mcp._compat.MCPError
from agents.mcp import MCPServerStdio
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_threads_that_use_it_first_see_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "slow_package"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import time\ntime.sleep(0.3)\nfrom .errors import Wrong\nLAST = 1\n"
    )
    (package / "errors.py").write_text("class Wrong(Exception): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import_late("slow_package", now="slow_package.errors")
    package_now = sys.modules["slow_package"]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(getattr, [package_now] * 2, ["LAST"] * 2)) == [1, 1]
    assert type(package_now) is type(sys)


def test_a_package_is_imported_as_ever_when_the_submodule_needs_it_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "in_a_circle"
    package.mkdir()
    (package / "__init__.py").write_text("BASE = Exception\nfrom .errors import Wrong\n")
    (package / "errors.py").write_text("from in_a_circle import BASE\nclass Wrong(BASE): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import_late("in_a_circle", now="in_a_circle.errors")
    assert "in_a_circle" not in sys.modules
    assert issubclass(import_module("in_a_circle.errors").Wrong, Exception)


def test_nothing_is_done_about_a_package_that_is_missing_or_imported_already() -> None:
    import_late("no_such_package", now="no_such_package.errors")
    assert "no_such_package" not in sys.modules
    import_late("json", now="json.decoder")
    assert type(sys.modules["json"]) is type(sys)

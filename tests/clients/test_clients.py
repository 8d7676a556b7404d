"""Programs that speak to OpenAI, each run for real against the service; those that are not installed are skipped.

`make test-clients` installs them: the npm packages beside this file, the pip packages into a venv of their own.
"""

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.sample import sample_settings
from tests.server.loopback import served

HERE = Path(__file__).parent
PYTHON = HERE.parent.parent / "build/clients/bin/python"
SCRIPTS = sorted(path.name for path in HERE.glob("with_*"))


@pytest.fixture(scope="module")
def address(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The service with the offline tutor."""
    with served(sample_settings(sample_index, tmp_path_factory.mktemp("clients"))) as url:
        yield url


def _runs(script: str) -> str | None:
    """What runs a script, if it is installed."""
    if script.endswith(".mjs"):
        return shutil.which("node") if (HERE / "node_modules").is_dir() else None
    return str(PYTHON) if PYTHON.exists() else None


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_program_that_speaks_to_openai_works_with_another_address(address: str, script: str) -> None:
    program = _runs(script)
    if program is None:
        pytest.skip("not installed: `make test-clients`")
    run = subprocess.run(
        [program, script],
        cwd=HERE,
        env={**os.environ, "PRECEPTOR_URL": address},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr

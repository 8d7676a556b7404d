"""Runs the commands of docs/ against the service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI

from preceptor.settings import Settings
from tests.server.loopback import served

DOCS = Path(__file__).parent.parent.parent / "docs"
WRITTEN = "http://127.0.0.1:8000"


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(
        rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found
    return found


@pytest.mark.parametrize("page", ["http.md", "openai-clients.md"])
def test_every_command_works(page: str, demo_settings: Settings, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    with served(demo_settings) as url:
        with OpenAI(base_url=f"{url}/v1", api_key="any") as client:
            said = client.chat.completions.create(
                model="preceptor", messages=[{"role": "user", "content": "What is a node?"}]
            )
        ids = {"SESSION_ID": said.model_dump()["session_id"], "RESPONSE_ID": said.id}
        for block in blocks(page, "sh"):
            script = block.replace(WRITTEN, url).replace(
                "curl ", "curl --silent --show-error --fail-with-body "
            )
            found = subprocess.run(
                ["bash", "-euc", script],
                env={**os.environ, **ids},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert found.returncode == 0, f"{script}\n{found.stdout}{found.stderr}"


def test_the_python_of_openai_clients_works(demo_settings: Settings, tmp_path: Path) -> None:
    with served(demo_settings) as url:
        script = "\n".join(blocks("openai-clients.md", "python")).replace(WRITTEN, url)
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
    assert found.returncode == 0, found.stderr
    assert f"[[1]]({url}/docs/ros2/#what-is-ros-2)" in found.stdout
    assert f"Why robots need ROS 2 {url}/docs/ros2/#what-is-ros-2" in found.stdout

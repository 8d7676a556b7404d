"""`llm`: a question, and a follow-up in the same conversation, by its command line."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

URL = os.environ["PRECEPTOR_URL"]

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "extra-openai-models.yaml").write_text(
        f"- model_id: preceptor\n  model_name: preceptor\n  api_base: {URL}/v1\n", encoding="utf-8"
    )

    def llm(*words: str) -> str:
        """Returns the output of the command."""
        command = [sys.executable, "-m", "llm", *words]
        variables = {**os.environ, "LLM_USER_PATH": folder, "OPENAI_API_KEY": "any"}
        return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout

    assert f"[[1]]({URL}/docs/ros2/#what-is-ros-2)" in llm("-m", "preceptor", "What is ROS 2?")
    assert llm("-m", "preceptor", "--no-stream", "What is ROS 2?").strip()
    assert llm("-c", "And what is a node?").strip()

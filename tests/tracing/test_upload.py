"""Runs stay on this machine, also those of a program that opens the tutor by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from tests.sample import sample_settings

async def main():
    index, folder, upload = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
    async with open_preceptor(sample_settings(index, folder, traces={"upload_to_openai": upload})) as preceptor:
        await preceptor.ask(Question(text="What is a node?"))

asyncio.run(main())
from agents.tracing.processors import default_processor
from agents.tracing import get_trace_provider
print(default_processor() in get_trace_provider()._multi_processor._processors)
"""


@pytest.mark.parametrize("upload", [False, True])
def test_the_sdks_own_upload_is_on_only_where_the_settings_say_so(
    upload: bool, sample_index: Path, tmp_path: Path
) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(sample_index), str(tmp_path), str(upload)],
        env=variables,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(upload)]
    assert ("skipping trace export" in told.stderr) is upload

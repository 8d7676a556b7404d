"""The way of a question: which modules run a function while the offline tutor answers it, in the order of their first.

python bench/way.py ["QUESTION"]
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

from starlette.testclient import TestClient

import preceptor
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.server import create_app
from preceptor.settings import Settings, load_settings, shipped

PACKAGE = str(Path(preceptor.__file__).parent)


class Way:
    """Notes the functions that are called, by module, while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.functions: dict[str, set[str]] = {}

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Take a call, as `sys.setprofile` tells it."""
        file = frame.f_code.co_filename
        if self.on and event == "call" and file.startswith(PACKAGE):
            self.functions.setdefault(os.path.relpath(file, PACKAGE), set()).add(frame.f_code.co_qualname)


async def index_sample(settings: Settings) -> None:
    """Index the sample book."""
    async with open_engine(settings) as engine:
        await Indexing(shipped("examples/physical-ai"), settings).into(engine)


def way_of(question: str, settings: Settings) -> Way:
    """Ask one question through the application."""
    way = Way()
    # A thread takes its profile function when it begins, so before the application starts any.
    threading.setprofile(way.note)
    with TestClient(create_app(settings)) as client:
        way.on = True
        client.post("/api/v1/chat", json={"content": question}).raise_for_status()
        time.sleep(1)  # a thread writes the trace after the answer
        way.on = False  # what closes the application is not of the question's way
    threading.setprofile(None)
    return way


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        demo = load_settings("demo", overrides={"book": {"title": "Physical AI", "id": "physical-ai"}})
        asyncio.run(index_sample(demo))
        found = way_of(" ".join(sys.argv[1:]) or "What is ROS 2?", demo).functions
    for module, names in found.items():
        print(f"{len(names):4} {module}")
    print(f"{len(found)} modules")

"""`preceptor serve` as a process of its own, and answers that come in parts."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.standins.provider import Answer, Provider, chunk, stream

QUESTION = {"content": "What is a node?"}
WRONG = re.compile(r"Traceback|was destroyed|never retrieved|never awaited| ERROR | CRITICAL ", re.MULTILINE)
"""Words that the log of a service that did well does not hold."""

_READY = "Application startup complete"
PATIENCE = 240.0
"""Seconds for a process on a busy machine."""


@dataclass
class Service:
    """A running `preceptor serve`."""

    url: str
    process: subprocess.Popen[str]
    log: list[str]
    reader: threading.Thread
    written: threading.Condition
    """Told when a line of the log comes."""

    def ask(self, body: Mapping[str, Any] = QUESTION, **options: Any) -> httpx2.Response:
        """One question, one answer."""
        return httpx2.post(f"{self.url}/api/v1/chat", json=body, timeout=PATIENCE, **options)

    def stop(self) -> None:
        """Tell it to stop; it does when it has drained."""
        self.process.send_signal(signal.SIGTERM)

    def stop_all(self, number: signal.Signals) -> None:
        """Tell it and its workers, as Ctrl-C and systemd do."""
        os.killpg(self.process.pid, number)

    def logged(self, words: str) -> None:
        """Wait until a line of the log holds these words."""
        with self.written:
            found = self.written.wait_for(lambda: any(words in line for line in self.log), PATIENCE)
        assert found, "\n".join(self.log)

    def until(self, seen: Callable[[httpx2.Response], bool], path: str) -> httpx2.Response:
        """Ask for a page until it is as it should be."""
        end = time.monotonic() + PATIENCE
        while not seen(page := httpx2.get(f"{self.url}{path}")):
            assert time.monotonic() < end, page.text
        return page

    def ended(self) -> int:
        """Its exit code; waits for its end."""
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def wrong(self) -> list[str]:
        """Lines of its log that should not be there."""
        return [line for line in self.log if WRONG.search(line)]


@contextmanager
def serving(
    index: Path, folder: Path, *, provider: Provider | None = None, workers: int = 1, **environment: str
) -> Generator[Service]:
    """Serve the sample book, with `provider` as Gemini, else with the offline tutor.

    Args:
        index: Folder of the embedded index.
        folder: Where the service runs and keeps its files.
        provider: In the place of Gemini.
        workers: Processes that serve.
        environment: Further variables.
    """
    variables = {
        "PATH": os.environ["PATH"],
        "PRECEPTOR_ENV": "local",
        "PRECEPTOR_INDEX__PATH": str(index),
        "PRECEPTOR_INDEX__COLLECTION": "demo",
        "PRECEPTOR_TUTOR__PROVIDERS": '["gemini"]' if provider else "[]",
        "PRECEPTOR_TUTOR__BOOK_ONLY": "false",
        "PRECEPTOR_EMBEDDING__THREADS": "1",
        **environment,
    }
    if provider:
        variables |= {"GEMINI_API_KEY": "a-key", "GEMINI_BASE_URL": provider.base_url}
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-m", "preceptor", "serve", "--port", "0", "--workers", str(workers)],
        cwd=folder,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its workers are ended with it
    )
    lines: list[str] = []
    ready = threading.Event()
    written = threading.Condition()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with written:
                lines.append(line.rstrip())
                written.notify_all()
            if sum(_READY in line for line in lines) == workers and _address(lines):
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(PATIENCE)
        assert _address(lines), "\n".join(lines)
        yield Service(_address(lines), process, lines, reader, written)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        if process.stderr is not None:
            process.stderr.close()


def _address(log: list[str]) -> str:
    return next((found[1] for line in log if (found := re.search(r"running on (http://\S+)", line))), "")


class _Held(list[bytes]):
    """Pieces of an answer, the last of which come when somebody says so."""

    def __init__(self, pieces: list[bytes], *, first: int, go_on: threading.Event) -> None:
        super().__init__(pieces)
        self._first = first
        self._go_on = go_on

    def __iter__(self) -> Iterator[bytes]:
        for place, piece in enumerate(list.__iter__(self)):
            if place == self._first:
                self._go_on.wait(PATIENCE)
            yield piece


def held(text: str, go_on: threading.Event) -> Answer:
    """A streamed answer that stays in the middle until `go_on` is set."""
    whole = stream(chunk({"content": text}), chunk({"content": " And more."}), chunk({}, "stop"))
    return Answer(_Held(list(whole.pieces), first=1, go_on=go_on))


def hanging(text: str) -> Answer:
    """A streamed answer that stays in the middle for ever."""
    return stream(chunk({"content": text}), done=False, ending="hanging")


def events(response: httpx2.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream as they come."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@contextmanager
def streaming(
    service: Service, **asked_too: str
) -> Generator[tuple[httpx2.Response, Iterator[tuple[str, dict[str, Any]]]]]:
    """An answer as a stream, and its events."""
    asked = {**QUESTION, **asked_too, "stream": True}
    with (
        httpx2.Client(timeout=PATIENCE) as client,
        client.stream("POST", f"{service.url}/api/v1/chat", json=asked) as response,
    ):
        yield response, events(response)

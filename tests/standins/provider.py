"""Model providers on loopback: one that says exactly what a test scripts, and a starter for aimock.

The scripted one is for what goes wrong on the wire. llmock needs no starter: it comes with a pytest fixture.
"""

import asyncio
import json
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import pytest

AIMOCK = Path(__file__).parent / "node_modules/@copilotkit/aimock/dist/cli.js"

Json = dict[str, Any]
Ending = Literal["whole", "dropped", "hanging"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The provider's answer to one request."""

    pieces: Sequence[bytes] = ()
    status: int | None = 200
    """HTTP status; None: not even a status line comes."""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    ending: Ending = "whole"
    """Dropped: the connection is cut before the body's end. Hanging: nothing more comes."""
    pause: float = 0.0
    """Seconds before each piece but the first."""
    is_raw: bool = False
    """Whether the pieces are all that is sent, the head too; then the connection ends."""
    is_held: bool = False
    """Whether all pieces but the first wait for `Provider.go_on`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the provider."""

    path: str
    body: Json
    raw: bytes = b""


class Provider:
    """A server that gives the scripted answers in turn, one for each request, in a thread of its own."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.asked = threading.Semaphore(0)
        """Released once for each request, before it is answered."""
        self.hung_up = threading.Event()
        """Set when a client went away while an answer was hanging."""
        self._script: deque[Answer] = deque()
        self._for_ever: Answer | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready = threading.Event()

    def will(self, *answers: Answer) -> Self:
        """Append to the script."""
        self._script.extend(answers)
        return self

    def will_only(self, *answers: Answer) -> Self:
        """Forget what was, and give these answers, the last one again and again."""
        self.requests.clear()
        self._script = deque(answers[:-1])
        self._for_ever = answers[-1]
        return self

    def go_on(self) -> None:
        """Let answers that are held go on, now and later."""
        self._loop.call_soon_threadsafe(self._going_on.set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1beta/openai/"

    @property
    def messages(self) -> list[Json]:
        """The messages of the last request."""
        return self.requests[-1].body["messages"]

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._going_on = asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self._port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.lower().split("\r\n")
                length = next((line for line in lines if line.startswith("content-length:")), ":0")
                body = await reader.readexactly(int(length.partition(":")[2]))
                self.requests.append(Request(head.split()[1], json.loads(body or b"{}"), body))
                self.asked.release()
                without_script = self._for_ever or fails(500, "the script has run out")
                answer = self._script.popleft() if self._script else without_script
                if not self.requests[-1].body.get("stream"):
                    answer = _in_one_piece(answer)
                try:
                    await self._give(answer, reader, writer)
                finally:
                    # The client may be gone before the first of the answer is written.
                    if answer.ending == "hanging":
                        self.hung_up.set()
                if answer.ending == "dropped" or answer.is_raw:
                    break
        writer.close()

    async def _give(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer.is_raw:
            writer.write(b"".join(answer.pieces))
            await writer.drain()
            return
        if answer.status is not None:
            lines = [f"HTTP/1.1 {answer.status} Scripted", "Transfer-Encoding: chunked"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        for number, piece in enumerate(answer.pieces):
            await asyncio.sleep(answer.pause if number else 0)
            if number and answer.is_held:
                await self._going_on.wait()
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        if answer.ending == "whole":
            writer.write(b"0\r\n\r\n")
        elif answer.ending == "hanging":
            await reader.read()
        await writer.drain()


def chunk(delta: Json | None = None, finish: str | Json | None = None, usage: Json | None = None) -> Json:
    """One chunk of a streamed completion; without a delta it has no choice."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, "usage": usage}


def stream(*chunks: object, done: bool = True, ending: Ending = "whole", pause: float = 0.0) -> Answer:
    """A stream of these JSON values."""
    pieces = [f"data: {json.dumps(each)}\n\n".encode() for each in chunks]
    return Answer([*pieces, b"data: [DONE]\n\n"] if done else pieces, ending=ending, pause=pause)


def _in_one_piece(answer: Answer) -> Answer:
    """The same for a client that wants no stream; a stream that breaks off becomes half an answer."""
    if answer.is_raw:
        return answer
    events = b"".join(answer.pieces).split(b"\n\n")
    data = [event.removeprefix(b"data: ") for event in events if event.startswith(b"data: ")]
    if not data:
        return answer
    kind = {**answer.headers, "Content-Type": "application/json"}
    try:
        chunks = [json.loads(each) for each in data if each != b"[DONE]"]
    except (ValueError, RecursionError):
        return replace(answer, pieces=data, headers=kind)
    if chunks and not all(isinstance(each, dict) and "choices" in each for each in chunks):
        return replace(answer, pieces=data[:1], headers=kind)
    whole = json.dumps(_joined(chunks)).encode()
    is_cut = answer.ending != "whole" or data[-1] != b"[DONE]"
    return replace(answer, pieces=[whole[: len(whole) // 2] if is_cut else whole], headers=kind)


def _joined(chunks: Sequence[Json]) -> Json:
    """The completion whose stream these chunks are."""
    said = [choice for each in chunks for choice in each["choices"] or ()]
    message: Json = {"role": "assistant", "content": None}
    for delta in [choice["delta"] for choice in said]:
        message |= {name: value for name, value in delta.items() if name not in ("content", "tool_calls")}
        match message["content"], delta.get("content"):
            case str(before), str(after):
                message["content"] = before + after
            case _, None:
                pass
            case _, after:
                message["content"] = after
        for piece in delta.get("tool_calls") or ():
            message.setdefault("tool_calls", []).append(piece)
    finish = next((choice["finish_reason"] for choice in said[::-1] if choice.get("finish_reason")), "stop")
    choice = {"index": 0, "finish_reason": finish, "message": message}
    spent = next((each["usage"] for each in chunks if each.get("usage")), None)
    choices = [choice] if said else []
    return {"id": "chatcmpl-1", "object": "chat.completion", "choices": choices, "usage": spent}


def usage(prompt: int, completion: int) -> Json:
    """The usage object of a completion."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def says(*words: str) -> Answer:
    """A streamed answer, a chunk for each word, with 10 tokens in and 5 out."""
    texts = [chunk({"content": word}) for word in words]
    role = chunk({"role": "assistant", "content": ""})
    return stream(role, *texts, chunk({}, "stop"), chunk(usage=usage(10, 5)))


def calls(*tool_calls: Json, finish: str = "stop") -> Answer:
    """A streamed answer with a chunk for each tool call, or piece of one, and then the finish reason."""
    return stream(*(chunk({"tool_calls": [call]}) for call in tool_calls), chunk({}, finish))


def call(name: str, arguments: Json | str, **more: Any) -> Json:
    """A tool call as Gemini sends it; `index`, `id` and `extra_content` go into `more`."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function", "function": {"name": name, "arguments": text}, **more}


def whole(message: Json, finish: str = "stop") -> Answer:
    """A completion that is not streamed."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return fails(200, {"id": "chatcmpl-1", "choices": [choice], "usage": usage(10, 5)})


def fails(status: int, body: object, **headers: str) -> Answer:
    """A plain response; `retry_after="3"` becomes the header `Retry-After`."""
    plain = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([plain.encode()], status, {"Content-Type": kind, **named})


@contextmanager
def aimock(fixtures: Sequence[Json], folder: Path) -> Generator[str]:
    """A running aimock, from npm; gives the address it listens at.

    Args:
        fixtures: What it answers, in its own form.
        folder: Where the file of fixtures is put.
    """
    node = shutil.which("node")
    if node is None or not AIMOCK.is_file():
        pytest.skip("needs Node and aimock: run `npm install` in tests/standins")
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}), "utf-8")
    command = [node, str(AIMOCK), "--port", "0", "--strict", "--fixtures", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(line.split()[-1] for line in process.stdout if "listening on" in line)
        finally:
            process.terminate()

"""A model provider of fixed delays, as a process of its own: a call of `search_textbook`, then an answer.

It prints its port. With `--quotes` the answer is what the passages say, with their keys, so that it holds where an
answer must rest on the book. Without it, the answer begins with the seconds that the provider itself held the question,
both calls together, so that whoever reads it can tell that time from everybody else's, and with the time at which they
were sent (`time.perf_counter`, which is one clock for all processes of a Linux machine).
"""

import argparse
import asyncio
import json
import re
import time
from typing import Any, cast

import httptools
import uvloop

Json = dict[str, Any]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
_OWN_CALL = re.compile(r"call_(\d+\.\d+)")
_QUOTED = re.compile(r'<quotation key="(\w+)"[^>]*>\n([A-Z][^.\n]+)\.')
_WORDS = ("A ", "node ", "is ", "a ", "process ", "that ", "computes. ")


class _Connection(asyncio.Protocol):
    """One client, one request after the other."""

    def __init__(self, delays: argparse.Namespace) -> None:
        self._delays = delays
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""
        self._received = time.perf_counter()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        asked: Json = json.loads(self._body)
        self._streams = bool(asked.get("stream"))
        messages: list[Json] = asked["messages"]
        found = _OWN_CALL.fullmatch(str(messages[-1].get("tool_call_id")))
        quoted = [f"{said} [{key}]. " for key, said in _QUOTED.findall(str(messages[-1]["content"]))]
        self._quotation = " ".join(quoted[:3]) if self._delays.quotes else ""
        answering = self._answer(float(found[1])) if found else self._call(messages)
        self._task = asyncio.get_running_loop().create_task(answering)

    async def _call(self, messages: list[Json]) -> None:
        question = next(one["content"] for one in reversed(messages) if one["role"] == "user")
        await asyncio.sleep(self._delays.decide)
        held = time.perf_counter() - self._received
        function = {"name": "search_textbook", "arguments": json.dumps({"query": question})}
        # What it held so far comes back with the tool's result.
        call = {"index": 0, "id": f"call_{held:.6f}", "type": "function", "function": function}
        if not self._streams:
            del call["index"]
            self._give({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")
            return
        self._begin()
        self._say({"role": "assistant", "tool_calls": [call]})
        self._end("tool_calls")

    async def _answer(self, held_before: float) -> None:
        await asyncio.sleep(self._delays.first)
        if not self._streams:
            await asyncio.sleep(self._delays.gap * self._delays.tokens)
        held = time.perf_counter() - self._received + held_before
        words = [f"{held:.6f} seconds, sent at {time.perf_counter():.6f}. "]
        words += [_WORDS[number % len(_WORDS)] for number in range(self._delays.tokens)]
        if self._quotation:
            words = re.findall(r"\S+\s*", self._quotation)
        if not self._streams:
            self._give({"role": "assistant", "content": "".join(words)}, "stop")
            return
        self._begin()
        self._say({"role": "assistant", "content": words[0]})
        for word in words[1:]:
            await asyncio.sleep(self._delays.gap)
            self._say({"content": word})
        self._end("stop")

    def _give(self, message: Json, finish: str) -> None:
        """Answer in one piece, as a request without `stream` wants it."""
        choice = {"index": 0, "message": message, "finish_reason": finish}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        body = json.dumps({**answer, "usage": _USAGE}).encode()
        self._transport.write(_WHOLE_HEAD % len(body) + body)

    def _begin(self) -> None:
        self._transport.write(_HEAD)

    def _say(self, delta: Json, finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self._send({"id": "1", "object": "chat.completion.chunk", "choices": [choice]})

    def _end(self, finish: str) -> None:
        self._say({}, finish)
        self._send({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": _USAGE})
        self._transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    def _send(self, body: Json) -> None:
        data = b"data: %s\n\n" % json.dumps(body).encode()
        self._transport.write(b"%x\r\n%s\r\n" % (len(data), data))


async def serve(delays: argparse.Namespace) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(delays), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decide", type=float, default=0.0, help="seconds until it calls the tool")
    parser.add_argument("--first", type=float, default=0.5, help="seconds until the answer's first token")
    parser.add_argument("--tokens", type=int, default=20, help="further tokens")
    parser.add_argument("--quotes", type=int, default=0, help="1: answer with the passages' own sentences")
    parser.add_argument("--gap", type=float, default=0.02, help="seconds between tokens")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

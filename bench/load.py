"""Chats per second and latencies at 1, 20, 100 and 200 readers at a time.

Three processes on loopback: this one, `preceptor serve`, and a provider of fixed delays that first calls
`search_textbook` and then answers. Every question is a new one, so each is embedded and searched. The answer says
how long the provider itself held the question; `added` is the time to the first token without that: three model
calls, the search, and everything between. `relayed` is the part of it that follows the provider's own first token:
from when the provider sent it to when the reader has it.

- `json`, `stream`: readers who ask again as soon as they have their answer.
- `open_streams`: the provider takes 0.5 s to its first token, then speaks for some seconds; readers come evenly
  spread. `ratio`: median time to the first token among 200 open streams over that of a single one.
- `burst`: all readers ask at the same moment. The CPU of their chats bounds it.
- `memory`: of the service, for each open stream.
"""

import argparse
import asyncio
import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

import httptools
import uvloop
from service import cpu, environment, index_sample_book, memory, provider, serving

_HELD = re.compile(rb'"answer": ?"([\d.]+) seconds, sent at (\d+\.\d+)')
_numbers = count()


@dataclass(slots=True)
class Chat:
    """Times that one reader saw, in seconds."""

    total: float
    first_token: float
    held: float
    """By the provider, of the time to the first token."""
    relayed: float
    """From the provider's first token to the reader's."""


class _Reader(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser: Any = None

    @classmethod
    async def connected(cls, port: int) -> "_Reader":
        _, reader = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return reader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the service hung up"))

    def on_body(self, data: bytes) -> None:
        self._body += data
        if self._first is None and b"event: token" in self._body:
            self._first = time.perf_counter()
            self.begun.set_result(self._first - self._asked)

    def on_message_complete(self) -> None:
        self._done.set_result(time.perf_counter())

    def ask(self, *, stream: bool) -> None:
        """Send a question that nobody asked before."""
        question = f"What is a node in ROS 2, and why is {next(_numbers)} of them too many?"
        body = json.dumps({"content": question, "stream": stream}).encode()
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._first: float | None = None
        self._done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.begun: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._asked = time.perf_counter()
        self._transport.write(
            b"POST /api/v1/chat HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    async def answer(self) -> Chat:
        """The result."""
        ended = await self._done
        found = _HELD.search(self._body)
        if found is None:
            raise RuntimeError(f"no answer: {self._body[-500:].decode(errors='replace')}")
        first = self._first or ended
        return Chat(ended - self._asked, first - self._asked, float(found[1]), first - float(found[2]))

    def leave(self) -> None:
        """Go away, whether there is an answer or not."""
        self._done.cancel()
        self._transport.abort()


async def closed_loop(
    port: int, readers: int, *, stream: bool, seconds: float, one: float
) -> tuple[list[Chat], float]:
    """Readers who ask again at once, for some seconds; their chats, and how many there were in a second."""
    chats: list[Chat] = []
    began = time.perf_counter()

    async def read(delay: float) -> None:
        await asyncio.sleep(delay)  # unconnected: the service hangs up where no head comes
        reader = await _Reader.connected(port)
        while time.perf_counter() - began < seconds + one:
            reader.ask(stream=stream)
            chat = await reader.answer()
            if time.perf_counter() - began > one:  # the first round fills the house
                chats.append(chat)
        reader.leave()

    await asyncio.gather(*(read(one * number / readers) for number in range(readers)))
    return chats, len(chats) / (time.perf_counter() - began - one)


async def together(port: int, readers: int, *, over: float) -> list[Chat]:
    """One streamed chat of each reader, begun evenly spread over some seconds."""

    async def read(delay: float) -> Chat:
        await asyncio.sleep(delay)  # unconnected: the service hangs up where no head comes
        reader = await _Reader.connected(port)
        reader.ask(stream=True)
        chat = await reader.answer()
        reader.leave()
        return chat

    return await asyncio.gather(*(read(over * number / readers) for number in range(readers)))


async def alone(port: int, chats: int) -> list[float]:
    """Times to the first token of streams that have the service for themselves."""
    times: list[float] = []
    for _ in range(chats):
        reader = await _Reader.connected(port)
        reader.ask(stream=True)
        times.append(await reader.begun)
        reader.leave()
    return times


async def memory_of_streams(port: int, pid: int, readers: int) -> dict[str, float]:
    """Memory of open streams, beyond that of a service that has answered some."""
    await together(port, 20, over=1)
    before = memory(pid)
    held = [await _Reader.connected(port) for _ in range(readers)]
    for reader in held:
        reader.ask(stream=True)
    await asyncio.gather(*(reader.begun for reader in held))
    after = memory(pid)
    for reader in held:
        reader.leave()
    return {
        "service_mib": round(before, 1),
        "with_streams_mib": round(after, 1),
        "kib_per_stream": round((after - before) / readers * 1024, 1),
    }


def ms(values: Sequence[float], *shares: float) -> dict[str, float]:
    """Percentiles by nearest rank, in milliseconds."""
    ranked = sorted(values)
    return {
        f"p{share:g}": round(ranked[max(0, math.ceil(share / 100 * len(ranked)) - 1)] * 1000, 1)
        for share in shares
    }


async def levels(
    port: int, pid: int, readers: Sequence[int], seconds: float, one: float
) -> list[dict[str, Any]]:
    """Both forms of the answer at each number of readers."""
    rows: list[dict[str, Any]] = []
    for number in readers:
        row: dict[str, Any] = {"readers": number}
        for form, stream in (("json", False), ("stream", True)):
            used = cpu(pid)
            chats, rate = await closed_loop(port, number, stream=stream, seconds=seconds, one=one)
            row[form] = {
                "chats": len(chats),
                "per_second": round(rate, 1),
                **ms([c.total for c in chats], 50, 95, 99),
            }
            row[form]["cpu_ms"] = round((cpu(pid) - used) / max(1, len(chats)) * 1000, 1)
            if stream:
                row["first_token"] = ms([chat.first_token for chat in chats], 50, 95, 99)
                row["added"] = ms([chat.first_token - chat.held for chat in chats], 50, 95, 99)
                row["relayed"] = ms([chat.relayed for chat in chats], 50, 95, 99)
        rows.append(row)
    return rows


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All of it; the processes live as long as what they are for."""
    index_sample_book()
    result: dict[str, Any] = {"bench": "load"}

    def variables(address: str) -> dict[str, str]:
        return environment(
            PRECEPTOR_TUTOR__PROVIDERS='["openai"]',
            PRECEPTOR_TUTOR__BOOK_ONLY="false",  # the scripted provider cites nothing
            PRECEPTOR_TUTOR__DEADLINE="120",
            PRECEPTOR_OPENAI__BASE_URL=address,
            PRECEPTOR_OPENAI__TIMEOUT="120",
            PRECEPTOR_OPENAI__FIRST_TOKEN="60",
            OPENAI_API_KEY="bench",
        )

    delays = {"decide": 0.4, "first": 0.5, "tokens": 40, "gap": 0.05}
    with provider(**delays) as address, serving(variables(address)) as (port, pid):
        uvloop.run(together(port, 5, over=2))
        result["provider"] = delays
        result["levels"] = uvloop.run(levels(port, pid, args.readers, args.seconds, 3.0))

    most = max(args.readers)
    delays = {"decide": 0.0, "first": 0.5, "tokens": 60, "gap": 0.2}
    duration = delays["first"] + delays["tokens"] * delays["gap"]
    with provider(**delays) as address, serving(variables(address)) as (port, pid):
        uvloop.run(together(port, 5, over=1))
        one = ms(uvloop.run(alone(port, 9)), 50)["p50"]
        chats = uvloop.run(together(port, 2 * most, over=2 * duration))[most // 2 :]
        among = ms([chat.first_token for chat in chats], 50, 95, 99)
        result["open_streams"] = {
            "streams": most,
            "alone_ms": one,
            **among,
            "ratio": round(among["p50"] / one, 3),
            "ratio_p95": round(among["p95"] / one, 3),
        }
        burst = uvloop.run(together(port, most, over=0))
        result["burst"] = {"readers": most, **ms([chat.first_token for chat in burst], 50, 95, 99)}

    with provider(decide=0, first=0, tokens=3, gap=5) as address, serving(variables(address)) as (port, pid):
        result["memory"] = uvloop.run(memory_of_streams(port, pid, most))
    return result


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"provider: {result['provider']}",
        "",
        "readers  chats/s  CPU ms  json p50/p95/p99 ms  first token p50/p95/p99 ms"
        "  added p50/p95 ms  relayed p50/p95 ms",
    ]
    for row in result["levels"]:
        total, first, extra, relayed = row["json"], row["first_token"], row["added"], row["relayed"]
        lines.append(
            f"{row['readers']:7}  {total['per_second']:7}  {total['cpu_ms']:6}"
            f"  {total['p50']:5.0f} {total['p95']:6.0f} {total['p99']:6.0f}"
            f"  {first['p50']:12.0f} {first['p95']:6.0f} {first['p99']:6.0f}"
            f"  {extra['p50']:10.1f} {extra['p95']:6.1f}  {relayed['p50']:11.1f} {relayed['p95']:6.1f}"
        )
    lines += ["", *(f"{name}: {result[name]}" for name in ("open_streams", "burst", "memory"))]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, nargs="+", default=[1, 20, 100, 200])
    parser.add_argument("--seconds", type=float, default=8, help="for each form of the answer at each number")
    parser.add_argument("--json", action="store_true", help="one JSON line")
    args = parser.parse_args()
    result = measure(args)
    print(json.dumps(result) if args.json else table(result))


if __name__ == "__main__":
    main()

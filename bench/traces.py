"""What traces cost: lists and searches over a large file while runs are written, and the CPU of tracing a chat.

- `list`, `filter`, `search`: milliseconds of one query of the operator over `--runs` runs, p50 and p95, while 20 runs
  a second are written to the same file; and p95 of the query's own CPU, which a busy machine does not change so much.
- `tracing`: what tracing takes of a chat's CPU in a service at 20 readers at a time, whose answers rest on the book.
  Both are of the same chats: `bench/watched.py` counts the CPU of what tracing does, on the event loop and in the
  thread that writes, and that of the whole process. Comparing chats with traces to chats without drowns in what else a
  machine does: over 60 pairs half of the differences lay between -3 and 19 %.
- `calls`: the check, by counted work. Functions that are called for a chat with traces and without, C's among them, all
  threads; the same every time. A call of tracing is cheaper or dearer than another, so it is no share of the CPU.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agents import set_tracing_disabled
from openai.types.responses import ResponseTextDeltaEvent
from service import PLACE, environment, index_sample_book, provider, serving

from preceptor.agents import recorded
from preceptor.agents.answer import Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.settings import load_settings
from preceptor.tracing.filters import Filters
from preceptor.tracing.processor import install
from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Tape

_SYLLABLES = ("ro", "na", "pu", "se", "mi", "bo", "vi", "la", "ti", "ke", "du", "fo", "ga", "zu")
_WORDS = [f"{a}{b}{c}" for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES]
_READERS = 20
_PER_SECOND = 20
_WRITTEN = 2500
"""Number of different runs in the large file; the others are copies of them, at other times."""
_COPY_RUNS = """
INSERT INTO runs (number, trace_id, started, seconds, session_id, response_id, facts, outline, tape, spans)
SELECT number + :by, printf('trace_%032x', number + :by - 1), started + :by, seconds, session_id || '-' || :by,
    response_id || '-' || :by, facts, outline, tape, spans FROM runs WHERE number <= :written"""
_COPY_WORDS = """
INSERT INTO words (rowid, question, answer) SELECT number + :by, facts ->> '$.question', facts ->> '$.answer'
FROM runs WHERE number <= :written"""
_COPY_SHOWN = "INSERT INTO shown (passage, run) SELECT passage, run + :by FROM shown WHERE run <= :written"


class Maker:
    """Makes runs up: of the size and shape of real ones, over a book of 2,000 passages."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        # Words as frequent as in a text: the first is everywhere, the last almost nowhere.
        self._weights = [1 / (place + 1) for place in range(len(_WORDS))]
        self._passages = [
            {
                "key": f"k{number}",
                "text": self.text(90),
                "url": f"/docs/{number}",
                "breadcrumb": ["Book", str(number)],
            }
            for number in range(2000)
        ]

    def text(self, words: int) -> str:
        """Returns a made-up text."""
        return " ".join(self._chance.choices(_WORDS, self._weights, k=words))

    def write(self, store: TraceStore, number: int, *, now: float) -> None:
        """Write a run as the service does."""
        chance = self._chance
        shown = chance.sample(self._passages, 6)
        result = "\n\n".join(f"[{one['key']}] {one['text']}" for one in shown)
        answer, question = self.text(120), self.text(10)
        usage = {"input_tokens": 2000, "output_tokens": 150}
        prompt = {"role": "system", "content": self.text(250)}

        def span(kind: str, at: float, **data: Any) -> Any:
            name = "search_textbook" if kind == "function" else "gemini-2.5-flash"
            return {
                "parent": None,
                "type": kind,
                "name": name,
                "at": at,
                "ms": 40,
                "data": data,
                "error": None,
            }

        spans = [
            span(
                "generation",
                1,
                model="gemini-2.5-flash",
                usage=usage,
                input=[prompt, {"role": "user", "content": question}],
            ),
            span("function", 50, input='{"query": "…"}', output=result),
            span(
                "generation",
                60,
                model="gemini-2.5-flash",
                usage=usage,
                input=[{"role": "tool", "content": result}],
                output=answer,
            ),
        ]
        cost = {"usd": chance.random() / 100, "prices": "made up", "on": "today"}
        record = RunRecord(now, chance.expovariate(0.3), f"session-{number // 4}", None, spans, cost)
        step: Any = {
            "kind": "tool", "name": "search_textbook", "call_id": "c", "arguments": "{}", "output": result,
            "passages": [{"passage": one, "score": 0.5, "dense": 0.4, "bm25": 1.0} for one in shown],
        }  # fmt: skip
        said: Any = {"kind": "model", "agent": "Gemini tutor", "said": answer, "output": []}
        tape = Tape(asked={"text": question}, steps=[said, step, said], answer={"text": answer}, error=None)
        trace_id = f"trace_{number:032x}"
        store.add(trace_id, lambda: record)
        store.record(trace_id, lambda: tape)
        left = (
            [{"from": "gemini", "reason": chance.choice(("rate_limited", "read_timeout"))}]
            if chance.random() < 0.1
            else []
        )
        store.annotate(
            trace_id, question=question, answer=answer, provider="openai" if left else "gemini",
            in_book=chance.random() > 0.2, confidence=chance.random(), degraded=False,
            failover=left, response_id=f"r{number}",
        )  # fmt: skip


QUERIES: dict[str, Filters] = {
    "list": Filters(),
    "filter: not answered": Filters(unanswered=True),
    "filter: weak": Filters(weak=0.05),
    "filter: left gemini, rate limited, slow": Filters(left="gemini", reason="rate_limited", slower=8),
    "filter: dear": Filters(dearer=0.0099),
    "filter: no run meets it": Filters(tool="no_such_tool"),
    "search: frequent word": Filters(search=_WORDS[0]),
    "search: rare word": Filters(search=_WORDS[-1]),
    "search: two words, slow": Filters(search=f"{_WORDS[3]} {_WORDS[300]}", slower=15),
    "search: phrase": Filters(search=f'"{_WORDS[2]} {_WORDS[7]} {_WORDS[1]}"'),
    "search: nothing has it": Filters(search="nowhere"),
}


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def copied(path: Path, written: int, runs: int) -> None:
    """Fill the file up to `runs` with copies of what was written: its words are as frequent as before."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        for number in range(written, runs, written):
            file.execute(_COPY_RUNS, {"by": number, "written": min(written, runs - number)})
            file.execute(_COPY_WORDS, {"by": number, "written": min(written, runs - number)})
            file.execute(_COPY_SHOWN, {"by": number, "written": min(written, runs - number)})
        file.execute("COMMIT")


def large_file(runs: int, rounds: int) -> dict[str, Any]:
    """Fill a file, then ask it while runs are written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.db"
        store = TraceStore(path, keep_runs=runs + 100_000, keep_days=365, include_text=True)
        maker, began, now = Maker(1), time.perf_counter(), time.time()
        written = min(runs, _WRITTEN)
        for number in range(written):
            maker.write(store, number, now=now - runs + number)
            if number % 250 == 249:
                store.flush(60)
        store.flush(60)
        filled = time.perf_counter() - began
        copied(path, written, runs)
        over = threading.Event()

        def readers() -> None:
            number = runs
            while not over.wait(1 / _PER_SECOND):
                maker.write(store, number, now=time.time())
                number += 1

        writing = threading.Thread(target=readers)
        writing.start()
        asked: dict[str, Any] = {}
        for name, filters in QUERIES.items():
            times: list[float] = []
            cpu: list[float] = []
            found = 0
            for _ in range(rounds):
                start, used = time.perf_counter(), time.thread_time()
                found = len(store.runs(50, filters=filters))
                times.append((time.perf_counter() - start) * 1000)
                cpu.append((time.thread_time() - used) * 1000)
            asked[name] = {
                "p50": round(statistics.median(times), 1),
                "p95": round(percentile(times, 0.95), 1),
                "cpu_p95": round(percentile(cpu, 0.95), 1),
                "found": found,
            }
        start = time.perf_counter()
        store.feedback("r7", -1).result(10)
        feedback = (time.perf_counter() - start) * 1000
        over.set()
        writing.join()
        dropped = store.dropped
        store.close()
        size = sum(file.stat().st_size for file in path.parent.iterdir()) / 1e9
    return {
        "runs": runs, "gigabytes": round(size, 2), "ms_to_write_a_run": round(filled / written * 1000, 3),
        "queries_ms": asked, "feedback_ms": round(feedback, 1), "dropped": dropped,
    }  # fmt: skip


def share_of_cpu(rounds: int, chats: int) -> dict[str, Any]:
    """What tracing takes of the CPU of a service's chats."""
    index_sample_book()
    per_event = ms_of_an_event()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "watched.jsonl"
        with provider(first=0.0, gap=0.0, quotes=1) as address:
            variables = environment(
                BENCH_WATCHED=str(told),
                PRECEPTOR_TRACES__PATH=f"{folder}/traces.db",
                PRECEPTOR_TUTOR__PROVIDERS='["openai"]',
                PRECEPTOR_TUTOR__DEADLINE="120",
                PRECEPTOR_OPENAI__BASE_URL=address,
                PRECEPTOR_OPENAI__TIMEOUT="120",
                PRECEPTOR_OPENAI__FIRST_TOKEN="60",
                OPENAI_API_KEY="bench",
            )
            program = [str(Path(__file__).parent / "watched.py")]
            with serving(variables, program) as (port, pid):

                def counted() -> dict[str, Any]:
                    time.sleep(1)  # until what was asked is written
                    lines = told.read_text().count("\n") if told.exists() else 0
                    os.kill(pid, signal.SIGUSR1)
                    while not told.exists() or told.read_text().count("\n") == lines:
                        time.sleep(0.05)
                    return json.loads(told.read_text().splitlines()[-1])

                asyncio.run(asked(port, _READERS, stream=True))
                rows: dict[str, list[dict[str, Any]]] = {"json": [], "stream": []}
                for _ in range(rounds):
                    for form, found in rows.items():
                        before = counted()
                        asyncio.run(asked(port, chats, stream=form == "stream"))
                        found.append(_per_chat(before, counted(), chats, per_event))
    return {form: _medians(found) for form, found in rows.items()}


async def asked(port: int, chats: int, *, stream: bool) -> None:
    """Readers who ask again as soon as they have their answer, each question a new one."""
    numbers = iter(range(chats))

    async def read() -> None:
        for number in numbers:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            body = json.dumps({"content": f"What is a node in ROS 2? ({number})", "stream": stream}).encode()
            head = "POST /api/v1/chat HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json"
            writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.read()
            writer.close()
            if b'"degraded":false' not in answer.replace(b" ", b""):
                raise RuntimeError(f"no answer: {answer[-500:].decode(errors='replace')}")

    await asyncio.gather(*(read() for _ in range(_READERS)))


def _per_chat(before: Any, after: Any, chats: int, per_event: float) -> dict[str, Any]:
    """Milliseconds of CPU for a chat, between two lines of `bench/watched.py`."""

    def ms(old: float, new: float) -> float:
        return (new - old) / chats * 1000

    loop = {name: ms(before["loop"][name], spent) for name, spent in after["loop"].items()}
    loop["events"] = (after["events"] - before["events"]) / chats * per_event
    row = {"chat_ms": ms(before["all"], after["all"]), "writer_ms": ms(before["writer"], after["writer"])}
    traced = row["writer_ms"] + sum(loop.values())
    return {**row, "loop_ms": sum(loop.values()), "percent": traced / row["chat_ms"] * 100, **loop}


def _medians(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    middle = {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
    shares = [row["percent"] for row in rows]
    return {**middle, "percent_from_to": [round(min(shares), 2), round(max(shares), 2)]}


def ms_of_an_event() -> float:
    """CPU that the recorder takes for one event of a model, in milliseconds."""

    async def events(count: int) -> AsyncGenerator[Any, None]:
        event = ResponseTextDeltaEvent.model_construct(type="response.output_text.delta", delta="word ")
        for _ in range(count):
            yield event

    def forget(**_: object) -> None:
        return None

    async def cpu(stream: AsyncIterator[Any]) -> float:
        began = time.process_time()
        async for _ in stream:
            pass
        return time.process_time() - began

    count = 20_000
    recorder = recorded._recorded  # pyright: ignore[reportPrivateUsage]
    best = [
        asyncio.run(cpu(recorder(events(count), forget))) - asyncio.run(cpu(events(count))) for _ in range(7)
    ]
    return statistics.median(best) / count * 1000


async def calls_of_a_chat(chats: int) -> dict[str, Any]:
    """Calls of functions for a chat with traces and without, in one process without HTTP."""
    with tempfile.TemporaryDirectory() as folder, provider(first=0.0, gap=0.0, quotes=1) as address:
        settings = load_settings(
            "demo",
            overrides={
                "index": {"path": str(PLACE / "index")},
                "traces": {"path": f"{folder}/traces.db"},
                "session": {"url": f"sqlite:///{folder}/sessions.db"},
                "tutor": {"providers": ["openai"], "deadline": 120},
                "openai": {"api_key": "none", "base_url": address, "model": "m"},
            },
        )
        counts: dict[str, int] = {"on": 0, "off": 0}
        side = ""

        def count(_frame: Any, event: str, _of: Any) -> None:
            if side and event in ("call", "c_call"):
                counts[side] += 1

        threading.setprofile(count)  # the thread that writes begins with the first run
        store = install(settings.traces)
        async with (
            open_preceptor(settings, traces=store) as with_traces,
            open_preceptor(settings) as without,
        ):
            for number in range(chats + 2):
                for name, preceptor in (("on", with_traces), ("off", without)):
                    set_tracing_disabled(name == "off")
                    side = name if number > 1 else ""  # the first ones warm up
                    sys.setprofile(count)
                    async for _ in preceptor.stream(Question(text=f"What is a node in ROS 2? ({number})")):
                        pass
                    sys.setprofile(None)
                    store.flush(30)
        threading.setprofile(None)
        store.close()
    on, off = counts["on"] / chats, counts["off"] / chats
    return {"on": round(on), "off": round(off), "percent": round((on / off - 1) * 100, 1)}


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=30, help="of each query")
    parser.add_argument("--chats", type=int, default=100, help="of each form in a round; 0: only the file")
    parser.add_argument("--chat-rounds", type=int, default=5)
    args = parser.parse_args()
    result: dict[str, Any] = {"bench": "traces"}
    if args.runs:
        result |= large_file(args.runs, args.rounds)
    if args.chats:
        result["tracing"] = share_of_cpu(args.chat_rounds, args.chats)
        result["calls"] = asyncio.run(calls_of_a_chat(10))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

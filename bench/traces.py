"""What traces cost: lists and searches over a large file while runs are written, and the CPU of tracing a chat.

- `list`, `filter`, `search`: milliseconds of one query of the operator over `--runs` runs, p50 and p95, while 20 runs
  a second are written to the same file.
- `tracing`: CPU of a chat with traces over that without, all threads, at 20 readers at a time who read streams
  of a provider in another process; the sides alternate in one run. Serving HTTP is not among it, so that the share of a
  real chat is smaller. `off` has the SDK's own tracing switched off, too.
"""

import argparse
import asyncio
import gc
import json
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agents import set_trace_processors, set_tracing_disabled
from service import PLACE, index_sample_book, provider

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.settings import load_settings
from preceptor.tracing.filters import Filters
from preceptor.tracing.processor import LocalProcessor, install
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
            found = 0
            for _ in range(rounds):
                start = time.perf_counter()
                found = len(store.runs(50, filters=filters))
                times.append((time.perf_counter() - start) * 1000)
            asked[name] = {
                "p50": round(statistics.median(times), 1),
                "p95": round(percentile(times, 0.95), 1),
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


async def tracing(rounds: int, chats: int) -> dict[str, Any]:
    """CPU of a chat with traces and without."""
    index_sample_book()
    with tempfile.TemporaryDirectory() as folder, provider(first=0.0, gap=0.0) as address:
        settings = load_settings(
            "demo",
            overrides={
                "index": {"path": str(PLACE / "index")},
                "traces": {"path": f"{folder}/traces.db"},
                "session": {"url": f"sqlite:///{folder}/sessions.db"},
                "tutor": {"providers": ["openai"], "book_only": False, "deadline": 120},
                "openai": {"api_key": "none", "base_url": address, "model": "m"},
            },
        )
        store = install(settings.traces)
        async with (
            open_preceptor(settings, traces=store) as with_traces,
            open_preceptor(settings) as without,
        ):
            numbers = iter(range(10**9))

            async def cpu_ms(preceptor: Preceptor, count: int) -> float:
                began, gate = time.process_time(), asyncio.Semaphore(_READERS)

                async def one() -> None:
                    async with gate:
                        asked = Question(text=f"What is a node in ROS 2, and why {next(numbers) % 50}?")
                        async for _ in preceptor.stream(asked):
                            pass

                await asyncio.gather(*(one() for _ in range(count)))
                store.flush(30)
                return (time.process_time() - began) / count * 1000

            sides: dict[str, list[float]] = {"on": [], "off": []}
            await cpu_ms(with_traces, _READERS)
            await cpu_ms(without, _READERS)
            gc.collect()
            gc.freeze()  # else a full collection over two opened books falls into some round or other
            for number in range(rounds + 1):
                for side in ("on", "off") if number % 2 else ("off", "on"):
                    set_tracing_disabled(side == "off")
                    set_trace_processors([LocalProcessor(store)] if side == "on" else [])
                    cost = await cpu_ms(with_traces if side == "on" else without, chats)
                    if number:  # the first warms up
                        sides[side].append(cost)
        store.close()
    # What else the machine does only ever adds to a round, so that the quickest rounds are the ones to compare.
    quiet = {side: statistics.quantiles(costs)[0] for side, costs in sides.items()}
    shares = [on / off - 1 for on, off in zip(sides["on"], sides["off"], strict=True)]
    return {
        "chat_cpu_ms": {side: round(statistics.median(costs), 3) for side, costs in sides.items()},
        "tracing_percent": round(statistics.median(shares) * 100, 1),
        "tracing_percent_of_lower_quartiles": round((quiet["on"] / quiet["off"] - 1) * 100, 1),
        "quartiles": [round(share * 100, 1) for share in statistics.quantiles(shares)],
    }


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=30, help="of each query")
    parser.add_argument("--chats", type=int, default=20, help="of each side in a round; 0: only the file")
    parser.add_argument(
        "--chat-rounds", type=int, default=60, help="pairs of sides; short ones, as machines drift"
    )
    args = parser.parse_args()
    result: dict[str, Any] = {"bench": "traces"}
    if args.runs:
        result |= large_file(args.runs, args.rounds)
    if args.chats:
        result["tracing"] = asyncio.run(tracing(args.chat_rounds, args.chats))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

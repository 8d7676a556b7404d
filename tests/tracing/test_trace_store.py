"""The file of runs itself."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from preceptor.errors import TraceNotFound, TracesUnavailable
from preceptor.providers.failure import FailureNote
from preceptor.tracing.run import RunRecord, SpanRecord
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Tape

Open = Callable[..., TraceStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    stores: list[TraceStore] = []

    def opened(**options: Any) -> TraceStore:
        usual: dict[str, Any] = {"keep_runs": 1000, "keep_days": 30, "include_text": True}
        stores.append(TraceStore(tmp_path / "folder" / "traces.db", **usual | options))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def step(**data: Any) -> SpanRecord:
    """A span."""
    return {
        "parent": None,
        "type": "function",
        "name": "search_textbook",
        "at": 0,
        "ms": 1,
        "data": data,
        "error": None,
    }


def add(store: TraceStore, trace_id: str, *, started: float | None = None, **data: Any) -> None:
    """Let the store keep a run with one span."""
    span = step(**data)
    store.add(trace_id, lambda: RunRecord(started or time.time(), 0.5, "session-1", None, [span]))


@pytest.mark.parametrize("written", ["at once", "one by one"])
def test_facts_come_before_the_end_of_a_run_and_after_it(open_store: Open, written: str) -> None:
    store = open_store()
    store.annotate("trace_1", question="What is a node?", usage={"input_tokens": 1})
    if written == "one by one":
        store.flush()
    add(store, "trace_1")
    if written == "one by one":
        store.flush()
    store.annotate(
        "trace_1", answer="A process.", provider="gemini", response_id="r1", timings={"total": 12.5}
    )
    store.flush()

    found = store.run("trace_1")
    assert found.facts == {
        "question": "What is a node?",
        "usage": {"input_tokens": 1},
        "answer": "A process.",
        "provider": "gemini",
        "response_id": "r1",
        "timings": {"total": 12.5},
    }
    assert found.summary.response_id == "r1"
    assert found.summary.session_id == "session-1"
    assert found.summary.tools == ("search_textbook",)
    assert [span.name for span in found.spans] == ["search_textbook"]


def test_feedback_finds_its_run_later_and_from_another_process(open_store: Open) -> None:
    serving = open_store()
    serving.annotate("trace_1", response_id="r1")
    add(serving, "trace_1")
    serving.close()

    later = open_store()
    assert later.feedback("r1", -1, "wrong chapter").result(timeout=5)
    assert not later.feedback("r2", 1).result(timeout=5)

    (found,) = later.runs(troubled=True)
    assert (found.rating, found.comment) == (-1, "wrong chapter")
    assert later.feedback("r1", 1).result(timeout=5)
    assert (later.runs()[0].rating, later.runs()[0].comment) == (1, None)


def test_a_reader_who_goes_away_while_feedback_is_written_stops_nothing(open_store: Open) -> None:
    store = open_store()
    for _ in range(10):
        store.feedback("r1", 1).cancel()
    add(store, "trace_1")

    assert store.flush(timeout=5)
    assert [found.trace_id for found in store.runs()] == ["trace_1"]


def test_feedback_says_when_the_file_cannot_be_written(open_store: Open) -> None:
    store = open_store()
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database" * 1000)

    with pytest.raises(TracesUnavailable):
        store.feedback("r1", 1).result(timeout=5)


def test_the_newest_runs_come_first_and_can_be_narrowed(open_store: Open) -> None:
    store = open_store()
    now = time.time()
    for number in range(5):
        add(store, f"trace_{number}", started=now + number)
    store.annotate("trace_1", failover=[{"from": "gemini", "reason": "rate_limited"}])
    store.annotate("trace_2", error="DEADLINE_EXCEEDED")
    store.annotate("trace_3", session_id="session-2")
    store.flush()

    assert [found.trace_id for found in store.runs(limit=2)] == ["trace_4", "trace_3"]
    assert [found.trace_id for found in store.runs(session_id="session-2")] == ["trace_3"]
    assert [found.trace_id for found in store.runs(troubled=True)] == ["trace_2", "trace_1"]
    assert store.runs(troubled=True)[1].failover == ({"from": "gemini", "reason": "rate_limited"},)


def test_no_more_than_the_newest_runs_are_kept(open_store: Open) -> None:
    store = open_store(keep_runs=10)
    now = time.time()
    for number in range(200):
        add(store, f"trace_{number}", started=now + number)
    store.flush()

    kept = [found.trace_id for found in store.runs(limit=1000)]
    assert kept[0] == "trace_199"
    assert 10 <= len(kept) <= 60


def test_old_runs_are_removed(open_store: Open) -> None:
    store = open_store(keep_days=2)
    add(store, "trace_old", started=time.time() - 3 * 86_400)
    add(store, "trace_new", started=time.time() - 1 * 86_400)
    store.close()

    again = open_store(keep_days=2)
    add(again, "trace_now")
    again.flush()
    assert [found.trace_id for found in again.runs()] == ["trace_now", "trace_new"]


def test_the_beginning_of_a_trace_id_is_enough(open_store: Open) -> None:
    store = open_store()
    for trace_id in ("trace_aa1", "trace_aa2", "trace_b1"):
        add(store, trace_id)
    store.flush()

    assert store.run("trace_b").summary.trace_id == "trace_b1"
    with pytest.raises(TraceNotFound, match="2 runs begin with `trace_a`"):
        store.run("trace_a")
    with pytest.raises(TraceNotFound, match="No run `trace_%`"):
        store.run("trace_%")


def test_a_file_that_does_not_exist_holds_no_run_and_is_not_made_by_reading(open_store: Open) -> None:
    store = open_store()

    assert store.runs() == []
    with pytest.raises(TraceNotFound):
        store.run("trace_1")
    assert not store.path.parent.exists()


def test_runs_can_be_read_when_no_process_writes_any_more(open_store: Open) -> None:
    store = open_store()
    add(store, "trace_1")
    store.close()

    assert [path.name for path in store.path.parent.iterdir()] == ["traces.db"]
    assert [found.trace_id for found in store.runs()] == ["trace_1"]


def test_a_file_of_another_version_is_refused_by_name(open_store: Open) -> None:
    store = open_store()
    store.path.parent.mkdir()
    with sqlite3.connect(store.path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(TracesUnavailable, match="version is 99"):
        store.runs()
    add(store, "trace_1")
    store.flush()
    assert store.dropped >= 1


def test_what_does_not_fit_the_queue_is_dropped_and_counted(open_store: Open) -> None:
    store = open_store(keep_runs=5000)
    add(store, "trace_0")
    store.flush()

    with sqlite3.connect(store.path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for number in range(3000):
            add(store, f"trace_{number}")
        assert store.dropped >= 900
        other.execute("ROLLBACK")
    other.close()

    before = store.dropped
    assert store.flush()
    assert store.dropped == before
    assert len(store.runs(limit=5000)) == 3000 - before


@pytest.mark.parametrize(
    "value",
    ["a lone surrogate \ud800", float("nan"), {1, 2}, object(), b"\xff", {("a", "b"): 1}],
    ids=["surrogate", "nan", "set", "object", "bytes", "odd key"],
)
def test_a_value_that_json_cannot_hold_does_not_lose_the_next_run(open_store: Open, value: object) -> None:
    store = open_store()
    add(store, "trace_odd", output=value)
    store.annotate("trace_next", question="half a pair: \ud83d")
    add(store, "trace_next")
    store.flush()

    assert store.run("trace_next").summary.question is not None
    assert len(store.runs()) + store.dropped == 2


def test_a_tape_keeps_a_dataclass_whatever_its_text(open_store: Open) -> None:
    store = open_store()
    answers = {
        "trace_plain": FailureNote("gemini", "timeout"),
        "trace_odd": FailureNote("half a pair: \ud83d", "timeout"),
    }
    for trace_id, answer in answers.items():
        said: Any = answer
        store.record(trace_id, lambda said=said: Tape(asked={}, steps=[], answer=said, error=None))
    store.flush()

    assert {trace_id: store.tape(trace_id).answer for trace_id in answers} == {
        trace_id: asdict(answer) for trace_id, answer in answers.items()
    }


def test_a_run_of_another_process_shows_its_steps_while_somebody_follows_it(open_store: Open) -> None:
    answers, shows = open_store(), open_store()
    steps: list[SpanRecord] = []
    looked: list[str] = []

    def so_far(trace_id: str) -> RunRecord:
        looked.append(trace_id)
        return RunRecord(time.time(), None, None, None, list(steps))

    for trace_id in ("trace_followed", "trace_alone"):
        answers.begin(trace_id, lambda trace_id=trace_id: so_far(trace_id))
        answers.annotate(trace_id, question="?")
    answers.flush()
    assert shows.run("trace_followed").spans == ()

    steps.append(step())
    shows.follow("trace_followed")
    shows.flush()
    until = time.monotonic() + 20
    while not shows.run("trace_followed").spans and time.monotonic() < until:
        answers.flush()  # the thread that writes looks once a second
    assert len(shows.run("trace_followed").spans) == 1
    assert shows.run("trace_followed").summary.seconds is None
    assert set(looked) == {"trace_followed"}

    answers.add("trace_followed", lambda: RunRecord(time.time(), 2.0, None, None, [*steps, step()]))
    answers.flush()
    assert len(shows.run("trace_followed").spans) == 2


@pytest.mark.parametrize("damaged", ["[{bad", "3", '[{"parent": 7}]'])
def test_a_damaged_run_is_named(open_store: Open, damaged: str) -> None:
    store = open_store()
    add(store, "trace_damaged")
    add(store, "trace_whole")
    store.flush()
    with sqlite3.connect(store.path) as file:
        file.execute(
            "UPDATE runs SET spans = ?, tape = ? WHERE trace_id = 'trace_damaged'", (damaged, damaged)
        )
    file.close()

    with pytest.raises(TracesUnavailable, match="the run `trace_damaged` is damaged"):
        store.run("trace_d")
    assert store.run("trace_whole").spans


def test_a_run_that_cannot_be_read_costs_itself_alone(open_store: Open) -> None:
    store = open_store()

    def broken() -> RunRecord:
        raise KeyError("message")

    store.add("trace_broken", broken)
    add(store, "trace_next")

    assert store.flush(timeout=5)
    assert store.dropped == 1
    assert [found.trace_id for found in store.runs()] == ["trace_next"]


def test_lost_runs_are_told_of_once_for_each_cause(
    open_store: Open, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store()

    store.path.parent.mkdir()
    for number, content in enumerate([b"no database" * 1000] * 3 + [None] * 2):
        if content is None and number == 3:
            store.path.unlink()
            store.path.mkdir()
        elif content:
            store.path.write_bytes(content)
        add(store, f"trace_{number}")
        assert store.flush(timeout=5)
    assert store.dropped == 5
    told = [record.getMessage() for record in caplog.records if "was not kept" in record.getMessage()]
    assert len(told) == 2
    assert "(1 lost so far)" in told[0]
    assert "(4 lost so far)" in told[1]


def test_a_huge_run_is_cut_and_a_large_one_is_not(open_store: Open) -> None:
    store = open_store()
    add(store, "trace_large", output="x" * 100_000)
    add(store, "trace_huge", output="x" * 1_000_000)
    store.flush()

    assert len(store.run("trace_large").spans[0].data["output"]) == 100_000
    assert store.run("trace_huge").spans[0].data["output"].endswith("… (1000000 characters)")


def test_a_full_disk_loses_runs_and_nothing_else(tmp_path: Path) -> None:
    code = """
import resource, signal, sys, time
from pathlib import Path
from preceptor.errors import TracesUnavailable
from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore

store = TraceStore(Path(sys.argv[1]), keep_runs=1000, keep_days=30, include_text=True)
store.annotate("trace_first", question="What is a node?", response_id="r1")
assert store.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails, as on a full disk
size = sum(file.stat().st_size for file in Path(sys.argv[1]).parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
data = {"output": "x" * 90_000}
span = {"parent": None, "type": "function", "name": "n", "at": 0, "ms": 1, "data": data, "error": None}
for number in range(20):
    store.add(f"trace_{number}", lambda: RunRecord(time.time(), 0.5, None, None, [span]))
assert store.flush()
assert store.dropped == 20, store.dropped
try:
    store.feedback("r1", 1).result(5)
except TracesUnavailable:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.feedback("r1", -1).result(5)
store.add("trace_last", lambda: RunRecord(time.time(), 0.5, None, None, [span]))
store.flush()
assert {run.trace_id for run in store.runs()} == {"trace_first", "trace_last"}
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "traces.db")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("left_open", [False, True])
def test_only_the_owner_can_read_what_readers_asked(open_store: Open, left_open: bool) -> None:
    store = open_store()
    if left_open:
        store.path.parent.mkdir(exist_ok=True)
        store.path.touch()
        store.path.chmod(0o644)
    add(store, "trace_1")
    store.flush()

    assert {path.stat().st_mode & 0o077 for path in store.path.parent.iterdir()} == {0}


def test_a_closed_store_takes_nothing_more_and_does_not_complain(open_store: Open) -> None:
    store = open_store()
    add(store, "trace_1")
    store.close()
    store.close()
    add(store, "trace_2")

    assert store.flush()
    assert [found.trace_id for found in store.runs()] == ["trace_1"]
    assert store.dropped == 0


WRITER = """
import sys, time
from pathlib import Path
from preceptor.tracing.run import RunRecord
from preceptor.tracing.store import TraceStore
store = TraceStore(Path(sys.argv[1]), keep_runs=1000, keep_days=1, include_text=True)
for number in range(50):
    trace_id = f"trace_{sys.argv[2]}_{number}"
    store.add(trace_id, lambda: RunRecord(time.time(), 0.1, None, None, []))
    store.flush()
store.close()
sys.exit(store.dropped)
"""


def test_several_processes_write_the_same_new_file(open_store: Open) -> None:
    store = open_store()
    command = [sys.executable, "-c", WRITER, str(store.path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]

    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    assert len(store.runs(limit=1000)) == 200


def test_the_facts_of_all_runs_since_a_time_are_read_without_their_spans(open_store: Open) -> None:
    store = open_store()
    assert store.facts(0) == []
    now = time.time()
    add(store, "trace_old", started=now - 1000)
    add(store, "trace_new", started=now)
    store.annotate("trace_new", question="What is a node?", in_book=False)
    store.flush()

    ((started, seconds, facts),) = store.facts(now - 10)
    assert (started, seconds) == (now, 0.5)
    assert facts == {"question": "What is a node?", "in_book": False, "cost": None}
    assert len(store.facts(0)) == 2


def test_no_first_token_comes_after_the_end_of_its_run(open_store: Open) -> None:
    store = open_store()
    add(store, "trace_1")
    store.annotate("trace_1", answer="A process.", timings={"first_token": 640.0, "total": 655.0})
    add(store, "trace_2")
    store.annotate("trace_2", answer="A process.", timings={"first_token": 40.0, "total": 45.0})
    store.flush()

    assert {run.trace_id: run.seconds for run in store.runs()} == {"trace_1": 0.655, "trace_2": 0.5}


def test_a_run_is_written_when_its_facts_have_followed_or_have_let_it_wait(open_store: Open) -> None:
    store = open_store()
    store.annotate("trace_1", question="What is a node?")
    add(store, "trace_1")
    store.annotate("trace_1", answer="A process.")
    add(store, "trace_2")
    other = open_store()
    seen: list[str] = []
    given_up = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < given_up:
        seen += [run.trace_id for run in other.runs() if run.trace_id not in seen]

    assert seen == ["trace_1", "trace_2"]

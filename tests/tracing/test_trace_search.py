"""Filters and full-text search over the file of runs, and files of an earlier version."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from preceptor.errors import TapeMissing
from preceptor.tracing.filters import Filters
from preceptor.tracing.run import RunRecord, SpanRecord
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Tape

VERSION_1 = """
CREATE TABLE runs (trace_id TEXT PRIMARY KEY, started REAL NOT NULL, seconds REAL, session_id TEXT, response_id TEXT,
    facts TEXT NOT NULL, outline TEXT, spans TEXT);
CREATE INDEX runs_started ON runs (started);
CREATE INDEX runs_response ON runs (response_id) WHERE response_id IS NOT NULL;
PRAGMA user_version = 1;
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db", keep_runs=1000, keep_days=30, include_text=True)
    yield opened
    opened.close()


def span(**changes: Any) -> SpanRecord:
    usual: dict[str, Any] = {
        "parent": None, "type": "function", "name": "search_textbook", "at": 0, "ms": 1, "data": {}, "error": None
    }  # fmt: skip
    return cast("SpanRecord", {**usual, **changes})


def passage(key: str, text: str) -> dict[str, Any]:
    return {"key": key, "text": text, "url": f"/docs#{key}"}


def tape(*passages: dict[str, Any]) -> Tape:
    shown: Any = [{"passage": one, "score": 0.5, "dense": 0.4, "bm25": None} for one in passages]
    step: Any = {
        "kind": "tool", "name": "search_textbook", "call_id": "c", "output": "…", "passages": shown,
    }  # fmt: skip
    return Tape(asked={"text": "?"}, steps=[step], answer=None, error=None)


def add(store: TraceStore, trace_id: str, *, number: int = 0, seconds: float = 0.5, **more: Any) -> None:
    """Keep a run with these facts; `cost`, `spans` and `tape` are its own."""
    cost, spans, recorded = more.pop("cost", None), more.pop("spans", [span()]), more.pop("tape", None)
    record = RunRecord(time.time() + number, seconds, "session-1", None, spans, cost)
    store.add(trace_id, lambda: record)
    store.annotate(trace_id, **more)
    if recorded:
        store.record(trace_id, lambda: recorded)


def found(store: TraceStore, search: str | None = None, **filters: Any) -> list[str]:
    return [run.trace_id for run in store.runs(filters=Filters(search=search, **filters))]


ANSWERED: dict[str, Any] = {"provider": "gemini", "in_book": True, "confidence": 0.9, "degraded": False}
RUNS: dict[str, dict[str, Any]] = {
    "good": {**ANSWERED, "cost": {"usd": 0.001}},
    "declined": {**ANSWERED, "in_book": False, "confidence": None},
    "weak": {**ANSWERED, "confidence": 0.2},
    "quota": {**ANSWERED, "provider": "openai", "failover": [{"from": "gemini", "reason": "rate_limited"}]},
    "outage": {
        **ANSWERED,
        "provider": "offline",
        "degraded": True,
        "failover": [{"from": "gemini", "reason": "unreachable"}, {"from": "openai", "reason": "bad_key"}],
    },
    "slow": {**ANSWERED, "seconds": 20.0, "spans": [span(name="get_chapter")]},
    "expensive": {**ANSWERED, "cost": {"usd": 0.5}},
    "error": {"error": "DeadlineExceeded"},
    "crash": {"spans": [span(error={"message": "broke", "data": None})]},
    "other session": {**ANSWERED, "session_id": "session-2"},
}
FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"unanswered": True}, {"declined", "error", "crash"}),
    ({"weak": 0.5}, {"weak"}),
    ({"fell_over": True}, {"quota", "outage"}),
    ({"left": "gemini"}, {"quota", "outage"}),
    ({"left": "openai"}, {"outage"}),
    ({"reason": "rate_limited"}, {"quota"}),
    ({"left": "gemini", "reason": "bad_key"}, {"outage"}),
    ({"degraded": True}, {"outage"}),
    ({"slower": 10}, {"slow"}),
    ({"dearer": 0.01}, {"expensive"}),
    ({"failed": True}, {"error", "crash"}),
    ({"troubled": True}, {"quota", "outage", "error", "crash"}),
    ({"session_id": "session-2"}, {"other session"}),
    ({"provider": "offline"}, {"outage"}),
    ({"tool": "get_chapter"}, {"slow"}),
    ({"tool": "get"}, set()),
    ({"provider": "gemini", "weak": 0.5}, {"weak"}),
    ({"noted": "any"}, set()),
    ({}, set(RUNS)),
]


def test_each_filter_finds_its_runs_and_no_other(store: TraceStore) -> None:
    for number, (trace_id, facts) in enumerate(RUNS.items()):
        add(store, trace_id, number=number, **facts)
    store.flush()

    for filters, expected in FILTERS:
        assert set(found(store, **filters)) == expected, filters


def test_a_thumb_and_a_mark_are_found_and_a_mark_can_be_taken_back(store: TraceStore) -> None:
    add(store, "trace_1", response_id="r1", **ANSWERED)
    add(store, "trace_2", number=1, **ANSWERED)
    store.feedback("r1", -1, "wrong").result(5)
    assert store.note("trace_2", "bad", "cites the wrong section").result(5)
    assert not store.note("trace_3", "good").result(5)

    assert found(store, disliked=True) == ["trace_1"]
    assert found(store, noted="bad") == ["trace_2"]
    assert found(store, noted="good") == []
    (marked,) = store.runs(filters=Filters(noted="any"))
    assert (marked.verdict, marked.why) == ("bad", "cites the wrong section")
    assert store.note("trace_2", None).result(5)
    assert found(store, noted="any") == []


SEARCHES: list[tuple[str, list[str]]] = [
    ("node", ["zh", "en"]),
    ("NODE process", ["en"]),
    ("proc", ["en"]),
    ('"process node"', []),
    ('"a process"', ["en"]),
    ("bedrock", ["de"]),
    ("gestein", ["de"]),
    ("uber", ["de"]),
    ("节点", ["zh"]),
    ("点节", []),
    ("روبوٹ", ["ur"]),
    ("node bedrock", []),
    ('" OR * NEAR( -node"', []),
    ("col:x AND", []),
    ("...", []),
    ("nothing-of-it", []),
]


@pytest.mark.parametrize("many", [0, 200], ids=["in many passages", "in few passages"])
def test_words_of_question_answer_and_passages_are_found(
    store: TraceStore, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("preceptor.tracing.store.MANY_PASSAGES", many)
    add(store, "en", question="What is a node?", answer="A node is a process.")
    rock = passage("k7qd", "Bedrock, das Gestein darunter")
    add(store, "de", number=1, question="Was liegt über dem Fels?", answer="Erde.", tape=tape(rock))
    add(store, "ur", number=2, question="روبوٹ کیا ہے؟", answer="ایک مشین۔")
    add(store, "zh", number=3, question="什么是节点?", answer="Node 是进程。")
    store.flush()

    assert {search: found(store, search) for search, _ in SEARCHES} == dict(SEARCHES)


def test_a_later_answer_can_be_found_and_the_earlier_words_still_count(store: TraceStore) -> None:
    store.annotate("trace_1", question="What is a node?")
    store.flush()
    add(store, "trace_1", answer="A process.")
    store.flush()

    assert found(store, "node process") == ["trace_1"]


def test_a_passage_is_kept_once_and_goes_with_the_last_run_that_shows_it(store: TraceStore) -> None:
    shared, own = passage("k7qd", "Nodes talk over topics."), passage("x9z2", "Actions give feedback.")
    add(store, "old", number=-100, tape=tape(shared, own))
    add(store, "new", tape=tape(shared))
    store.flush()
    assert found(store, "topics") == ["new", "old"]
    assert [one["passage"]["key"] for one in store.tape("old").steps[0].get("passages", ())] == [
        "k7qd",
        "x9z2",
    ]

    assert store.prune(keep_runs=1, keep_days=30) == 1
    assert found(store, "topics") == ["new"]
    assert found(store, "actions") == []
    assert store.tape("new").steps[0].get("passages") == tape(shared).steps[0].get("passages")
    with sqlite3.connect(store.path) as file:
        assert file.execute("SELECT count(*) FROM passages").fetchone() == (1,)
    file.close()


def test_pages_of_the_list_follow_each_other(store: TraceStore) -> None:
    for number in range(5):
        add(store, f"trace_{number}", number=number)
    store.flush()

    first = store.runs(2)
    second = store.runs(2, filters=Filters(before=first[-1].trace_id))
    assert [run.trace_id for run in [*first, *second]] == ["trace_4", "trace_3", "trace_2", "trace_1"]


def test_without_text_there_is_nothing_to_search_and_no_tape(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db", keep_runs=10, keep_days=30, include_text=False)
    add(store, "trace_1", question="What is bedrock?", tape=tape(passage("k7qd", "bedrock")), **ANSWERED)
    store.close()

    assert found(store, "bedrock") == []
    assert found(store, provider="gemini") == ["trace_1"]
    assert b"bedrock" not in store.path.read_bytes()
    with pytest.raises(TapeMissing):
        store.tape("trace_1")


@pytest.mark.parametrize("first", ["read", "write"])
def test_a_file_of_version_1_keeps_its_runs(tmp_path: Path, first: Callable[..., Any] | str) -> None:
    path = tmp_path / "traces.db"
    old = sqlite3.connect(path)
    old.executescript(VERSION_1)
    old.executemany(
        "INSERT INTO runs VALUES (?, ?, 1.5, 's', ?, ?, '{\"tools\": [\"get_chapter\"]}', '[]')",
        [
            (
                f"trace_{number}",
                time.time() + number,
                f"r{number}",
                f'{{"question": "Where is bedrock {number}?"}}',
            )
            for number in range(100)
        ],
    )
    old.commit()
    old.close()

    store = TraceStore(path, keep_runs=1000, keep_days=30, include_text=True)
    if first == "write":
        add(store, "trace_new", number=200)
        store.flush()
    kept = [run.trace_id for run in store.runs(1000)]
    assert [name for name in kept if name != "trace_new"] == [
        f"trace_{number}" for number in range(99, -1, -1)
    ]
    assert found(store, "bedrock 42") == ["trace_42"]
    assert len(store.runs(1000, filters=Filters(tool="get_chapter"))) == 100
    assert store.feedback("r7", -1).result(5)
    assert found(store, disliked=True) == ["trace_7"]
    assert store.dropped == 0
    store.close()

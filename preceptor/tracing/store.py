"""Stores runs in one SQLite database: written by a thread of its own, readable by any process.

A run that cannot be written is counted and logged; it never holds up or fails an answer. Several processes
may write the same file.
"""

import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Unpack

import stamina

from preceptor.errors import TapeMissing, TraceNotFound, TracesUnavailable, why_unread
from preceptor.private import make_private
from preceptor.settings import TracesSettings
from preceptor.tracing.filters import MANY_PASSAGES, Filters, spaced
from preceptor.tracing.redaction import Redactor
from preceptor.tracing.run import (
    READERS_TEXT,
    Facts,
    RecordedRun,
    RunRecord,
    RunSummary,
    SpanRecord,
    outline,
    summary,
    tree,
)
from preceptor.tracing.tape import Tape, json_text, stored, tape_of

logger = logging.getLogger(__name__)

_VERSION = 2
# Facts and outline are JSON; what the list of runs is filtered by is read from them by SQLite itself. All of these
# are in one index, so that a filter reads a few megabytes where the runs are a gigabyte. A run has a number, because
# SQLite may renumber rows that have none, and the tables of words go by it.
_RUNS = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL UNIQUE,
    started REAL NOT NULL, -- seconds since 1970
    seconds REAL,          -- duration; this, the outline and the spans are NULL until the run has ended
    session_id TEXT,
    response_id TEXT,
    facts TEXT NOT NULL,   -- JSON: question, answer, provider, …
    outline TEXT,          -- JSON: agents, tools, tokens, first error
    tape TEXT,             -- JSON: what was asked, said and found, for a replay
    spans TEXT,            -- JSON, in the order in which they started
    provider TEXT AS (json_extract(facts, '$.provider')),
    in_book INTEGER AS (json_extract(facts, '$.in_book')),
    confidence REAL AS (json_extract(facts, '$.confidence')),
    degraded INTEGER AS (json_extract(facts, '$.degraded')),
    failover TEXT AS (CASE WHEN json_extract(facts, '$.failover[0]') IS NOT NULL
        THEN json_extract(facts, '$.failover') END),
    error TEXT AS (coalesce(json_extract(facts, '$.error'),
        CASE WHEN json_extract(facts, '$.provider') IS NULL THEN json_extract(outline, '$.error') END)),
    rating INTEGER AS (json_extract(facts, '$.feedback.rating')),
    verdict TEXT AS (json_extract(facts, '$.note.verdict')),
    cost REAL AS (json_extract(outline, '$.cost.usd')),
    tools TEXT AS (json_extract(outline, '$.tools'))
);
CREATE INDEX runs_list ON runs (started, seconds, session_id, provider, in_book, confidence, degraded, failover,
    error, rating, verdict, cost, tools);
CREATE INDEX runs_response ON runs (response_id) WHERE response_id IS NOT NULL;
"""
_WORDS = """
CREATE VIRTUAL TABLE words USING fts5(question, answer, tokenize = "unicode61 remove_diacritics 2");
CREATE TABLE passages (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, data TEXT NOT NULL);
CREATE VIRTUAL TABLE passage_words USING fts5(text, tokenize = "unicode61 remove_diacritics 2");
CREATE TABLE shown (passage INTEGER NOT NULL, run INTEGER NOT NULL, PRIMARY KEY (passage, run)) WITHOUT ROWID;
CREATE INDEX shown_run ON shown (run, passage);
CREATE TRIGGER runs_removed AFTER DELETE ON runs BEGIN
    DELETE FROM words WHERE rowid = old.number;
    DELETE FROM shown WHERE run = old.number;
END;
CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
    DELETE FROM passage_words WHERE rowid = old.id;
END;
"""
# Runs whose page is open in some process; the process that answers them writes their steps as they go on. Not among the
# tables of a version: an earlier Preceptor may read the file.
_FOLLOWED = "CREATE TABLE IF NOT EXISTS followed (trace_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"
_SCHEMA = f"{_RUNS}{_WORDS}PRAGMA user_version = {_VERSION};"
# Version 1 had no tapes and no words to search: its runs are kept, and found by question and answer.
_UPGRADE = f"""
ALTER TABLE runs RENAME TO runs_1;
DROP INDEX runs_started;
DROP INDEX runs_response;
{_RUNS}{_WORDS}
INSERT INTO runs (trace_id, started, seconds, session_id, response_id, facts, outline, spans)
SELECT trace_id, started, seconds, session_id, response_id, facts, outline, spans FROM runs_1 ORDER BY started;
DROP TABLE runs_1;
INSERT INTO words (rowid, question, answer)
SELECT number, spaced(CAST(json_extract(facts, '$.question') AS BLOB)),
    spaced(CAST(json_extract(facts, '$.answer') AS BLOB)) FROM runs;
PRAGMA user_version = {_VERSION};
"""  # noqa: S608 - constants
# Facts may come before a run has ended, or after it: whichever is first makes the row.
_WRITE = """
INSERT INTO runs (trace_id, started, seconds, session_id, response_id, facts, outline, tape, spans)
VALUES {}
ON CONFLICT (trace_id) DO UPDATE SET
    started = CASE WHEN excluded.seconds IS NULL THEN started ELSE excluded.started END,
    seconds = coalesce(excluded.seconds, seconds),
    session_id = coalesce(excluded.session_id, session_id),
    response_id = coalesce(excluded.response_id, response_id),
    facts = json_patch(facts, excluded.facts),
    outline = coalesce(excluded.outline, outline),
    tape = coalesce(excluded.tape, tape),
    spans = coalesce(excluded.spans, spans)
"""
# The question or the answer may have been written before, or is yet to come.
_WRITE_WORDS = """
WITH given (trace_id, question, answer) AS (VALUES {})
INSERT OR REPLACE INTO words (rowid, question, answer)
SELECT number, coalesce(given.question, spaced(CAST(json_extract(facts, '$.question') AS BLOB))),
    coalesce(given.answer, spaced(CAST(json_extract(facts, '$.answer') AS BLOB)))
FROM given CROSS JOIN runs USING (trace_id)
"""
_SUMMARY = "trace_id, started, seconds, session_id, response_id, facts, outline"

_BEGINS = "trace_id >= ?1 AND trace_id < ?1 || char(0x10ffff)"
_SHOWN = "SELECT digest, data FROM passages WHERE id IN (SELECT passage FROM shown WHERE run = ?)"

_SHOW = """
WITH given (trace_id, digests) AS (VALUES {})
INSERT OR IGNORE INTO shown (passage, run)
SELECT passages.id, runs.number FROM given CROSS JOIN runs USING (trace_id)
CROSS JOIN json_each(given.digests) AS one CROSS JOIN passages ON passages.digest = one.value
"""
_AT_ONCE = 20
"""Largest number of runs in a statement. One statement writes many runs, because each lets the other threads run and
then waits for its turn, which costs more than what it does."""

_WAITING = 1000
"""Largest number of jobs and runs that wait; further ones are dropped."""
_PATIENCE = 5.0
"""Longest wait for another process's lock, in seconds."""
_GATHER = 0.2
"""Pause to collect more jobs for one write, in seconds: a run's facts arrive right after its end, and several runs in
one transaction cost less than each in one of its own. Whoever waits for a write ends the pause."""
_SETTLED = 1.0
"""Time after which a run is written although its end, or its facts after it, have not come, in seconds. One that ends
sooner is written once."""
_FOLLOW_EVERY = 1.0
"""Pause between two looks at whose pages are open, in seconds."""
_FOLLOWED_FOR = 5.0
"""How long the page of a run that is loaded again each second counts as open after a load, in seconds."""
_PRUNE_EVERY = 50
"""Number of runs between removals of old ones."""
_LONGEST_RUN = 200_000
"""Longest text of a run's spans, in characters; in a longer one, long texts are cut."""
_LONGEST_TAPE = 1_000_000
"""Longest tape, in characters; a longer one is not kept."""
_LONGEST_TEXT = 2_000
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""Errors of a span that holds what it should not, or what no JSON can."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """Job that stores a run that has ended."""

    trace_id: str
    make: Callable[[], RunRecord]


@dataclass(frozen=True, slots=True)
class _Known:
    """Job that stores facts of a run."""

    trace_id: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Job that stores the tape of a run."""

    trace_id: str
    make: Callable[[], Tape]


@dataclass(frozen=True, slots=True)
class _Task:
    """Job that does something else on the connection and reports the outcome."""

    work: Callable[[sqlite3.Connection], bool]
    done: "Future[bool]"


_Job = _Ended | _Known | _Recorded | _Task


@dataclass(slots=True)
class _Unwritten:
    """The parts of a run that came since it was last written."""

    since: float
    """Seconds since 1970."""
    ended: Callable[[], RunRecord] | None = None
    tape: Callable[[], Tape] | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    whole: bool = False
    """Whether nothing more is to be waited for: its facts have followed its end, or it does not go on here."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A run as it is written."""

    columns: tuple[str, float, float | None, str | None, str | None, str, str | None, str | None, str | None]
    words: Mapping[str, str]
    """Its question and its answer, as they are searched, as far as they are among the facts."""
    passages: Mapping[str, str]
    """JSON of the passages that its tools have shown, by digest."""


class TraceStore:
    """Stores runs in a file and retrieves them."""

    def __init__(
        self,
        path: Path,
        *,
        keep_runs: int,
        keep_days: float,
        include_text: bool,
        redact: Collection[str] = (),
    ) -> None:
        """Initialise the store; the file is opened at the first write or read.

        Args:
            path: The file; it and its folder are made when they are needed.
            keep_runs: Number of newest runs to keep; older ones are removed from time to time.
            keep_days: Runs older than this are removed, too.
            include_text: Whether readers' text, the book's text and the tools' arguments are kept.
            redact: Secrets in plain text, which are taken out of everything.
        """
        self.path = path
        self.include_text = include_text
        self.dropped = 0
        """Number of jobs lost since the start: the queue was full, or the file could not be written."""
        self._keep_runs = keep_runs
        self._keep_days = keep_days
        self.redacted = Redactor(redact)
        """Removes secrets from text."""
        self._running: dict[str, Callable[[], RunRecord]] = {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unwritten: dict[str, _Unwritten] = {}
        """Runs by trace id, oldest first; the writer's thread alone changes them."""
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._hurry = threading.Event()
        self._closed = False
        self._complaint = ""
        self._unpruned = _PRUNE_EVERY  # the first write looks for old runs, too
        self._looked = 0.0

    @classmethod
    def from_settings(cls, settings: TracesSettings, redact: Collection[str] = ()) -> "TraceStore":
        """Creates the store that `[traces]` describes."""
        return cls(
            settings.path,
            keep_runs=settings.keep_runs,
            keep_days=settings.keep_days,
            include_text=settings.include_text,
            redact=redact,
        )

    # Writing: these return at once.

    def add(self, trace_id: str, make: Callable[[], RunRecord]) -> None:
        """Store a run.

        Args:
            trace_id: Its id.
            make: Gives the run; called on the writer's thread, so that the event loop does not pay for it.
        """
        self.forget(trace_id)
        self._enqueue(_Ended(trace_id, make))

    def begin(self, trace_id: str, so_far: Callable[[], RunRecord]) -> None:
        """Let a run of this process be looked at while it goes on.

        Args:
            trace_id: Its id.
            so_far: Gives the run as far as it has come; called when somebody looks, on a thread of theirs.
        """
        self._running[trace_id] = so_far

    def follow(self, trace_id: str) -> None:
        """Have the process that answers a run write its steps for the next seconds, while it goes on.

        A run that nobody follows costs nothing: it is written when it has ended.

        Args:
            trace_id: Its id.
        """
        if trace_id in self._running:
            return

        def write(connection: sqlite3.Connection) -> bool:
            now = time.time()
            connection.execute("DELETE FROM followed WHERE at < ?", (now - _FOLLOWED_FOR,))
            connection.execute(
                "INSERT OR REPLACE INTO followed (trace_id, at) VALUES (?, ?)", (trace_id, now)
            )
            return True

        self._enqueue(_Task(write, Future()))

    def forget(self, trace_id: str) -> None:
        """A run that was begun goes on no longer."""
        self._running.pop(trace_id, None)

    def record(self, trace_id: str, make: Callable[[], Tape]) -> None:
        """Store the tape of a run, unless text is not kept.

        Args:
            trace_id: Its id.
            make: Gives the tape; called on the writer's thread.
        """
        if self.include_text:
            self._enqueue(_Recorded(trace_id, make))

    def annotate(self, trace_id: str, **facts: Unpack[Facts]) -> None:
        """Store facts of a run, before or after its end; a later value replaces an earlier one."""
        self._enqueue(_Known(trace_id, facts))

    def feedback(
        self, response_id: str, rating: Literal[1, -1], comment: str | None = None
    ) -> "Future[bool]":
        """Store a reader's feedback on an answer.

        Returns:
            Whether the answer's run is (still) kept; for `asyncio.wrap_future`. Fails with
            `TracesUnavailable` when that cannot be known.
        """
        said = {"rating": rating, "comment": comment if self.include_text else None}
        return self._patch("response_id", response_id, {"feedback": said})

    def note(self, trace_id: str, verdict: Literal["good", "bad"] | None, why: str = "") -> "Future[bool]":
        """Store an operator's mark on a run; a new one replaces it, and None removes it.

        Returns:
            Whether the run is (still) kept. Fails with `TracesUnavailable` when that cannot be known.
        """
        mark = {"verdict": verdict, "why": why or None, "at": time.time()} if verdict else None
        return self._patch("trace_id", trace_id, {"note": mark})

    def prune(self, keep_runs: int, keep_days: float, *, compact: bool = True) -> int:
        """Remove old runs at once; returns their number.

        Args:
            keep_runs: Number of newest runs to keep.
            keep_days: Runs older than this are removed, too.
            compact: Give the space back to the file system.

        Raises:
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        if not self.path.exists():
            return 0
        try:
            with closing(_open(self.path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                removed = _removed(connection, keep_runs, keep_days)
                connection.execute("COMMIT")
                if compact:
                    connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise TracesUnavailable(self.path, str(error)) from error
        return removed

    def _patch(self, column: str, value: str, facts: Mapping[str, Any]) -> "Future[bool]":
        """Change facts of a run and tell whether there is one."""
        done: Future[bool] = Future()

        def write(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                f"UPDATE runs SET facts = json_patch(facts, ?) WHERE {column} = ?",  # noqa: S608 - a constant
                (self._json(facts), value),
            )
            return found.rowcount > 0

        if not self._enqueue(_Task(write, done)):
            done.set_exception(TracesUnavailable(self.path, "nothing more can be written just now"))
        return done

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything before this call is written or lost.

        Returns:
            False when `timeout` seconds were not enough.
        """
        done: Future[bool] = Future()
        if not self._enqueue(_Task(lambda _: True, done), always=True):
            return self._closed
        return not wait([done], timeout).not_done

    def close(self, timeout: float = 10.0) -> None:
        """Write pending jobs and end the thread; may be called twice, and accepts no more jobs."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._closed = True
        if thread is None:
            return
        self._jobs.put(None)
        self._hurry.set()
        thread.join(timeout)
        if thread.is_alive():
            logger.warning(
                "The runs of the last moments were not written in time to %s, and are lost.", self.path
            )

    # Reading.

    def runs(
        self,
        limit: int = 20,
        *,
        session_id: str | None = None,
        troubled: bool = False,
        filters: Filters | None = None,
    ) -> list[RunSummary]:
        """Returns the newest runs, newest first.

        Args:
            limit: Largest number of runs.
            session_id: Only those of one conversation.
            troubled: Only those with an error, a tutor that was left, or a reader who was not content.
            filters: Further conditions.

        Raises:
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        chosen = filters or Filters()
        if session_id is not None or troubled:
            chosen = replace(
                chosen, session_id=session_id or chosen.session_id, troubled=troubled or chosen.troubled
            )
        with self._reading() as connection:
            if connection is None:
                return []
            where, parameters = chosen.where(in_many_passages=_in_many_passages(connection, chosen))
            # The inner query is answered by one index; only the runs that are listed are read.
            query = f"""
                SELECT {_SUMMARY} FROM runs WHERE number IN
                    (SELECT number FROM runs WHERE {where} ORDER BY started DESC LIMIT :limit)
                ORDER BY started DESC"""  # noqa: S608 - constants
            return [_summary(row) for row in connection.execute(query, {**parameters, "limit": limit})]

    def run(self, trace_id: str) -> RecordedRun:
        """Returns one run with its spans; of one that goes on here or is followed, those that it has so far.

        Args:
            trace_id: Its id, or the beginning of it.

        Raises:
            TraceNotFound: No run, or more than one, has an id that begins so.
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        with self._reading() as connection:
            rows: list[sqlite3.Row] = []
            if connection is not None:
                rows = connection.execute(
                    f"SELECT {_SUMMARY}, spans FROM runs WHERE {_BEGINS}",  # noqa: S608 - constants
                    (trace_id,),
                ).fetchall()
        if len(rows) != 1:
            raise TraceNotFound(trace_id, self.path, matches=len(rows))
        row = rows[0]
        with self._whole(row["trace_id"]):
            spans: list[SpanRecord] = json.loads(self._so_far(row["trace_id"]) or row["spans"] or "[]")
            known: dict[str, Any] = json.loads(row["facts"])
            # In an order that does not tell when which of them was written.
            facts = {name: known.pop(name) for name in Facts.__annotations__ if name in known} | known
            return RecordedRun(summary=_summary(row), facts=facts, spans=tree(spans))

    def tape(self, trace_id: str) -> Tape:
        """Returns the tape of a run, with the passages that its tools have shown.

        Args:
            trace_id: Its id, or the beginning of it.

        Raises:
            TraceNotFound: No run, or more than one, has an id that begins so.
            TapeMissing: The run has none, or one of another version.
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        with self._reading() as connection:
            rows: list[sqlite3.Row] = []
            found: dict[str, Any] = {}
            if connection is not None:
                rows = connection.execute(
                    f"SELECT number, trace_id, tape FROM runs WHERE {_BEGINS}",  # noqa: S608 - constants
                    (trace_id,),
                ).fetchall()
                for row in rows[:1]:
                    shown = connection.execute(_SHOWN, (row["number"],))
                    found = {one["digest"]: json.loads(one["data"]) for one in shown}
        if len(rows) != 1:
            raise TraceNotFound(trace_id, self.path, matches=len(rows))
        with self._whole(rows[0]["trace_id"]):
            tape = tape_of(json.loads(rows[0]["tape"] or "{}"), found)
        if tape is None:
            raise TapeMissing(rows[0]["trace_id"])
        return tape

    def facts(
        self, since: float, *, book: str | None = None
    ) -> list[tuple[float, float | None, Mapping[str, Any]]]:
        """Returns start, duration and facts of the runs since a time, oldest first; `cost` is among the facts.

        Args:
            since: Seconds since 1970.
            book: Id of the book that was asked, of several; None: all runs.

        Raises:
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT started, seconds, cost, facts FROM runs WHERE started >= :since"
                " AND (:book IS NULL OR json_extract(facts, '$.book') = :book) ORDER BY started",
                {"since": since, "book": book},
            )
            return [
                (row["started"], row["seconds"], {"cost": row["cost"], **json.loads(row["facts"])})
                for row in rows
            ]

    def _so_far(self, trace_id: str) -> str | None:
        running = self._running.get(trace_id)
        return self._json(running().spans) if running else None

    @contextmanager
    def _whole(self, trace_id: str) -> Generator[None]:
        """Says which run cannot be read, where its JSON is damaged."""
        try:
            yield
        except _UNREADABLE as error:
            raise TracesUnavailable(self.path, f"the run `{trace_id}` is damaged ({error})") from error

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection | None]:
        """Opens a connection for reading; None if nothing has been written yet."""
        if not self.path.exists():
            yield None
            return
        if self.path.is_dir():
            raise TracesUnavailable(self.path, why_unread(IsADirectoryError()))
        try:
            _upgraded(self.path)
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
                connection.row_factory = sqlite3.Row
                yield connection if _version(connection, self.path) else None
        except sqlite3.Error as error:
            raise TracesUnavailable(self.path, str(error)) from error

    # The writer's thread.

    def _enqueue(self, job: _Job, *, always: bool = False) -> bool:
        if self._closed:
            return False
        waiting = self._jobs.qsize() + len(self._unwritten)
        if waiting >= _WAITING and not always:
            self._lost("more runs came than could be written", 1)
            return False
        self._jobs.put(job)
        if isinstance(job, _Task) or waiting > _WAITING // 2:
            # Somebody waits for it, or there is no room for a pause.
            self._hurry.set()
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return True

    def _start(self) -> None:
        with self._starting:
            # Looked at again, now under the lock: two threads may have found it dead.
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return
            # A process that ends must not hang on its traces; `close` writes what is left.
            self._thread = threading.Thread(target=self._work, name="preceptor-traces", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending:
            jobs = self._gathered()
            ending = None in jobs
            tasks = self._sorted(jobs)
            ready = self._ready(at_once=ending or bool(tasks))
            if ready or tasks:
                connection = self._written(ready, tasks, connection)
            connection = self._told_followers(connection)
        if connection is not None:
            connection.close()

    def _gathered(self) -> list[_Job | None]:
        """Returns the next job together with those that arrive shortly after it; none while a run just goes on."""
        patience = _FOLLOW_EVERY if self._running else None
        if self._unwritten:
            oldest = next(iter(self._unwritten.values()))
            patience = max(oldest.since + _SETTLED - time.time(), 0.0)
        try:
            jobs = [self._jobs.get(timeout=patience)]
        except queue.Empty:
            return []
        self._hurry.wait(_GATHER)
        self._hurry.clear()
        while not self._jobs.empty():
            jobs.append(self._jobs.get_nowait())
        return jobs

    def _sorted(self, jobs: list[_Job | None]) -> list[_Task]:
        """Adds what has come to the runs that are not written; returns the tasks."""
        tasks: list[_Task] = []
        now = time.time()
        for job in jobs:
            if job is None:
                continue
            if isinstance(job, _Task):
                tasks.append(job)
                continue
            run = self._unwritten.setdefault(job.trace_id, _Unwritten(now))
            if isinstance(job, _Ended):
                run.ended = job.make
            elif isinstance(job, _Recorded):
                run.tape = job.make
            else:
                run.facts.update(job.facts)
                # Of a run that goes on here, more will come.
                goes_on = run.ended is None and job.trace_id in self._running
                run.whole = run.whole or not goes_on or "answer" in job.facts
        return tasks

    def _ready(self, *, at_once: bool) -> dict[str, _Unwritten]:
        """Takes the runs that are to be written now: those that are whole, and those that have waited long enough."""
        late = time.time() - _SETTLED
        at_once = at_once or len(self._unwritten) > _WAITING // 2
        ready = {
            trace_id: run
            for trace_id, run in self._unwritten.items()
            if at_once or run.whole or run.since <= late
        }
        for trace_id in ready:
            del self._unwritten[trace_id]
        return ready

    def _written(
        self, runs: Mapping[str, _Unwritten], tasks: Sequence[_Task], connection: sqlite3.Connection | None
    ) -> sqlite3.Connection | None:
        """Writes runs and does tasks in one transaction; returns the connection, or None if it must be opened again."""
        rows = self._rows(runs)
        # Whoever waits for a task may be gone, which cancels it; from here on that is not possible any more.
        tasks = [task for task in tasks if task.done.set_running_or_notify_cancel()]
        try:
            if connection is None:
                connection = _open(self.path)
            # Immediate: a transaction that begins as a reader fails without waiting if another process
            # writes.
            connection.execute("BEGIN IMMEDIATE")
            for start in range(0, len(rows), _AT_ONCE):
                self._write(connection, rows[start : start + _AT_ONCE])
            results = [task.work(connection) for task in tasks]
            self._prune(connection, len(rows))
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError, TracesUnavailable) as error:
            # Opened again for the next write: the file may have been repaired or replaced by then.
            if connection is not None:
                connection.close()
            reason = error.reason if isinstance(error, TracesUnavailable) else why_unread(error)
            self._lost(reason, len(rows))
            for task in tasks:
                task.done.set_exception(TracesUnavailable(self.path, reason))
            return None
        self._complaint = ""
        for task, result in zip(tasks, results, strict=True):
            task.done.set_result(result)
        return connection

    def _told_followers(self, connection: sqlite3.Connection | None) -> sqlite3.Connection | None:
        """Writes the steps of runs that go on here and are followed; returns the connection, as `_written` does."""
        now = time.time()
        if connection is None or not self._running or now - self._looked < _FOLLOW_EVERY:
            return connection
        self._looked = now
        try:
            rows = connection.execute("SELECT trace_id FROM followed WHERE at > ?", (now - _FOLLOWED_FOR,))
            for (trace_id,) in rows.fetchall():
                with suppress(*_UNREADABLE):
                    if spans := self._so_far(trace_id):
                        written = "UPDATE runs SET spans = ? WHERE trace_id = ? AND seconds IS NULL"
                        connection.execute(written, (spans, trace_id))
        except sqlite3.Error as error:
            logger.warning("The steps of a run that goes on were not written to %s: %s", self.path, error)
            connection.close()
            return None
        return connection

    def _write(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """Write runs with their words and passages."""
        _execute(connection, _WRITE, [row.columns for row in rows])
        _execute(
            connection,
            _WRITE_WORDS,
            [
                (row.columns[0], row.words.get("question"), row.words.get("answer"))
                for row in rows
                if row.words
            ],
        )
        shown = [(row.columns[0], json.dumps(list(row.passages))) for row in rows if row.passages]
        passages = {digest: passage for row in rows for digest, passage in row.passages.items()}
        if _execute(connection, _SHOW, shown) < sum(len(row.passages) for row in rows):
            for digest, passage in passages.items():
                self._keep_passage(connection, digest, passage)
            _execute(connection, _SHOW, shown)

    def _keep_passage(self, connection: sqlite3.Connection, digest: str, passage: str) -> None:
        """Keep a passage once, however many runs have shown it."""
        data = self.redacted(passage)
        made = connection.execute(
            "INSERT OR IGNORE INTO passages (digest, data) VALUES (?, ?)", (digest, data)
        )
        if made.rowcount:
            words = (made.lastrowid, spaced(json.loads(data).get("text", "")))
            connection.execute("INSERT INTO passage_words (rowid, text) VALUES (?, ?)", words)

    def _rows(self, runs: Mapping[str, _Unwritten]) -> list[_Row]:
        """Builds one row for each run that can be read."""
        rows: list[_Row] = []
        for trace_id, run in runs.items():
            try:
                rows.append(self._row(trace_id, run))
            except _UNREADABLE as error:
                self._lost(f"{type(error).__name__} while reading the run", 1)
        return rows

    def _row(self, trace_id: str, unwritten: _Unwritten) -> _Row:
        run = unwritten.ended() if unwritten.ended else None
        tape = unwritten.tape() if unwritten.tape else None
        facts = unwritten.facts
        known = {"metadata": run.metadata if run else None} | dict(facts)
        kept = {name: known[name] for name in known if self.include_text or name not in READERS_TEXT}
        spans = self._json(run.spans) if run else None
        # Only texts are cut; the steps and their times stay complete.
        if spans is not None and len(spans) > _LONGEST_RUN:
            spans = self._json(_shortened(json.loads(spans)))
        written, passages = stored(tape) if tape else (None, {})
        recorded = self._json(written) if written else None
        if recorded is not None and len(recorded) > _LONGEST_TAPE:
            recorded, passages = None, {}  # a tape with cut texts would play another run
        columns = (
            trace_id,
            run.started if run else unwritten.since,
            run.seconds if run else None,
            facts.get("session_id") or (run.session_id if run else None),
            facts.get("response_id"),
            self._json({name: value for name, value in kept.items() if value is not None}),
            self._json(outline(run.spans) | {"cost": run.cost}) if run else None,
            recorded,
            spans,
        )
        return _Row(
            columns,
            words={name: self._words(str(kept[name])) for name in ("question", "answer") if kept.get(name)},
            passages=passages,
        )

    def _words(self, text: str) -> str:
        """Returns a text as it is searched; half a pair of surrogates is no UTF-8."""
        return spaced(self.redacted(text.encode(errors="replace").decode()))

    def _lost(self, reason: str, count: int) -> None:
        self.dropped += count
        if count and reason != self._complaint:  # once for each cause, not for each run
            self._complaint = reason
            logger.warning(
                "A run was not kept in %s: %s (%d lost so far). Answers go on; mend that, or set `traces.path`.",
                self.path,
                reason,
                self.dropped,
            )

    def _prune(self, connection: sqlite3.Connection, written: int) -> None:
        self._unpruned += written
        if self._unpruned < _PRUNE_EVERY:
            return
        _removed(connection, self._keep_runs, self._keep_days)
        self._unpruned = 0

    def _json(self, value: object) -> str:
        """Returns `value` as JSON without secrets."""
        return self.redacted(json_text(value))


def _removed(connection: sqlite3.Connection, keep_runs: int, keep_days: float) -> int:
    """Remove old runs, and passages that no run has shown any more; returns the number of runs."""
    oldest = time.time() - keep_days * 86_400
    removed = connection.execute("DELETE FROM runs WHERE started < ?", (oldest,)).rowcount
    removed += connection.execute(
        "DELETE FROM runs WHERE number IN (SELECT number FROM runs ORDER BY started DESC LIMIT -1 OFFSET ?)",
        (keep_runs,),
    ).rowcount
    if removed:
        connection.execute("DELETE FROM passages WHERE id NOT IN (SELECT passage FROM shown)")
    return removed


def _is_busy(error: Exception) -> bool:
    # The code is an extended one: its last byte says what it is.
    return (
        isinstance(error, sqlite3.Error)
        and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    )


@stamina.retry(on=_is_busy, attempts=None, timeout=_PATIENCE, wait_initial=0.02, wait_max=0.5)
def _open(path: Path) -> sqlite3.Connection:
    """A connection for writing, each statement its own transaction."""
    make_private(path)
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        connection.create_function("spaced", 1, _spaced, deterministic=True)
        if _version(connection, path) < _VERSION:
            # Two processes that do this at once do not wait for each other: one is refused, and tries again.
            connection.execute("PRAGMA journal_mode = WAL")
            _make_tables(connection)
        connection.execute(_FOLLOWED)
        # A killed process loses nothing that was committed; only a power cut may lose the last runs.
        connection.execute("PRAGMA synchronous = NORMAL")
    except (sqlite3.Error, TracesUnavailable):
        connection.close()
        raise
    return connection


def _execute(connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Runs a statement that takes many rows of values; returns the number of rows that it wrote."""
    if not rows:
        return 0
    values = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))
    return connection.execute(statement.format(values), [value for row in rows for value in row]).rowcount


def _spaced(text: bytes | None) -> str:
    # Bytes, because SQLite gives half a pair of surrogates back as something that is not UTF-8.
    return spaced((text or b"").decode(errors="replace"))


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring those of version 1 to this one, with their runs."""
    connection.execute("BEGIN IMMEDIATE")
    # Asked again, now under the lock: another process may have done it in the meantime.
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for statement in _statements({0: _SCHEMA, 1: _UPGRADE}.get(version, "")):
        connection.execute(statement)
    connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """Splits a script; `executescript` would commit what goes on."""
    begun = ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            yield begun
            begun = ""


def _upgraded(path: Path) -> None:
    """Bring a file of an earlier version to this one before it is read."""
    with closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
    ) as found:
        if _version(found, path) != 1:
            return
    _open(path).close()


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Returns the version of the file's tables; 0 if there are none yet.

    Raises:
        TracesUnavailable: Another Preceptor has made them.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= _VERSION:
        raise TracesUnavailable(
            path, f"its version is {version}, and this Preceptor reads version {_VERSION}"
        )
    return version


def _in_many_passages(connection: sqlite3.Connection, filters: Filters) -> bool:
    if not (match := filters.match()):
        return False
    counted = "SELECT count(*) FROM (SELECT 1 FROM passage_words WHERE passage_words MATCH ? LIMIT ?)"
    (count,) = connection.execute(counted, (match, MANY_PASSAGES)).fetchone()
    return count >= MANY_PASSAGES


def _summary(row: sqlite3.Row) -> RunSummary:
    return summary(dict(row), facts=json.loads(row["facts"]), known=json.loads(row["outline"] or "{}"))


def _shortened(value: Any) -> Any:
    """Returns a JSON value with long texts cut."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value

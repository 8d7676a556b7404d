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
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import stamina
from pydantic_core import to_json

from preceptor.errors import TraceNotFound, TracesUnavailable
from preceptor.private import make_private
from preceptor.settings import TracesSettings
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

logger = logging.getLogger(__name__)

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS runs (
    trace_id TEXT PRIMARY KEY,
    started REAL NOT NULL, -- seconds since 1970
    seconds REAL,          -- duration; this and the last two are NULL until the run has ended
    session_id TEXT,
    response_id TEXT,
    facts TEXT NOT NULL,   -- JSON: question, answer, provider, …
    outline TEXT,          -- JSON: agents, tools, tokens, first error
    spans TEXT             -- JSON, in the order in which they started
);
CREATE INDEX IF NOT EXISTS runs_started ON runs (started);
CREATE INDEX IF NOT EXISTS runs_response ON runs (response_id) WHERE response_id IS NOT NULL;
PRAGMA user_version = {_VERSION};
"""
# Facts may come before a run has ended, or after it: whichever is first makes the row.
_WRITE = """
INSERT INTO runs (trace_id, started, seconds, session_id, response_id, facts, outline, spans)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_id) DO UPDATE SET
    started = CASE WHEN excluded.seconds IS NULL THEN started ELSE excluded.started END,
    seconds = coalesce(excluded.seconds, seconds),
    session_id = coalesce(excluded.session_id, session_id),
    response_id = coalesce(excluded.response_id, response_id),
    facts = json_patch(facts, excluded.facts),
    outline = coalesce(excluded.outline, outline),
    spans = coalesce(excluded.spans, spans)
"""
_SUMMARY = "trace_id, started, seconds, session_id, response_id, facts, outline"
_TROUBLED = """(
    json_extract(facts, '$.error') IS NOT NULL
    OR json_extract(outline, '$.error') IS NOT NULL AND json_extract(facts, '$.provider') IS NULL
    OR json_extract(facts, '$.failover[0]') IS NOT NULL OR json_extract(facts, '$.feedback.rating') < 0
)"""

_WAITING = 1000
"""Largest number of queued jobs; further ones are dropped."""
_PATIENCE = 5.0
"""Longest wait for another process's lock, in seconds."""
_GATHER = 0.05
"""Pause to collect more jobs for one write, in seconds: a run's facts arrive right after its end."""
_PRUNE_EVERY = 50
"""Number of runs between removals of old ones."""
_LONGEST_RUN = 200_000
"""Longest text of a run's spans, in characters; in a longer one, long texts are cut."""
_LONGEST_TEXT = 2_000


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
class _Task:
    """Job that does something else on the connection and reports the outcome."""

    work: Callable[[sqlite3.Connection], bool]
    done: "Future[bool]"


_Job = _Ended | _Known | _Task
_Row = tuple[str, float, float | None, str | None, str | None, str, str | None, str | None]


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
        self._redacted = Redactor(redact)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._hurry = threading.Event()
        self._closed = False
        self._complaint = ""
        self._unpruned = _PRUNE_EVERY  # the first write looks for old runs, too

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
        self._enqueue(_Ended(trace_id, make))

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
        done: Future[bool] = Future()
        said = {"rating": rating, "comment": comment if self.include_text else None}

        def write(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "UPDATE runs SET facts = json_patch(facts, ?) WHERE response_id = ?",
                (self._json({"feedback": said}), response_id),
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
        if not self._enqueue(_Task(lambda _: True, done), patience=timeout):
            return self._closed
        return not wait([done], timeout).not_done

    def close(self, timeout: float = 10.0) -> None:
        """Write pending jobs and end the thread; may be called twice, and accepts no more jobs."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._closed = True
        if thread is None:
            return
        self._hurry.set()
        try:
            self._jobs.put(None, timeout=timeout)
        except queue.Full:
            logger.warning("%d runs were not written in time and are lost.", self._jobs.qsize())
            return
        thread.join(timeout)

    # Reading.

    def runs(
        self, limit: int = 20, *, session_id: str | None = None, troubled: bool = False
    ) -> list[RunSummary]:
        """Returns the newest runs, newest first.

        Args:
            limit: Largest number of runs.
            session_id: Only those of one conversation.
            troubled: Only those with an error, a tutor that was left, or a reader who was not content.

        Raises:
            TracesUnavailable: The file is damaged, locked, or of another version.
        """
        query = f"SELECT {_SUMMARY} FROM runs WHERE (?1 IS NULL OR session_id = ?1)"  # noqa: S608 - constants
        if troubled:
            query += f" AND {_TROUBLED}"
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(f"{query} ORDER BY started DESC LIMIT ?2", (session_id, limit))
            return [_summary(row) for row in rows]

    def run(self, trace_id: str) -> RecordedRun:
        """Returns one run with its spans.

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
                    f"SELECT {_SUMMARY}, spans FROM runs WHERE substr(trace_id, 1, ?2) = ?1",  # noqa: S608
                    (trace_id, len(trace_id)),
                ).fetchall()
        if len(rows) != 1:
            raise TraceNotFound(trace_id, self.path, matches=len(rows))
        spans: list[SpanRecord] = json.loads(rows[0]["spans"] or "[]")
        return RecordedRun(summary=_summary(rows[0]), facts=json.loads(rows[0]["facts"]), spans=tree(spans))

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection | None]:
        """Opens a connection for reading; None if nothing has been written yet."""
        if not self.path.exists():
            yield None
            return
        try:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
                connection.row_factory = sqlite3.Row
                yield connection if _version(connection, self.path) else None
        except sqlite3.Error as error:
            raise TracesUnavailable(self.path, str(error)) from error

    # The writer's thread.

    def _enqueue(self, job: _Job, *, patience: float = 0) -> bool:
        if self._closed:
            return False
        try:
            self._jobs.put(job, block=patience > 0, timeout=patience)
        except queue.Full:
            self._lost("more runs came than could be written", 1)
            return False
        if isinstance(job, _Task):
            # Somebody waits for it.
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
            connection = self._written([job for job in jobs if job is not None], connection)
        if connection is not None:
            connection.close()

    def _gathered(self) -> list[_Job | None]:
        """Returns the next job together with those that arrive shortly after it."""
        jobs = [self._jobs.get()]
        self._hurry.wait(_GATHER)
        self._hurry.clear()
        while not self._jobs.empty():
            jobs.append(self._jobs.get_nowait())
        return jobs

    def _written(self, jobs: list[_Job], connection: sqlite3.Connection | None) -> sqlite3.Connection | None:
        """Writes `jobs` in one transaction; returns the connection, or None if it must be opened again."""
        rows = self._rows(jobs)
        # Whoever waits for a task may be gone, which cancels it; from here on that is not possible any more.
        tasks = [job for job in jobs if isinstance(job, _Task) and job.done.set_running_or_notify_cancel()]
        try:
            if connection is None:
                connection = _open(self.path)
            # Immediate: a transaction that begins as a reader fails without waiting if another process
            # writes.
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_WRITE, rows)
            results = [task.work(connection) for task in tasks]
            self._prune(connection, len(rows))
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError, TracesUnavailable) as error:
            # Opened again for the next write: the file may have been repaired or replaced by then.
            if connection is not None:
                connection.close()
            self._lost(str(error), len(rows))
            for task in tasks:
                task.done.set_exception(TracesUnavailable(self.path, str(error)))
            return None
        self._complaint = ""
        for task, result in zip(tasks, results, strict=True):
            task.done.set_result(result)
        return connection

    def _rows(self, jobs: list[_Job]) -> list[_Row]:
        """Builds one row for each run that the jobs mention."""
        ended = {job.trace_id: job.make for job in jobs if isinstance(job, _Ended)}
        facts: dict[str, dict[str, Any]] = {trace_id: {} for trace_id in ended}
        for job in jobs:
            if isinstance(job, _Known):
                facts.setdefault(job.trace_id, {}).update(job.facts)
        rows: list[_Row] = []
        for trace_id, known in facts.items():
            try:
                run = ended[trace_id]() if trace_id in ended else None
                rows.append(self._row(trace_id, run, known))
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
                # A span that holds what it should not, or what no JSON can.
                self._lost(f"{type(error).__name__} while reading the run", 1)
        return rows

    def _row(self, trace_id: str, run: RunRecord | None, facts: Mapping[str, Any]) -> _Row:
        known = {"metadata": run.metadata if run else None} | dict(facts)
        kept = {name: known[name] for name in known if self.include_text or name not in READERS_TEXT}
        spans = self._json(run.spans) if run else None
        # Only texts are cut; the steps and their times stay complete.
        if spans is not None and len(spans) > _LONGEST_RUN:
            spans = self._json(_shortened(json.loads(spans)))
        return (
            trace_id,
            run.started if run else time.time(),
            run.seconds if run else None,
            facts.get("session_id") or (run.session_id if run else None),
            facts.get("response_id"),
            self._json({name: value for name, value in kept.items() if value is not None}),
            self._json(outline(run.spans)) if run else None,
            spans,
        )

    def _lost(self, reason: str, count: int) -> None:
        self.dropped += count
        if count and reason != self._complaint:  # once for each cause, not for each run
            self._complaint = reason
            logger.warning("A run was not kept in %s: %s (%d lost so far).", self.path, reason, self.dropped)

    def _prune(self, connection: sqlite3.Connection, written: int) -> None:
        self._unpruned += written
        if self._unpruned < _PRUNE_EVERY:
            return
        connection.execute("DELETE FROM runs WHERE started < ?", (time.time() - self._keep_days * 86_400,))
        connection.execute(
            """DELETE FROM runs WHERE trace_id IN
               (SELECT trace_id FROM runs ORDER BY started DESC LIMIT -1 OFFSET ?)""",
            (self._keep_runs,),
        )
        self._unpruned = 0

    def _json(self, value: object) -> str:
        """Returns `value` as JSON without secrets."""
        try:
            text = to_json(value, serialize_unknown=True, inf_nan_mode="null").decode()
        except ValueError:
            # A lone surrogate, which a reader's JSON may hold and UTF-8 may not.
            text = json.dumps(value, default=str)
        return self._redacted(text)


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
        if not _version(connection, path):
            # Two processes that do this at once do not wait for each other: one is refused, and tries again.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        # A killed process loses nothing that was committed; only a power cut may lose the last runs.
        connection.execute("PRAGMA synchronous = NORMAL")
    except (sqlite3.Error, TracesUnavailable):
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Returns the version of the file's tables; 0 if there are none yet.

    Raises:
        TracesUnavailable: Another Preceptor has made them.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, _VERSION):
        raise TracesUnavailable(
            path, f"its version is {version}, and this Preceptor reads version {_VERSION}"
        )
    return version


def _summary(row: sqlite3.Row) -> RunSummary:
    return summary(dict(row), facts=json.loads(row["facts"]), known=json.loads(row["outline"] or "{}"))


def _shortened(value: Any) -> Any:
    """Returns a JSON value with long texts cut."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value

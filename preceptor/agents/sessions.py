"""Sessions: the turns of a reader's conversation, kept by the SDK's own session classes.

A turn is written when it is finished, as the question and the answer with its keys; a turn that failed or was
cancelled leaves nothing behind. The answer as the reader saw it is stored beside it and never shown to a
model. The same holds for the marker at the beginning of each session, which distinguishes a session without
turns from an unknown id.

A session's id is sent to the reader before anything is written, so the first question takes its turn in the
session's queue like every other. Calls of the store run in tasks of their own: a caller may give up, but a
write that has begun is completed, and the session's next question waits for it.
"""

import asyncio
import hashlib
import logging
import os
import re
import secrets
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar, cast

from agents.items import TResponseInputItem
from pydantic import TypeAdapter

from preceptor.agents.answer import Answer, Source
from preceptor.agents.session_store import SessionStore, StoreOfBook
from preceptor.errors import SessionBusy, SessionNotFound, SessionsUnavailable, why_unread
from preceptor.settings import SessionSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

_OURS = re.compile(r"[A-Za-z0-9_-]{24}")
_ID_BYTES = 18
"""Random bytes in a session id, which has 24 characters then."""
_MARK = "preceptor session"
_IN_QUEUE = 4
"""Largest number of questions of one session at a time: one is answered, the others wait."""
_QUEUE_SECONDS = 30.0
_READ_SECONDS = 5.0
_WRITE_SECONDS = 2.0
"""Longest wait for a write, in seconds; short, because the finished answer waits for it."""
_CLOSE_SECONDS = 2.0
_PURGE_SECONDS = 3600.0
_SOURCE_LIST = TypeAdapter(list[Source])
_SHOWN = "shown"
"""Field of an answer's item that holds the answer as the reader saw it."""


class PrivateId(str):
    """Id of a session that a client named itself: derived from that name and from the client, and never told to it."""

    __slots__ = ()

    @classmethod
    def of(cls, name: str, client: str) -> "PrivateId":
        """Returns the id for a name, which means the same session only to the same client."""
        both = f"{client}\n{name}".encode("utf-8", "surrogatepass")
        return cls(f"own-{hashlib.sha256(both).hexdigest()}")


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer, as the reader saw them."""

    question: str
    answer: str
    sources: Sequence[Source]
    response_id: str | None
    """Response id; None for a turn that the client supplied."""


@dataclass(frozen=True, slots=True)
class Turns:
    """An open session: its id and its earlier turns."""

    session_id: str
    history: list[TResponseInputItem]
    """Questions and answers in turn, oldest first, as SDK input items."""
    cited: Sequence[Source]
    """Sources of the answers in `history`: a follow-up may cite them again."""
    clock: Callable[[], float]
    write: Callable[[str, list[TResponseInputItem]], Awaitable[None]]
    unwritten: list[TResponseInputItem] = field(default_factory=list["TResponseInputItem"])
    """Initial items of a new session: written together with its first turn, or alone if that fails."""

    async def add(self, question: str, answer: str, *, shown: Answer | None = None) -> None:
        """Write a finished turn.

        Args:
            question: The reader's question, unchanged.
            answer: The tutor's text, with keys.
            shown: The answer that the reader got.

        Raises:
            SessionsUnavailable: The store failed, or has not written it within two seconds.
        """
        said: dict[str, Any] = {"role": "assistant", "content": answer, _SHOWN: {"at": self.clock()}}
        if shown is not None:
            said[_SHOWN] |= {
                "answer": shown.text,
                "sources": [asdict(source) for source in shown.sources],
                "response_id": shown.response_id,
            }
        items = [*self.unwritten, {"role": "user", "content": question}, said]
        # Before the wait: a write that takes too long is completed all the same, and must not be made twice.
        self.unwritten.clear()
        await self.write(self.session_id, cast("list[TResponseInputItem]", items))


@dataclass(slots=True)
class _Told:
    """How writing goes, for all books together."""

    lost: int = 0
    failing: bool = False


class Sessions:
    """Opens sessions, each for one turn at a time."""

    def __init__(
        self, settings: SessionSettings, store: SessionStore, clock: Callable[[], float] = time.time
    ) -> None:
        """Take over a store.

        Args:
            settings: How many turns are brought along, and how long a session lives.
            store: Store of the turns; closed with this object.
            clock: Seconds since 1970.
        """
        self.store = store
        self._told = _Told()
        self._settings = settings
        self._clock = clock
        self._queues: dict[str, _Queue] = {}
        self._new: set[str] = set()
        """Ids that were issued but not yet written."""
        self._calls: set[asyncio.Task[Any]] = set()
        self._writes: dict[str, asyncio.Task[None]] = {}
        """Pending write by session id."""
        self._next_purge = 0.0

    def of_book(self, book: str) -> "Sessions":
        """Returns sessions in the same store that no other book can go on with: their turns cite this book."""
        made = Sessions(self._settings, StoreOfBook(self.store, book), self._clock)
        made._told = self._told
        return made

    @property
    def lost(self) -> int:
        """Number of turns that could not be written."""
        return self._told.lost

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._told.failing

    @asynccontextmanager
    async def open(
        self,
        session_id: str | None,
        *,
        history: Sequence[TResponseInputItem] = (),
        keeps_history: bool = True,
        seconds: float = _QUEUE_SECONDS,
    ) -> AsyncGenerator[Turns, None]:
        """Hold a session for one turn; None begins a new one.

        Args:
            session_id: Id of an existing session, or None; a `PrivateId` that is not there begins a new one, too.
            history: Questions and answers that a new session begins with.
            keeps_history: Whether `history` is written, too.
            seconds: Longest wait for earlier questions and for the store.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
            SessionBusy: Too many questions wait for it already, or waiting took too long.
            SessionsUnavailable: The store failed.
        """
        until = _now() + seconds
        self._purge_at_times()
        begins = session_id is None
        if session_id is None:
            # Whoever knows the id may read the conversation, so that it must not be guessable.
            session_id = secrets.token_urlsafe(_ID_BYTES)
            self._new.add(session_id)
        async with self._in_queue(session_id, until) as until:
            items = None if begins else await self._items_if_there(session_id, until)
            if items is not None:
                items = _last_turns(items, self._settings.max_turns)
                cited = [source for item in items for source in _sources(cast("dict[str, Any]", item))]
                yield Turns(session_id, [_unshown(item) for item in items], cited, self._clock, self._write)
                return
            kept = _last_turns(list(history), self._settings.max_turns)
            mark = cast("TResponseInputItem", {"role": "system", "content": _MARK, "at": self._clock()})
            unwritten = [*kept, mark] if keeps_history else [mark]
            turns = Turns(session_id, kept, [], self._clock, self._write, unwritten=unwritten)
            try:
                yield turns
            finally:
                if turns.unwritten:
                    await self._begin(turns)

    async def turns(self, session_id: str) -> list[Turn]:
        """Returns the last turns of a session, oldest first, at most `session.max_turns`.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
            SessionsUnavailable: The store failed.
        """
        # Its id was told to the reader before anything was written; the store does not know it yet.
        if session_id in self._new:
            return []
        found = await self._items(session_id, _now() + _READ_SECONDS)
        items = cast("list[dict[str, Any]]", _last_turns(found, self._settings.max_turns))
        return [
            _turn(question, answer)
            for question, answer in pairwise(items)
            if question["role"] == "user" and answer["role"] == "assistant"
        ]

    async def delete(self, session_id: str) -> None:
        """Forget a session, when the questions that came before are answered.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
            SessionBusy: Too many questions wait for it already, or waiting took too long.
            SessionsUnavailable: The store failed.
        """
        async with self._in_queue(session_id, _now() + _QUEUE_SECONDS) as until:
            # Raises what tells the client that there is nothing to forget.
            await self._items(session_id, until)
            await self._answer(self._clear(session_id), until)

    async def check(self) -> None:
        """Ask the store for something.

        Raises:
            SessionsUnavailable: The store failed.
        """
        await self._answer(self._get("", 1), _now() + _WRITE_SECONDS)

    async def close(self) -> None:
        """Finish pending writes and close the store."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=_CLOSE_SECONDS)
        for call in self._calls:
            call.cancel()
        await self.store.close()

    @asynccontextmanager
    async def _in_queue(self, session_id: str, until: float) -> AsyncGenerator[float, None]:
        """Queue the questions of one session; yields the time until which to wait for the store."""
        queue = self._queues.setdefault(session_id, _Queue())
        if queue.asking >= _IN_QUEUE:
            raise SessionBusy(session_id)
        queue.asking += 1
        try:
            try:
                async with asyncio.timeout(until - _now()):
                    await queue.lock.acquire()
            except TimeoutError:
                raise SessionBusy(session_id) from None
            try:
                # The store has a time of its own, within what the queue has left of the whole.
                until = min(until, _now() + _READ_SECONDS)
                # A follow-up must see the turn before it, even if nobody waited for its writing.
                if earlier := self._writes.get(session_id):
                    await self._wait(earlier, until)
                yield until
            finally:
                queue.lock.release()
        finally:
            queue.asking -= 1
            # Else there would be a lock for each conversation that ever was.
            if not queue.asking:
                del self._queues[session_id]

    async def _items_if_there(self, session_id: str, until: float) -> list[TResponseInputItem] | None:
        """Returns the last items of a session, or None for one that a client named and that is still to begin."""
        try:
            return await self._items(session_id, until)
        except SessionNotFound:
            if not isinstance(session_id, PrivateId):
                raise
            return None

    async def _items(self, session_id: str, until: float) -> list[TResponseInputItem]:
        """Returns the last items of a session, without the initial marker."""
        # Preceptor never gave such an id, so that the store need not be asked.
        if not isinstance(session_id, PrivateId) and not _OURS.fullmatch(session_id):
            raise SessionNotFound(session_id)
        # Two for each turn, and the mark.
        limit = 2 * self._settings.max_turns + 1
        items = cast("list[dict[str, Any]]", await self._answer(self._get(session_id, limit), until))
        last = items[-1] if items else {}
        last_used = last.get(_SHOWN, last).get("at")
        if last_used is None:
            raise SessionNotFound(session_id)
        if self._clock() - last_used > self._settings.ttl_hours * 3600:
            await self._answer(self._clear(session_id), until)
            raise SessionNotFound(session_id)
        if len(items) == limit:
            while items[0]["role"] == "assistant":  # its question is not among them
                del items[0]
        return [cast("TResponseInputItem", item) for item in items if item["role"] != "system"]

    async def _begin(self, turns: Turns) -> None:
        """Write a new session without a turn, so that the reader can go on in it."""
        try:
            await self._write(turns.session_id, turns.unwritten, turns=0)
        except SessionsUnavailable as error:
            logger.warning("a new session was not kept: %s", error)

    async def _write(self, session_id: str, items: list[TResponseInputItem], *, turns: int = 1) -> None:
        """Write in a task that continues when nobody waits for it any more.

        Raises:
            SessionsUnavailable: The store failed, or has not written it within two seconds.
        """
        self._writes[session_id] = task = self._call(self._add(session_id, items))
        task.add_done_callback(lambda done: self._written(session_id, done, turns))
        await self._outcome(task, _now() + _WRITE_SECONDS)

    def _written(self, session_id: str, write: asyncio.Task[None], turns: int) -> None:
        self._new.discard(session_id)
        if self._writes.get(session_id) is write:
            del self._writes[session_id]
        self._told.failing = write.cancelled() or write.exception() is not None
        self._told.lost += turns if self._told.failing else 0

    async def _get(self, session_id: str, limit: int) -> list[TResponseInputItem]:
        return await (await self.store.open(session_id)).get_items(limit)

    async def _add(self, session_id: str, items: list[TResponseInputItem]) -> None:
        await (await self.store.open(session_id)).add_items(items)

    async def _clear(self, session_id: str) -> None:
        await (await self.store.open(session_id)).clear_session()

    def _purge_at_times(self) -> None:
        if self._clock() >= self._next_purge:
            self._next_purge = self._clock() + _PURGE_SECONDS
            purge = self._call(self.store.purge())
            purge.add_done_callback(partial(_log_failure, "sessions that ran out were not removed"))

    async def _answer(self, call: Coroutine[Any, Any, T], until: float) -> T:
        """Returns the store's answer, or fails when it does not arrive in time."""
        return await self._outcome(self._call(call), until)

    def _call(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # The SDK's sessions do not let go of what they write, even when they are cancelled: only a task of its
        # own can be left.
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._called)
        return task

    def _called(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waits for it raises it, else it is logged

    async def _outcome(self, task: asyncio.Task[T], until: float) -> T:
        try:
            await self._wait(task, until)
        finally:
            if not task.done():
                what = f"{self.store.name} failed when nobody waited for it any more"
                task.add_done_callback(partial(_log_failure, what))
        try:
            return task.result()
        # Only these: a fault of ours must not look like one of the store's.
        except self.store.failures as error:
            raise SessionsUnavailable(self.store.where, _why(error)) from error

    async def _wait(self, task: asyncio.Task[Any], until: float) -> None:
        # Unlike `wait_for`, it leaves the task running when the time is over.
        done, _ = await asyncio.wait({task}, timeout=max(0.0, until - _now()))
        if not done:
            raise SessionsUnavailable(self.store.where, "no answer in time")


@dataclass(slots=True)
class _Queue:
    """Questions of one session that run or wait."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking: int = 0


def _now() -> float:
    return asyncio.get_running_loop().time()


def _why(error: BaseException) -> str:
    """Returns why a store failed, without its address: that of a server may hold a password."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error | IsADirectoryError | FileExistsError | NotADirectoryError):
            return why_unread(cause)
        # A client's own error has a text of its own, with the address in it.
        if isinstance(cause, OSError) and (cause.errno or 0) > 0:
            return os.strerror(cause.errno or 0).lower()
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _log_failure(what: str, task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.warning("%s: %s", what, _why(error))


def _unshown(item: TResponseInputItem) -> TResponseInputItem:
    """Strips an item to the fields that a model takes."""
    return cast("TResponseInputItem", {name: value for name, value in item.items() if name != _SHOWN})


def _sources(answer: dict[str, Any]) -> list[Source]:
    return _SOURCE_LIST.validate_python(answer.get(_SHOWN, {}).get("sources", ()))


def _turn(question: dict[str, Any], answer: dict[str, Any]) -> Turn:
    shown = answer.get(_SHOWN, {})
    return Turn(
        question=question["content"],
        answer=shown.get("answer", answer["content"]),
        sources=_sources(answer),
        response_id=shown.get("response_id"),
    )


def _last_turns(items: list[TResponseInputItem], turns: int) -> list[TResponseInputItem]:
    """Returns the last `turns` questions with everything that followed each."""
    starts = [place for place, item in enumerate(items) if item.get("role") == "user"]
    return items[starts[-turns] :] if len(starts) > turns else items

"""Sessions: the turns of a reader's conversation, kept by the SDK's own session classes.

A turn is written when it is finished, as the question and the answer with its keys; a turn that failed or was
cancelled leaves nothing behind. Beside the answer lies what the reader saw of it, which no model sees. Neither
does any see the first item of a session, a mark of ours: it tells a session that exists from an id that somebody
made up.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, cast

from agents.items import TResponseInputItem
from agents.memory import Session
from pydantic import TypeAdapter

from preceptor.agents.answer import Answer, Source
from preceptor.agents.session_store import SessionStore
from preceptor.errors import SessionBusy, SessionNotFound
from preceptor.settings import SessionSettings

_MARK = "preceptor session"
_QUEUE = 4
"""Questions that may wait for one session."""
_PURGE_SECONDS = 3600.0
_SOURCE_LIST = TypeAdapter(list[Source])
_SHOWN = "shown"
"""Field of an answer's item: what the reader saw."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer, as the reader saw them."""

    question: str
    answer: str
    sources: Sequence[Source]
    response_id: str | None
    """None for a turn that the client brought along."""


@dataclass(frozen=True, slots=True)
class Turns:
    """An open session: its id and what was said in it."""

    session_id: str
    history: list[TResponseInputItem]
    """Questions and answers in turn, oldest first, as a model takes them."""
    cited: Sequence[Source]
    """Sources of the answers in `history`: a follow-up may cite them again."""
    stored: Session
    clock: Callable[[], float]
    unwritten: list[TResponseInputItem] = field(default_factory=list["TResponseInputItem"])
    """What a new session begins with: written together with its first turn, or alone when that fails."""

    async def add(self, question: str, answer: str, *, shown: Answer | None = None) -> None:
        """Write a finished turn.

        Args:
            question: As the reader asked it.
            answer: As the tutor wrote it, with keys.
            shown: The answer that the reader got.
        """
        said: dict[str, Any] = {"role": "assistant", "content": answer, _SHOWN: {"at": self.clock()}}
        if shown is not None:
            said[_SHOWN] |= {
                "answer": shown.text,
                "sources": [asdict(source) for source in shown.sources],
                "response_id": shown.response_id,
            }
        self.unwritten.extend([{"role": "user", "content": question}, cast("TResponseInputItem", said)])
        await self.write()

    async def write(self) -> None:
        """Write what is not written yet."""
        items = self.unwritten.copy()
        self.unwritten.clear()
        if items:
            await self.stored.add_items(items)


class Sessions:
    """Opens sessions one at a time each."""

    def __init__(
        self, settings: SessionSettings, store: SessionStore, clock: Callable[[], float] = time.time
    ) -> None:
        """Take over a store.

        Args:
            settings: How many turns are brought along, and how long a session lives.
            store: Where the turns are; closed with this object.
            clock: Seconds since 1970.
        """
        self._settings = settings
        self._store = store
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._next_purge = 0.0

    @asynccontextmanager
    async def open(
        self, session_id: str | None, *, history: Sequence[TResponseInputItem] = ()
    ) -> AsyncGenerator[Turns, None]:
        """Hold a session for one turn; None begins a new one.

        Args:
            session_id: Of the session, or None.
            history: Questions and answers that a new session begins with.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
            SessionBusy: Too many questions wait for it already.
        """
        if session_id is None:
            async with self._stored(secrets.token_urlsafe(18)) as stored:
                kept = _last_turns(list(history), self._settings.max_turns)
                mark = cast("TResponseInputItem", {"role": "system", "content": _MARK, "at": self._clock()})
                turns = Turns(stored.session_id, kept, [], stored, self._clock, unwritten=[mark, *kept])
                try:
                    yield turns
                finally:
                    await turns.write()
            return
        async with self._turn(session_id), self._stored(session_id) as stored:
            items = _last_turns(await self._items(stored), self._settings.max_turns)
            cited = [source for item in items for source in _sources(cast("dict[str, Any]", item))]
            yield Turns(session_id, [_unshown(item) for item in items], cited, stored, self._clock)

    async def turns(self, session_id: str) -> list[Turn]:
        """What was asked and answered in a session, oldest first.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
        """
        async with self._stored(session_id) as stored:
            items = cast("list[dict[str, Any]]", await self._items(stored))
        return [
            _turn(question, answer)
            for question, answer in pairwise(items)
            if question["role"] == "user" and answer["role"] == "assistant"
        ]

    async def delete(self, session_id: str) -> None:
        """Forget a session.

        Raises:
            SessionNotFound: There is no session with this id, or it has run out.
        """
        async with self._turn(session_id), self._stored(session_id) as stored:
            await self._items(stored)
            await stored.clear_session()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    @asynccontextmanager
    async def _stored(self, session_id: str) -> AsyncGenerator[Session, None]:
        if self._clock() >= self._next_purge:
            self._next_purge = self._clock() + _PURGE_SECONDS
            await self._store.purge()
        stored = self._store.open(session_id)
        try:
            yield stored
        finally:
            await self._store.release(stored)

    async def _items(self, stored: Session) -> list[TResponseInputItem]:
        """All items of a session, without the mark."""
        items = cast("list[dict[str, Any]]", await stored.get_items())
        if not items or items[0].get("content") != _MARK:
            raise SessionNotFound(stored.session_id)
        last_used = items[-1].get(_SHOWN, {}).get("at") or items[0]["at"]
        if self._clock() - last_used > self._settings.ttl_hours * 3600:
            await stored.clear_session()
            raise SessionNotFound(stored.session_id)
        return cast("list[TResponseInputItem]", items[1:])

    @asynccontextmanager
    async def _turn(self, session_id: str) -> AsyncGenerator[None, None]:
        """Put the questions of one session in order."""
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        if self._waiting.get(session_id, 0) >= _QUEUE:
            raise SessionBusy(session_id)
        self._waiting[session_id] = self._waiting.get(session_id, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[session_id] -= 1
            if not self._waiting[session_id]:
                del self._waiting[session_id], self._locks[session_id]


def _unshown(item: TResponseInputItem) -> TResponseInputItem:
    """An item as a model takes it."""
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
    """The last `turns` questions, each with all that followed it."""
    starts = [place for place, item in enumerate(items) if item.get("role") == "user"]
    return items[starts[-turns] :] if len(starts) > turns else items

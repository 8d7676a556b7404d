"""Sessions: the turns of a reader's conversation, kept by the SDK's own session classes.

A turn is written when it is finished, as the question and the answer with its keys; a turn that failed or was
cancelled leaves nothing behind. Beside the answer lies what the reader saw of it, which no model sees. Neither
does any see the first item of a session, a mark of ours: it tells a session that exists from an id that somebody
made up.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from agents import SQLiteSession
from agents.items import TResponseInputItem
from agents.memory import Session

from preceptor.agents.answer import Answer, Source
from preceptor.errors import SessionBusy, SessionNotFound
from preceptor.settings import SessionSettings

_MARK: TResponseInputItem = {"role": "system", "content": "preceptor session"}
_QUEUE = 4
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
    store: Session
    is_new: bool

    async def add(self, question: str, answer: str, *, shown: Answer | None = None) -> None:
        """Write a finished turn.

        Args:
            question: As the reader asked it.
            answer: As the tutor wrote it, with keys.
            shown: The answer that the reader got.
        """
        said: dict[str, Any] = {"role": "assistant", "content": answer}
        if shown is not None:
            said[_SHOWN] = {
                "answer": shown.text,
                "sources": [asdict(source) for source in shown.sources],
                "response_id": shown.response_id,
            }
        await self.store.add_items([{"role": "user", "content": question}, cast("TResponseInputItem", said)])


class Sessions:
    """Opens sessions one at a time each."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def open(
        self, session_id: str | None, *, history: Sequence[TResponseInputItem] = ()
    ) -> AsyncGenerator[Turns, None]:
        """Hold a session for one turn; None begins a new one.

        Args:
            session_id: Of the session, or None.
            history: Questions and answers that a new session begins with.

        Raises:
            SessionNotFound: There is no session with this id.
            SessionBusy: Too many questions wait for it already.
        """
        if session_id is None:
            new = secrets.token_urlsafe(18)
            store = self._store(new)
            kept = _last_turns(list(history), self._settings.max_turns)
            await store.add_items([_MARK, *kept])
            yield Turns(new, kept, store, is_new=True)
            return
        async with self._turn(session_id):
            store = self._store(session_id)
            said = [_unshown(item) for item in await self._items(session_id, store)]
            yield Turns(session_id, _last_turns(said, self._settings.max_turns), store, is_new=False)

    async def turns(self, session_id: str) -> list[Turn]:
        """What was asked and answered in a session, oldest first.

        Raises:
            SessionNotFound: There is no session with this id.
        """
        items = cast("list[dict[str, Any]]", await self._items(session_id, self._store(session_id)))
        return [
            _turn(question, answer)
            for question, answer in pairwise(items)
            if question["role"] == "user" and answer["role"] == "assistant"
        ]

    async def delete(self, session_id: str) -> None:
        """Forget a session.

        Raises:
            SessionNotFound: There is no session with this id.
        """
        async with self._turn(session_id):
            store = self._store(session_id)
            if not await store.get_items(limit=1):
                raise SessionNotFound(session_id)
            await store.clear_session()

    async def _items(self, session_id: str, store: Session) -> list[TResponseInputItem]:
        items = await store.get_items()
        if not items or items[0] != _MARK:
            raise SessionNotFound(session_id)
        return items[1:]

    def _store(self, session_id: str) -> Session:
        path = Path(self._settings.url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return cast("Session", SQLiteSession(session_id, path))

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


def _turn(question: dict[str, Any], answer: dict[str, Any]) -> Turn:
    shown = answer.get(_SHOWN, {})
    return Turn(
        question=question["content"],
        answer=shown.get("answer", answer["content"]),
        sources=[_source(fields) for fields in shown.get("sources", ())],
        response_id=shown.get("response_id"),
    )


def _source(fields: dict[str, Any]) -> Source:
    fields["breadcrumb"] = tuple(fields["breadcrumb"])
    return Source(**fields)


def _last_turns(items: list[TResponseInputItem], turns: int) -> list[TResponseInputItem]:
    """The last `turns` questions, each with all that followed it."""
    starts = [place for place, item in enumerate(items) if item.get("role") == "user"]
    return items[starts[-turns] :] if len(starts) > turns else items

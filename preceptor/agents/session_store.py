"""Where sessions are kept: the SDK's own session classes, chosen by the scheme of `session.url`."""

import asyncio
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from agents import SQLiteSession
from agents.memory import Session

from preceptor.errors import SettingsError
from preceptor.settings import Settings

_NEEDS = {"redis": ("redis",), "rediss": ("redis",), "postgresql+asyncpg": ("sqlalchemy", "asyncpg")}
"""Packages that a scheme needs beside ours."""
_FREE = 8
"""SQLite sessions that are kept; each has a connection for each thread that used it."""


class SessionStore(Protocol):
    """Opens the SDK's session object of one conversation."""

    def open(self, session_id: str) -> Session:
        """The session with this id, whether anything is in it or not."""
        ...

    async def release(self, session: Session) -> None:
        """Let go of what `open` took."""
        ...

    async def purge(self) -> None:
        """Remove the sessions that have run out."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


def open_store(settings: Settings) -> SessionStore:
    """The store that `session.url` names; nothing is connected yet.

    Raises:
        SettingsError: A package that it needs is not installed.
    """
    url = settings.session.url
    scheme = urlsplit(url).scheme
    missing = [name for name in _NEEDS.get(scheme, ()) if find_spec(name) is None]
    if missing:
        extra = scheme.partition("+")[0].replace("rediss", "redis").replace("postgresql", "postgres")
        raise SettingsError(
            [
                f"`session.url` begins with `{scheme}`, which needs {' and '.join(missing)}. "
                f"Install them with `pip install 'preceptor[{extra}]'`."
            ],
            env=settings.env,
        )
    seconds = int(settings.session.ttl_hours * 3600)
    if scheme == "sqlite":
        return SQLiteStore(Path(url.removeprefix("sqlite:///")), seconds=seconds)
    if scheme in ("redis", "rediss"):
        return RedisStore(url, seconds=seconds)
    return PostgresStore(url, seconds=seconds)


class SQLiteStore:
    """A file on this machine."""

    def __init__(self, path: Path, *, seconds: int) -> None:
        """Name the file and how long a session lives."""
        self._path = path
        self._seconds = seconds
        self._free: list[SQLiteSession] = []

    def open(self, session_id: str) -> Session:
        """The session with this id, on connections of its own."""
        if not self._free:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return cast("Session", SQLiteSession(session_id, self._path))
        session = self._free.pop()
        session.session_id = session_id
        return cast("Session", session)

    async def release(self, session: Session) -> None:
        """Keep it for another id: a new one connects and looks at the tables, which takes milliseconds."""
        free = cast("SQLiteSession", session)
        if len(self._free) < _FREE:
            self._free.append(free)
        else:
            free.close()

    async def purge(self) -> None:
        """Delete from the SDK's tables what has not been used for too long."""
        await asyncio.to_thread(self._delete_old)

    def _delete_old(self) -> None:
        if not self._path.is_file():
            return
        with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
            tables = connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE name = 'agent_sessions'"
            ).fetchone()
            if tables[0]:
                old = "SELECT session_id FROM agent_sessions WHERE updated_at < datetime('now', ?)"
                age = (f"-{self._seconds} seconds",)
                connection.execute(f"DELETE FROM agent_messages WHERE session_id IN ({old})", age)  # noqa: S608
                connection.execute(f"DELETE FROM agent_sessions WHERE session_id IN ({old})", age)  # noqa: S608

    async def close(self) -> None:
        """Let go of the file."""
        while self._free:
            self._free.pop().close()


class RedisStore:
    """A Redis server, which forgets by itself."""

    def __init__(self, url: str, *, seconds: int) -> None:
        """Name the server and how long a session lives."""
        from redis.asyncio import Redis  # an optional extra

        self._client: Any = Redis.from_url(url)
        self._seconds = seconds

    def open(self, session_id: str) -> Session:
        """The session with this id, on the shared client."""
        from agents.extensions.memory import RedisSession

        session = RedisSession(
            session_id, redis_client=self._client, key_prefix="preceptor", ttl=self._seconds
        )
        return cast("Session", session)

    async def release(self, session: Session) -> None:
        """The client stays."""

    async def purge(self) -> None:
        """Redis does it."""

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()


class PostgresStore:
    """A PostgreSQL database, through SQLAlchemy and asyncpg; the tables are made when they are not there."""

    def __init__(self, url: str, *, seconds: int) -> None:
        """Name the database and how long a session lives."""
        from sqlalchemy.ext.asyncio import create_async_engine  # an optional extra

        self._engine = create_async_engine(url, pool_pre_ping=True)
        self._seconds = seconds

    def open(self, session_id: str) -> Session:
        """The session with this id, on the shared pool."""
        from agents.extensions.memory import SQLAlchemySession

        return cast("Session", SQLAlchemySession(session_id, engine=self._engine, create_tables=True))

    async def release(self, session: Session) -> None:
        """The pool stays."""

    async def purge(self) -> None:
        """Delete from the SDK's tables what has not been used for too long."""
        from sqlalchemy import text

        async with self._engine.begin() as connection:
            if (await connection.execute(text("SELECT to_regclass('agent_sessions')"))).scalar() is None:
                return
            await connection.execute(
                text("DELETE FROM agent_sessions WHERE updated_at < now() - make_interval(secs => :age)"),
                {"age": self._seconds},
            )

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

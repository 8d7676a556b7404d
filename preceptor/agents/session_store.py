"""Stores sessions in the SDK's session classes, chosen by the scheme of `session.url`."""

import asyncio
import copy
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from agents import SQLiteSession
from agents.memory import Session

from preceptor.errors import SettingsError
from preceptor.private import make_private
from preceptor.settings import Settings

_NEEDS = {"redis": ("redis",), "rediss": ("redis",), "postgresql+asyncpg": ("sqlalchemy", "asyncpg")}
"""Extra packages that each scheme needs."""
_SECONDS = 5
"""Connect and read timeout, in seconds."""


class SessionStore(Protocol):
    """Opens the SDK's session object for one conversation."""

    name: str
    where: str
    """Its file, or the kind of its server; no address, which may hold a password."""
    failures: tuple[type[Exception], ...]
    """Exceptions that its sessions raise when reading or writing fails."""

    async def open(self, session_id: str) -> Session:
        """The session with this id, whether anything is in it or not."""
        ...

    async def purge(self) -> None:
        """Remove the sessions that have run out."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_store(settings: Settings) -> SessionStore:
    """Returns the store that `session.url` names, without connecting.

    Raises:
        SettingsError: A package that it needs is not installed.
    """
    url = settings.session.url.get_secret_value()
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
    try:
        return (RedisStore if scheme in ("redis", "rediss") else PostgresStore)(url, seconds=seconds)
    except (ValueError, TypeError) as error:  # an option after `?` that the client does not know
        problem = f"`session.url` is not an address that {scheme}'s client can read ({type(error).__name__})."
        raise SettingsError([f"{problem} Look at what follows the host."], env=settings.env) from None


class _OnThisMachine(SQLiteSession):
    """The SDK's sessions in a file, which wait for the operating system and not for the disk.

    Each answer waits until its turn is written, and turns are written one after the other (decision 0022). What is
    written survives the end of this process, but perhaps not that of the machine within the next seconds.
    """

    @staticmethod
    def _configure_connection(conn: sqlite3.Connection) -> None:
        SQLiteSession._configure_connection(conn)  # pyright: ignore[reportPrivateUsage] - the SDK is pinned
        conn.execute("PRAGMA synchronous = NORMAL")


class SQLiteStore:
    """Stores sessions in a file on this machine."""

    name = "sqlite"
    failures: tuple[type[Exception], ...] = (sqlite3.Error, OSError)

    def __init__(self, path: Path, *, seconds: int) -> None:
        """Name the file and how long a session lives."""
        self.path = path
        self.where = f"`{path}`"
        self._seconds = seconds
        self._first: SQLiteSession | None = None
        self._opening = asyncio.Lock()

    async def open(self, session_id: str) -> Session:
        """Returns the session with this id.

        All sessions are copies of one, which share its connections (one for each thread) and its lock: a new
        object would open its own connections and inspect the tables first.
        """
        async with self._opening:
            if self._first is None:
                self._first = await asyncio.to_thread(self._connect)
        return _copy(self._first, session_id)

    def _connect(self) -> SQLiteSession:
        make_private(self.path)
        return _OnThisMachine("", self.path)

    async def purge(self) -> None:
        """Delete expired sessions from the SDK's tables."""
        await asyncio.to_thread(self._delete_old)

    def _delete_old(self) -> None:
        if not self.path.is_file():
            return
        with closing(sqlite3.connect(self.path, timeout=_SECONDS)) as connection, connection:
            tables = connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE name = 'agent_sessions'"
            ).fetchone()
            if tables[0]:
                old = "SELECT session_id FROM agent_sessions WHERE updated_at < datetime('now', ?)"
                age = (f"-{self._seconds} seconds",)
                connection.execute(f"DELETE FROM agent_messages WHERE session_id IN ({old})", age)  # noqa: S608
                connection.execute(f"DELETE FROM agent_sessions WHERE session_id IN ({old})", age)  # noqa: S608

    async def close(self) -> None:
        """Close the file."""
        first, self._first = self._first, None
        if first is not None:
            await asyncio.to_thread(first.close)


class RedisStore:
    """Stores sessions in Redis, which expires them itself."""

    name = where = "redis"

    def __init__(self, url: str, *, seconds: int) -> None:
        """Name the server and how long a session lives."""
        from redis.asyncio import Redis  # an optional extra
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self.failures: tuple[type[Exception], ...] = (RedisError, OSError)
        # Once more, because a connection that was idle may have been closed.
        retry = Retry(NoBackoff(), 1)
        self._client: Any = Redis.from_url(
            url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS, retry=retry
        )
        self._client.connection_pool.make_connection()  # checks its options; nothing is connected
        self._seconds = seconds

    async def open(self, session_id: str) -> Session:
        """The session with this id, on the shared client."""
        from agents.extensions.memory import RedisSession

        session = RedisSession(
            session_id, redis_client=self._client, key_prefix="preceptor", ttl=self._seconds
        )
        return cast("Session", session)

    async def purge(self) -> None:
        """Do nothing: Redis expires keys itself."""

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()


class PostgresStore:
    """Stores sessions in PostgreSQL, through SQLAlchemy and asyncpg; missing tables are created."""

    name = where = "postgresql"

    def __init__(self, url: str, *, seconds: int) -> None:
        """Name the database and how long a session lives."""
        from asyncpg import InterfaceError, PostgresError  # an optional extra
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.ext.asyncio import create_async_engine

        self.failures: tuple[type[Exception], ...] = (SQLAlchemyError, PostgresError, InterfaceError, OSError)
        try:
            self._engine = create_async_engine(
                url,
                pool_pre_ping=True,
                pool_timeout=_SECONDS,
                connect_args={"timeout": _SECONDS, "command_timeout": _SECONDS},
            )
        except SQLAlchemyError as error:
            raise ValueError(type(error).__name__) from None
        self._seconds = seconds
        self._first: Any = None
        self._opening = asyncio.Lock()

    async def open(self, session_id: str) -> Session:
        """The session with this id, on the shared pool: a copy of one that has looked at the tables."""
        async with self._opening:
            if self._first is None:
                self._first = await self._connect()
        return _copy(self._first, session_id)

    async def _connect(self) -> Any:
        from agents.extensions.memory import SQLAlchemySession
        from sqlalchemy.exc import IntegrityError, ProgrammingError

        session = SQLAlchemySession("", engine=self._engine, create_tables=True)
        try:
            await session.get_items(1)  # makes the tables
        except (IntegrityError, ProgrammingError):
            # Another replica made them between this one's look and its order; now they are there.
            await session.get_items(1)
        return session

    async def purge(self) -> None:
        """Delete expired sessions from the SDK's tables."""
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


class StoreOfBook:
    """Keeps one book's sessions in a store that several books share, each under a name of its own."""

    def __init__(self, store: SessionStore, book: str) -> None:
        """Take part in a store, which somebody else closes."""
        self.name = store.name
        self.where = store.where
        self.failures = store.failures
        self._store = store
        self._book = book

    async def open(self, session_id: str) -> Session:
        """Returns the session with this id."""
        return await self._store.open(f"{self._book}:{session_id}")

    async def purge(self) -> None:
        """Remove the sessions of all books that have run out."""
        await self._store.purge()

    async def close(self) -> None:
        """Leave the store as it is."""


def _copy(session: Any, session_id: str) -> Session:
    # A shallow one: of all that a session of the SDK holds, only the id is its own.
    copied = copy.copy(session)
    copied.session_id = session_id
    return cast("Session", copied)
